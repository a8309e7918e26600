import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { Clock } from '../runtime/clock.ts'
import { CLOUDS } from './clouds.ts'
import type { SimulatedCloud } from './simulated-cloud.ts'
import type { WorldEndpoints, WorldPlan } from './world-plan.ts'

const LOOPBACK = '127.0.0.1'

/** The cloud and Kubernetes of a simulated cluster, in process. */
export interface Simulators {
  readonly cloud: SimulatedCloud
  readonly kubernetes: KubernetesSimulator
}

export interface OpenSimulators extends Simulators {
  readonly endpoints: WorldEndpoints
  /** Stops listening; open connections are cut. */
  close(): Promise<void>
}

/**
 * The simulators with a network large enough for the plan.
 *
 * @param latency of cloud calls: `usual`, `none`, milliseconds or a range of them
 * @throws PlanError when the plan asks for what the simulators do not have
 */
export function createSimulators(plan: WorldPlan, clock: Clock, latency = 'usual'): Simulators {
  return {
    cloud: CLOUDS[plan.cloud].create(plan, clock, latency),
    kubernetes: createKubernetesSimulator({ clock, seed: plan.seed }),
  }
}

/** The same, listening on free loopback ports. @throws PlanError as `createSimulators` */
export async function openSimulators(plan: WorldPlan, clock: Clock): Promise<OpenSimulators> {
  const simulators = createSimulators(plan, clock)
  const { cloud, kubernetes } = simulators
  const cloudServer = await cloud.listen({ host: LOOPBACK, port: 0 })
  const kubernetesServer = await kubernetes.listen({ host: LOOPBACK, port: 0 })
  return {
    ...simulators,
    endpoints: {
      cloudURL: cloudServer.url,
      kubernetesURL: kubernetesServer.url,
      kubeconfig: kubernetes.kubeconfig(kubernetesServer.url),
      controllerFlags: cloud.controllerFlags(cloudServer.url),
      exportLines: cloud.exportLines(cloudServer.url),
    },
    async close() {
      kubernetes.close()
      await Promise.all([cloudServer.close(), kubernetesServer.close()])
    },
  }
}
