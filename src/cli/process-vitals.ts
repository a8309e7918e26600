import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { ProcessReport } from '../fleet/report.ts'

/** How often the delay is measured (ms). */
const RESOLUTION_MS = 10
const NANOSECONDS_PER_MS = 1e6

/**
 * Measures this process from now on: how late its event loop runs, and its memory.
 *
 * The histogram of Node.js holds the time between two turns of a timer, its period included; the period is taken off here.
 */
export class ProcessVitals {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#histogram.enable()
  }

  read(): ProcessReport {
    // Without a sample the percentiles are not 0 but the smallest value that the histogram can hold.
    const delayMs = (nanoseconds: number): number =>
      this.#histogram.count === 0 ? 0 : Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS)
    return {
      eventLoopP999Ms: delayMs(this.#histogram.percentile(99.9)),
      eventLoopMaxMs: delayMs(this.#histogram.max),
      rssBytes: process.memoryUsage.rss(),
    }
  }
}
