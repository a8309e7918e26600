import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { VirtualTime } from '../../../src/fleet/virtual-time.ts'

const NEVER = new AbortController().signal

let time: VirtualTime

beforeEach(() => {
  time = new VirtualTime()
})

afterEach(() => {
  time.uninstall()
})

describe('VirtualTime', () => {
  test('an hour passes at once, for our code and for that of others', async () => {
    const startMs = Date.now()
    await time.run(time.clock.sleep(1_800_000, NEVER))
    await time.run(new Promise((resolve) => setTimeout(resolve, 1_800_000)))
    expect(time.clock.now()).toBe(3_600_000)
    expect(Date.now() - startMs).toBe(3_600_000)
    expect(time.clock.wallTime().toISOString()).toBe('2026-01-01T01:00:00.000Z')
  })

  test('whoever sleeps wakes in the order of the moments, and never before its own', async () => {
    const woken: (readonly [number, number])[] = []
    const sleeper = async (ms: number): Promise<void> => {
      await time.clock.sleep(ms, NEVER)
      woken.push([ms, time.clock.now()])
    }
    await time.run(Promise.all([30.2, 10, 0, 20.9, -5].map(sleeper)))
    expect(woken).toEqual([
      [0, 0],
      [-5, 0],
      [10, 10],
      [20.9, 21],
      [30.2, 31],
    ])
  })

  test('time stands while anything can go on without it: promises, immediates, ticks, files', async () => {
    let wokenAtStep = -1
    let steps = 0
    const busy = async (): Promise<void> => {
      for (; steps < 50; steps++) {
        await new Promise((resolve) => setImmediate(resolve))
        await new Promise<void>((resolve) => process.nextTick(resolve))
        await import('node:fs/promises').then(({ stat }) => stat(import.meta.filename))
      }
    }
    const sleeping = time.clock.sleep(1, NEVER).then(() => {
      wokenAtStep = steps
    })
    await time.run(Promise.all([busy(), sleeping]))
    expect(wokenAtStep).toBe(50)
  })

  test('an abort ends a sleep, and its timer', async () => {
    const controller = new AbortController()
    const sleeping = time.clock.sleep(60_000, controller.signal)
    setTimeout(() => controller.abort(new Error('enough')), 10)
    await expect(time.run(sleeping)).rejects.toThrow('enough')
    expect(time.clock.now()).toBe(10)
    await expect(time.run(new Promise(() => undefined))).rejects.toThrow('no timer is armed')
  })

  test('says so when everything waits for ever', async () => {
    await expect(time.run(new Promise(() => undefined))).rejects.toThrow('time stands still')
  })

  test('gives real time back', () => {
    time.uninstall()
    expect(Date.now()).toBeGreaterThan(Date.UTC(2026, 0, 2))
  })
})
