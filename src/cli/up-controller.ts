import type { DestinationStream } from 'pino'
import { loadConfig } from '../config/load.ts'
import { CLOUD_FACTS } from '../fleet/cloud-facts.ts'
import type { WorldEndpoints, WorldPlan } from '../fleet/world-plan.ts'
import { findClusterAccess } from '../kubernetes/cluster-access.ts'
import { httpsTransport } from '../kubernetes/https-transport.ts'
import { systemClock } from '../runtime/clock.ts'
import { systemRandom } from '../runtime/random.ts'
import { createLogger } from '../telemetry/logger.ts'
import { startController } from './controller.ts'
import type { ControllerHandle } from './controller.ts'
import type { InstanceMetadata } from './controller-metadata.ts'

export interface UpControllerOptions {
  readonly plan: WorldPlan
  readonly endpoints: WorldEndpoints
  readonly kubeconfigPath: string
  /** Takes the log, one JSON object a line. */
  readonly destination: DestinationStream
}

/** The simulated machine has no such service: what it would say is configured. */
const NO_METADATA: InstanceMetadata = {
  region: () => Promise.reject(new Error('berth up has no metadata service')),
  vpcID: () => Promise.reject(new Error('berth up has no metadata service')),
  instanceID: () => Promise.reject(new Error('berth up has no metadata service')),
}

/**
 * The controller as `berth controller` runs it, through the same flags, kubeconfig and wires, pointed at a simulated world.
 *
 * @throws ConfigError, StartError, ListenError, ClusterAccessError
 */
export async function startUpController(options: UpControllerOptions): Promise<ControllerHandle> {
  const { plan, endpoints, kubeconfigPath, destination } = options
  const clock = systemClock()
  const { config } = loadConfig(controllerArguments(endpoints, kubeconfigPath), {})
  const access = await findClusterAccess({ kubeconfigPath, apiServer: '', environment: {} })
  return startController({
    config,
    transport: httpsTransport(access, clock),
    leaseTransport: httpsTransport(access, clock),
    source: access.source,
    namespace: config.kubernetes.namespace,
    identity: 'berth-up',
    metadata: NO_METADATA,
    ...CLOUD_FACTS[plan.cloud].access,
    log: createLogger({ level: config.telemetry.logLevel, destination, pretty: false, clock }),
    clock,
    random: systemRandom,
  })
}

/** The command line of `berth controller` that would do the same. */
export function controllerArguments(
  { controllerFlags }: Pick<WorldEndpoints, 'controllerFlags'>,
  kubeconfigPath: string,
): readonly string[] {
  return [
    '--cluster-name=berth-up',
    `--kubeconfig=${kubeconfigPath}`,
    '--k8s-namespace=kube-system',
    ...controllerFlags,
    '--operator-prometheus-serve-addr=127.0.0.1:0',
    // Calls may wait in long queues here, and a person waits for the prompt.
    '--shutdown-grace-period=4s',
  ]
}
