import { afterEach, describe, expect, test } from 'vitest'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import { alertRules, AlertWatch, durationMs } from '../support/alerts.ts'
import type { Fleet } from '../support/fleet.ts'
import { KUBERNETES_FAULTS } from '../support/fleet-faults.ts'
import { closeFleet, MINUTE, settled, start, write } from '../support/fleet-scenario.ts'

/**
 * Every alert of deploy/kubernetes fires and clears in a fleet, evaluated as a Prometheus would, in virtual time. What fires besides
 * must be a consequence.
 */

afterEach(closeFleet)

const DAY = 24 * 60 * MINUTE
const until = (of: Fleet, ms: number): number => of.clock.now() + ms

interface Scenario {
  readonly alert: string
  /** What may fire along with it. */
  readonly besides?: readonly string[]
  /** How long until it fires and until it clears, besides the `for` of the alert (min). */
  readonly firesWithin: number
  readonly clearsWithin: number
  readonly world: () => Promise<Fleet>
  readonly cause: (of: Fleet) => unknown
  readonly cure: (of: Fleet) => unknown
}

const SCENARIOS: readonly Scenario[] = [
  {
    alert: 'BerthNoLeader',
    firesWithin: 3,
    clearsWithin: 3,
    world: () => settled(4, { nodeCount: 2 }),
    cause: (of) => of.kubernetesFaults.add({ ...KUBERNETES_FAULTS['server errors'] }, {}, until(of, DAY)),
    cure: (of) => of.heal(),
  },
  {
    alert: 'BerthNodesWaitLong',
    besides: ['BerthCloudErrors', 'BerthFullSyncFails'],
    firesWithin: 10,
    clearsWithin: 10,
    world: () => settled(4, { nodeCount: 2 }),
    cause(of) {
      of.ec2Faults.add({ action: '*', kind: 'drop' }, {}, until(of, DAY))
      for (const node of of.nodes.values()) of.startPods(node, 14)
    },
    cure: (of) => of.heal(),
  },
  {
    alert: 'BerthSecondWriter',
    besides: ['BerthNoLeader'],
    firesWithin: 3,
    clearsWithin: 3,
    world: () => settled(4, { nodeCount: 2 }),
    async cause(of) {
      for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
        const ipam = { pool: { [address]: { resource: 'eni-other' } } }
        await write(of, 'PATCH', `${CILIUM_NODES_PATH}/node-1`, { spec: { ipam } })
        await of.advance(5_000)
      }
    },
    // As the page says: the other one is stopped, this one started again.
    cure: (of) => of.processes.forEach((process) => process.terminate()),
  },
  {
    alert: 'BerthInstancesMissing',
    firesWithin: 3,
    clearsWithin: 3,
    world: () => settled(4, { nodeCount: 3 }),
    cause: (of) => of.leave(of.node(0)!, 'I', 0),
    async cure(of) {
      await write(of, 'DELETE', `${CILIUM_NODES_PATH}/node-1`, {})
    },
  },
  {
    alert: 'BerthSubnetNearlyFull',
    firesWithin: 3,
    clearsWithin: 3,
    world: () => settled(2, { nodeCount: 2 }),
    cause: (of) => of.cloud.occupy(of.cloud.subnet(2).id, { leaveFree: 40 }, until(of, 60 * MINUTE)),
    cure: (of) => of.cloud.freeOccupied(until(of, DAY)),
  },
  {
    alert: 'BerthThrottled',
    besides: ['BerthNodesWaitLong', 'BerthFullSyncFails'],
    firesWithin: 15,
    clearsWithin: 25,
    world: () => settled(4, { nodeCount: 4, releaseExcess: true }),
    cause: (of) =>
      of.ec2Faults.add(
        { action: '*', kind: 'error', code: 'RequestLimitExceeded', status: 503, message: 'Request limit exceeded.' },
        { probability: 0.4 },
        until(of, DAY),
      ),
    cure: (of) => of.heal(),
  },
  {
    alert: 'BerthCloudErrors',
    besides: ['BerthFullSyncFails', 'BerthNodesWaitLong'],
    firesWithin: 10,
    clearsWithin: 25,
    world: () => settled(4, { nodeCount: 2 }),
    cause: (of) =>
      of.ec2Faults.add(
        { action: '*', kind: 'error', code: 'UnauthorizedOperation', status: 403, message: 'not authorized' },
        {},
        until(of, DAY),
      ),
    cure: (of) => of.heal(),
  },
  {
    alert: 'BerthFullSyncFails',
    besides: ['BerthCloudErrors'],
    firesWithin: 35,
    clearsWithin: 5,
    world: () => settled(4, { nodeCount: 2 }),
    cause: (of) =>
      of.ec2Faults.add(
        { action: 'DescribeNetworkInterfaces', kind: 'error', code: 'InternalError', status: 500, message: 'down' },
        {},
        until(of, DAY),
      ),
    cure: (of) => of.heal(),
  },
  {
    alert: 'BerthNodesAtCapacity',
    besides: ['BerthNodesWaitLong'],
    firesWithin: 3,
    clearsWithin: 3,
    // A t3.nano has room for two pods, and four are wanted.
    world: () => start({ nodeCount: 1, instanceType: 't3.nano', specs: [{ 'pre-allocate': 1 }] }),
    cause(of) {
      of.startPods(of.node(0)!, 4)
    },
    async cure(of) {
      for (let gone = 0; gone < 4; gone++) await of.apply({ kind: 'podsGone', count: 1 })
    },
  },
  {
    alert: 'BerthDestructivePaused',
    firesWithin: 3,
    clearsWithin: 3,
    world: () => settled(2, { nodeCount: 1 }),
    cause: (of) => pause(of, true),
    cure: (of) => pause(of, false),
  },
]

function pause(of: Fleet, pauseDestructive: boolean): void {
  for (const { handle } of of.processes) handle?.reconfigure({ pauseDestructive, logLevel: 'info', budgetTable: {} })
}

describe('an alert', () => {
  test('has a scenario each', () => {
    expect(SCENARIOS.map(({ alert }) => alert)).toEqual(alertRules().map(({ alert }) => alert))
  })

  test.each(SCENARIOS)(
    '$alert fires and clears',
    async ({ alert, besides = [], firesWithin, clearsWithin, world, cause, cure }) => {
      const of = await world()
      const watch = new AlertWatch(of)
      await watch.advance(2 * MINUTE)
      expect(watch.firing()).toEqual([])
      const forMs = durationMs(alertRules().find((rule) => rule.alert === alert)!.for)
      await cause(of)
      const firedMs = await watch.until(alert, true, forMs + firesWithin * MINUTE)
      // Not before its time.
      expect(firedMs).toBeGreaterThanOrEqual(forMs)
      expect(watch.firing().filter((one) => one !== alert && !besides.includes(one))).toEqual([])
      await cure(of)
      await watch.until(alert, false, clearsWithin * MINUTE)
      await watch.advance(12 * MINUTE)
      expect(watch.firing()).toEqual([])
    },
  )
})
