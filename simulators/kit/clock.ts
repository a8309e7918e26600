/** The only door to time of a simulator. */
export interface Clock {
  /** Monotonic milliseconds, for latency, refills and delays. Meaningless outside the process. */
  now(): number
  /** Wall-clock time, only for what leaves the process: attach times, creation times, dates of headers. */
  wallTime(): Date
  /** Resolves after `ms` milliseconds (at once when not positive); rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** The longest delay that `setTimeout` takes: more becomes 1 ms. Longer sleeps are cut into pieces. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

let lastDateMs: number | undefined
let elapsedMs = 0

/**
 * Real time, read through the globals `Date` and `setTimeout` at the moment of the call: whoever replaces the globals (virtual
 * time over a whole process) drives this clock too. `now()` adds up the forward steps of `Date`, so that a wall clock that is set
 * back, or a faked one put in its place, never makes it run backwards.
 */
export const systemClock: Clock = {
  now() {
    const dateMs = Date.now()
    if (lastDateMs !== undefined && dateMs > lastDateMs) elapsedMs += dateMs - lastDateMs
    lastDateMs = dateMs
    return elapsedMs
  },
  wallTime: () => new Date(),
  async sleep(ms, signal) {
    signal.throwIfAborted()
    for (let leftMs = ms; leftMs > 0; leftMs -= LONGEST_TIMEOUT_MS) {
      await timeout(Math.min(leftMs, LONGEST_TIMEOUT_MS), signal)
    }
  },
}

function timeout(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
