import type { SoakResult } from './messages.ts'

const SECOND_MS = 1_000
const HOUR_MS = 3_600_000

/** What a soak has come to so far. */
export class SoakTally {
  readonly #wanted: number
  readonly #now: () => number
  readonly #startMs: number
  #steps = 0
  #runs = 0
  #churns = 0
  #lastSeed = 0
  #failures = 0
  #virtualMs = 0
  #heapBytes = 0
  #nodeLooks = 0
  #judgedNodeLooks = 0

  /** @param wanted steps to be played (count). @param now monotonic ms */
  constructor(wanted: number, now: () => number) {
    this.#wanted = wanted
    this.#now = now
    this.#startMs = now()
  }

  get failures(): number {
    return this.#failures
  }

  add({ kind, seed, steps, failure, virtualMs, coverage, heapBytes }: SoakResult): void {
    this.#steps += steps
    this.#runs += 1
    if (kind === 'churn') this.#churns += 1
    this.#lastSeed = Math.max(this.#lastSeed, seed)
    if (failure !== undefined) this.#failures += 1
    this.#virtualMs += virtualMs
    this.#heapBytes = Math.max(this.#heapBytes, heapBytes ?? 0)
    if (coverage === undefined) return
    this.#nodeLooks += coverage.nodeLooks
    this.#judgedNodeLooks += coverage.judgedNodeLooks
  }

  /** One line for people. */
  line(): string {
    const seconds = (this.#now() - this.#startMs) / SECOND_MS
    const rate = this.#steps / Math.max(seconds, 1e-3)
    const left = rate === 0 ? Number.POSITIVE_INFINITY : (this.#wanted - this.#steps) / rate
    return [
      `soak ${thousands(this.#steps)} of ${thousands(this.#wanted)} steps`,
      `${this.#runs} runs`,
      `${rate.toFixed(0)} steps/s`,
      `${durationText(Math.max(left, 0))} left`,
      `${(this.#heapBytes / 1e6).toFixed(0)} MB`,
      this.#failures === 0 ? 'nothing broke' : `${this.#failures} BROKE`,
    ].join(', ')
  }

  summary() {
    const wallSeconds = (this.#now() - this.#startMs) / SECOND_MS
    return {
      steps: this.#steps,
      runs: this.#runs,
      longChurns: this.#churns,
      lastSeed: this.#lastSeed,
      failures: this.#failures,
      virtualHours: Math.round(this.#virtualMs / HOUR_MS),
      wallSeconds: Math.round(wallSeconds),
      stepsPerSecond: Math.round(this.#steps / Math.max(wallSeconds, 1e-3)),
      heapBytes: this.#heapBytes,
      /** Of the looks at nodes, those at which waiting without a cause would have been found. */
      judgedShare: share(this.#judgedNodeLooks, this.#nodeLooks),
    }
  }
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((1000 * part) / whole) / 1000
}

function thousands(count: number): string {
  return count.toLocaleString('en-US')
}

function durationText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
