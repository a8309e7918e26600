import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'

/** Keys remembered (count): several for each node of the largest fleet. The oldest goes first; its next warning is written. */
const MAX_KEYS = 100_000

interface Written {
  readonly atMs: number
  suppressed: number
}

export interface RateLimitedWarning {
  /**
   * Warns, unless a warning with this key was written within the interval; the next one says in `suppressed` how many were
   * left out.
   *
   * @param key what must not repeat, e.g. node and reason
   */
  warn(key: string, fields: object, message: string): void
  /** Forgets a key, e.g. because its trouble is over: the next warning is written at once. */
  forget(key: string): void
}

/** For warnings that would repeat with every pass of a node. */
export function rateLimitedWarning(options: {
  readonly log: Logger
  readonly clock: Clock
  /** Between two warnings with the same key (ms). */
  readonly intervalMs: number
}): RateLimitedWarning {
  const { log, clock, intervalMs } = options
  /** In the order of writing, oldest first. */
  const written = new Map<string, Written>()
  return {
    warn(key, fields, message) {
      const nowMs = clock.now()
      const last = written.get(key)
      if (last !== undefined && nowMs - last.atMs < intervalMs) {
        last.suppressed += 1
        return
      }
      written.delete(key)
      written.set(key, { atMs: nowMs, suppressed: 0 })
      if (written.size > MAX_KEYS) {
        const [oldest] = written.keys()
        if (oldest !== undefined) written.delete(oldest)
      }
      log.warn(
        last === undefined || last.suppressed === 0 ? fields : { ...fields, suppressed: last.suppressed },
        message,
      )
    },
    forget(key) {
      written.delete(key)
    },
  }
}
