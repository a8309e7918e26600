import { describe, expect, test } from 'vitest'
import { ResourcePace } from '../../../../providers/azure/resource-pace.ts'
import { ManualClock } from '../../../support/manual-clock.ts'

const POLICY = 'UpdateVMScaleSetVM'
const { signal } = new AbortController()

/** When the n-th of so many calls for one machine goes (s). */
async function departures(pace: ResourcePace, clock: ManualClock, count: number): Promise<readonly number[]> {
  const times: number[] = []
  const calls = Array.from({ length: count }, async () => {
    await pace.take(POLICY, 'vm-0', signal)
    times.push(clock.now() / 1000)
  })
  for (let waited = 0; waited < 120; waited++) await clock.advance(1000)
  await Promise.all(calls)
  return times
}

describe('the bucket of one machine', () => {
  test('lets twelve writes go at once, and then four a minute', async () => {
    const clock = new ManualClock()
    expect((await departures(new ResourcePace(clock), clock, 15)).slice(10)).toEqual([0, 0, 15, 30, 45])
  })

  test('has what Azure says is left, where that is less', async () => {
    const clock = new ManualClock()
    const pace = new ResourcePace(clock)
    pace.observeRemaining(POLICY, 'vm-0', 1)
    pace.observeRemaining(POLICY, 'vm-0', 9)
    expect(await departures(pace, clock, 3)).toEqual([0, 15, 30])
  })

  test('is empty after a refusal, for as long as Azure asks', async () => {
    const clock = new ManualClock()
    const pace = new ResourcePace(clock)
    expect(pace.refused(POLICY, 'vm-0', 40_000)).toBe(true)
    const [first = 0] = await departures(pace, clock, 1)
    expect(first).toBe(40)
    await pace.take(POLICY, 'vm-1', signal)
  })

  test('does not keep a call that was given up', async () => {
    const clock = new ManualClock()
    const pace = new ResourcePace(clock)
    pace.refused(POLICY, 'vm-0', 40_000)
    const gone = new AbortController()
    const taken = pace.take(POLICY, 'vm-0', gone.signal)
    gone.abort(new Error('node deleted'))
    await expect(taken).rejects.toThrow('node deleted')
  })
})

describe('a refusal', () => {
  test('of another machine soon after speaks of the subscription', async () => {
    const clock = new ManualClock()
    const pace = new ResourcePace(clock)
    expect(pace.refused(POLICY, 'vm-0', 1000)).toBe(true)
    expect(pace.refused(POLICY, 'vm-0', 1000)).toBe(true)
    expect(pace.refused(POLICY, 'vm-1', 1000)).toBe(false)
    expect(pace.refused('GetVMScaleSetVM', 'vm-2', 1000)).toBe(true)
    await clock.advance(15_000)
    expect(pace.refused(POLICY, 'vm-3', 1000)).toBe(true)
  })
})
