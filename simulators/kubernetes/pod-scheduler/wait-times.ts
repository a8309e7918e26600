/** Quantiles of a wait (ms); 0 without samples. */
export interface WaitSummary {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Each bucket is this much wider than the one before: a quantile is at most 5 % above the true one. */
const GROWTH = 1.05
/** Waits below this many milliseconds share the first bucket. */
const FIRST_MS = 1

/** A distribution of waits in buckets that grow by a constant factor: bounded, however many samples. */
export class WaitTimes {
  readonly #buckets: number[] = []
  #count = 0
  #max = 0

  /** @param ms not negative */
  record(ms: number): void {
    const index = ms <= FIRST_MS ? 0 : Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH))
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1
    this.#count++
    this.#max = Math.max(this.#max, ms)
  }

  /** @param share in [0, 1] @returns an upper bound of the quantile (ms), never above the longest wait */
  quantile(share: number): number {
    let left = Math.ceil(this.#count * share)
    for (const [index, count] of this.#buckets.entries()) {
      left -= count ?? 0
      if (left <= 0) return Math.min(this.#max, FIRST_MS * GROWTH ** index)
    }
    return this.#max
  }

  summary(): WaitSummary {
    const isEmpty = this.#count === 0
    return {
      count: this.#count,
      p50: isEmpty ? 0 : this.quantile(0.5),
      p99: isEmpty ? 0 : this.quantile(0.99),
      max: this.#max,
    }
  }
}

/** The longest wait of the last minute or so: of two windows, the full one before and the one that is being filled. */
export class RecentLongest {
  readonly #windowMs: number
  #windowIndex = 0
  #current = 0
  #previous = 0

  /** @param windowMs length of one window; what is told reaches back one to two of them */
  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  record(ms: number, nowMs: number): void {
    this.#turn(nowMs)
    this.#current = Math.max(this.#current, ms)
  }

  /** 0 when nobody waited. */
  read(nowMs: number): number {
    this.#turn(nowMs)
    return Math.max(this.#current, this.#previous)
  }

  #turn(nowMs: number): void {
    const index = Math.floor(nowMs / this.#windowMs)
    if (index === this.#windowIndex) return
    this.#previous = index === this.#windowIndex + 1 ? this.#current : 0
    this.#current = 0
    this.#windowIndex = index
  }
}
