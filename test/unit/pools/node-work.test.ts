import { describe, expect, test } from 'vitest'
import { NodeWork } from '../../../src/pools/node-work.ts'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'

function workOf(run: (name: string) => Promise<void>, concurrency = 2) {
  const clock = new ManualClock()
  const failures: [name: string, attempt: number, delayMs: number][] = []
  const timers = new TimerQueue(clock, (error) => {
    throw error
  })
  const work = new NodeWork({
    run,
    concurrency,
    clock,
    timers,
    onFailure: (name, _error, attempt, delayMs) => failures.push([name, attempt, delayMs]),
  })
  return { clock, work, failures }
}

describe('the work on nodes', () => {
  test('folds requests: one run under way, one after it', async () => {
    const runs: (() => void)[] = []
    const { work } = workOf(() => new Promise((resolve) => runs.push(resolve)))
    for (let count = 0; count < 5; count++) work.request('a')
    await settle()
    expect(runs).toHaveLength(1)
    for (let count = 0; count < 5; count++) work.request('a')
    runs[0]!()
    await settle()
    expect(runs).toHaveLength(2)
    runs[1]!()
    await settle()
    expect(runs).toHaveLength(2)
  })

  test('goes on with other nodes while one fails, which is tried again after 1 s, 2 s, 3 s', async () => {
    const runs: string[] = []
    const { clock, work, failures } = workOf((name) => {
      runs.push(name)
      return name === 'bad' && runs.length < 5 ? Promise.reject(new Error('no')) : Promise.resolve()
    })
    work.request('bad')
    work.request('good')
    await settle()
    expect([runs, work.failing]).toEqual([['bad', 'good'], ['bad']])
    await clock.advance(999)
    expect(runs).toHaveLength(2)
    await clock.advance(1)
    await clock.advance(2_000)
    await clock.advance(3_000)
    expect([runs, failures, work.failing]).toEqual([
      ['bad', 'good', 'bad', 'bad', 'bad'],
      [
        ['bad', 1, 1_000],
        ['bad', 2, 2_000],
        ['bad', 3, 3_000],
      ],
      [],
    ])
  })

  test('a node that fails is tried at once when there is news of it', async () => {
    let runs = 0
    const { work } = workOf(() => (++runs === 1 ? Promise.reject(new Error('no')) : Promise.resolve()))
    work.request('a')
    await settle()
    work.request('a')
    await settle()
    expect([runs, work.failing]).toEqual([2, []])
  })

  test('never works on more nodes at once than it may', async () => {
    let [active, most] = [0, 0]
    const { work } = workOf(async () => {
      most = Math.max(most, ++active)
      await settle(1)
      active -= 1
    }, 3)
    for (let index = 0; index < 20; index++) work.request(`node-${index}`)
    await settle(60)
    expect([most, active]).toEqual([3, 0])
  })

  test('a node that is forgotten is not tried again', async () => {
    let runs = 0
    const { clock, work } = workOf(() => {
      runs += 1
      return Promise.reject(new Error('no'))
    })
    work.request('a')
    await settle()
    work.forget('a')
    await clock.advance(10_000)
    expect([runs, work.failing, clock.sleeping]).toEqual([1, [], expect.any(Number)])
  })

  test('stops when what is under way has ended, or the grace period', async () => {
    const ends: (() => void)[] = []
    const { work } = workOf(() => new Promise((resolve) => ends.push(resolve)))
    work.request('a')
    await settle()
    let isStopped = false
    const stopping = work.stop(new AbortController().signal).then(() => (isStopped = true))
    work.request('b')
    await settle()
    expect([isStopped, ends.length]).toEqual([false, 1])
    ends[0]!()
    await stopping
    expect(ends).toHaveLength(1)

    const other = workOf(() => new Promise(() => undefined)).work
    other.request('a')
    await settle()
    const grace = new AbortController()
    const abandoned = other.stop(grace.signal)
    grace.abort(new Error('over'))
    await abandoned
  })
})
