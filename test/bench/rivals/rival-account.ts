import type { Router } from '../../../simulators/kit/http.ts'
import type { Clock } from '../../../src/runtime/clock.ts'

/** What came of a call. */
export interface RivalAnswer {
  readonly isRefused: boolean
  readonly body: string
}

const REFUSED_STATUS = 503

/** EC2 as a rival calls it: over the same wire, with nothing between that it does not bring itself. */
export class RivalAccount {
  readonly #router: Router
  readonly #signal: AbortSignal

  constructor(router: Router, signal: AbortSignal) {
    this.#router = router
    this.#signal = signal
  }

  /** @throws Error for every failure but a refusal for the rate */
  async call(action: string, parameters: Readonly<Record<string, string>>): Promise<RivalAnswer> {
    const form = new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters })
    const authorization = 'AWS4-HMAC-SHA256 Credential=rival/20260101/us-east-1/ec2/aws4_request'
    const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' }
    const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body: form.toString() }
    const { status, body } = await this.#router(request, this.#signal)
    const text = typeof body === 'string' ? body : ''
    if (status === 200) return { isRefused: false, body: text }
    if (status === REFUSED_STATUS && text.includes('RequestLimitExceeded')) return { isRefused: true, body: text }
    throw new Error(`${action} was answered ${status}: ${text}`)
  }
}

/** A token bucket that calls wait for in turn. */
export class RivalLimiter {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #size: number
  readonly #perSecond: number
  /** Below 0: tokens that are promised. */
  #tokens: number
  #atMs: number

  /** @param size tokens (count). @param perSecond refill */
  constructor(clock: Clock, signal: AbortSignal, size: number, perSecond: number) {
    this.#clock = clock
    this.#signal = signal
    this.#size = size
    this.#perSecond = perSecond
    this.#tokens = size
    this.#atMs = clock.now()
  }

  async take(): Promise<void> {
    const nowMs = this.#clock.now()
    this.#tokens = Math.min(this.#size, this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSecond) - 1
    this.#atMs = nowMs
    if (this.#tokens < 0) await this.#clock.sleep((-this.#tokens / this.#perSecond) * 1000, this.#signal)
  }
}

/** Text of the first element of this name. */
export function elementOf(body: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1]
}
