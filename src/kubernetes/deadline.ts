import type { Clock } from '../runtime/clock.ts'

/** Why a deadline's timer was ended. One for all: an abort without a reason builds an exception with a stack, at every request. */
const IN_TIME = new Error('the work ended in time')

/** A controller that follows its parent until released; a long-lived parent keeps no trace of it afterwards. */
export function childController(parent: AbortSignal): { readonly controller: AbortController; release(): void } {
  const controller = new AbortController()
  const onAbort = (): void => controller.abort(parent.reason)
  if (parent.aborted) onAbort()
  else parent.addEventListener('abort', onAbort, { once: true })
  return { controller, release: () => parent.removeEventListener('abort', onAbort) }
}

/**
 * Runs work that must end in time. When the time is up its signal is aborted with `timeoutError()`, with which the work is expected
 * to reject.
 *
 * @param ms time from now (monotonic)
 */
export async function withDeadline<T>(
  options: {
    readonly clock: Clock
    readonly ms: number
    readonly signal: AbortSignal
    readonly timeoutError: () => Error
    /** After a success the work's signal still follows `signal`: what the work returned goes on using it. */
    readonly staysLinked?: boolean
  },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const child = childController(options.signal)
  const { controller } = child
  const timer = new AbortController()
  options.clock.sleep(options.ms, timer.signal).then(
    () => controller.abort(options.timeoutError()),
    () => undefined,
  )
  let succeeded = false
  try {
    const result = await work(controller.signal)
    succeeded = true
    return result
  } finally {
    timer.abort(IN_TIME)
    if (!succeeded || options.staysLinked !== true) child.release()
  }
}
