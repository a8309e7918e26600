import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { untilAborted } from '../../../src/runtime/until-aborted.ts'

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown): void => void unhandled.push(reason)

/** Unhandled rejections are told after the turn in which they happen. */
const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

describe('work that a signal may end', () => {
  beforeEach(() => {
    unhandled.length = 0
    process.on('unhandledRejection', onUnhandled)
  })

  afterEach(() => {
    process.off('unhandledRejection', onUnhandled)
  })

  test('is what it would be without one', async () => {
    const { signal } = new AbortController()
    expect(await untilAborted(Promise.resolve(3), signal)).toBe(3)
    await expect(untilAborted(Promise.reject(new Error('refused')), signal)).rejects.toThrow('refused')
  })

  test.each(['before', 'while'])(
    'ends with its reason when it is aborted %s it runs; a later failure is nobody’s',
    async (when) => {
      const work = Promise.withResolvers<never>()
      const caller = new AbortController()
      if (when === 'before') caller.abort(new Error('gone'))
      const result = untilAborted(work.promise, caller.signal)
      caller.abort(new Error('gone'))
      await expect(result).rejects.toThrow('gone')
      work.reject(new Error('too late'))
      await nextTurn()
      expect(unhandled).toEqual([])
    },
  )
})
