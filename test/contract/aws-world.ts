import { EC2API } from '../../providers/aws/api.ts'
import { createAWSProvider, EC2_BUCKETS, isThrottled, type AWSProviderConfig } from '../../providers/aws/index.ts'
import { terminateInstance } from '../../simulators/aws/cloud/instances.ts'
import { createEC2Simulator, type EC2Simulator, type EC2SimulatorOptions } from '../../simulators/aws/index.ts'
import { saveWorld, type World } from '../../simulators/aws/world.ts'
import type { FaultRule } from '../../simulators/kit/faults.ts'
import { createAPIBudget } from '../../src/budget/api-budget.ts'
import { addressesOfPrefix } from '../../src/ipam/ip-range.ts'
import type { Logger } from '../../src/ipam/contracts.ts'
import { assertNever } from '../../src/runtime/assert.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { clientOf } from '../conformance/adapters/aws-world.ts'
import { PLAIN_CONFIG, resourceOf, SILENT, UNMEASURED } from '../conformance/adapters/aws-node.ts'
import { directHolder } from '../support/direct-holder.ts'
import { ManualClock } from '../support/manual-clock.ts'
import type { CallName, CloudInterface, ContractWorld, Failure } from './provider.contract.ts'

export const VPC_ID = 'vpc-0000000000000002a'
export const SUBNET_ID = 'subnet-0000000000000002a'
const ZONE = 'us-east-1a'

const ACTIONS: Readonly<Record<CallName, string>> = {
  create: 'CreateNetworkInterface',
  attach: 'AttachNetworkInterface',
  assign: 'AssignPrivateIpAddresses',
  unassign: 'UnassignPrivateIpAddresses',
  listInterfaces: 'DescribeNetworkInterfaces',
  listSubnets: 'DescribeSubnets',
}

export interface AWSWorldOptions {
  readonly config?: Partial<AWSProviderConfig>
  readonly instanceType?: string
  readonly eni?: Readonly<Record<string, string | number | boolean>>
  readonly settings?: NonNullable<EC2SimulatorOptions['settings']>
  readonly subnetCIDR?: string
  readonly otherSubnets?: readonly { readonly subnetId: string; readonly cidrBlock: string }[]
  readonly log?: Logger
}

export interface AWSWorld extends ContractWorld {
  readonly simulator: EC2Simulator
  /** The calls that a provider makes, without a provider. */
  readonly api: EC2API
  /** Calls of one action so far, e.g. `DescribeSubnets` (count). */
  callsOf(action: string): number
  /** The whole account as it is now. */
  account(): World
}

/** The EC2 simulator with an AWS provider on it, over its wire in process. */
export async function makeAWSWorld(options: AWSWorldOptions = {}): Promise<AWSWorld> {
  const clock = new ManualClock()
  const simulator = createEC2Simulator({
    clock,
    throttle: 'none',
    ...(options.settings !== undefined && { settings: options.settings }),
    world: {
      version: 1,
      vpcs: [{ vpcId: VPC_ID, cidrBlock: '10.0.0.0/16' }],
      subnets: [
        { subnetId: SUBNET_ID, vpcId: VPC_ID, cidrBlock: options.subnetCIDR ?? '10.0.0.0/22', availabilityZone: ZONE },
        ...(options.otherSubnets ?? []).map((subnet) => ({ ...subnet, vpcId: VPC_ID, availabilityZone: ZONE })),
      ],
    },
  })
  const client = clientOf(simulator)
  const budget = createAPIBudget({
    table: EC2_BUCKETS,
    clock,
    random: seededRandom(7),
    isThrottled,
    holder: directHolder,
  })
  let seed = 10
  let process = new AbortController()
  const newProvider = () => {
    process.abort(new Error('the process ended'))
    process = new AbortController()
    return createAWSProvider(
      { ...PLAIN_CONFIG, vpcID: VPC_ID, ...options.config },
      {
        client,
        budget,
        clock,
        random: seededRandom((seed += 1)),
        log: options.log ?? SILENT,
        metrics: UNMEASURED,
        signal: process.signal,
      },
    )
  }
  const context = { priority: 'watermark', reason: 'prepare', signal: new AbortController().signal } as const
  let provider = newProvider()
  await provider.prepare(context)
  const instanceType = options.instanceType ?? 'm5.large'
  let nodeCount = 0

  const world: AWSWorld = {
    simulator,
    api: new EC2API({ client, budget, clock, log: options.log ?? SILENT, metrics: UNMEASURED }, 150),
    clock,
    get provider() {
      return provider
    },
    async restart() {
      provider = newProvider()
      await provider.prepare(context)
      return provider
    },
    addInstance() {
      const { instances } = simulator.makeInstances({ instanceType, subnetId: SUBNET_ID, count: 1 })
      const [instance] = instances
      nodeCount += 1
      return resourceOf({
        name: `node-${nodeCount}`,
        instanceID: instance?.instanceId ?? '',
        eni: {
          'instance-type': instanceType,
          'vpc-id': VPC_ID,
          'availability-zone': ZONE,
          'node-subnet-id': SUBNET_ID,
          'first-interface-index': 0,
          ...options.eni,
        },
      })
    },
    interfaces: () => saveWorld(simulator.cloud).networkInterfaces.map(cloudInterface),
    violations: () => simulator.check().map(({ rule, detail }) => `${rule}: ${detail}`),
    fail(call, failure, times) {
      simulator.faults.set(times === 0 ? [] : [ruleOf(ACTIONS[call], failure, times)])
    },
    interfaceReads: () => countCalls(simulator, (action) => action === 'DescribeNetworkInterfaces'),
    calls: () => countCalls(simulator, () => true),
    callsOf: (wanted) => countCalls(simulator, (action) => action === wanted),
    refused: () => simulator.calls.report().refused,
    leaveAddresses(count) {
      const subnet = simulator.cloud.subnet(SUBNET_ID)
      simulator.makeInstances({ instanceType, subnetId: SUBNET_ID, count: subnet.space.free - count })
    },
    removeInstance: (instanceID) => terminateInstance(simulator.cloud, simulator.cloud.instance(instanceID)),
    throttle: () => simulator.setThrottle('documented'),
    account: () => saveWorld(simulator.cloud),
  }
  return world
}

function cloudInterface(iface: World['networkInterfaces'][number]): CloudInterface {
  return {
    id: iface.networkInterfaceId,
    instanceID: iface.attachment?.instanceId,
    podAddresses: [
      ...iface.privateIpAddresses.slice(1),
      ...iface.ipv4Prefixes.flatMap((prefix) => addressesOfPrefix(prefix)),
    ],
    prefixes: iface.ipv4Prefixes,
  }
}

function countCalls(simulator: EC2Simulator, isCounted: (action: string) => boolean): number {
  return Object.entries(simulator.calls.report().actions)
    .filter(([action]) => isCounted(action))
    .reduce((sum, [, { attempts }]) => sum + attempts, 0)
}

function ruleOf(action: string, failure: Failure, times: number): FaultRule {
  const always = { action, probability: 1, count: times, fromCall: 1, untilCall: Number.POSITIVE_INFINITY }
  switch (failure) {
    case 'refused':
      return {
        ...always,
        where: 'before-effect',
        effect: { kind: 'error', code: 'UnauthorizedOperation', status: 403, message: 'You are not authorized' },
      }
    case 'serverError':
      return {
        ...always,
        where: 'before-effect',
        effect: { kind: 'error', code: 'InternalError', status: 500, message: 'An internal error has occurred' },
      }
    case 'dropped':
      return { ...always, where: 'before-effect', effect: { kind: 'drop' } }
    case 'lost':
      return { ...always, where: 'after-effect', effect: { kind: 'drop' } }
    case 'cut':
      return { ...always, where: 'after-effect', effect: { kind: 'truncate' } }
    default:
      return assertNever(failure)
  }
}
