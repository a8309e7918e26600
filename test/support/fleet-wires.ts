import type { Router, WireRequest, WireResponse } from '../../simulators/kit/http.ts'
import type { FleetClock } from './fleet-clock.ts'

/** As the SDK's own handler of the controller: longest wait for an answer of EC2 (ms). */
const EC2_TIMEOUT_MS = 60_000

/** One call of a controller as it went over the wire. */
export interface WireCall {
  /** EC2: the action; Kubernetes: method and path. */
  readonly action: string
  readonly request: WireRequest
  readonly startMs: number
}

export interface WireObserver {
  started(call: WireCall): void
  /** @param answer undefined when there was none */
  ended(call: WireCall, answer: WireResponse | undefined): void
}

/**
 * One process's side of a wire. What has been sent is carried out by the other side, whoever gives up waiting: an abort, a timeout
 * and the death of the process end the waiting, not the call. Watches are the exception: they end with their reader.
 */
export class ProcessWire {
  readonly #clock: FleetClock
  readonly #death = new AbortController()

  constructor(clock: FleetClock) {
    this.#clock = clock
  }

  get isCut(): boolean {
    return this.#death.signal.aborted
  }

  /** From now on nothing leaves the process and nothing arrives. */
  cut(): void {
    this.#death.abort(new Error('the process was killed'))
  }

  ec2(router: Router, observer: WireObserver): Router {
    return (request, signal) => {
      const action = /(?:^|&)Action=([^&]*)/.exec(request.body)?.[1] ?? ''
      return this.#send(router, observer, action, request, signal, EC2_TIMEOUT_MS)
    }
  }

  kubernetes(router: Router, observer: WireObserver): Router {
    return async (request, signal) => {
      if (request.query.get('watch') !== 'true')
        return this.#send(router, observer, `${request.method} ${request.path}`, request, signal, undefined)
      this.#death.signal.throwIfAborted()
      this.#clock.noteActivity()
      const call = { action: `watch ${request.path}`, request, startMs: this.#clock.now() }
      observer.started(call)
      const answer = await router(request, AbortSignal.any([signal, this.#death.signal])).catch((error: unknown) => {
        observer.ended(call, undefined)
        throw error
      })
      observer.ended(call, answer)
      return answer
    }
  }

  async #send(
    router: Router,
    observer: WireObserver,
    action: string,
    request: WireRequest,
    signal: AbortSignal,
    timeoutMs: number | undefined,
  ): Promise<WireResponse> {
    this.#death.signal.throwIfAborted()
    const call = { action, request, startMs: this.#clock.now() }
    this.#clock.noteActivity()
    observer.started(call)
    const answered = router(request, new AbortController().signal).then(
      (answer) => {
        this.#clock.noteActivity()
        observer.ended(call, answer)
        return answer
      },
      (error: unknown) => {
        this.#clock.noteActivity()
        observer.ended(call, undefined)
        throw error
      },
    )
    answered.catch(() => undefined)
    const over = new AbortController()
    const impatience =
      timeoutMs === undefined
        ? []
        : [
            this.#clock.sleep(timeoutMs, over.signal).then(() => {
              throw Object.assign(new Error(`no answer within ${timeoutMs} ms`), { name: 'TimeoutError' })
            }),
          ]
    for (const one of impatience) one.catch(() => undefined)
    try {
      return await Promise.race([
        answered,
        rejectedBy(signal, over.signal),
        rejectedBy(this.#death.signal, over.signal),
        ...impatience,
      ])
    } finally {
      over.abort(new Error('over'))
    }
  }
}

/** Rejects when the signal is aborted; never settles, and listens no more, once `over` is. */
function rejectedBy(signal: AbortSignal, over: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason as Error)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  over.addEventListener('abort', () => signal.removeEventListener('abort', onAbort), { once: true })
  promise.catch(() => undefined)
  return promise
}
