import { globMatcher } from './glob.ts'
import { InputReader } from './input.ts'

/** Size and refill of a bucket. */
export interface BucketRate {
  /** Most tokens it holds, and holds at the start (count). */
  readonly size: number
  readonly refillPerSecond: number
}

/**
 * How tokens come back: `stepwise`, all of a second's tokens at its end, as AWS documents it ("refilled every second"); or
 * `continuous`, each fraction as it falls due.
 */
export type RefillMode = 'stepwise' | 'continuous'

const SECOND_MS = 1000
/** Two readings of the same whole number of tokens may differ by this much through rounding. */
const EPSILON = 1e-9

/** A token bucket. Starts full; time is an argument. */
export class TokenBucket {
  readonly size: number
  readonly refillPerSecond: number
  readonly #mode: RefillMode
  #tokens: number
  #refilledMs: number

  constructor(rate: BucketRate, nowMs: number, mode: RefillMode = 'stepwise') {
    this.size = rate.size
    this.refillPerSecond = rate.refillPerSecond
    this.#mode = mode
    this.#tokens = rate.size
    this.#refilledMs = nowMs
  }

  /** Tokens that can be taken now (count, a fraction only when refills are fractions). */
  available(nowMs: number): number {
    const elapsedMs = nowMs - this.#refilledMs
    if (elapsedMs > 0) {
      const dueMs = this.#mode === 'stepwise' ? Math.floor(elapsedMs / SECOND_MS) * SECOND_MS : elapsedMs
      this.#tokens = Math.min(this.size, this.#tokens + (dueMs / SECOND_MS) * this.refillPerSecond)
      this.#refilledMs += dueMs
    }
    return this.#tokens
  }

  /** Takes `cost` tokens, or none when there are fewer. @returns whether they were taken */
  take(cost: number, nowMs: number): boolean {
    if (this.available(nowMs) + EPSILON < cost) return false
    this.#tokens = Math.max(0, this.#tokens - cost)
    return true
  }
}

/** A line of a throttle table: the first one whose `bucket` pattern matches gives a bucket its rate. */
export interface ThrottleRule extends BucketRate {
  /** Name of a bucket, `*` and `?` allowed. Each name that matches has a bucket of its own. */
  readonly bucket: string
}

/** Somebody else in the same account who steadily uses part of what the buckets are refilled with. */
export interface ThrottleNeighbour {
  /** Which buckets, `*` and `?` allowed. */
  readonly bucket: string
  /** Part of the refill that is gone, in [0, 1]. */
  readonly share: number
}

export interface ThrottleTable {
  readonly refill: RefillMode
  readonly rules: readonly ThrottleRule[]
  readonly neighbours: readonly ThrottleNeighbour[]
}

/** A call draws `cost` tokens on the bucket of this name. */
export interface Charge {
  readonly bucket: string
  readonly cost: number
}

/** The bucket that has too little for a call, and when it has enough again. */
export interface Refusal {
  readonly bucket: string
  /** Whole seconds from now, at least 1; undefined when that bucket is never refilled. */
  readonly retryAfterSeconds: number | undefined
}

/** Buckets kept before full ones are forgotten (count): some clouds have one for each resource that is called. */
const MAX_BUCKETS = 50_000

/** The buckets of one account and region. A name without a line in the table is not limited. */
export class Throttle {
  readonly #table: ThrottleTable
  readonly #startMs: number
  readonly #rules: readonly (ThrottleRule & { matches(name: string): boolean })[]
  readonly #neighbours: readonly (ThrottleNeighbour & { matches(name: string): boolean })[]
  readonly #buckets = new Map<string, TokenBucket | undefined>()

  /** @param table the limits; undefined limits nothing */
  constructor(table: ThrottleTable | undefined, nowMs: number) {
    this.#table = table ?? { refill: 'stepwise', rules: [], neighbours: [] }
    this.#startMs = nowMs
    this.#rules = this.#table.rules.map((rule) => ({ ...rule, matches: globMatcher(rule.bucket) }))
    this.#neighbours = this.#table.neighbours.map((one) => ({ ...one, matches: globMatcher(one.bucket) }))
  }

  get table(): ThrottleTable {
    return this.#table
  }

  /** Takes all charges, or none when one of the buckets has too little. @returns whether they were taken */
  take(charges: readonly Charge[], nowMs: number): boolean {
    return this.takeOrRefuse(charges, nowMs) === undefined
  }

  /** As `take`. @returns the first bucket that has too little; undefined = all charges were taken */
  takeOrRefuse(charges: readonly Charge[], nowMs: number): Refusal | undefined {
    for (const { bucket, cost } of charges) {
      const found = this.#bucket(bucket, nowMs)
      if (found === undefined) continue
      const tokens = found.available(nowMs)
      if (tokens + EPSILON >= cost) continue
      const { refillPerSecond } = found
      const seconds = refillPerSecond > 0 ? Math.max(1, Math.ceil((cost - tokens) / refillPerSecond)) : undefined
      return { bucket, retryAfterSeconds: seconds }
    }
    for (const { bucket, cost } of charges) this.#bucket(bucket, nowMs)?.take(cost, nowMs)
    return undefined
  }

  /** Tokens of a bucket (count); undefined when the name is not limited. */
  tokens(bucket: string, nowMs: number): number | undefined {
    return this.#bucket(bucket, nowMs)?.available(nowMs)
  }

  /** Buckets used so far with their tokens, by name. */
  levels(nowMs: number): Readonly<Record<string, { readonly tokens: number; readonly size: number }>> {
    const levels: Record<string, { tokens: number; size: number }> = {}
    for (const [name, bucket] of [...this.#buckets].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (bucket !== undefined) levels[name] = { tokens: bucket.available(nowMs), size: bucket.size }
    }
    return levels
  }

  /** All buckets count their seconds from the start of the throttle, not from their first call. */
  #bucket(name: string, nowMs: number): TokenBucket | undefined {
    if (this.#buckets.has(name)) return this.#buckets.get(name)
    if (this.#buckets.size >= MAX_BUCKETS) this.#forgetFull(nowMs)
    const rule = this.#rules.find((one) => one.matches(name))
    const share = this.#neighbours.find((one) => one.matches(name))?.share ?? 0
    const bucket =
      rule === undefined
        ? undefined
        : new TokenBucket(
            { size: rule.size, refillPerSecond: rule.refillPerSecond * (1 - share) },
            this.#startMs,
            this.#table.refill,
          )
    this.#buckets.set(name, bucket)
    return bucket
  }

  /** A full bucket is as good as a new one. */
  #forgetFull(nowMs: number): void {
    for (const [name, bucket] of this.#buckets) {
      if (bucket === undefined || bucket.available(nowMs) >= bucket.size) this.#buckets.delete(name)
    }
  }
}

/** The documented buckets of a cloud, none, or others. */
export type ThrottleChoice = 'documented' | 'none' | ThrottleTable

/** The table of a choice; undefined limits nothing. @param documented what the cloud's documentation says */
export function throttleTable(choice: ThrottleChoice, documented: ThrottleTable): ThrottleTable | undefined {
  if (choice === 'none') return undefined
  return choice === 'documented' ? documented : choice
}

/**
 * Puts somebody else into the account who uses a part of every bucket's refill.
 *
 * @param share in [0, 1); 0 changes nothing
 */
export function withNeighbour(choice: ThrottleChoice, share: number, documented: ThrottleTable): ThrottleChoice {
  const table = share === 0 ? undefined : throttleTable(choice, documented)
  if (table === undefined) return choice
  // The first line that matches counts: what the table says of a bucket stays.
  return { ...table, neighbours: [...table.neighbours, { bucket: '*', share }] }
}

/** Wider than any documented bucket; a guard against a slip of the pen. */
const MAX_SIZE = 1_000_000

/**
 * Reads a throttle file: `{"refill": "stepwise", "rules": [{"bucket": "Assign*", "size": 100, "refillPerSecond": 5}],
 * "neighbours": [{"bucket": "*", "share": 0.3}]}`; all but `rules` may be absent. `levels`, which the control door adds when asked,
 * is ignored.
 *
 * @throws InputError listing every fault of the file
 */
export function parseThrottle(value: unknown): ThrottleTable {
  const reader = new InputReader('throttle')
  const file = reader.object(value, 'file', ['refill', 'rules', 'neighbours', 'levels', '$schema'])
  const refill =
    file['refill'] === undefined
      ? 'stepwise'
      : reader.oneOf(file['refill'], 'refill', ['stepwise', 'continuous'] as const)
  const rules = reader.array(file['rules'], 'rules').map((one, index) => {
    const place = `rules[${index}]`
    const rule = reader.object(one, place, ['bucket', 'size', 'refillPerSecond'])
    return {
      bucket: reader.string(rule['bucket'], `${place}.bucket`),
      size: reader.number(rule['size'], `${place}.size`, { min: 0, max: MAX_SIZE }),
      refillPerSecond: reader.number(rule['refillPerSecond'], `${place}.refillPerSecond`, { min: 0, max: MAX_SIZE }),
    }
  })
  const neighbours = reader.array(file['neighbours'] ?? [], 'neighbours').map((one, index) => {
    const place = `neighbours[${index}]`
    const neighbour = reader.object(one, place, ['bucket', 'share'])
    return {
      bucket: reader.string(neighbour['bucket'], `${place}.bucket`),
      share: reader.number(neighbour['share'], `${place}.share`, { min: 0, max: 1 }),
    }
  })
  reader.finish()
  return { refill: refill ?? 'stepwise', rules, neighbours }
}
