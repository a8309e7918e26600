import { describe, expect, test } from 'vitest'
import { KeyedQueue } from '../../../src/runtime/keyed-queue.ts'
import { settle } from '../../support/manual-clock.ts'

describe('KeyedQueue', () => {
  test('starts the most urgent lane first, each lane in order of arrival', async () => {
    const queue = new KeyedQueue<string>({ concurrency: Infinity, laneCount: 3 })
    const starts: string[] = []
    for (const [key, lane] of [
      ['slow', 2],
      ['first', 1],
      ['second', 1],
      ['urgent', 0],
    ] as const)
      void queue.run(key, lane, () => Promise.resolve(void starts.push(key)))
    await settle()
    expect(starts).toEqual(['urgent', 'first', 'second', 'slow'])
  })

  test('keeps to its concurrency', async () => {
    const queue = new KeyedQueue<number>({ concurrency: 3, laneCount: 1 })
    let active = 0
    let most = 0
    const tasks = Array.from({ length: 20 }, (_, key) =>
      queue.run(key, 0, async () => {
        active += 1
        most = Math.max(most, active)
        await settle(1)
        active -= 1
      }),
    )
    await Promise.all(tasks)
    expect(most).toBe(3)
    expect(queue.size).toBe(0)
  })

  test('a key that waits is not queued twice, and moves up when asked for more urgently', async () => {
    const queue = new KeyedQueue<string>({ concurrency: Infinity, laneCount: 2 })
    const starts: string[] = []
    const task = (key: string) => (): Promise<void> => Promise.resolve(void starts.push(key))
    const first = queue.run('a', 1, task('a'))
    void queue.run('b', 1, task('b'))
    const again = queue.run('b', 0, task('b again'))
    await Promise.all([first, again])
    expect(starts).toEqual(['b', 'a'])
  })

  test('a key that waits moves up without being asked for again, and one that does not wait stays away', async () => {
    const queue = new KeyedQueue<string>({ concurrency: Infinity, laneCount: 2 })
    const starts: string[] = []
    const all = ['a', 'b', 'c'].map((key) => queue.run(key, 1, () => Promise.resolve(void starts.push(key))))
    queue.promote('c', 0)
    queue.promote('c', 1)
    queue.promote('d', 0)
    await Promise.all(all)
    expect(starts).toEqual(['c', 'a', 'b'])
  })

  test('gives the event loop its turn between slices', async () => {
    const queue = new KeyedQueue<number>({ concurrency: Infinity, laneCount: 1 })
    let started = 0
    for (let key = 0; key < 100; key++) void queue.run(key, 0, () => Promise.resolve(void started++))
    const seen: number[] = []
    for (let turn = 0; turn < 4; turn++) {
      await new Promise<void>((resolve) => setImmediate(resolve))
      seen.push(started)
    }
    expect(seen[0]).toBeGreaterThan(0)
    expect(seen[0]).toBeLessThan(50)
    await settle(40)
    expect(started).toBe(100)
  })

  test('a task that fails rejects its caller and frees its place', async () => {
    const queue = new KeyedQueue<string>({ concurrency: 1, laneCount: 1 })
    const failed = expect(
      queue.run('a', 0, () => {
        throw new Error('broken')
      }),
    ).rejects.toThrow('broken')
    let hasRun = false
    await queue.run('b', 0, () => Promise.resolve(void (hasRun = true)))
    await failed
    expect(hasRun).toBe(true)
  })

  test('a cancelled key does not start', async () => {
    const queue = new KeyedQueue<string>({ concurrency: 1, laneCount: 1 })
    let hasRun = false
    const cancelled = queue.run('a', 0, () => Promise.resolve(void (hasRun = true)))
    queue.cancel('a')
    await cancelled
    await settle()
    expect(hasRun).toBe(false)
    expect(queue.size).toBe(0)
  })
})
