import { assertNever, AssertionError } from '../runtime/assert.ts'
import type { CallContext } from '../runtime/call-priority.ts'
import type { Clock } from '../runtime/clock.ts'
import type { AllocationImplementation, MetricsAPI, NodeOperations, ReleaseType } from '../ipam/contracts.ts'
import type { DestructiveContext } from '../ipam/destruction.ts'
import { CloudAPIError } from '../ipam/errors.ts'
import type { FailedStep, MaintenanceStep, StepKind } from '../ipam/plan-maintenance.ts'
import { singleAddresses } from '../ipam/release-proof.ts'
import type { AllocationAction, ReleaseAction } from '../ipam/types.ts'

/** What a step came to. A value in every case: a failed step is the next plan's business. */
export type StepOutcome =
  | { readonly kind: 'read'; readonly startedAtMs: number; readonly hasChanged: boolean }
  /** Addresses attached, and the interface they are on (count, 0 or more). */
  | { readonly kind: 'attached'; readonly addressCount: number; readonly interfaceID: string; readonly poolID: string }
  | { readonly kind: 'staticIPAssigned'; readonly address: string }
  | { readonly kind: 'released'; readonly addresses: readonly string[] }
  /** What was given back, and what stopped the rest. */
  | { readonly kind: 'cidrsReleased'; readonly cidrs: readonly string[]; readonly failure: FailedStep | undefined }
  | {
      readonly kind: 'failed'
      readonly failure: FailedStep
      readonly isInstanceRunning: boolean
      readonly error: Error
    }

export interface ExecutionDependencies {
  readonly operations: NodeOperations
  readonly implementation: Pick<AllocationImplementation, 'instanceSync'>
  readonly instanceID: string
  readonly metrics: MetricsAPI
  readonly clock: Clock
}

/**
 * Performs one step of a plan: cloud calls and their metrics, nothing else. Counters follow the result, not the request.
 *
 * @throws AssertionError only: a defect of ours
 */
export async function executePlan(
  step: MaintenanceStep,
  dependencies: ExecutionDependencies,
  context: DestructiveContext,
): Promise<StepOutcome> {
  try {
    switch (step.kind) {
      case 'readInstance': {
        const { instanceID, implementation } = dependencies
        const { startedAtMs, changedInstanceIDs } = await implementation.instanceSync(instanceID, context)
        return { kind: 'read', startedAtMs, hasChanged: changedInstanceIDs.includes(instanceID) }
      }
      case 'allocate':
        return await allocate(step.action, dependencies, context)
      case 'createInterface':
        return await createInterface(step.action, dependencies, context)
      case 'assignStaticIP': {
        const address = await capability(dependencies.operations.staticIP).allocateStaticIP(step.tags, context)
        return { kind: 'staticIPAssigned', address }
      }
      case 'release':
        return await release(step.action, dependencies, context)
      case 'releaseCIDRs':
        return await releaseCIDRs(step.action, dependencies, context)
      default:
        return assertNever(step)
    }
  } catch (cause) {
    if (cause instanceof AssertionError) throw cause
    const { interfaceID, poolID } = placeOf(step)
    return failed(step.kind, interfaceID, poolID, asError(cause), true)
  }
}

async function allocate(
  action: AllocationAction,
  { operations, metrics, clock }: ExecutionDependencies,
  context: CallContext,
): Promise<StepOutcome> {
  const { interfaceID, poolID } = action
  const startMs = clock.now()
  const outcome = await operations.allocateIPs(action, context)
  const status = outcome.kind === 'allocated' ? 'success' : 'failed'
  metrics.allocationAttempt('allocateIP', status, poolID, secondsSince(startMs, clock))
  if (outcome.kind === 'failed') {
    return failed('allocate', interfaceID, poolID, outcome.error, outcome.isInstanceRunning)
  }
  metrics.addIPAllocation(poolID, outcome.addressCount)
  return { kind: 'attached', addressCount: outcome.addressCount, interfaceID, poolID }
}

async function createInterface(
  action: AllocationAction,
  { operations, metrics, clock }: ExecutionDependencies,
  context: CallContext,
): Promise<StepOutcome> {
  const startMs = clock.now()
  const outcome = await capability(operations.createInterface?.bind(operations))(action, context)
  const { poolID } = outcome
  const status = outcome.kind === 'created' ? 'success' : outcome.condition
  metrics.allocationAttempt('createInterfaceAndAllocateIP', status, poolID, secondsSince(startMs, clock))
  if (outcome.kind === 'failed') return failed('createInterface', '', poolID, outcome.error, outcome.isInstanceRunning)
  metrics.addIPAllocation(poolID, outcome.addressCount)
  metrics.incInterfaceAllocation(poolID)
  return { kind: 'attached', addressCount: outcome.addressCount, interfaceID: outcome.interfaceID, poolID }
}

/** Whole prefixes first, then the addresses outside of them, as the reference does. */
async function release(
  action: ReleaseAction,
  dependencies: ExecutionDependencies,
  context: DestructiveContext,
): Promise<StepOutcome> {
  const { operations } = dependencies
  const singles = singleAddresses(action)
  if (action.ipPrefixesToRelease.length > 0) {
    const whole = action.ipsToRelease.filter((address) => !singles.includes(address))
    const attempt = { type: 'releaseIPPrefixes', count: whole.length } as const
    await measured(attempt, action, dependencies, () =>
      capability(operations.prefixes).releaseIPPrefixes({ ...action, ipsToRelease: whole }, context),
    )
  }
  if (singles.length > 0) {
    const attempt = { type: 'releaseIP', count: singles.length } as const
    const single = { ...action, ipsToRelease: singles, ipPrefixesToRelease: [] }
    await measured(attempt, action, dependencies, () => operations.releaseIPs(single, context))
  }
  return { kind: 'released', addresses: action.ipsToRelease }
}

async function releaseCIDRs(
  action: ReleaseAction,
  dependencies: ExecutionDependencies,
  context: DestructiveContext,
): Promise<StepOutcome> {
  const { clock, metrics, operations } = dependencies
  const { interfaceID, poolID } = action
  const startMs = clock.now()
  const { released, error } = await capability(operations.cidrs).releaseCIDRs(action, context)
  const status = error === undefined ? 'success' : 'failed'
  metrics.releaseAttempt('releaseIP', status, poolID, secondsSince(startMs, clock))
  if (released.length > 0)
    metrics.addIPRelease(
      poolID,
      released.reduce((sum, cidr) => sum + addressCount(cidr), 0),
    )
  const failure = error === undefined ? undefined : failedStep('releaseCIDRs', interfaceID, poolID, error)
  return { kind: 'cidrsReleased', cidrs: released, failure }
}

async function measured(
  attempt: { readonly type: ReleaseType; readonly count: number },
  { poolID }: ReleaseAction,
  { metrics, clock }: ExecutionDependencies,
  call: () => Promise<void>,
): Promise<void> {
  const startMs = clock.now()
  try {
    await call()
  } catch (error) {
    metrics.releaseAttempt(attempt.type, 'failed', poolID, secondsSince(startMs, clock))
    throw error
  }
  metrics.releaseAttempt(attempt.type, 'success', poolID, secondsSince(startMs, clock))
  metrics.addIPRelease(poolID, attempt.count)
}

/** Addresses of an IPv4 CIDR (count). */
function addressCount(cidr: string): number {
  return 2 ** (32 - Number(cidr.split('/')[1] ?? 32))
}

/** The planner asks only for what the provider's own plans named, so that the capability is there. */
function capability<C>(found: C | undefined): C {
  if (found === undefined) throw new AssertionError('a step was planned that the provider is not capable of')
  return found
}

function placeOf(step: MaintenanceStep): { readonly interfaceID: string; readonly poolID: string } {
  return 'action' in step ? step.action : { interfaceID: '', poolID: '' }
}

function failed(
  step: StepKind,
  interfaceID: string,
  poolID: string,
  error: Error,
  isInstanceRunning: boolean,
): StepOutcome {
  const failure = failedStep(step, interfaceID, poolID, error)
  // A stopped instance is a view that turned out wrong, whatever the code of the refusal.
  return {
    kind: 'failed',
    failure: isInstanceRunning ? failure : { ...failure, kind: 'stale' },
    isInstanceRunning,
    error,
  }
}

function failedStep(step: StepKind, interfaceID: string, poolID: string, error: Error): FailedStep {
  return {
    step,
    interfaceID,
    poolID,
    kind: error instanceof CloudAPIError ? error.kind : 'unknown',
    message: error.message,
  }
}

function secondsSince(startMs: number, clock: Clock): number {
  return (clock.now() - startMs) / 1000
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
