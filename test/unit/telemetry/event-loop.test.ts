import { afterEach, describe, expect, test } from 'vitest'
import { startEventLoopMonitor } from '../../../src/telemetry/event-loop.ts'
import type { EventLoopMonitor } from '../../../src/telemetry/event-loop.ts'

const BLOCK_MS = 250

function block(): void {
  const endMs = performance.now() + BLOCK_MS
  while (performance.now() < endMs);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

let monitor: EventLoopMonitor | undefined
afterEach(() => monitor?.stop())

describe('startEventLoopMonitor', () => {
  test('shows a block of the loop, in the reading after it', async () => {
    monitor = startEventLoopMonitor(2)
    await pause(30)
    block()
    await pause(30)
    const delay = monitor.read()
    expect(delay.maxMs).toBeGreaterThan(BLOCK_MS * 0.8)
    expect(delay.p50Ms).toBeLessThan(BLOCK_MS * 0.5)
    expect(delay.p999Ms).toBeLessThanOrEqual(delay.maxMs)
  })

  test('a block right after a reading, as the reading itself may cause it, is not lost', async () => {
    monitor = startEventLoopMonitor(2)
    await pause(30)
    monitor.read()
    block()
    await pause(30)
    const after = monitor.read()
    expect(after.maxMs).toBeGreaterThan(BLOCK_MS * 0.8)
  })

  test('a block does not stay for ever', async () => {
    monitor = startEventLoopMonitor(2)
    await pause(20)
    block()
    await pause(20)
    monitor.read()
    await pause(20)
    monitor.read()
    await pause(20)
    expect(monitor.read().maxMs).toBeLessThan(BLOCK_MS * 0.8)
  })

  test('reads 0 before the first probe', () => {
    monitor = startEventLoopMonitor(1000)
    expect(monitor.read()).toEqual({ p50Ms: 0, p99Ms: 0, p999Ms: 0, maxMs: 0 })
  })
})
