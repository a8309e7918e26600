/** The only door to time. Passed in, so that a test or a simulated fleet can drive it. */
export interface Clock {
  /** Monotonic milliseconds, for intervals, deadlines and rates. Meaningless outside the process. */
  now(): number
  /** Wall-clock time, only for what leaves the process: status, logs, request signatures. */
  wallTime(): Date
  /** Resolves after `ms` (0 or less: on a later turn of the event loop); rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** The longest delay that `setTimeout` keeps; a longer one would fire at once. Node.js documentation, `timers.setTimeout`. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * The clock of a running process. Globals are looked up at each call, so that faked globals drive it too.
 *
 * @param monotonic source of `now()`, milliseconds; a virtual-time run passes one that follows its faked `Date`
 */
export function systemClock(monotonic: () => number = () => performance.now()): Clock {
  return {
    now: monotonic,
    wallTime: () => new Date(),
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason as Error)
          return
        }
        const onAbort = (): void => {
          clearTimeout(timer)
          reject(signal.reason as Error)
        }
        const timer = setTimeout(
          () => {
            signal.removeEventListener('abort', onAbort)
            resolve()
          },
          Math.min(Math.max(ms, 0), LONGEST_TIMER_MS),
        )
        signal.addEventListener('abort', onAbort, { once: true })
      }),
  }
}
