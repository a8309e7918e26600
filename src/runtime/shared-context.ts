import { CALL_PRIORITIES, type CallContext, type CallPriority } from './call-priority.ts'

export interface SharedContext {
  readonly context: CallContext
  /** Stops listening to the callers' signals. */
  release(): void
}

/**
 * One context for a call that several callers wait for: as urgent as the most urgent of them, and abandoned when the last one has gone.
 * A single caller's own signal is kept, so that what is ranked by it stays so.
 *
 * @param contexts at least one
 */
export function sharedContext(contexts: readonly CallContext[]): SharedContext {
  const [first] = contexts
  const priority = mostUrgent(contexts.map((context) => context.priority))
  const reason = first?.reason ?? ''
  if (first !== undefined && contexts.length === 1) return { context: first, release() {} }
  const abandoned = new AbortController()
  const waiting = new Set(contexts.filter(({ signal }) => !signal.aborted))
  if (waiting.size === 0) abandoned.abort(first?.signal.reason)
  const removals = [...waiting].map((context) => {
    const { signal } = context
    const leave = (): void => {
      waiting.delete(context)
      if (waiting.size === 0) abandoned.abort(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    return () => signal.removeEventListener('abort', leave)
  })
  return {
    context: { priority, reason, signal: abandoned.signal },
    release: () => removals.forEach((remove) => remove()),
  }
}

function mostUrgent(priorities: readonly CallPriority[]): CallPriority {
  return CALL_PRIORITIES.find((priority) => priorities.includes(priority)) ?? 'background'
}
