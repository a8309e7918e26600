import { monitorEventLoopDelay } from 'node:perf_hooks'

type DelayHistogram = ReturnType<typeof monitorEventLoopDelay>

/** How often the loop is probed (ms). A block reads up to this much too short; its own timer costs nothing to speak of. */
const DEFAULT_RESOLUTION_MS = 10
const NS_PER_MS = 1e6

/** By how much the event loop was late, over a window that ends now (ms). */
export interface EventLoopDelay {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export interface EventLoopMonitor {
  /** The delay since the reading before the last one: windows overlap, so that no block falls between two of them. */
  read(): EventLoopDelay
  stop(): void
}

/**
 * Watches how long the event loop is blocked.
 *
 * Node's histogram forgets the interval in which it is reset, and with it the block that the reading itself causes (a scrape
 * of many series takes tens of milliseconds). So there are two, and each reading comes from the one that was not reset last.
 *
 * @source Node.js documentation, `perf_hooks.monitorEventLoopDelay`; its values include the interval of the probe
 */
export function startEventLoopMonitor(resolutionMs = DEFAULT_RESOLUTION_MS): EventLoopMonitor {
  let older = monitorEventLoopDelay({ resolution: resolutionMs })
  let newer = monitorEventLoopDelay({ resolution: resolutionMs })
  older.enable()
  newer.enable()
  return {
    read() {
      const delay = delayOf(older, resolutionMs)
      older.reset()
      ;[older, newer] = [newer, older]
      return delay
    },
    stop() {
      older.disable()
      newer.disable()
    },
  }
}

function delayOf(histogram: DelayHistogram, resolutionMs: number): EventLoopDelay {
  // Without a sample the percentiles are not 0 but the smallest value that the histogram can hold.
  const late = (ns: number): number => (histogram.count === 0 ? 0 : Math.max(0, ns / NS_PER_MS - resolutionMs))
  return {
    p50Ms: late(histogram.percentile(50)),
    p99Ms: late(histogram.percentile(99)),
    p999Ms: late(histogram.percentile(99.9)),
    maxMs: late(histogram.max),
  }
}
