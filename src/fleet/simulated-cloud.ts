import type { FaultRule } from '../../simulators/kit/faults.ts'
import type { Router, ServeOptions, Server } from '../../simulators/kit/http.ts'
import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'
import type { AgentGeneration } from '../../simulators/kubernetes/index.ts'
import type { Clock } from '../runtime/clock.ts'
import type { BucketRate } from './bounds.ts'
import type { CloudAccount } from './cloud-account.ts'
import type { CloudAccess, CloudFacts } from './cloud-facts.ts'
import type { NodeCapacity } from './simulated-node.ts'
import type { WorldPlan } from './world-plan.ts'

/** One simulated account with a network large enough for its plan. */
export interface SimulatedCloud {
  readonly account: CloudAccount
  /** The wire without a socket, control paths included. */
  readonly router: Router
  /** By instance type. */
  readonly capacities: ReadonlyMap<string, NodeCapacity>
  /** Limits of the account that were raised for the plan (counts, by what they limit). */
  readonly quotas: Readonly<Record<string, number>> & { readonly interfaces: number }
  /** Answers the controller in process. */
  readonly access: CloudAccess
  /** From now on the account has these buckets, all of them full. */
  setThrottle(choice: ThrottleTable | 'none'): void
  /** From now on these faults strike calls, and no others. */
  setFaults(rules: readonly FaultRule[]): void
  listen(where: ServeOptions): Promise<Server>
  /** Flags of `berth controller` that mean this account. @param url of its server; undefined: in process */
  controllerFlags(url: string | undefined): readonly string[]
  /** What a shell needs to speak to the server: `export` lines. */
  exportLines(url: string): readonly string[]
}

/** What a cloud of simulated worlds is: one implementation for each, in a file of its own. */
export interface CloudKind extends CloudFacts {
  /** For people: `EC2 simulator`. */
  readonly simulator: string
  /** Generations of agents that `src/agent` has for this cloud; the simulators' own agent plays the others. */
  readonly ownAgents: readonly AgentGeneration[]
  /** What brings addresses: while one of their buckets is scarce, waiting is no fault of the controller. */
  readonly servingActions: readonly string[]
  /**
   * A node that lacks addresses for longer, while every bucket has tokens, has been forgotten (ms). Far above what calls, reports and a
   * slow machine take.
   */
  readonly idleBoundMs: number
  /** Whether a call of this action changes something, and is one that a controller makes. */
  isMutating(action: string): boolean
  /** @returns undefined for a type that the cloud does not have. @throws PlanError for what the cloud cannot do at all */
  capacityOf(instanceType: string, plan: Pick<WorldPlan, 'prefixDelegation'>): NodeCapacity | undefined
  /**
   * @param latency of calls, as `--latency` has it: `usual`, `none`, milliseconds or a range of them
   * @throws PlanError for a plan that the cloud cannot carry out, RangeError for one that is too large, InputError for the latency
   */
  create(plan: WorldPlan, clock: Clock, latency: string): SimulatedCloud
  /** Loads the provider and its SDK, so that nothing touches a file later. */
  loadProvider(): Promise<void>
  /** The buckets of a new account. */
  readonly documentedThrottle: ThrottleTable
  /**
   * What limits how fast nodes get their first addresses: of the buckets of each cut every node needs at least one token, so that no
   * cut can be passed faster than its buckets together allow. A call that costs several tokens has a smaller bucket here.
   *
   * @param throttle undefined: nothing is limited
   */
  firstAddressCuts(throttle: ThrottleTable | undefined): readonly (readonly BucketRate[])[]
}
