import { nodeGCAction } from '../../../src/controller/node-gc.ts'
import type { WriteResult } from '../../../src/controller/api-server.ts'
import { executePlan } from '../../../src/controller/execute-plan.ts'
import { syncToAPIServer } from '../../../src/controller/sync-to-api-server.ts'
import { TotalsKeeper } from '../../../src/controller/totals.ts'
import type { CreateInterfaceOutcome, NodeOperations } from '../../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../../src/ipam/errors.ts'
import { clearStale } from '../../../src/ipam/node-state.ts'
import type { FailedStep } from '../../../src/ipam/plan-maintenance.ts'
import { maintenanceGates, planAllocation, withAmounts } from '../../../src/ipam/plan-maintenance.ts'
import { EMPTY_STATISTICS } from '../../../src/ipam/statistics.ts'
import type { AllocationAction, JSONObject } from '../../../src/ipam/types.ts'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { Trigger } from '../../../src/runtime/trigger.ts'
import { ciliumNode } from '../../support/builders.ts'
import { recordingMetrics } from '../../support/fake-fleet.ts'
import { FakeProvider } from '../../support/fake-provider.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { runNodeScenario } from './controller-scenario.ts'

/** The kinds of core.json that need the controller. */
export const controllerAdapters: AdapterRegistry = {
  allocation_plan: (input) => allocationPlan(input as unknown as AllocationPlanInput),
  maintenance_gates: (input, { profile }) => {
    const gates = input as unknown as GatesInput
    return maintenanceGates({
      isWaiting: gates.waiting,
      isStale: gates.resyncNeeded,
      neededIPs: gates.neededIPs,
      neededIPv6Prefixes: gates.neededPrefixes,
      staticIPTagCount: gates.staticTags,
      assignedStaticIP: gates.assignedStaticIP,
      releaseEnabled: gates.releaseEnabled,
      excessIPs: gates.excessIPs,
      releaseEntryCount: gates.releaseEntriesInStatus,
      dueCIDRCount: gates.markedCIDRsPastDelay,
      profile,
    })
  },
  resync_clear: (input) => {
    const { resyncNeededAt, syncTime } = input as { resyncNeededAt: number | null; syncTime: number }
    return { resyncNeededAt: clearStale(resyncNeededAt ?? undefined, syncTime) ?? null }
  },
  k8s_sync: (input) => k8sSync(input as unknown as SyncInput),
  node_scenario: {
    run: (input, { profile }) => runNodeScenario(input, profile),
    comparison: { partial: ['afterEachStep.*'] },
  },
  resync_totals: (input) => resyncTotals(input as unknown as TotalsInput),
  trigger_folding: {
    run: (input) => triggerFolding(input as unknown as FoldingInput),
    comparison: { tolerance: { absolute: 0.05 } },
  },
  node_gc: (input) => nodeGC(input),
}

interface AllocationPlanInput {
  readonly availableForAllocation: number
  readonly maxIPsToAllocate: number
  readonly ipv6MaxPrefixes: number
  readonly emptyInterfaceSlots: number
  readonly allocateIPs: 'ok' | 'error'
  readonly createInterface: { readonly toAllocate?: number; readonly error?: string; readonly errCondition?: string }
}

/** One allocation step: plan and execute until a call succeeds or the plan has no other way. */
async function allocationPlan(input: AllocationPlanInput): Promise<unknown> {
  const clock = new ManualClock()
  const metrics = recordingMetrics()
  const calls: JSONObject[] = []
  const allocation = withAmounts(plannedAction(input), {
    neededIPs: input.maxIPsToAllocate,
    neededIPv6Prefixes: input.ipv6MaxPrefixes,
    maxIPsToAllocate: input.maxIPsToAllocate,
  })
  const operations = scriptedOperations(input, calls, clock)
  const failures: FailedStep[] = []
  const dependencies = { operations, implementation: new FakeProvider({ clock }), instanceID: 'i-1', metrics, clock }
  const context = { priority: 'watermark', reason: 'test', signal: new AbortController().signal } as const
  for (;;) {
    const plan = planAllocation({
      neededIPs: input.maxIPsToAllocate,
      neededIPv6Prefixes: input.ipv6MaxPrefixes,
      allocation,
      isNewInterfaceSooner: false,
      failures,
    })
    // A failed allocation without a slot for another interface is no failure of the pass (core.md 3.8).
    if (plan === undefined || plan.kind === 'idle')
      return {
        calls,
        metrics: metricsOf(metrics.recorded),
        mutated: false,
        error: failures.at(-1)?.step === 'createInterface',
      }
    const outcome = await executePlan(plan, dependencies, context)
    if (outcome.kind !== 'failed') return { calls, metrics: metricsOf(metrics.recorded), mutated: true, error: false }
    failures.push(outcome.failure)
  }
}

function plannedAction(input: AllocationPlanInput): AllocationAction {
  return {
    interfaceID: 'eni-1',
    poolID: 'subnet-1',
    ipv4: {
      availableForAllocation: input.availableForAllocation,
      maxIPsToAllocate: 0,
      interfaceCandidates: input.availableForAllocation > 0 ? 1 : 0,
    },
    ipv6: { maxPrefixesToAllocate: 0 },
    emptyInterfaceSlots: input.emptyInterfaceSlots,
  }
}

function scriptedOperations(input: AllocationPlanInput, calls: JSONObject[], clock: ManualClock): NodeOperations {
  const provider = new FakeProvider({ clock })
  const operations = provider.createNode(ciliumNode())
  const { toAllocate, error = '', errCondition = '' } = input.createInterface
  const refusal = new CloudAPIError(error, { kind: 'unknown', code: 'Refused', action: 'Call' })
  operations.allocateIPs = async (action) => {
    const { availableForAllocation } = action.ipv4
    calls.push({ op: 'AllocateIPs', availableForAllocation })
    if (input.allocateIPs === 'error')
      return await Promise.resolve({ kind: 'failed', error: refusal, isInstanceRunning: true })
    return { kind: 'allocated', addressCount: availableForAllocation }
  }
  operations.createInterface = async (action) => {
    calls.push({ op: 'CreateInterface', maxIPsToAllocate: action.ipv4.maxIPsToAllocate })
    const failed = {
      kind: 'failed',
      condition: errCondition,
      poolID: 'subnet-1',
      error: refusal,
      isInstanceRunning: true,
    }
    const created = { kind: 'created', interfaceID: 'eni-2', poolID: 'subnet-1', addressCount: toAllocate ?? 0 }
    return await Promise.resolve((toAllocate === undefined ? failed : created) as CreateInterfaceOutcome)
  }
  return operations
}

/** In the vectors' form: names as in the reference, without subnet and duration. */
function metricsOf(recorded: readonly (readonly unknown[])[]): unknown[] {
  return recorded.map(([name, ...args]) => {
    switch (name) {
      case 'allocationAttempt':
        return ['AllocationAttempt', args[0], args[1]]
      case 'addIPAllocation':
        return ['AddIPAllocation', args[1]]
      case 'incInterfaceAllocation':
        return ['IncInterfaceAllocation', 1]
      default:
        return [name, ...args]
    }
  })
}

interface GatesInput {
  readonly waiting: boolean
  readonly resyncNeeded: boolean
  readonly neededIPs: number
  readonly neededPrefixes: number
  readonly staticTags: number
  readonly assignedStaticIP: string
  readonly releaseEnabled: boolean
  readonly excessIPs: number
  readonly releaseEntriesInStatus: number
  readonly markedCIDRsPastDelay: number
}

type Answer = 'noop' | 'ok' | 'conflict' | 'notfound'

interface SyncInput {
  readonly status: readonly Answer[]
  readonly spec: readonly Answer[]
}

async function k8sSync(input: SyncInput): Promise<unknown> {
  const calls: string[] = []
  const seen = ciliumNode()
  const script = { status: [...input.status], spec: [...input.spec] }
  const answer = (call: string, phase: 'status' | 'spec'): Promise<WriteResult> => {
    calls.push(call)
    const next = script[phase].shift()
    if (next === undefined) throw new Error(`one ${call} more than the vector has answers`)
    if (next === 'ok') return Promise.resolve({ kind: 'ok', node: seen })
    return Promise.resolve({ kind: next === 'notfound' ? 'notFound' : next })
  }
  const result = await syncToAPIServer({
    apiServer: {
      updateStatus: () => answer('UpdateStatus', 'status'),
      update: () => answer('Update', 'spec'),
      get: () => {
        calls.push('Get')
        return Promise.resolve(seen)
      },
    },
    seen,
    wantedStatus: () => ({ releaseIPs: new Map(), operatorError: '' }),
    wantedSpec: () => ({ pool: new Map() }),
    signal: new AbortController().signal,
  })
  return { calls, success: result.kind !== 'failed' }
}

interface TotalsInput {
  readonly nodes: readonly {
    readonly available: number
    readonly used: number
    readonly needed: number
    readonly remainingInterfaces: number
    readonly allocationNeeded: boolean
  }[]
}

function resyncTotals({ nodes }: TotalsInput): unknown {
  const keeper = new TotalsKeeper()
  for (const [index, node] of nodes.entries()) {
    keeper.set(`node-${String(index)}`, {
      statistics: {
        ...EMPTY_STATISTICS,
        ipv4: {
          ...EMPTY_STATISTICS.ipv4,
          availableIPs: node.available,
          usedIPs: node.used,
          neededIPs: node.needed,
          remainingInterfaces: node.remainingInterfaces,
        },
      },
      isInDeficit: node.allocationNeeded,
      isInstanceMissing: false,
      needSinceMs: undefined,
    })
  }
  const { nodes: total, inDeficit, atCapacity, usedIPs, unusedIPs, neededIPs, remainingInterfaces } = keeper.totals
  return { total, inDeficit, atCapacity, used: usedIPs, available: unusedIPs, needed: neededIPs, remainingInterfaces }
}

interface FoldingInput {
  readonly minIntervalSeconds: number
  readonly triggersAt: readonly number[]
  readonly runSeconds: number
}

async function triggerFolding({ minIntervalSeconds, triggersAt, runSeconds }: FoldingInput): Promise<unknown> {
  const clock = new ManualClock()
  const timers = new TimerQueue(clock, (error) => {
    throw error
  })
  const { signal } = new AbortController()
  const starts: number[] = []
  const folds: number[] = []
  const trigger = new Trigger({
    run: async () => {
      starts.push(clock.now() / 1000)
      if (runSeconds > 0) await clock.sleep(runSeconds * 1000, signal)
    },
    minIntervalMs: minIntervalSeconds * 1000,
    clock,
    timers,
    observer: { queueEvent: () => undefined, postRun: (_run, _latency, count) => void folds.push(count) },
    onError: (error) => {
      throw error
    },
  })
  for (const atSeconds of triggersAt) {
    await clock.advance(atSeconds * 1000 - clock.now())
    trigger.trigger('test')
  }
  await clock.advance((minIntervalSeconds + runSeconds) * 1000 * (triggersAt.length + 1))
  return { runs: starts.map((startAt, index) => ({ startAt, folds: folds[index] })) }
}

function nodeGC(input: JSONObject): unknown {
  const { kubernetesNodeExists, ownerReferences, markedSecondsAgo, intervalSeconds, doNotGcAnnotation } =
    input as unknown as {
      kubernetesNodeExists: boolean
      ownerReferences: number
      markedSecondsAgo: number | null
      intervalSeconds: number
      doNotGcAnnotation?: string | boolean | null
    }
  const nowMs = 10_000_000
  const annotations: Record<string, string> =
    doNotGcAnnotation === undefined || doNotGcAnnotation === null
      ? {}
      : { 'cilium.io/do-not-gc': String(doNotGcAnnotation) }
  const action = nodeGCAction({
    node: { ownerReferenceCount: ownerReferences, annotations },
    kubernetesNodeExists,
    markedAtMs: markedSecondsAgo === null ? undefined : nowMs - markedSecondsAgo * 1000,
    nowMs,
    intervalMs: intervalSeconds * 1000,
  })
  return { action }
}
