import { decodeENISpec } from '../../../providers/aws/eni-codec.ts'
import type { AWSProviderConfig, ENI, ENISpec } from '../../../providers/aws/types.ts'
import { createAWSProvider, type AWSProvider } from '../../../providers/aws/index.ts'
import type { APIBudget } from '../../../src/budget/contracts.ts'
import type { CiliumNode } from '../../../src/ipam/cilium-node.ts'
import type { CloudCallMetrics, Logger, NodeOperations } from '../../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../../src/ipam/errors.ts'
import type { JSONObject, Limits, RouteTable, SecurityGroup, Subnet, Tags } from '../../../src/ipam/types.ts'
import type { CallContext } from '../../../src/runtime/call-priority.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { ec2Error, ScriptedEC2, type ScriptedCall } from './aws-scripted-ec2.ts'

/** Forms of the vector file (`spec` of the AWS suite), as far as several kinds share them. */
export interface LimitsVector {
  readonly instanceType: string
  readonly adapters: number
  readonly ipv4: number
  readonly ipv6: number
  readonly hypervisor: string
  readonly bareMetal: boolean
}

export interface InterfaceVector {
  readonly id: string
  readonly number?: number
  readonly ip?: string
  readonly addresses?: readonly string[] | null
  readonly prefixes?: readonly string[] | null
  readonly subnet?: string
  readonly tags?: Tags | null
  readonly 'public-ip'?: string | null
  readonly 'ipv6-prefixes'?: readonly string[] | null
  readonly securityGroups?: readonly string[]
}

export interface SubnetVector {
  readonly id: string
  readonly vpc: string
  readonly az: string
  readonly available: number
  readonly tags?: Tags
}

export interface ErrorVector {
  readonly code: string
  readonly message?: string
}

/** One scripted answer: consumed by a call of its action only. */
export interface ResponseVector {
  readonly action?: string
  readonly error?: ErrorVector
  readonly assigned?: readonly string[]
}

export function limitsOf(limits: LimitsVector | null): Limits | undefined {
  if (limits === null) return undefined
  const { adapters, ipv4, ipv6, hypervisor, bareMetal } = limits
  return { adapters, ipv4, ipv6, hypervisorType: hypervisor, isBareMetal: bareMetal }
}

export function eniOf(iface: InterfaceVector): ENI {
  return {
    id: iface.id,
    ip: iface.ip ?? '',
    ipv6: '',
    mac: '',
    description: '',
    number: iface.number ?? 0,
    networkCardIndex: 0,
    interfaceType: 'interface',
    attachmentID: '',
    subnet: { id: iface.subnet ?? '', cidr: '' },
    vpc: { id: '', primaryCIDR: '', cidrs: [] },
    addresses: iface.addresses ?? [],
    prefixes: iface.prefixes ?? [],
    ipv6Prefixes: iface['ipv6-prefixes'] ?? [],
    securityGroups: iface.securityGroups ?? [],
    tags: iface.tags ?? {},
    publicIP: iface['public-ip'] ?? '',
  }
}

export function specOf(eni: JSONObject | undefined, limits?: LimitsVector | null): ENISpec {
  const spec = decodeENISpec(eni)
  return spec.instanceType === '' ? { ...spec, instanceType: limits?.instanceType ?? 'unknown' } : spec
}

export function subnetOf(subnet: SubnetVector): Subnet {
  return {
    id: subnet.id,
    name: '',
    cidr: '10.0.0.0/16',
    availabilityZone: subnet.az,
    virtualNetworkID: subnet.vpc,
    availableAddresses: subnet.available,
    tags: subnet.tags ?? {},
  }
}

export function subnetsOf(subnets: readonly SubnetVector[]): ReadonlyMap<string, Subnet> {
  return new Map(subnets.map((subnet) => [subnet.id, subnetOf(subnet)]))
}

export interface RouteTableVector {
  readonly id: string
  readonly vpc: string
  readonly subnets: readonly string[]
}

export function routeTablesOf(tables: readonly RouteTableVector[] | undefined): readonly RouteTable[] {
  return (tables ?? []).map(({ id, vpc, subnets }) => ({ id, virtualNetworkID: vpc, subnetIDs: new Set(subnets) }))
}

export function securityGroupsOf(
  groups: readonly { readonly id: string; readonly vpc: string; readonly tags?: Tags }[] | undefined,
): readonly SecurityGroup[] {
  return (groups ?? []).map(({ id, vpc, tags }) => ({ id, virtualNetworkID: vpc, tags: tags ?? {} }))
}

/** A resource with just what the provider reads. */
export function resourceOf(parts: {
  readonly name?: string
  readonly instanceID: string
  readonly eni?: JSONObject
  readonly statusENIs?: JSONObject
  readonly used?: readonly string[]
}): CiliumNode {
  return {
    name: parts.name ?? 'node1',
    uid: 'uid-1',
    resourceVersion: '1',
    ownerReferenceCount: 0,
    annotations: {},
    isBeingDeleted: false,
    spec: {
      instanceID: parts.instanceID,
      ipam: {
        requested: [],
        allocated: [],
        preAllocate: 0,
        minAllocate: 0,
        maxAllocate: 0,
        maxAboveWatermark: 0,
        staticIPTags: {},
      },
      ...(parts.eni !== undefined && { eni: parts.eni }),
    },
    status: {
      used: new Map((parts.used ?? []).map((address) => [address, {}])),
      releaseIPs: new Map(),
      assignedStaticIP: '',
      operatorError: '',
      ...(parts.statusENIs !== undefined && { eni: { enis: parts.statusENIs } }),
    },
  }
}

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} }
export const UNMEASURED: CloudCallMetrics = { observeAPICall() {}, observeRateLimit() {} }

/** A budget that lets everything through at once. */
export const UNLIMITED: APIBudget = {
  run: (_request, call) => call(),
  expectedWaitMs: () => 0,
  ledger: () => [],
}

export const PLAIN_CONFIG: AWSProviderConfig = {
  vpcID: '',
  subnetIDsFilter: [],
  subnetTagsFilter: {},
  instanceTagsFilter: {},
  eniTags: {},
  prefixDelegation: false,
  choosesAddresses: false,
  triesSiblingSubnets: false,
  usePrimaryAddress: false,
  maxResultsPerCall: 150,
  countsOnlyFirstNetworkCard: false,
  excludedInterfaceTypes: [],
  isFirstCardOnly: false,
  reservedAttachmentSlots: 0,
  instanceLimitMapping: new Map(),
  garbageCollection: undefined,
}

export function contextOf(signal: AbortSignal = new AbortController().signal): CallContext {
  return { priority: 'watermark', reason: 'test', signal }
}

/** What the world of a scripted node holds; the provider learns it through the SDK, as from EC2. */
export interface ScriptedWorld {
  readonly instanceID: string
  readonly eni: JSONObject
  readonly limits: LimitsVector | null
  readonly enis: readonly InterfaceVector[]
  readonly subnets?: readonly SubnetVector[]
  readonly routeTables?: readonly RouteTableVector[]
  readonly responses?: readonly (ResponseVector | null)[]
  readonly used?: readonly string[]
  readonly config?: Partial<AWSProviderConfig>
}

export interface ScriptedNode {
  readonly provider: AWSProvider
  readonly node: NodeOperations
  readonly ec2: ScriptedEC2
  readonly clock: ManualClock
  /** Addresses of an interface as the inventory has them now. */
  addressesOf(interfaceID: string): readonly string[]
  /** Runs the work in the background to its end. */
  settle(): Promise<void>
}

/** A node whose provider has read the world; the calls for that are not recorded. */
export async function scriptedNode(world: ScriptedWorld): Promise<ScriptedNode> {
  const clock = new ManualClock()
  const ec2 = new ScriptedEC2((call) => describeWorld(world, call))
  const provider = createAWSProvider(
    { ...PLAIN_CONFIG, ...world.config },
    {
      client: ec2.client,
      budget: UNLIMITED,
      clock,
      random: seededRandom(1),
      log: SILENT,
      metrics: UNMEASURED,
    },
  )
  await provider.prepare(contextOf())
  const eni = { 'instance-type': world.limits?.instanceType ?? 'unknown', ...world.eni }
  const statusENIs = Object.fromEntries(world.enis.map((iface) => [iface.id, statusOf(iface)]))
  const node = provider.createNode(
    resourceOf({ instanceID: world.instanceID, eni, statusENIs, ...(world.used && { used: world.used }) }),
  )
  ec2.calls.length = 0
  ec2.respond = scriptOf(world.responses ?? [])
  return {
    provider,
    node,
    ec2,
    clock,
    addressesOf: (interfaceID) => publishedAddresses(node, interfaceID),
    settle: () => settleWork(provider, clock),
  }
}

/** The longest that work in the background may go on in a vector: well above all its waits together (ms of virtual time). */
const LONGEST_WORK_MS = 15 * 60_000

/** Moves time until `work` is done. @throws when it does not end */
export async function driven<T>(work: Promise<T>, clock: ManualClock): Promise<T> {
  const state = { isDone: false }
  const done = work.finally(() => {
    state.isDone = true
  })
  done.catch(() => undefined)
  await clock.advance(0)
  for (let waitedMs = 0; !state.isDone && waitedMs < LONGEST_WORK_MS; waitedMs += 100) await clock.advance(100)
  if (!state.isDone) throw new Error('the operation does not end')
  return done
}

/** Moves time until no work is left in the background. @throws when it does not end */
export async function settleWork(provider: AWSProvider, clock: ManualClock): Promise<void> {
  await clock.advance(0)
  for (let waitedMs = 0; provider.pendingWorkCount > 0; waitedMs += 1000) {
    if (waitedMs > LONGEST_WORK_MS) throw new Error('work in the background does not end')
    await clock.advance(1000)
  }
}

function statusOf(iface: InterfaceVector): JSONObject {
  return {
    id: iface.id,
    // A vector's interface may lack what every real one has.
    ip: iface.ip || '192.0.2.1',
    number: iface.number ?? 0,
    subnet: { id: iface.subnet ?? '' },
    addresses: iface.addresses ?? [],
    prefixes: iface.prefixes ?? [],
    'ipv6-prefixes': iface['ipv6-prefixes'] ?? [],
    'security-groups': iface.securityGroups ?? [],
    tags: iface.tags ?? {},
    'public-ip': iface['public-ip'] ?? '',
  }
}

function publishedAddresses(node: NodeOperations, interfaceID: string): readonly string[] {
  const status = node.populateStatusFields()?.value as
    | { readonly enis: Readonly<Record<string, { readonly addresses?: readonly string[] }>> }
    | undefined
  return status?.enis[interfaceID]?.addresses ?? []
}

function describeWorld(world: ScriptedWorld, { action }: ScriptedCall): object | undefined {
  switch (action) {
    case 'DescribeSubnets':
      return {
        Subnets: (world.subnets ?? []).map((subnet) => ({
          SubnetId: subnet.id,
          VpcId: subnet.vpc,
          AvailabilityZone: subnet.az,
          CidrBlock: '10.0.0.0/16',
          AvailableIpAddressCount: subnet.available,
          Tags: Object.entries(subnet.tags ?? {}).map(([Key, Value]) => ({ Key, Value })),
        })),
      }
    case 'DescribeRouteTables':
      return {
        RouteTables: (world.routeTables ?? []).map(({ id, vpc, subnets }) => ({
          RouteTableId: id,
          VpcId: vpc,
          Associations: subnets.map((SubnetId) => ({ SubnetId, AssociationState: { State: 'associated' } })),
        })),
      }
    case 'DescribeInstanceTypes':
      return { InstanceTypes: world.limits === null ? [] : [instanceTypeOf(world.limits)] }
    default:
      return undefined
  }
}

export function instanceTypeOf(limits: LimitsVector): object {
  return {
    InstanceType: limits.instanceType,
    Hypervisor: limits.hypervisor === '' ? undefined : limits.hypervisor,
    BareMetal: limits.bareMetal,
    NetworkInfo: {
      MaximumNetworkInterfaces: limits.adapters,
      Ipv4AddressesPerInterface: limits.ipv4,
      Ipv6AddressesPerInterface: limits.ipv6,
    },
  }
}

/** Answers in the order of the file: `null` is consumed by any call, an entry only by a call of its action. */
export function scriptOf(responses: readonly (ResponseVector | null)[]): ScriptedEC2['respond'] {
  const left = [...responses]
  return ({ action }) => {
    const head = left[0]
    if (head === undefined) return undefined
    if (head === null) {
      left.shift()
      return undefined
    }
    if (head.action !== undefined && head.action !== action) return undefined
    left.shift()
    if (head.error !== undefined) return ec2Error(head.error.code, head.error.message ?? '')
    if (head.assigned !== undefined)
      return { AssignedPrivateIpAddresses: head.assigned.map((PrivateIpAddress) => ({ PrivateIpAddress })) }
    return undefined
  }
}

/** Error members as a vector wants them: `error` names the code, `errorContains` a part of the text. */
export function errorMembers(error: Error | undefined, expect: unknown): JSONObject {
  if (error === undefined) return {}
  const wanted = (expect as { readonly errorContains?: string } | undefined)?.errorContains
  const isContained = wanted !== undefined && error.message.toLowerCase().includes(wanted.toLowerCase())
  return {
    error: error instanceof CloudAPIError && error.code !== '' ? error.code : error.message,
    errorExpected: true,
    errorContains: isContained ? wanted : error.message,
  }
}
