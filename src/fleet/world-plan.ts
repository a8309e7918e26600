/** Which generation the simulated agents are of; `mixed` alternates. */
export const AGENT_GENERATIONS = ['pool', 'multi-pool', 'mixed'] as const
export type AgentGenerations = (typeof AGENT_GENERATIONS)[number]

/** Clouds that a world can be in. */
export const CLOUD_NAMES = ['aws', 'azure'] as const
export type CloudName = (typeof CLOUD_NAMES)[number]

/** What a simulated world is made of. Plain data: it travels to the world's process. */
export interface WorldPlan {
  readonly cloud: CloudName
  /** Nodes of the cluster (count). */
  readonly nodes: number
  /** One type of the cloud, or several with their shares: `m5.large:3,m5.xlarge:1`. */
  readonly instanceType: string
  /** Whether the controller is told to delegate prefixes: says what an instance can carry. */
  readonly prefixDelegation: boolean
  /** Pods that each node starts with (count); undefined = as many as are usual, or as fit. */
  readonly podsPerNode: number | undefined
  /** Pods that come, and as many that go, in a second over the whole cluster (count). */
  readonly podsPerSecond: number
  readonly agentGeneration: AgentGenerations
  /** `documented`, `none`, or the content of a throttle file. */
  readonly throttle: unknown
  readonly seed: number
  /** `spec.ipam` of the nodes, taken in turn; absent: the defaults of Cilium's flags. */
  readonly nodeIPAM?: readonly Readonly<Record<string, number>>[]
  /** Pods that a node comes to run (count), where it is more than it starts with: the network has to have room. */
  readonly peakPodsPerNode?: number
  /** Least time between two writes of one agent (ms). Real agents: 15 000. */
  readonly agentUpdateIntervalMs: number
}

/** How the controller reaches the world. */
export interface WorldEndpoints {
  readonly cloudURL: string
  readonly kubernetesURL: string
  /** YAML. */
  readonly kubeconfig: string
  /** Flags of `berth controller` that mean this cloud account. */
  readonly controllerFlags: readonly string[]
  /** What a shell needs to speak to the cloud: `export` lines. */
  readonly exportLines: readonly string[]
}

/** What is wrong with a plan: one line for people. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}
