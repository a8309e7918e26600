import { describe, expect, test } from 'vitest'
import { RunSeries } from '../../../src/fleet/run-series.ts'
import type { SeriesSample } from '../../../src/fleet/run-series.ts'

const EMPTY: SeriesSample = {
  atSeconds: 0,
  nodesJoined: 0,
  nodesServed: 0,
  addressesAvailable: 0,
  addressesUsed: 0,
  podsWaiting: 0,
  calls: {},
  refused: {},
  tokens: {},
}

/** As a run does it: one sample, a pause, the next one. */
function lookFor(hours: number): RunSeries {
  const series = new RunSeries()
  for (let atMs = 0; atMs <= hours * 3_600_000; atMs += series.intervalMs)
    series.add({ ...EMPTY, atSeconds: atMs / 1000 })
  return series
}

describe('a series', () => {
  test.each([{ hours: 0.1 }, { hours: 1 }, { hours: 24 }, { hours: 168 }])(
    'of $hours h has few samples at even distances, from the start on',
    ({ hours }) => {
      const { samples, intervalMs } = lookFor(hours)
      expect(samples.length).toBeLessThan(600)
      expect(samples.length).toBeGreaterThan(250)
      expect(samples[0]?.atSeconds).toBe(0)
      const gaps = new Set(samples.slice(1).map(({ atSeconds }, index) => atSeconds - (samples[index]?.atSeconds ?? 0)))
      expect([...gaps]).toEqual([intervalMs / 1000])
    },
  )

  test('looks at the fleet and at the ledger of the cloud', async () => {
    const series = new RunSeries()
    const source = {
      world: { supply: () => ({ joined: 9, served: 5, available: 80, used: 20, podsWaiting: 3 }) },
      cloud: {
        account: {
          calls: () =>
            Promise.resolve({
              Assign: { attempts: 7, refused: 2, failed: 0, bucket: { tokens: 25, size: 100 } },
              Free: { attempts: 1, refused: 0, failed: 0 },
            }),
        },
      },
    }
    await series.look(source as unknown as Parameters<RunSeries['look']>[0], 1_500, new AbortController().signal)
    expect(series.samples).toEqual([
      {
        atSeconds: 1.5,
        nodesJoined: 9,
        nodesServed: 5,
        addressesAvailable: 80,
        addressesUsed: 20,
        podsWaiting: 3,
        calls: { Assign: 7, Free: 1 },
        refused: { Assign: 2, Free: 0 },
        tokens: { Assign: 0.25 },
      },
    ])
  })
})
