import { DOCUMENTED_THROTTLE, createEC2Simulator, inProcessHandler, parseLatency } from '../../simulators/aws/index.ts'
import { AWSAccount, podAddressCapacity, typeLimits } from './aws-account.ts'
import { VPC_ID, planNetwork } from './aws-network.ts'
import { ratesOf } from './bounds.ts'
import { CLOUD_FACTS } from './cloud-facts.ts'
import { addressesPerNode, instanceTypesOf, nodeCapacities } from './node-capacity.ts'
import type { CloudKind, SimulatedCloud } from './simulated-cloud.ts'
import { throttleOf } from './throttle-plan.ts'

const REGION = 'us-east-1'
/** What AWS grants before anybody asks (count); larger clusters are given what they can use. */
const DEFAULT_INTERFACE_QUOTA = 5000
/** Far above what calls and reports take, and below the minute after which a full sync would find a forgotten node again (ms). */
const IDLE_BOUND_MS = 30_000

/** What the cluster's machines do themselves; no controller makes such calls. */
const WORLD_ACTIONS: ReadonlySet<string> = new Set(['TerminateInstances'])

/** Worlds in an AWS account: instances of one VPC, spread over four zones. */
export const AWS_CLOUD: CloudKind = {
  ...CLOUD_FACTS.aws,
  simulator: 'EC2 simulator',
  ownAgents: ['pool', 'multi-pool'],
  servingActions: [
    'AssignPrivateIpAddresses',
    'CreateNetworkInterface',
    'AttachNetworkInterface',
    'ModifyNetworkInterfaceAttribute',
  ],
  idleBoundMs: IDLE_BOUND_MS,
  isMutating: (action) => !/^(Describe|Get)/.test(action) && !WORLD_ACTIONS.has(action),
  capacityOf(instanceType, { prefixDelegation }) {
    const limits = typeLimits(instanceType)
    if (limits === undefined) return undefined
    const { interfaces, slotsPerInterface } = limits
    return { interfaces, slotsPerInterface, podAddresses: podAddressCapacity(limits, prefixDelegation) }
  },
  create(plan, clock, latency): SimulatedCloud {
    const capacities = nodeCapacities(plan, AWS_CLOUD)
    const interfacesPerNode = Math.max(...[...capacities.values()].map(({ interfaces }) => interfaces))
    const network = planNetwork(REGION, plan.nodes * addressesPerNode(plan, capacities))
    const quotas = { interfaces: Math.max(DEFAULT_INTERFACE_QUOTA, plan.nodes * interfacesPerNode) }
    const ec2 = createEC2Simulator({
      clock,
      seed: plan.seed,
      throttle: throttleOf(plan.throttle),
      latency: parseLatency(latency),
      world: network.world,
      settings: { region: REGION, quotas },
    })
    return {
      account: new AWSAccount(ec2, { subnetIDs: network.subnetIDs, instanceTypes: instanceTypesOf(plan) }),
      router: ec2.router,
      capacities,
      quotas,
      access: { aws: { ...CLOUD_FACTS.aws.access.aws, requestHandler: inProcessHandler(ec2.router) } },
      setThrottle: (choice) => ec2.setThrottle(choice),
      setFaults: (rules) => ec2.faults.set(rules),
      listen: (where) => ec2.listen(where),
      controllerFlags: (url) => [
        '--ipam=eni',
        ...(url === undefined ? [] : [`--ec2-api-endpoint=${url}`]),
        `--aws-region=${REGION}`,
        `--aws-vpc-id=${VPC_ID}`,
        `--aws-enable-prefix-delegation=${plan.prefixDelegation}`,
      ],
      exportLines: (url) => [
        `export AWS_ENDPOINT_URL_EC2=${url}`,
        `export AWS_REGION=${REGION} AWS_DEFAULT_REGION=${REGION} AWS_ACCESS_KEY_ID=berth AWS_SECRET_ACCESS_KEY=simulator`,
      ],
    }
  },
  async loadProvider() {
    await import('../../providers/aws/index.ts')
  },
  documentedThrottle: DOCUMENTED_THROTTLE,
  // Assigning to the first interface, or creating one and attaching it.
  firstAddressCuts: (throttle) => [
    ratesOf(throttle, ['AssignPrivateIpAddresses', 'CreateNetworkInterface']),
    ratesOf(throttle, ['AssignPrivateIpAddresses', 'AttachNetworkInterface']),
  ],
}
