import type { AdaptiveAPIBudget } from '../budget/api-budget.ts'
import type { PendingCall } from '../budget/contracts.ts'
import type { NodeManager } from '../controller/node-manager.ts'
import type { Node } from '../controller/node.ts'
import type { ControllerFacts, ManagedNode, NodeFacts } from '../explain/node-facts.ts'
import { needPriority } from '../ipam/step-priority.ts'
import type { AllocationAction, PoolQuotaMap } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'

/** Status and spec of a CiliumNode are written apart (count). */
const REQUESTS_PER_WRITE = 2

/** Where the facts come from. All of it is asked anew for each explanation. */
export interface FactSources {
  /** Undefined while this replica does not lead. */
  readonly manager: () => NodeManager | undefined
  /** Undefined while the cloud is not opened. */
  readonly budget: () => AdaptiveAPIBudget | undefined
  /** Pods on a node that wait for an address (count); undefined while not known. */
  readonly pendingPods: (node: string) => number | undefined
  /** Free addresses and blocks by subnet. */
  readonly quota: () => PoolQuotaMap
  /** Nodes whose newest version cannot be read, with its faults. */
  readonly malformed: ReadonlyMap<string, string>
  readonly clock: Clock
  readonly prefixDelegation: () => boolean
  /** How long until so many further requests to the API server may have been sent (ms). */
  readonly requestWaitMs: (count: number) => number
}

/** Everything that the explanation of a node depends on, as it is now. No cloud call. */
export function nodeFacts(name: string, sources: FactSources): NodeFacts {
  const { manager, budget, quota, malformed, clock, prefixDelegation } = sources
  const fleet = manager()
  const node = fleet?.get(name)
  return {
    name,
    nowMs: clock.now(),
    controller: controllerFacts(fleet),
    faults: malformed.get(name),
    node: node === undefined ? undefined : managedNode(name, node, sources),
    durationMs: (action) => budget()?.durationMs(action),
    writesMs: (count) => sources.requestWaitMs(count * REQUESTS_PER_WRITE),
    urgentWriteCount: fleet?.urgentWriteCount ?? 0,
    lacksBlocks: (poolID) => quota().get(poolID)?.freeBlocks === 0,
    prefixDelegation: prefixDelegation(),
  }
}

function controllerFacts(manager: NodeManager | undefined): ControllerFacts {
  if (manager === undefined) return { kind: 'standby' }
  if (manager.isStopping) return { kind: 'stopping' }
  const { isPrepared, isListed, secondWriter } = manager.serving
  if (secondWriter !== undefined) return { kind: 'contested', ...secondWriter }
  if (!isPrepared) return { kind: 'starting', what: 'the cloud has not answered the first reads yet' }
  if (!isListed) return { kind: 'starting', what: 'the CiliumNodes are being listed' }
  return { kind: 'serving' }
}

function managedNode(name: string, node: Node, sources: FactSources): ManagedNode {
  const { state, operations } = node
  const { minAllocate = 0, maxAllocate = 0, preAllocate = 0 } = state.resource?.demand.spec.ipam ?? {}
  const pendingPods = sources.pendingPods(name)
  const { work } = node
  const { statistics, generation } = state
  return {
    state,
    work,
    instanceID: node.instanceID(),
    minAllocate,
    maxAllocate,
    preAllocate,
    isPaused: node.isPaused,
    pendingPods,
    calls: once(() => {
      const { signal } = work.step ?? {}
      return signal === undefined ? [] : (sources.budget()?.pendingCalls(signal).map(withOnePosition) ?? [])
    }),
    allocation: () => plannedAllocation(node),
    priority: () => needPriority({ statistics, generation, minAllocate, pendingPods }),
    pace: operations?.pace,
  }
}

function plannedAllocation({ operations, state }: Node): AllocationAction | undefined {
  if (operations === undefined || state.view.kind !== 'known') return undefined
  try {
    return operations.prepareIPAllocation()
  } catch {
    // Limits that are not known, or a defect: the pass meets it too and says so. The explanation goes without it.
    return undefined
  }
}

/** One explanation asks for the same several times; all of it is of one moment. */
function once<T>(work: () => T): () => T {
  let known: { readonly value: T } | undefined
  return () => (known ??= { value: work() }).value
}

function withOnePosition(call: PendingCall): PendingCall {
  return { ...call, position: once(() => call.position()) }
}
