import type { ReportPage } from '../../../src/fleet/report-page/page.ts'
import type { SeriesSample } from '../../../src/fleet/run-series.ts'

/** A run of 40 nodes and four moments, with names that would end a script or a tag. */
export const SAMPLES: readonly SeriesSample[] = [0, 1, 2, 3].map((atSeconds) => ({
  atSeconds,
  nodesJoined: 40,
  nodesServed: 10 * atSeconds,
  addressesAvailable: 160 * atSeconds,
  addressesUsed: 50 * atSeconds,
  podsWaiting: 200 - 50 * atSeconds,
  calls: { Assign: 10 * atSeconds ** 2, Create: atSeconds, '</script>': 1 },
  refused: { Assign: atSeconds, Create: 0 },
  tokens: { Assign: 1 - atSeconds / 4, Create: 0.9 },
}))

export const PAGE: ReportPage = {
  report: {
    cloud: 'aws',
    nodes: 40,
    nodesConverged: 39,
    pods: 200,
    podsWaiting: 50,
    addressesAvailable: 480,
    addressesUsed: 150,
    interfaces: 41,
    calls: { Assign: 90, '</script>': 1 },
    throttled: 3,
    errors: 0,
    virtual: true,
    wallSeconds: 1,
    seed: 1,
    scenario: 'mine <b>',
    makespanSeconds: null,
    lowerBoundSeconds: 2,
    nodeWait: { p50: 1, p99: 2, max: 3 },
    podWait: { p50: 1, p99: 2, max: 3 },
    refusedShare: 0.03,
    callsPerNode: 2,
    callsPerAddress: 0.1,
    rssBytes: 1e8,
    cpuSeconds: 1,
    quotas: { interfaces: 5_000 },
  },
  bound: { seconds: 2, curve: [{ atSeconds: 0, served: 40 }] },
  measuredFromSeconds: 0,
  samples: SAMPLES,
  help: 'a scenario',
  instanceType: 'm5.large',
  prefixDelegation: true,
}
