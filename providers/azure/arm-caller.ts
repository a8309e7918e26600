import type { AdaptiveAPIBudget } from '../../src/budget/api-budget.ts'
import type { CloudCallMetrics, Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import {
  AZURE_OPERATIONS,
  bucketsOf,
  providerBucket,
  subscriptionBucket,
  type AzureOperation,
  type OperationShape,
} from './buckets.ts'
import type { ARMClient, ARMRequest, ARMResponse } from './client.ts'
import {
  errorInBody,
  isResourceThrottled,
  noAnswerError,
  refusalError,
  retryAfterMs,
  retryAfterMsOf,
  unusableAnswer,
  type RefusalScope,
} from './errors.ts'
import { objectsAt, parseObject, textAt } from './json.ts'
import { observeRateHeaders } from './rate-headers.ts'
import { ResourcePace } from './resource-pace.ts'

/** A listing with more pages than this cannot be right (count). */
const MAX_PAGES = 10_000
/** Attempts of a read that is not answered (count), with the waits below about 3 s. */
const MAX_READ_ATTEMPTS = 3
const FIRST_RETRY_MS = 1000
/** A longer `Retry-After` of a service that is out of order is taken as this (ms). */
const LONGEST_RETRY_MS = 30_000
/** Refusals by the bucket of one resource after which the caller gets the error (count): more than a minute of waiting. */
const MAX_RESOURCE_REFUSALS = 5
/** What a refusal without `Retry-After` costs (ms): one token of the slowest bucket. */
const DEFAULT_RETRY_AFTER_MS = 15_000

export interface ARMCallerDependencies {
  readonly client: ARMClient
  readonly budget: Pick<AdaptiveAPIBudget, 'run' | 'observeRemaining'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly metrics: CloudCallMetrics
}

/** What is called, and about what. */
export interface ARMCall {
  readonly operation: AzureOperation
  /** Path and query behind the endpoint, or a URL that Azure gave. */
  readonly url: string
  /** The resource whose own bucket the call draws on, by key; where its policy has such buckets. */
  readonly resource?: string
}

/** A write, and under which condition. */
export interface ARMWrite extends ARMCall {
  readonly document: JSONObject
  /** The entity tag that the resource must have. */
  readonly ifMatch?: string
  /** Asked each time the write is about to be sent; what it throws keeps it from being sent. */
  readonly admit?: () => void
}

export interface ARMDocument {
  readonly document: JSONObject
  readonly response: ARMResponse
}

/**
 * Requests to Resource Manager. Each one, each page and each poll too, passes the API budget. Reads are repeated where there was no
 * answer, writes never. Whatever goes wrong becomes a `CloudAPIError` of that call.
 *
 * @source cilium pkg/azure/api/api.go
 */
export class ARMCaller {
  readonly #deps: ARMCallerDependencies
  readonly #pace: ResourcePace

  constructor(deps: ARMCallerDependencies) {
    this.#deps = deps
    this.#pace = new ResourcePace(deps.clock)
  }

  /** One document. @throws CloudAPIError; the signal's reason when aborted */
  async get(call: ARMCall, context: CallContext): Promise<ARMDocument> {
    return this.measured(call.operation, () => this.#read(call, context))
  }

  /** The items of all pages; an empty page is not the end. @throws CloudAPIError; the signal's reason when aborted */
  async list(call: ARMCall, context: CallContext): Promise<readonly JSONObject[]> {
    return this.measured(call.operation, async () => {
      const items: JSONObject[] = []
      let { url } = call
      for (let pages = 0; pages < MAX_PAGES; pages++) {
        const { document } = await this.#read({ ...call, url }, context, 'value')
        for (const item of objectsAt(document, 'value') ?? []) items.push(item)
        url = textAt(document, 'nextLink')
        if (url === '') return items
      }
      throw unusableAnswer(call.operation, `end after ${MAX_PAGES} pages`)
    })
  }

  /**
   * The answer to one request that is repeated where there was none, whatever its body: for polls.
   *
   * @throws CloudAPIError; the signal's reason when aborted
   */
  async poll(call: ARMCall, context: CallContext): Promise<ARMResponse> {
    return this.#repeated(context, () => this.#send(call, { method: 'GET' }, context))
  }

  /** Sends a write once. @returns the answer that it was accepted with. @throws CloudAPIError; the signal's reason when aborted */
  async put(write: ARMWrite, context: CallContext): Promise<ARMResponse> {
    const { document, ifMatch, admit } = write
    const body = JSON.stringify(document)
    return this.#send(write, { method: 'PUT', body, ...(ifMatch !== undefined && { ifMatch }) }, context, admit)
  }

  /** Counts and times one logical operation: a listing over all its pages, a write to its end. */
  async measured<T>(operation: AzureOperation, work: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#deps
    const startedAtMs = clock.now()
    const seconds = (): number => (clock.now() - startedAtMs) / 1000
    try {
      const result = await work()
      metrics.observeAPICall(operation, 'OK', seconds())
      return result
    } catch (error) {
      if (error instanceof CloudAPIError) metrics.observeAPICall(operation, 'Failed', seconds())
      throw error
    }
  }

  async #read(call: ARMCall, context: CallContext, wanted?: string): Promise<ARMDocument> {
    return this.#repeated(context, async () => {
      const response = await this.#send(call, { method: 'GET' }, context)
      const document = parseObject(response.body)
      if (document === undefined) throw unusableAnswer(call.operation, 'JSON')
      if (wanted !== undefined && objectsAt(document, wanted) === undefined)
        throw unusableAnswer(call.operation, wanted)
      return { document, response }
    })
  }

  /** Repeats what was not answered, a bounded number of times. */
  async #repeated<T>(context: CallContext, attempt: () => Promise<T>): Promise<T> {
    const { clock, random } = this.#deps
    for (let count = 1; ; count++) {
      let askedMs: number | undefined
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof CloudAPIError) || error.kind !== 'unavailable' || count === MAX_READ_ATTEMPTS)
          throw error
        askedMs = retryAfterMsOf(error)
      }
      const ownMs = FIRST_RETRY_MS * 2 ** (count - 1) * (0.5 + random.next() / 2)
      await clock.sleep(Math.min(askedMs ?? ownMs, LONGEST_RETRY_MS), context.signal)
    }
  }

  /** One request with its tokens: those of its resource first, then those of the subscription. */
  async #send(
    call: ARMCall,
    request: Pick<ARMRequest, 'method' | 'body' | 'ifMatch'>,
    context: CallContext,
    admit?: () => void,
  ): Promise<ARMResponse> {
    const { budget, log } = this.#deps
    const { operation, resource } = call
    const url = this.#absolute(call)
    const policy = policyOf(operation)
    for (let refusals = 0; ; refusals++) {
      if (policy !== undefined && resource !== undefined) await this.#pace.take(policy, resource, context.signal)
      try {
        const { priority, reason, signal } = context
        const buckets = bucketsOf(operation)
        return await budget.run({ priority, reason, signal, action: operation, buckets }, async () => {
          admit?.()
          return this.#exchange(call, { ...request, url, signal })
        })
      } catch (error) {
        if (!isResourceThrottled(error) || refusals >= MAX_RESOURCE_REFUSALS) throw error
        log.debug({ action: operation, resource }, 'The bucket of one resource is empty, waiting for it')
      }
    }
  }

  async #exchange(call: ARMCall, request: ARMRequest): Promise<ARMResponse> {
    const { client, clock } = this.#deps
    const { operation } = call
    let response: ARMResponse
    try {
      response = await client.send(request)
    } catch (cause) {
      if (request.signal.aborted) throw request.signal.reason
      throw noAnswerError(operation, cause)
    }
    this.#observe(call, response)
    const { status } = response
    if (status >= 200 && status < 300) return response
    const body = errorInBody(response.body, status)
    const waitMs = retryAfterMs((name) => response.header(name), clock.wallTime().getTime())
    throw refusalError(operation, body, {
      status,
      retryAfterMs: waitMs,
      ...(status === 429 && { scope: this.#scopeOf(call, body.outerCode, waitMs) }),
    })
  }

  /** What the headers tell is never less than what we assume. */
  #observe({ operation, resource }: ARMCall, response: ARMResponse): void {
    const shape: OperationShape = AZURE_OPERATIONS[operation]
    for (const { scope, remaining } of observeRateHeaders((name) => response.header(name), shape.kind)) {
      if (scope === 'subscription') this.#deps.budget.observeRemaining(subscriptionBucket(shape.kind), remaining)
      else if (scope === 'provider') this.#deps.budget.observeRemaining(providerBucket(shape), remaining)
      else if (shape.provider === 'Microsoft.Compute' && resource !== undefined)
        this.#pace.observeRemaining(shape.policy, resource, remaining)
    }
  }

  /** Whose bucket was empty: Resource Manager says so by its codes, Compute does not. */
  #scopeOf({ operation, resource }: ARMCall, code: string, waitMs: number | undefined): RefusalScope {
    const shape: OperationShape = AZURE_OPERATIONS[operation]
    if (code === 'SubscriptionRequestsThrottled' || code === 'TenantRequestsThrottled')
      return { kind: 'shared', bucket: subscriptionBucket(shape.kind) }
    const policy = policyOf(operation)
    if (policy !== undefined && resource !== undefined) {
      if (this.#pace.refused(policy, resource, waitMs ?? DEFAULT_RETRY_AFTER_MS)) return { kind: 'resource' }
    }
    return { kind: 'shared', bucket: providerBucket(shape) }
  }

  /** @throws CloudAPIError for a URL of another host: our token must not travel there */
  #absolute({ operation, url }: ARMCall): string {
    const { endpoint, audience = endpoint } = this.#deps.client
    if (url.startsWith('/')) return `${endpoint}${url}`
    if (isOwnURL(url, endpoint) || isOwnURL(url, audience)) return url
    throw unusableAnswer(operation, 'link to the same host')
  }
}

function policyOf(operation: AzureOperation) {
  const shape: OperationShape = AZURE_OPERATIONS[operation]
  return shape.provider === 'Microsoft.Compute' && shape.isPerResource ? shape.policy : undefined
}

/** Whether a link leads to the endpoint, or to one of its regional hosts. */
export function isOwnURL(url: string, endpoint: string): boolean {
  if (!URL.canParse(url)) return false
  const [link, own] = [new URL(url), new URL(endpoint)]
  return link.protocol === own.protocol && (link.host === own.host || link.host.endsWith(`.${own.host}`))
}
