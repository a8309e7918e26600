import type { EC2Client, Filter } from '@aws-sdk/client-ec2'
import type { APIBudget } from '../../src/budget/contracts.ts'
import type { CloudCallMetrics, Logger } from '../../src/ipam/contracts.ts'
import {
  guarded,
  type DestructionGuard,
  type DestructionSubject,
  type DestructiveContext,
} from '../../src/ipam/destruction.ts'
import { assert } from '../../src/runtime/assert.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { bucketsOf, DESTRUCTIVE_ACTIONS, type EC2Action } from './buckets.ts'
import { isUnpagedListingRefused, responseCodeOf, toCloudAPIError, unusableAnswer } from './errors.ts'
import { splitFilters } from './filters.ts'
import type { EC2Filter } from './types.ts'

/** Page size once EC2 has refused an unpaged listing (count). @source cilium pkg/aws/ec2/ec2.go (cilium/cilium#42127) */
const FALLBACK_PAGE_SIZE = 1000
/** A listing with more pages than this cannot be right (count). */
const MAX_PAGES = 10_000

/** Asked right before a call is sent. @throws CloudAPIError when it has become pointless meanwhile */
export type Admission = () => void

/** By action: items of its very first pages (count). */
export type FirstPageSizes = Readonly<Partial<Record<EC2Action, readonly number[]>>>

export interface EC2CallerDependencies {
  readonly client: Pick<EC2Client, 'send'>
  readonly budget: APIBudget
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: CloudCallMetrics
  /** Stands in front of every call that gives something back; absent: nobody asks. */
  readonly guard?: DestructionGuard
  /**
   * Items of the first pages of the first listing by an action (count): small ones first, while the SDK's parser is cold. A page
   * of 150 interfaces blocks the event loop for about 0.2 s then, and for 30 ms later. Absent: full pages from the start.
   */
  readonly firstPageSizes?: FirstPageSizes
}

/** The paging parameters of a request. */
export interface Page {
  readonly MaxResults?: number
  readonly NextToken?: string
}

/** The token of the page that follows, absent on the last one. */
export interface PagedOutput {
  NextToken?: string | undefined
}

export interface ListOptions<O extends PagedOutput, T> {
  readonly action: EC2Action
  /** Whether the request names filters or IDs: decides which bucket it draws on. */
  readonly isFiltered: boolean
  /** Items a page (count), 0 = no page size is sent. */
  readonly pageSize: number
  readonly send: (page: Page, options: { readonly abortSignal: AbortSignal }) => Promise<O>
  /** Undefined when the answer lacks its list. */
  readonly pick: (output: O) => readonly T[] | undefined
  /** Stop after so many items (count). */
  readonly limit?: number
}

/**
 * One request or one listing of EC2. Each request, each page too, passes the API budget once and is measured once. Nothing is
 * repeated here. Whatever goes wrong becomes a `CloudAPIError` of that call.
 *
 * @source cilium pkg/aws/ec2/ec2.go
 */
export class EC2Caller {
  readonly #deps: EC2CallerDependencies
  #pageSize: number
  #firstPageSizes: FirstPageSizes

  /** @param pageSize `maxResultsPerCall`: items a page (count); 0 = unpaged until EC2 refuses it */
  constructor(deps: EC2CallerDependencies, pageSize: number) {
    this.#deps = deps
    this.#pageSize = pageSize
    this.#firstPageSizes = deps.firstPageSizes ?? {}
  }

  /** Items a page at present (count); 0 = unpaged. */
  get pageSize(): number {
    return this.#pageSize
  }

  /** A listing that may need several requests because of its filters. @throws CloudAPIError */
  async listFiltered<O extends PagedOutput, T>(
    context: CallContext,
    filters: readonly EC2Filter[],
    options: (wire: { readonly Filters?: Filter[] }) => ListOptions<O, T>,
  ): Promise<readonly T[]> {
    const items: T[] = []
    for (const part of splitFilters(filters)) items.push(...(await this.list(context, options(requestFilters(part)))))
    return items
  }

  /** A listing that EC2 may refuse unpaged. @throws CloudAPIError */
  async listSwitching<O extends PagedOutput, T>(
    context: CallContext,
    options: Omit<ListOptions<O, T>, 'pageSize'>,
  ): Promise<readonly T[]> {
    return this.switchingToPages(() => this.list(context, { ...options, pageSize: this.#pageSize }))
  }

  /** Runs a listing; when EC2 refuses it because it is unpaged, turns paging on for good and starts it again. */
  async switchingToPages<T>(list: () => Promise<T>): Promise<T> {
    try {
      return await list()
    } catch (error) {
      if (this.#pageSize > 0 || !isUnpagedListingRefused(error)) throw error
      this.#pageSize = FALLBACK_PAGE_SIZE
      this.#deps.log.warn({ pageSize: FALLBACK_PAGE_SIZE }, 'Unpaged listing refused, switching to pages')
      return list()
    }
  }

  /** All pages; an empty page is not the end. @throws CloudAPIError */
  async list<O extends PagedOutput, T>(
    context: CallContext,
    { action, isFiltered, pageSize, send, pick, limit = Number.POSITIVE_INFINITY }: ListOptions<O, T>,
  ): Promise<readonly T[]> {
    const items: T[] = []
    let token: string | undefined
    const firstPageSizes = pageSize > 0 ? this.#takeFirstPageSizes(action) : []
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const size = Math.min(pageSize, firstPageSizes[pages] ?? pageSize)
      const page = { ...(size > 0 && { MaxResults: size }), ...(token !== undefined && { NextToken: token }) }
      const options = { abortSignal: context.signal }
      const output = await this.call(action, context, () => send(page, options), isFiltered || pageSize > 0)
      const picked = pick(output)
      if (picked === undefined) throw unusableAnswer(action, 'list')
      for (const item of picked) items.push(item)
      token = output.NextToken === '' ? undefined : output.NextToken
      if (token === undefined || items.length >= limit) return items.slice(0, limit)
    }
    throw unusableAnswer(action, `end after ${MAX_PAGES} pages`)
  }

  #takeFirstPageSizes(action: EC2Action): readonly number[] {
    const { [action]: sizes = [], ...others } = this.#firstPageSizes
    this.#firstPageSizes = others
    return sizes
  }

  /**
   * One request: waits for its tokens, is measured, and fails as a `CloudAPIError`.
   *
   * @param isFiltered whether it names filters, IDs or a page size: decides which bucket a listing draws on
   * @param admit asked when it is the call's turn: what it throws keeps the call from being made
   * @throws CloudAPIError; the signal's reason when aborted
   */
  async call<O>(
    action: EC2Action,
    context: CallContext,
    send: () => Promise<O>,
    isFiltered = true,
    admit: Admission = () => undefined,
  ): Promise<O> {
    assert(!DESTRUCTIVE_ACTIONS.has(action), `${action} gives something back: it goes by another door`)
    const door = async (attempt: () => Promise<O>): Promise<O> => {
      admit()
      return attempt()
    }
    return this.#run(action, context, door, send, isFiltered)
  }

  /**
   * As `call`, of a call that gives something back: each attempt passes the guard at the moment of sending.
   *
   * @throws AssertionError when there is a guard and no proof: nothing was sent then
   */
  async destroy<O>(
    action: EC2Action,
    subject: DestructionSubject,
    context: DestructiveContext,
    send: () => Promise<O>,
  ): Promise<O> {
    const { guard } = this.#deps
    const { proof, reason } = context
    if (guard === undefined) return this.#run(action, context, (attempt) => attempt(), send, true)
    assert(proof !== undefined, `${action} would give something back without proof`)
    const call = { action, reason, subject, proof }
    return this.#run(action, context, (attempt) => guarded(guard, call, attempt), send, true)
  }

  async #run<O>(
    action: EC2Action,
    context: CallContext,
    door: (attempt: () => Promise<O>) => Promise<O>,
    send: () => Promise<O>,
    isFiltered: boolean,
  ): Promise<O> {
    const { budget, clock, metrics } = this.#deps
    const attempt = async (): Promise<O> => {
      const startedAtMs = clock.now()
      const seconds = (): number => (clock.now() - startedAtMs) / 1000
      const operation = OPERATION_LABELS[action] ?? action
      try {
        const output = await send()
        metrics.observeAPICall(operation, 'OK', seconds())
        return output
      } catch (cause) {
        if (context.signal.aborted && isAbort(cause)) throw context.signal.reason
        const error = toCloudAPIError(action, cause)
        metrics.observeAPICall(operation, responseCodeOf(error), seconds())
        throw error
      }
    }
    const { priority, reason, signal } = context
    const request = { priority, reason, signal, action, buckets: bucketsOf(action, isFiltered) }
    return budget.run(request, () => door(attempt))
  }
}

/** Where the reference's label differs from the action's name. */
const OPERATION_LABELS: Readonly<Partial<Record<EC2Action, string>>> = { AssignIpv6Addresses: 'AssignIPv6Addresses' }

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}

/** Filters in the SDK's form; none are left out altogether. */
export function requestFilters(filters: readonly EC2Filter[]): { readonly Filters?: Filter[] } {
  if (filters.length === 0) return {}
  return { Filters: filters.map(({ name, values }) => ({ Name: name, Values: [...values] })) }
}
