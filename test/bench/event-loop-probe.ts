import process from 'node:process'

/** How often the loop is probed (ms). A block reads up to this much too short. */
const INTERVAL_MS = 10

/** How late the event loop was, over all probes (ms). */
export interface Lateness {
  readonly p999Ms: number
  readonly maxMs: number
}

/**
 * Measures how long the event loop of this thread is blocked, in two ways: by elapsed time, in which other processes of a busy machine
 * count, and by the processor time that this thread took between two probes, in which they do not.
 */
export class EventLoopProbe {
  readonly #elapsed: number[] = []
  readonly #own: number[] = []
  #timer: NodeJS.Timeout | undefined

  start(): void {
    let last = reading()
    const probe = (): void => {
      const now = reading()
      this.#elapsed.push(Math.max(now.elapsedMs - last.elapsedMs - INTERVAL_MS, 0))
      this.#own.push(Math.max(now.ownMs - last.ownMs - INTERVAL_MS, 0))
      last = now
      this.#timer = setTimeout(probe, INTERVAL_MS)
    }
    this.#timer = setTimeout(probe, INTERVAL_MS)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  /** Probes so far (count). */
  get count(): number {
    return this.#own.length
  }

  /** Other processes on the machine count. */
  elapsed(): Lateness {
    return latenessOf(this.#elapsed)
  }

  /** Work of this thread alone, the collector's on it included. */
  own(): Lateness {
    return latenessOf(this.#own)
  }
}

function reading(): { readonly elapsedMs: number; readonly ownMs: number } {
  const { user, system } = process.threadCpuUsage()
  return { elapsedMs: performance.now(), ownMs: (user + system) / 1000 }
}

function latenessOf(samples: readonly number[]): Lateness {
  const sorted = samples.toSorted((a, b) => a - b)
  const index = Math.min(Math.floor(0.999 * sorted.length), sorted.length - 1)
  return { p999Ms: sorted[index] ?? 0, maxMs: sorted.at(-1) ?? 0 }
}
