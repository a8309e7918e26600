import { describe, expect, test } from 'vitest'
import type { FleetRun, PlayedRun } from '../support/fleet-run.ts'
import { play, playShrinking, randomRun } from '../support/fleet-run.ts'

const NOTHING_SEEN = { looks: 0, nodeLooks: 0, judgedNodeLooks: 0 }
const DONE: PlayedRun = { convergedMs: 0, virtualMs: 0, calls: {}, coverage: NOTHING_SEEN }

describe('a run', () => {
  test('plays the same way every time', async () => {
    const run = randomRun(11, 25)
    expect(await play(run)).toEqual(await play(run))
  })

  test('is another one for another seed', () => {
    expect(randomRun(1, 10)).toEqual(randomRun(1, 10))
    expect(randomRun(1, 10)).not.toEqual(randomRun(2, 10))
  })
})

describe('a run that fails', () => {
  /** Fails when a kill comes after a burst, whatever else is there; differently when a lease is stolen. */
  const played: FleetRun[] = []
  const faulty = (run: FleetRun): Promise<PlayedRun> => {
    played.push(run)
    const kinds = run.steps.map(({ kind }) => kind)
    if (kinds.includes('leaseStolen')) return Promise.reject(new Error('other: an address is gone'))
    const burst = kinds.indexOf('podBurst')
    const isBroken = burst >= 0 && kinds.indexOf('controllerKilled', burst) > burst
    return isBroken ? Promise.reject(new Error(`left-behind: eni-${played.length}`)) : Promise.resolve(DONE)
  }
  const time = { kind: 'timePasses', thenMs: 1 } as const
  const burst = { kind: 'podBurst', node: 1, count: 2, thenMs: 3 } as const
  const kill = { kind: 'controllerKilled', thenMs: 4 } as const
  const steps = [kill, time, time, burst, time, time, time, kill, time, burst, time]
  const options = { seed: 4711, nodeCount: 1 }

  test('is told with its seed and the shortest list of steps that fails alike', async () => {
    const failure = playShrinking({ options, steps }, { attempts: 100, play: faulty })
    await expect(failure).rejects.toThrow(/^seed 4711: left-behind: eni-\d+/)
    await expect(failure).rejects.toThrow('2 of 11 steps fail alike')
    await expect(failure).rejects.toThrow(
      `--replay - <<'RUN'\n${JSON.stringify({ options, steps: [burst, kill] })}\nRUN`,
    )
  })

  test('is not replaced by one that fails in another way', async () => {
    const stolen = { kind: 'leaseStolen', thenMs: 0 } as const
    const failure = playShrinking({ options, steps: [time, stolen, burst, kill] }, { attempts: 100, play: faulty })
    await expect(failure).rejects.toThrow(/^seed 4711: other: /)
    await expect(failure).rejects.toThrow(`"steps":[${JSON.stringify(stolen)}]`)
  })

  test('is shrunk with a bounded number of tries', async () => {
    played.length = 0
    await expect(playShrinking({ options, steps }, { attempts: 5, play: faulty })).rejects.toThrow('steps fail alike')
    expect(played.length).toBe(6)
  })

  test('that succeeds is played once', async () => {
    played.length = 0
    expect(await playShrinking({ options, steps: [time] }, { attempts: 5, play: faulty })).toBe(DONE)
    expect(played).toHaveLength(1)
  })
})
