import { describe, expect, test } from 'vitest'
import { BackgroundWork } from '../../../../providers/aws/background.ts'
import { CloudAPIError } from '../../../../src/ipam/errors.ts'
import { seededRandom } from '../../../../src/runtime/random.ts'
import { RecordingLog } from '../../../support/fake-fleet.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'

function world() {
  const clock = new ManualClock()
  const log = new RecordingLog()
  const ending = new AbortController()
  const work = new BackgroundWork({ clock, random: seededRandom(1), log, signal: ending.signal })
  return { clock, log, ending, work }
}

/** A job that fails so many times. */
function failing(times: number, error: Error = new Error('not yet')) {
  const job = {
    attempts: 0,
    reason: 'test',
    fields: { interfaceID: 'eni-1' },
    attempt: async () => {
      job.attempts += 1
      await Promise.resolve()
      if (job.attempts <= times) throw error
    },
  }
  return job
}

describe('work in the background', () => {
  test('is tried at once, and again after growing waits, until it succeeds', async () => {
    const { clock, work } = world()
    const job = failing(3)
    work.start(job)
    await settle()
    expect(job.attempts).toBe(1)
    await clock.advance(1000)
    expect(job.attempts).toBe(2)
    await clock.advance(2000)
    expect(job.attempts).toBe(3)
    expect(work.pendingCount).toBe(1)
    await clock.advance(4000)
    expect(job.attempts).toBe(4)
    expect(work.pendingCount).toBe(0)
  })

  test('settle ends when nothing is left, also what was started meanwhile', async () => {
    const { clock, work } = world()
    const second = failing(1)
    work.start({
      reason: 'first',
      fields: {},
      attempt: () => {
        work.start(second)
        return Promise.resolve()
      },
    })
    const state = { isSettled: false }
    void work.settle(new AbortController().signal).then(() => {
      state.isSettled = true
    })
    await settle()
    expect(state.isSettled).toBe(false)
    await clock.advance(1000)
    expect(second.attempts).toBe(2)
    expect(state.isSettled).toBe(true)
  })

  test('settle gives up waiting when told, the work goes on', async () => {
    const { clock, work } = world()
    const job = failing(1)
    work.start(job)
    const patience = new AbortController()
    const settled = work.settle(patience.signal)
    settled.catch(() => undefined)
    patience.abort(new Error('no time'))
    await expect(settled).rejects.toThrow('no time')
    await clock.advance(1000)
    expect(job.attempts).toBe(2)
  })

  test('is given up after a bounded number of tries, and said once', async () => {
    const { clock, log, work } = world()
    const job = failing(1000)
    work.start(job)
    await clock.advance(3_600_000)
    expect(job.attempts).toBe(12)
    expect(work.pendingCount).toBe(0)
    expect(log.count('Gave up work in the background')).toBe(1)
  })

  test.each(['denied', 'invalid'] as const)('is given up at once when %s: trying again cannot help', async (kind) => {
    const { clock, work } = world()
    const job = failing(5, new CloudAPIError('no', { kind, code: 'X', action: 'DeleteNetworkInterface' }))
    work.start(job)
    await clock.advance(60_000)
    expect(job.attempts).toBe(1)
  })

  test('ends with the process', async () => {
    const { clock, ending, work } = world()
    const job = failing(1000)
    work.start(job)
    await settle()
    ending.abort(new Error('stopping'))
    await settle()
    expect(work.pendingCount).toBe(0)
    await clock.advance(60_000)
    expect(job.attempts).toBe(1)
  })
})
