import type { FaultRule } from '../../simulators/kit/faults.ts'
import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'
import type { AgentGenerations } from './world-plan.ts'

/** A course of events in a simulated fleet, and the fleet that it is about. Plain data, read by `scenario-file.ts`. */
export interface Scenario {
  readonly name: string
  /** One line for people. */
  readonly help: string
  /** What the command line may replace; undefined: its defaults. */
  readonly nodes: number | undefined
  readonly instanceType: string | undefined
  readonly prefixDelegation: boolean | undefined
  /** Pods that each node starts with (count). */
  readonly podsPerNode: number
  readonly agentGeneration: AgentGenerations
  /** `spec.ipam` of the nodes, taken in turn; at least one. */
  readonly nodeIPAM: readonly NodeIPAM[]
  readonly throttle: ScenarioThrottle
  /** How long cloud calls take: `usual`, `none`, milliseconds or a range of them. */
  readonly latency: string
  /** Further flags of `berth controller`. */
  readonly flags: readonly string[]
  readonly steps: readonly ScenarioStep[]
}

/** Watermarks by their names on the wire (counts of addresses). */
export type NodeIPAM = Readonly<Partial<Record<(typeof NODE_IPAM_KEYS)[number], number>>>

export const NODE_IPAM_KEYS = ['pre-allocate', 'min-allocate', 'max-allocate', 'max-above-watermark'] as const

/** The documented buckets, none, others, or the documented ones changed. */
export type ScenarioThrottle = 'documented' | 'none' | ThrottleTable | ChangedThrottle

/** The documented buckets in an account that is not like a new one. */
export interface ChangedThrottle {
  /** What others take of every refill (share, 0 to 1). */
  readonly neighbourShare: number
  /** Sizes and refills are multiplied by this (factor, above 0). */
  readonly scale: number
}

/** Nodes: so many (count), or a share of the plan's, in (0, 1]. */
export type NodeAmount = { readonly count: number } | { readonly share: number }

/** What happens; a step begins when the one before has begun, and not before `atMs` after the start of the scenario. */
export type ScenarioStep = ScenarioEvent & { readonly atMs?: number }

export type ScenarioEvent =
  | { readonly kind: 'startController' }
  /** The controller ends as a pod that is told to; its successor has to take over what is there. */
  | { readonly kind: 'stopController' }
  /** Without `perSecond` all at once. */
  | { readonly kind: 'join'; readonly nodes: NodeAmount; readonly perSecond: number | undefined }
  /** Nodes go, the oldest first, with their pods. */
  | { readonly kind: 'drain'; readonly nodes: NodeAmount; readonly perSecond: number | undefined }
  /** For each node that goes another one comes. */
  | { readonly kind: 'replace'; readonly nodes: NodeAmount; readonly perSecond: number }
  /** So many pods more on each of these nodes, which are spread over the fleet. */
  | { readonly kind: 'startPods'; readonly podsPerNode: number; readonly nodes: NodeAmount }
  /** Pods go, chosen by chance. */
  | { readonly kind: 'stopPods'; readonly share: number }
  /** Pods come, and as many go. */
  | { readonly kind: 'churn'; readonly podsPerSecondAndNode: number; readonly forMs: number }
  /** Others take addresses of every subnet until so many are left in each (count). */
  | { readonly kind: 'fillSubnets'; readonly leaveFree: number; readonly forMs: number }
  | { readonly kind: 'throttle'; readonly throttle: ScenarioThrottle; readonly forMs: number | undefined }
  | {
      readonly kind: 'fault'
      readonly target: 'cloud' | 'kubernetes'
      readonly rules: readonly FaultRule[]
      readonly forMs: number | undefined
    }
  | { readonly kind: 'wait'; readonly forMs: number }
  /** Waits until what has an end is over, every node has what it needs and no pod waits. */
  | { readonly kind: 'settle' }
  /** What was before is preparation: waits of nodes and calls count from here. */
  | { readonly kind: 'measure' }

/**
 * The buckets that are meant.
 *
 * @param documented those of a new account of the cloud
 * @returns undefined: nothing is limited
 */
export function throttleTableOf(choice: ScenarioThrottle, documented: ThrottleTable): ThrottleTable | undefined {
  if (choice === 'none') return undefined
  if (choice === 'documented') return documented
  if ('rules' in choice) return choice
  const { neighbourShare, scale } = choice
  return {
    ...documented,
    rules: documented.rules.map(({ bucket, size, refillPerSecond }) => ({
      bucket,
      // A bucket that never holds a whole token serves nobody.
      size: Math.max(1, Math.floor(size * scale)),
      refillPerSecond: refillPerSecond * scale,
    })),
    neighbours: neighbourShare === 0 ? [] : [{ bucket: '*', share: neighbourShare }],
  }
}

/** Of so many nodes (count, at least 1 of a share). */
export function amountOf(amount: NodeAmount, nodes: number): number {
  return 'count' in amount ? amount.count : Math.max(1, Math.round(amount.share * nodes))
}

/** Nodes for which the network has to have room: all that ever join. @param nodes of the plan (count) */
export function joiningNodes({ steps }: Pick<Scenario, 'steps'>, nodes: number): number {
  return steps.reduce((sum, step) => (step.kind === 'join' ? sum + amountOf(step.nodes, nodes) : sum), 0)
}

/** Pods that a node may come to run beyond those that come in place of others (count). */
export function peakPodsPerNode({ podsPerNode, steps }: Pick<Scenario, 'podsPerNode' | 'steps'>): number {
  return steps.reduce((sum, step) => (step.kind === 'startPods' ? sum + step.podsPerNode : sum), podsPerNode)
}
