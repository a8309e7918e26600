import { EventPlan, eventReason } from '../explain/event-plan.ts'
import type { ReasonCode } from '../explain/reasons.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { EventAPI, EventObject } from '../kubernetes/event-api.ts'
import { KubernetesAPIError } from '../kubernetes/errors.ts'
import { LEASE_NAME } from '../kubernetes/leader-election.ts'
import type { Clock } from '../runtime/clock.ts'

/** How often what was left out is summed up (ms). */
const SUMMARY_INTERVAL_MS = 60_000
/** Events that wait to be written (count): more than the plan lets through in the time that a write may take. */
const MAX_WAITING = 64

export interface WaitingEventsOptions {
  readonly api: EventAPI
  /** Of the Lease, which summaries are about. */
  readonly namespace: string
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

type Write = () => Promise<void>

/**
 * Says as Kubernetes Events why nodes wait, beside `operator-status`. Events are about the Node, so that `kubectl describe node` shows
 * them. Written one after the other; without permission none is tried again.
 */
export class WaitingEvents {
  readonly #options: WaitingEventsOptions
  readonly #plan: EventPlan
  readonly #waiting: Write[] = []
  #isWriting = false
  #isForbidden = false

  constructor(options: WaitingEventsOptions) {
    this.#options = options
    this.#plan = new EventPlan(options.clock.now())
  }

  /** A node's notice has changed. */
  waits(node: string, code: ReasonCode, message: string): void {
    const { api, clock, signal } = this.#options
    if (this.#isForbidden || signal.aborted) return
    const at = clock.wallTime()
    const decision = this.#plan.decide(node, code, clock.now(), at.getTime())
    if (decision.kind === 'fold') return
    // `kubectl describe node` looks for the name in place of the uid, as kubelets write it.
    const about: EventObject = { apiVersion: 'v1', kind: 'Node', name: node, namespace: '', uid: node }
    const count = decision.kind === 'repeat' ? decision.count : 1
    const parts = { name: decision.name, about, reason: eventReason(code), message, count, at }
    this.#write(async () => {
      if (decision.kind === 'create') return api.create(parts, signal)
      if (!(await api.repeat(parts, signal))) this.#plan.forget(node, code)
    })
  }

  /** Sums up what was left out, until the signal is aborted. Never rejects. */
  async run(): Promise<void> {
    const { clock, signal } = this.#options
    while (!signal.aborted) {
      try {
        await clock.sleep(SUMMARY_INTERVAL_MS, signal)
      } catch {
        return
      }
      this.#summarise()
    }
  }

  #summarise(): void {
    const { api, clock, namespace, signal } = this.#options
    const at = clock.wallTime()
    for (const { code, count } of this.#plan.summaries()) {
      const about: EventObject = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        name: LEASE_NAME,
        namespace,
        uid: '',
      }
      const message = `${count} more nodes began to wait for addresses: ${code}`
      const name = this.#plan.nameOf(LEASE_NAME, at.getTime())
      this.#write(() => api.create({ name, about, reason: eventReason(code), message, count, at }, signal))
    }
  }

  #write(write: Write): void {
    if (this.#waiting.length >= MAX_WAITING) this.#waiting.shift()
    this.#waiting.push(write)
    if (!this.#isWriting) void this.#drain()
  }

  async #drain(): Promise<void> {
    const { log, signal } = this.#options
    this.#isWriting = true
    for (let write = this.#waiting.shift(); write !== undefined && !signal.aborted; write = this.#waiting.shift()) {
      try {
        await write()
      } catch (error) {
        if (signal.aborted) break
        this.#isForbidden = error instanceof KubernetesAPIError && error.status === 403
        log.warn(
          { error },
          this.#isForbidden ? 'Events are not written: that is not permitted' : 'Unable to write an event',
        )
        if (this.#isForbidden) this.#waiting.length = 0
      }
    }
    this.#isWriting = false
  }
}
