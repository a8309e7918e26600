import type { NodeOperations } from '../ipam/contracts.ts'
import type { DestructiveContext } from '../ipam/destruction.ts'
import type { FailureState } from '../ipam/node-state.ts'
import { waitCauseOf } from '../ipam/node-status.ts'
import { nextDueMs } from '../ipam/next-due.ts'
import type { FailedStep, IdleReason, MaintenancePlan, MaintenanceStep } from '../ipam/plan-maintenance.ts'
import { planMaintenance } from '../ipam/plan-maintenance.ts'
import { destructiveCallCount, withoutUsed } from '../ipam/release-proof.ts'
import type { SeenResource } from '../ipam/seen-resource.ts'
import { unpackResource } from '../ipam/seen-resource.ts'
import { stepPriority } from '../ipam/step-priority.ts'
import { assert } from '../runtime/assert.ts'
import { maintenanceBackoff } from '../runtime/backoff.ts'
import type { CallPriority } from '../runtime/call-priority.ts'
import { CALL_PRIORITIES } from '../runtime/call-priority.ts'
import type { StepOutcome } from './execute-plan.ts'
import { proofOf } from './destruction-proof.ts'
import { executePlan } from './execute-plan.ts'
import type { FleetServices } from './fleet-services.ts'
import type { NodeHost } from './node-host.ts'
import type { StepUnderWay } from './node-work.ts'
import { PendingNotice } from './pending-notice.ts'
import { fieldsOf, reasonOf } from './step-labels.ts'
import { cidrsToWithhold, snapshotOf, stepHandshake } from './snapshot.ts'

/** Steps of one pass (count). A node that needs more gets its next pass behind the others. */
const MAX_ROUNDS = 6

interface UnderWay {
  readonly step: MaintenanceStep
  /** As the resource said when the step began (count). */
  readonly minAllocate: number
  readonly sinceMs: number
  readonly signal: AbortSignal
  priority: CallPriority
}

/** What one pass remembers of itself. */
interface Progress {
  readonly failures: FailedStep[]
  reads: number
  proofReads: number
}

/**
 * The maintenance of one node: plan → execute → reduce, until the plan is idle. Each round plans anew on the state of that moment, a
 * failed step being part of it.
 *
 * @source cilium pkg/ipam/node.go, MaintainIPPool
 */
export class MaintenancePass {
  readonly #node: NodeHost
  readonly #services: FleetServices
  #running: Promise<void> | undefined
  /** The step under way that gives something back, or proves that it may: it can wait long for its turn. */
  #upkeep: { readonly step: MaintenanceStep; readonly controller: AbortController } | undefined
  /** The step under way, and how urgent it is by now. */
  #underWay: UnderWay | undefined
  readonly #notice: PendingNotice

  constructor(node: NodeHost, services: FleetServices) {
    this.#node = node
    this.#services = services
    this.#notice = new PendingNotice(node, services, () => this.#underWay)
  }

  get underWay(): StepUnderWay | undefined {
    return this.#underWay
  }

  /** Runs a pass; joins the one under way. */
  async run(): Promise<void> {
    this.#running ??= this.#loop().finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  /** Settles when no pass is under way. */
  async finished(): Promise<void> {
    try {
      await this.#running
    } catch {
      // The trigger that started the pass reports its failure.
    }
  }

  /**
   * Something is known that was not when the step under way was planned. A release ends where the agent has taken its word back, or
   * where addresses are needed: it may wait long for its turn, and must neither come too late nor stand in the way.
   */
  reconsider(): void {
    this.rerank()
    const { step, controller } = this.#upkeep ?? {}
    if (step === undefined || controller?.signal.aborted !== false) return
    if (this.#isInNeed()) controller.abort(new Error('interrupted: addresses are needed'))
    else if (this.#node.isPaused) controller.abort(new Error('interrupted: destructive calls are paused'))
    else if (!this.#isStillAgreed(step)) controller.abort(new Error('interrupted: the agent wants them back'))
  }

  /** A step that waits for the cloud's quota moves up when its node has become more urgent: a pod waits there by now. */
  rerank(): void {
    const underWay = this.#underWay
    if (underWay === undefined) return
    const priority = this.#priorityOf(underWay.step, underWay.minAllocate)
    if (CALL_PRIORITIES.indexOf(priority) >= CALL_PRIORITIES.indexOf(underWay.priority)) return
    underWay.priority = priority
    this.#services.rerank?.(underWay.signal, priority)
  }

  stop(): void {
    this.#notice.cancel()
  }

  async #loop(): Promise<void> {
    this.#node.apply({ kind: 'tick', nowMs: this.#services.clock.now() })
    const progress: Progress = { failures: [], reads: 0, proofReads: 0 }
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const plan = this.#plan(progress)
      if (plan.kind === 'idle') return this.#end(plan.why, progress)
      const outcome = await this.#execute(plan, progress)
      if (this.#node.signal.aborted) return
      this.#absorb(plan, outcome, progress)
      this.#node.publish('step')
    }
    this.#end({ kind: 'settled' }, progress)
    this.#node.evaluate('more to do')
  }

  /** One look at everything, in one turn of the event loop: nothing can change between the look and the plan. */
  #plan(progress: Progress): MaintenancePlan {
    const { clock, implementation, pendingPods } = this.#services
    const { config } = this.#node
    const { operations, name } = this.#node
    const seen = this.#node.state.resource
    if (seen === undefined || operations === undefined) return { kind: 'idle', why: { kind: 'held' } }
    const inventory = this.#node.recalculate()
    const nowMs = clock.now()
    const step =
      inventory === undefined
        ? undefined
        : stepHandshake(this.#node.state, { seen, inventory, operations, config, nowMs })
    if (step !== undefined) {
      this.#node.apply({ kind: 'releaseStepped', records: step.records, resourceStates: step.resourceStates })
    }
    this.#withhold(seen, operations)
    return planMaintenance(
      snapshotOf(this.#node.state, {
        seen,
        operations,
        config,
        nowMs,
        isHeld: this.#node.isHeld,
        pendingPods: pendingPods?.(name),
        agreed: step?.toRelease,
        syncedAtMs: implementation.syncedAtMs(seen.instanceID),
        destroyPermit: (callCount) => this.#services.destroyPermit(nowMs, callCount),
        missingReadsFromMs: this.#services.missingReadsFromMs(),
        failures: progress.failures,
        reads: progress.reads,
        proofReads: progress.proofReads,
      }),
    )
  }

  /** On a doubtful view everything stays as it is: a CIDR whose release was lost must not be listed again. */
  #withhold(seen: SeenResource, operations: NodeOperations): void {
    const { clock } = this.#services
    const { config } = this.#node
    const { staleSinceMs, view, withheld } = this.#node.state
    if (staleSinceMs !== undefined || view.kind !== 'known') return
    const cidrs = cidrsToWithhold(this.#node.state, { seen, operations, config, nowMs: clock.now() })
    this.#node.apply({ kind: 'cidrsWithheld', cidrs })
    if (this.#node.state.withheld !== withheld) this.#node.publish('withheld')
  }

  async #execute(step: MaintenanceStep, progress: Progress): Promise<StepOutcome> {
    const { clock, implementation, limiter, log, metrics } = this.#services
    const { operations, state, name, signal } = this.#node
    assert(operations !== undefined && state.resource !== undefined, 'a step is planned for a node with a resource')
    if (step.kind === 'readInstance') progress.reads += 1
    if (isProof(step)) progress.proofReads += 1
    if (step.kind === 'release' || step.kind === 'releaseCIDRs') {
      assert(
        limiter.take(clock.now(), destructiveCallCount(step.action)),
        'a permit holds for the turn it was given in',
      )
    }
    const { minAllocate } = state.resource.demand.spec.ipam
    const priority = this.#priorityOf(step, minAllocate)
    const { instanceID } = state.resource
    const isUpkeep = isProof(step) || step.kind === 'release' || step.kind === 'releaseCIDRs'
    this.#upkeep = isUpkeep ? { step, controller: new AbortController() } : undefined
    const stepSignal = this.#upkeep === undefined ? signal : AbortSignal.any([signal, this.#upkeep.controller.signal])
    const underWay: UnderWay = { step, minAllocate, sinceMs: clock.now(), priority, signal: stepSignal }
    this.#underWay = underWay
    const proof = proofOf(step, state)
    const context: DestructiveContext = {
      // The later calls of a step are as urgent as the node has become meanwhile.
      get priority() {
        return underWay.priority
      },
      reason: reasonOf(step),
      signal: stepSignal,
      ...(proof !== undefined && { proof }),
    }
    log.debug({ node: name, instanceID, ...fieldsOf(step), reason: context.reason }, 'Maintaining a node')
    if (priority !== 'release') this.#notice.watch()
    const startMs = clock.now()
    if (step.kind === 'readInstance') this.#services.observers.instanceSync.queueEvent(context.reason)
    await this.#untilAfter(step)
    const outcome = await this.#perform(step, { operations, implementation, instanceID, metrics, clock }, context)
    this.#notice.cancel()
    const durationMs = clock.now() - startMs
    if (step.kind === 'readInstance') this.#services.observers.instanceSync.postRun(durationMs / 1000, 0, 1)
    this.#report(step, outcome, durationMs)
    return outcome
  }

  async #perform(...args: Parameters<typeof executePlan>): Promise<StepOutcome> {
    try {
      return await executePlan(...args)
    } finally {
      this.#underWay = undefined
    }
  }

  #priorityOf(step: MaintenanceStep, minAllocate: number): CallPriority {
    const { statistics, generation } = this.#node.state
    const pendingPods = this.#services.pendingPods?.(this.#node.name)
    return stepPriority(step, { statistics, generation, minAllocate, pendingPods })
  }

  /** Outcome → events. What failed is remembered for the next plan of this pass. */
  #absorb(step: MaintenanceStep, outcome: StepOutcome, progress: Progress): void {
    const { clock, random } = this.#services
    const nowMs = clock.now()
    const interruption = this.#upkeep?.controller.signal
    // What had been sent comes to its end all the same; what had not has had no effect.
    const wasInterrupted =
      outcome.kind === 'failed' && interruption?.aborted === true && outcome.error === interruption.reason
    this.#upkeep = undefined
    if (step.kind === 'readInstance' && !wasInterrupted) {
      this.#node.apply({ kind: 'readTried', nowMs, chance: random.next() })
    }
    switch (outcome.kind) {
      case 'read':
        this.#node.apply({ kind: 'synced', startedAtMs: outcome.startedAtMs, hasChanged: outcome.hasChanged })
        return
      case 'attached':
        this.#node.apply({ kind: 'changed' })
        if (outcome.addressCount === 0) this.#node.recalculate()
        if (outcome.addressCount === 0 && this.#isInNeed()) progress.failures.push(withoutProgress(step, outcome))
        return
      case 'staticIPAssigned':
        this.#node.apply({ kind: 'staticIPAssigned', address: outcome.address })
        return
      case 'released':
        this.#node.apply({ kind: 'released', addresses: outcome.addresses })
        return
      case 'cidrsReleased':
        this.#node.apply({ kind: 'cidrsReleased', cidrs: outcome.cidrs })
        if (outcome.failure !== undefined) this.#fail(outcome.failure, true, progress)
        return
      case 'failed':
        if (!wasInterrupted) this.#fail(outcome.failure, outcome.isInstanceRunning, progress)
        return
      default:
        outcome satisfies never
    }
  }

  #fail(step: FailedStep, isInstanceRunning: boolean, progress: Progress): void {
    progress.failures.push(step)
    this.#node.apply({ kind: 'stepFailed', step, isInstanceRunning, nowMs: this.#services.clock.now() })
  }

  #end(why: IdleReason, progress: Progress): void {
    const { clock } = this.#services
    const { config } = this.#node
    const nowMs = clock.now()
    this.#node.apply({ kind: 'passEnded', failure: this.#failureAfter(why, nowMs) })
    const { state } = this.#node
    const dueMs = nextDueMs(state, why, {
      nowMs,
      releaseEnabled: config.releaseExcessIPs,
      releaseDelayMs: config.excessIPReleaseDelayMs,
    })
    const cause = waitCauseOf(why, {
      instanceID: state.resource?.instanceID ?? '',
      failureCount: state.failure?.count ?? 0,
      hasBeenRead: state.view.kind !== 'missing' || state.view.readCount > 0,
      current: state.notice.cause,
    })
    const nextTryAt = dueMs === undefined ? undefined : wallTimeOf(dueMs - nowMs, clock.wallTime())
    this.#node.apply({ kind: 'waiting', cause, nextTryAt })
    this.#reportEnd(why, progress, state.failure)
    this.#node.passEnded(why)
  }

  /** A pass that got through resets the count; one that could not find out anything leaves it. */
  #failureAfter(why: IdleReason, nowMs: number): FailureState | undefined {
    const { failure: before, staleSinceMs, view } = this.#node.state
    if (why.kind === 'backoff' || why.kind === 'held') return before
    if (why.kind !== 'failed') return before?.blocks === 'upkeep' && nowMs < before.retryAtMs ? before : undefined
    const count = (before?.count ?? 0) + 1
    const { random } = this.#services
    const waitMs = maintenanceBackoff({ attempt: count, nodeCount: this.#services.nodeCount(), random })
    const exhaustedPoolID = why.step.kind === 'exhausted' ? why.step.poolID : undefined
    const isViewDoubtful = staleSinceMs !== undefined || view.kind !== 'known'
    const blocks = isViewDoubtful || isAllocation(why.step) ? 'all' : 'upkeep'
    return { count, retryAtMs: nowMs + waitMs, blocks, exhaustedPoolID, cause: why.step }
  }

  /** A read in the very millisecond of what it should show could not be told from an earlier one. */
  async #untilAfter(step: MaintenanceStep): Promise<void> {
    const { clock } = this.#services
    if (step.kind !== 'readInstance' || step.afterMs === undefined || clock.now() > step.afterMs) return
    try {
      await clock.sleep(1, this.#node.signal)
    } catch {
      // The node is gone: the read ends at once, and so does the pass.
    }
  }

  /** What a release is about to give back is still given up, and used by nobody, in the newest version of the resource. */
  #isStillAgreed(step: MaintenanceStep): boolean {
    const { cidrs, resource: seen, resourceStates } = this.#node.state
    if ((step.kind !== 'release' && step.kind !== 'releaseCIDRs') || seen === undefined) return true
    const { ipsToRelease, cidrsToRelease } = step.action
    const kept = withoutUsed(step.action, unpackResource(seen).status.used)
    return (
      kept?.ipsToRelease.length === ipsToRelease.length &&
      kept.cidrsToRelease.length === cidrsToRelease.length &&
      ipsToRelease.every((address) => resourceStates.get(address) === 'ready-for-release') &&
      cidrsToRelease.every((cidr) => cidrs.marked.has(cidr))
    )
  }

  #isInNeed(): boolean {
    const { ipv4, ipv6 } = this.#node.state.statistics
    return ipv4.neededIPs > 0 || ipv6.neededPrefixes > 0
  }

  #report(step: MaintenanceStep, outcome: StepOutcome, durationMs: number): void {
    const fields = { node: this.#node.name, ...fieldsOf(step), durationMs }
    const { log } = this.#services
    if (outcome.kind === 'attached') {
      const { interfaceID, addressCount } = outcome
      log.info({ ...fields, interfaceID, count: addressCount }, 'Attached addresses')
    } else if (outcome.kind === 'released')
      log.info({ ...fields, count: outcome.addresses.length }, 'Released addresses')
    else if (outcome.kind === 'cidrsReleased') log.info({ ...fields, count: outcome.cidrs.length }, 'Released CIDRs')
    else if (outcome.kind === 'failed') {
      log.info({ ...fields, reason: outcome.failure.kind, error: outcome.error }, 'A maintenance step failed')
    }
  }

  #reportEnd(why: IdleReason, { failures }: Progress, failure: FailureState | undefined): void {
    const { clock, log, warnings } = this.#services
    const node = this.#node.name
    if (why.kind === 'failed') {
      const { kind, message, poolID, interfaceID } = why.step
      const delayMs = failure === undefined ? undefined : failure.retryAtMs - clock.now()
      const fields = { node, interfaceID, poolID, reason: kind, error: message, attempt: failure?.count, delayMs }
      log.warn({ ...fields, count: failures.length }, 'A maintenance pass failed')
    }
    if (why.kind !== 'atCapacity') return
    const { availableIPs, neededIPs, usedIPs } = this.#node.state.statistics.ipv4
    warnings.warn(`capacity/${node}`, { node, neededIPs, availableIPs, usedIPs }, 'A node is out of interfaces')
  }
}

function isProof(step: MaintenanceStep): boolean {
  return step.kind === 'readInstance' && step.why === 'proof'
}

function isAllocation({ step }: FailedStep): boolean {
  return step === 'allocate' || step === 'createInterface'
}

/** A call that changed nothing must not be repeated at once: it counts as failed, and the plan looks for another way. */
function withoutProgress(step: MaintenanceStep, outcome: Extract<StepOutcome, { kind: 'attached' }>): FailedStep {
  const { interfaceID, poolID } = outcome
  return { step: step.kind, interfaceID, poolID, kind: 'unknown', message: 'the cloud attached no address' }
}

function wallTimeOf(inMs: number, now: Date): string {
  return new Date(now.getTime() + inMs).toISOString()
}
