import type { Timer } from '../runtime/timer.ts'
import type { FleetServices } from './fleet-services.ts'
import type { NodeHost } from './node-host.ts'
import type { StepUnderWay } from './node-work.ts'
import { fieldsOf, reasonOf } from './step-labels.ts'

/** A step that takes longer is said in the node's status (ms). */
const PENDING_NOTICE_MS = 30_000

/** After a while the status of a node says what its step waits for: its turn in a bucket of the cloud's quota, or an answer. */
export class PendingNotice {
  readonly #node: NodeHost
  readonly #services: FleetServices
  readonly #underWay: () => StepUnderWay | undefined
  #timer: Timer | undefined

  /** @param underWay the step of the moment */
  constructor(node: NodeHost, services: FleetServices, underWay: () => StepUnderWay | undefined) {
    this.#node = node
    this.#services = services
    this.#underWay = underWay
  }

  /** A step begins. */
  watch(): void {
    const { timers, clock } = this.#services
    this.#timer ??= timers.timer(() => this.#tell())
    this.#timer.setAt(clock.now() + PENDING_NOTICE_MS)
  }

  /** It has ended. */
  cancel(): void {
    this.#timer?.cancel()
  }

  #tell(): void {
    const underWay = this.#underWay()
    if (underWay === undefined) return
    const { clock, quotaWait } = this.#services
    const { step, signal } = underWay
    const wait = quotaWait?.(signal)
    const poolID = fieldsOf(step).poolID ?? ''
    const cause = { kind: 'callPending', step: reasonOf(step), poolID, bucket: wait?.bucket ?? '' } as const
    const nextTryAt = wait === undefined ? undefined : new Date(clock.wallTime().getTime() + wait.waitMs).toISOString()
    this.#node.apply({ kind: 'waiting', cause, nextTryAt })
    this.#node.evaluate('call pending')
  }
}
