import { createAPIBudget } from '../../../src/budget/api-budget.ts'
import type { AdaptiveAPIBudget } from '../../../src/budget/api-budget.ts'
import { ControllerInsight, quotaWaitOf } from '../../../src/cli/controller-insight.ts'
import { explain } from '../../../src/cli/explain-routes.ts'
import type { PodView } from '../../../src/explain/explain-pod.ts'
import type { Explanation, SubjectKind } from '../../../src/explain/explanation.ts'
import type { ReasonCode } from '../../../src/explain/reasons.ts'
import type { PoolQuota } from '../../../src/ipam/types.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import type { WaitingReadings } from '../../../src/telemetry/controller-metrics.ts'
import { directHolder } from '../../support/direct-holder.ts'
import { FakeFleet } from '../../support/fake-fleet.ts'
import type { FakeFleetOptions } from '../../support/fake-fleet.ts'
import { Throttled } from '../budget/harness.ts'

export interface ReasonWorldOptions extends Omit<FakeFleetOptions, 'observer' | 'quotaWait'> {
  readonly isLeading?: boolean
}

/** A fleet on a manual clock with all that explains it; the API budget is a real one, whose calls the test makes. */
export class ReasonWorld {
  readonly fleet: FakeFleet
  readonly budget: AdaptiveAPIBudget
  readonly insight: ControllerInsight
  readonly events: { readonly node: string; readonly code: ReasonCode; readonly message: string }[] = []
  readonly pods = new Map<string, PodView>()
  /** Over what the fleet's provider says of its subnet. */
  readonly quota = new Map<string, PoolQuota>()
  pendingPods = 0
  prefixDelegation = false
  readings: WaitingReadings | undefined

  constructor({ isLeading = true, ...options }: ReasonWorldOptions = {}) {
    const metrics = {
      setLeader: () => undefined,
      setSecondWriter: () => undefined,
      setDestructivePaused: () => undefined,
      incDestructiveCall: () => undefined,
      watchBudget: () => undefined,
      watchEventLoop: () => undefined,
      setPodCapacity: () => undefined,
      deletePodCapacity: () => undefined,
      watchWaiting: (readings: WaitingReadings) => {
        this.readings = readings
      },
    }
    // The insight is made first, and its clock is that of the fleet.
    const clock = {
      now: () => this.fleet.clock.now(),
      wallTime: () => this.fleet.clock.wallTime(),
      sleep: (ms: number, signal: AbortSignal) => this.fleet.clock.sleep(ms, signal),
    }
    this.insight = new ControllerInsight({ clock, metrics })
    this.fleet = new FakeFleet({
      pendingPods: () => this.pendingPods,
      ...options,
      observer: this.insight,
      quotaWait: (signal) => quotaWaitOf(this.budget.pendingCalls(signal)),
    })
    this.budget = createAPIBudget({
      table: {
        refill: 'continuous',
        buckets: { Assign: { size: 1, refillPerSecond: 0.5 } },
        families: {},
        fallback: { size: 10, refillPerSecond: 1 },
      },
      clock: this.fleet.clock,
      random: seededRandom(1),
      isThrottled: (error) => (error instanceof Throttled ? error.refusal : undefined),
      jitterMs: 0,
      holder: directHolder,
    })
    this.insight.setBudget(this.budget)
    if (!isLeading) return
    this.insight.lead(
      {
        manager: this.fleet.manager,
        prefixDelegation: () => this.prefixDelegation,
        quota: () => new Map([...this.fleet.provider.getPoolQuota(), ...this.quota]),
        pendingPods: () => this.pendingPods,
        nodesWithPendingPods: () => (this.pendingPods > 0 ? this.fleet.manager.getNames() : []),
        requestWaitMs: () => 0,
        findPod: (namespace, name) => Promise.resolve(this.pods.get(`${namespace}/${name}`)),
      },
      new AbortController().signal,
      { reporter: { waits: (node, code, message) => void this.events.push({ node, code, message }) } },
    )
  }

  /** A call of the step under way waits in the budget, as those of a real provider do. */
  queueCall(node = 'node-1', call: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
    const step = this.fleet.node(node).work.step
    if (step === undefined) throw new Error(`${node} has no step under way`)
    const { signal, priority } = step
    const request = { action: 'Assign', buckets: [{ bucket: 'Assign', cost: 1 }], reason: 'test', priority, signal }
    return this.budget.run(request, call).then(
      () => undefined,
      () => undefined,
    )
  }

  explain(kind: SubjectKind, name: string): Promise<Explanation> {
    return explain(kind, name, this.insight.sources, new AbortController().signal)
  }

  async codes(kind: SubjectKind, name: string): Promise<readonly ReasonCode[]> {
    return (await this.explain(kind, name)).chain.map(({ code }) => code)
  }
}
