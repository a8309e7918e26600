import { expect, test } from 'vitest'
import type { CallContext, CallPriority } from '../../../src/runtime/call-priority.ts'
import { sharedContext } from '../../../src/runtime/shared-context.ts'
import { untilAborted } from '../../../src/runtime/until-aborted.ts'

function caller(priority: CallPriority) {
  const controller = new AbortController()
  const context: CallContext = { priority, reason: 'test', signal: controller.signal }
  return { context, leave: () => controller.abort(new Error('gone')) }
}

test('one caller keeps its own context', () => {
  const { context } = caller('release')
  expect(sharedContext([context]).context).toBe(context)
})

test('several are as urgent as the most urgent, and abandoned with the last one', () => {
  const [one, two] = [caller('release'), caller('below-minimum')]
  const { context } = sharedContext([one.context, two.context])
  expect(context.priority).toBe('below-minimum')
  two.leave()
  expect(context.signal.aborted).toBe(false)
  one.leave()
  expect(context.signal.reason).toEqual(new Error('gone'))
})

test('all gone before is abandoned at once', () => {
  const [one, two] = [caller('release'), caller('release')]
  one.leave()
  two.leave()
  expect(sharedContext([one.context, two.context]).context.signal.aborted).toBe(true)
})

test('released, it hears no more', () => {
  const [one, two] = [caller('release'), caller('release')]
  const shared = sharedContext([one.context, two.context])
  shared.release()
  one.leave()
  two.leave()
  expect(shared.context.signal.aborted).toBe(false)
})

test('work is waited for until the signal, and no longer', async () => {
  const { context, leave } = caller('release')
  expect(await untilAborted(Promise.resolve(7), context.signal)).toBe(7)
  const never = untilAborted(new Promise(() => undefined), context.signal)
  leave()
  await expect(never).rejects.toThrow('gone')
  await expect(untilAborted(Promise.resolve(7), context.signal)).rejects.toThrow('gone')
})
