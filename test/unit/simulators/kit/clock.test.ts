import { afterEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../../../simulators/kit/clock.ts'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'

const never = new AbortController().signal

describe('ManualClock', () => {
  test('wakes sleepers in the order in which they fall due, and no earlier', async () => {
    const clock = new ManualClock()
    const woken: string[] = []
    const sleep = async (name: string, ms: number): Promise<void> => {
      await clock.sleep(ms, never)
      woken.push(`${name}@${clock.now()}`)
    }
    void sleep('late', 30)
    void sleep('early', 10)
    void sleep('early too', 10)
    await clock.advance(9)
    expect(woken).toEqual([])
    await clock.advance(21)
    expect(woken).toEqual(['early@10', 'early too@10', 'late@30'])
  })

  test('a sleep started by woken code takes part in the same advance', async () => {
    const clock = new ManualClock()
    const times: number[] = []
    void (async () => {
      for (let round = 0; round < 3; round++) {
        await clock.sleep(10, never)
        times.push(clock.now())
      }
    })()
    await clock.advance(30)
    expect(times).toEqual([10, 20, 30])
  })

  test('an aborted sleep rejects with the reason and is forgotten', async () => {
    const clock = new ManualClock()
    const abort = new AbortController()
    const sleeping = clock.sleep(10, abort.signal)
    abort.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    expect(clock.sleeping).toBe(0)
    await expect(clock.sleep(10, abort.signal)).rejects.toThrow('enough')
  })

  test('wall time moves with it', async () => {
    const clock = new ManualClock(new Date('2026-05-01T00:00:00Z'))
    await clock.advance(1500)
    expect(clock.wallTime().toISOString()).toBe('2026-05-01T00:00:01.500Z')
  })
})

describe('systemClock', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  test('follows globals that were replaced after it was imported', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const startMs = systemClock.now()
    const done = vi.fn()
    void systemClock.sleep(60_000, never).then(done)
    await vi.advanceTimersByTimeAsync(59_999)
    expect(done).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(done).toHaveBeenCalled()
    expect(systemClock.now() - startMs).toBe(60_000)
  })

  test('does not run backwards when the wall clock is set back', () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const before = systemClock.now()
    vi.setSystemTime(Date.now() - 3_600_000)
    expect(systemClock.now()).toBe(before)
    vi.setSystemTime(Date.now() + 5)
    expect(systemClock.now()).toBe(before + 5)
  })

  test('a sleep longer than setTimeout can count is not cut short', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
    const done = vi.fn()
    void systemClock.sleep(2 ** 31 + 1000, never).then(done)
    await vi.advanceTimersByTimeAsync(2 ** 31)
    expect(done).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1000)
    expect(done).toHaveBeenCalled()
  })
})
