import { USUAL_LATENCY, createEC2Simulator } from '../../simulators/aws/index.ts'
import type { EC2Simulator, Latency, ThrottleChoice } from '../../simulators/aws/index.ts'
import { parseThrottle } from '../../simulators/kit/rate-limit.ts'
import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { Clock } from '../runtime/clock.ts'
import { CloudAccount } from './cloud-account.ts'
import type { NodeCapacity } from './simulated-node.ts'
import { VPC_ID, planNetwork } from './network-plan.ts'
import { instanceTypesOf, nodeCapacities, podsPerNode } from './node-capacity.ts'
import { PlanError } from './world-plan.ts'
import type { WorldEndpoints, WorldPlan } from './world-plan.ts'

export const REGION = 'us-east-1'
const LOOPBACK = '127.0.0.1'
/** What AWS grants before anybody asks (count); larger clusters are given what they can use. */
const DEFAULT_INTERFACE_QUOTA = 5000
/** Free addresses that a node keeps, rounded up generously for prefixes (count). */
const SPARE_ADDRESSES = 48

/** EC2 and Kubernetes of a simulated cluster, in process. */
export interface Simulators {
  readonly ec2: EC2Simulator
  readonly account: CloudAccount
  readonly kubernetes: KubernetesSimulator
  /** By instance type. */
  readonly capacities: ReadonlyMap<string, NodeCapacity>
  /** Limits of the account that were raised for the plan (counts). */
  readonly quotas: { readonly interfaces: number }
}

export interface OpenSimulators extends Simulators {
  readonly endpoints: WorldEndpoints
  /** Stops listening; open connections are cut. */
  close(): Promise<void>
}

/**
 * The simulators with a network large enough for the plan.
 *
 * @param latency how long cloud calls take
 * @throws PlanError when the plan asks for what the simulators do not have
 */
export function createSimulators(plan: WorldPlan, clock: Clock, latency: Latency = USUAL_LATENCY): Simulators {
  const capacities = nodeCapacities(plan)
  const most = (count: (capacity: NodeCapacity) => number): number => Math.max(...[...capacities.values()].map(count))
  const network = planNetwork(REGION, plan.nodes * most((capacity) => addressesPerNode(plan, capacity)))
  const quotas = { interfaces: Math.max(DEFAULT_INTERFACE_QUOTA, plan.nodes * most(({ interfaces }) => interfaces)) }
  const ec2 = createEC2Simulator({
    clock,
    seed: plan.seed,
    throttle: throttleOf(plan.throttle),
    latency,
    world: network.world,
    settings: { region: REGION, quotas },
  })
  return {
    ec2,
    account: new CloudAccount(ec2, { subnetIDs: network.subnetIDs, instanceTypes: instanceTypesOf(plan) }),
    kubernetes: createKubernetesSimulator({ clock, seed: plan.seed }),
    capacities,
    quotas,
  }
}

/** The same, listening on free loopback ports. @throws PlanError as `createSimulators` */
export async function openSimulators(plan: WorldPlan, clock: Clock): Promise<OpenSimulators> {
  const simulators = createSimulators(plan, clock)
  const { ec2, kubernetes } = simulators
  const ec2Server = await ec2.listen({ host: LOOPBACK, port: 0 })
  const kubernetesServer = await kubernetes.listen({ host: LOOPBACK, port: 0 })
  return {
    ...simulators,
    endpoints: {
      ec2URL: ec2Server.url,
      kubernetesURL: kubernetesServer.url,
      kubeconfig: kubernetes.kubeconfig(kubernetesServer.url),
      region: REGION,
      vpcID: VPC_ID,
    },
    async close() {
      kubernetes.close()
      await Promise.all([ec2Server.close(), kubernetesServer.close()])
    },
  }
}

/** What a node may come to use, the primary addresses included (count). */
function addressesPerNode(plan: WorldPlan, capacity: NodeCapacity): number {
  const busy = 2 * podsPerNode(plan, capacity) + SPARE_ADDRESSES
  return Math.min(capacity.podAddresses, busy) + capacity.interfaces
}

function throttleOf(value: unknown): ThrottleChoice {
  if (value === 'documented' || value === 'none') return value
  try {
    return parseThrottle(value)
  } catch (error) {
    throw new PlanError(error instanceof Error ? error.message : String(error))
  }
}
