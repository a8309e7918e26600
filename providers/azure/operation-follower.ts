import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { WRITE_LABELS, type AzureAPI, type WriteTarget } from './api.ts'
import type { ARMResponse } from './client.ts'
import { ARMRefusal, refusalError, refusedByUs, retryAfterMs, type ARMErrorBody } from './errors.ts'
import { readPoll, readProvisioning, startOf } from './operation-state.ts'

/** A poll is never closer to the one before than this, whatever Azure says (ms). */
const SHORTEST_POLL_MS = 1000
/** Nor further away (ms). */
const LONGEST_POLL_MS = 5 * 60_000

/** The code of our own giving up: Azure did not end the operation. */
export const OPERATION_TIMED_OUT = 'OperationTimedOut'

export interface FollowerDependencies {
  readonly api: Pick<AzureAPI, 'pollOperation' | 'readTarget'>
  readonly clock: Clock
  /** Between two looks where Azure does not say (ms). */
  readonly pollIntervalMs: number
  /** Longest time for an operation (ms). */
  readonly operationTimeoutMs: number
}

/** Follows writes that were accepted to their end. The SDK's own poller looks too often and loses the codes of failures. */
export class OperationFollower {
  readonly #deps: FollowerDependencies

  constructor(deps: FollowerDependencies) {
    this.#deps = deps
  }

  /**
   * Waits for the end of a write. A look is as urgent as the write: until it is made, whoever waits for the addresses goes on waiting. It
   * comes no sooner than Azure asks, the first one included.
   *
   * @param accepted the answer to the write
   * @throws CloudAPIError: of the operation's failure; `unavailable` when nothing is heard of it in time; `stale` when the operation
   *   cannot be looked at, so that only the document tells what became of it
   */
  async follow(target: WriteTarget, accepted: ARMResponse, context: CallContext): Promise<void> {
    const start = startOf(accepted, target.path)
    if (start.kind === 'ended') {
      if (start.reading.kind === 'failed') throw this.#failure(target, start.reading.error)
      return
    }
    if (start.followedBy === 'resource') return this.settle(target, context)
    await this.#until(target, this.#waitOf(accepted), context, async () => {
      const response = await this.#look(target, start.url, context)
      const reading = readPoll(start.followedBy, response)
      if (reading.kind === 'failed') throw this.#failure(target, reading.error)
      return reading.kind === 'succeeded' ? undefined : { waitMs: this.#waitOf(response) }
    })
  }

  /** Waits until nothing is under way on a document. @throws CloudAPIError as above */
  async settle(target: WriteTarget, context: CallContext): Promise<void> {
    await this.#until(target, this.#deps.pollIntervalMs, context, async () => {
      const reading = readProvisioning(await this.#deps.api.readTarget(target, context))
      if (reading.kind === 'failed') throw this.#failure(target, reading.error)
      return reading.kind === 'succeeded' ? undefined : { waitMs: this.#deps.pollIntervalMs }
    })
  }

  /** Waits and looks until a look says that there is no need to look again. */
  async #until(
    target: WriteTarget,
    firstWaitMs: number,
    context: CallContext,
    look: () => Promise<{ readonly waitMs: number } | undefined>,
  ): Promise<void> {
    const { clock, operationTimeoutMs } = this.#deps
    const deadlineMs = clock.now() + operationTimeoutMs
    let next: { readonly waitMs: number } | undefined = { waitMs: firstWaitMs }
    while (next !== undefined) {
      await clock.sleep(next.waitMs, context.signal)
      try {
        next = await look()
      } catch (error) {
        // A look without an answer says nothing about the operation.
        if (!(error instanceof CloudAPIError) || (error.kind !== 'throttled' && !isUnanswered(error))) throw error
        next = { waitMs: this.#deps.pollIntervalMs }
      }
      if (next !== undefined && clock.now() >= deadlineMs) throw this.#timedOut(target)
    }
  }

  /** @throws CloudAPIError `stale` once the operation is over, where its record cannot be had: records are not kept for ever */
  async #look(target: WriteTarget, url: string, context: CallContext): Promise<ARMResponse> {
    try {
      return await this.#deps.api.pollOperation(target, url, context)
    } catch (error) {
      if (!(error instanceof CloudAPIError) || !UNREADABLE.has(error.kind)) throw error
      await this.settle(target, context)
      const action = WRITE_LABELS[target.kind]
      throw refusedByUs(action, `${action}: the record of the operation is lost`, error.code, 'stale')
    }
  }

  #waitOf(response: ARMResponse): number {
    const { clock, pollIntervalMs } = this.#deps
    const asked = retryAfterMs((name) => response.header(name), clock.wallTime().getTime())
    return Math.min(Math.max(asked ?? pollIntervalMs, SHORTEST_POLL_MS), LONGEST_POLL_MS)
  }

  #failure(target: WriteTarget, error: ARMErrorBody): CloudAPIError {
    return refusalError(WRITE_LABELS[target.kind], error, { status: undefined })
  }

  #timedOut(target: WriteTarget): CloudAPIError {
    const action = WRITE_LABELS[target.kind]
    const seconds = Math.round(this.#deps.operationTimeoutMs / 1000)
    return new CloudAPIError(`${action}: the operation did not end within ${seconds} s`, {
      kind: 'unavailable',
      code: OPERATION_TIMED_OUT,
      action,
    })
  }
}

/** The record is gone, or may not be read: rights on the resource alone do not cover the subscription's operations. */
const UNREADABLE: ReadonlySet<CloudAPIError['kind']> = new Set(['notFound', 'denied', 'invalid'])

/** As opposed to an answer that says how the operation ended. */
function isUnanswered({ kind, code, cause }: CloudAPIError): boolean {
  if (kind !== 'unavailable' || code === OPERATION_TIMED_OUT) return false
  return !(cause instanceof ARMRefusal) || cause.status !== undefined
}
