import type { CiliumNode, IPAMSpec, ReleaseStatus } from './cilium-node.ts'
import type { ResourceDemand } from './resource-demand.ts'
import { demandOf } from './resource-demand.ts'
import type { AllocationIP, AllocationMap, JSONObject } from './types.ts'

/**
 * The newest version of a node's resource, packed: the few things that every decision reads as they are, the rest as short texts. A
 * fleet of 10,000 parsed resources would be some millions of small objects, which costs memory and garbage collection pauses; a few
 * texts a node cost neither.
 */
export interface SeenResource {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  /** Empty: the resource does not say. */
  readonly instanceID: string
  /** `status.ipam.release-ips`: usually empty, then the shared empty map. */
  readonly releaseIPs: ReadonlyMap<string, ReleaseStatus>
  /** Shared with the version before where neither part that it is taken from has changed. */
  readonly demand: ResourceDemand
  /** CIDRs of `spec.ipam.pools.allocated`, in its order, joined by spaces. */
  readonly allocatedCIDRs: string
  /** What a controller writes: the pool, the provider's section, the static address, the operator's error. */
  readonly own: string
  /** Everything else: written by the agent or by people. */
  readonly others: string
}

const NO_STATES: ReadonlyMap<string, ReleaseStatus> = new Map()

type PackedMap = Readonly<Record<string, string>>

interface OwnPart {
  readonly pool?: PackedMap
  readonly eni?: JSONObject
  readonly azure?: JSONObject
  readonly alibabaCloud?: JSONObject
  readonly assignedStaticIP: string
  readonly operatorError: string
}

interface OthersPart {
  readonly ownerReferenceCount: number
  readonly annotations: Readonly<Record<string, string>>
  readonly isBeingDeleted: boolean
  readonly ipam: Omit<IPAMSpec, 'pool'>
  readonly eni?: JSONObject
  readonly azure?: JSONObject
  readonly alibabaCloud?: JSONObject
  readonly used: PackedMap
}

/**
 * @param previous the version seen before: texts that did not change are shared with it
 */
export function packResource(node: CiliumNode, previous?: SeenResource): SeenResource {
  const own = JSON.stringify(ownPart(node))
  const others = JSON.stringify(othersPart(node))
  const isSameDemand =
    previous?.others === others && previous.demand.status.assignedStaticIP === node.status.assignedStaticIP
  return {
    name: previous?.name ?? node.name,
    uid: previous?.uid === node.uid ? previous.uid : node.uid,
    resourceVersion: node.resourceVersion,
    instanceID: previous?.instanceID === node.spec.instanceID ? previous.instanceID : node.spec.instanceID,
    releaseIPs: node.status.releaseIPs.size === 0 ? NO_STATES : node.status.releaseIPs,
    demand: isSameDemand ? previous.demand : demandOf(node),
    allocatedCIDRs: previous?.others === others ? previous.allocatedCIDRs : joinedCIDRs(node.spec.ipam),
    own: previous?.own === own ? previous.own : own,
    others: previous?.others === others ? previous.others : others,
  }
}

/** The resource again, apart from the owners in `status.ipam.used`, which no decision reads. A new object at every call. */
export function unpackResource(seen: SeenResource): CiliumNode {
  const own = JSON.parse(seen.own) as OwnPart
  const others = JSON.parse(seen.others) as OthersPart
  const { name, uid, resourceVersion, instanceID, releaseIPs } = seen
  return {
    name,
    uid,
    resourceVersion,
    ownerReferenceCount: others.ownerReferenceCount,
    annotations: others.annotations,
    isBeingDeleted: others.isBeingDeleted,
    spec: {
      instanceID,
      ipam: { ...others.ipam, ...(own.pool !== undefined && { pool: unpackMap(own.pool) }) },
      ...sections(others),
    },
    status: {
      used: unpackMap(others.used),
      releaseIPs,
      assignedStaticIP: own.assignedStaticIP,
      operatorError: own.operatorError,
      ...sections(own),
    },
  }
}

/** The CIDRs that the agent has taken over, of all pools. @source `spec.ipam.pools.allocated` */
export function allocatedCIDRs({ allocatedCIDRs: joined }: Pick<SeenResource, 'allocatedCIDRs'>): readonly string[] {
  return joined === '' ? [] : joined.split(' ')
}

function joinedCIDRs({ allocated }: Pick<IPAMSpec, 'allocated'>): string {
  return allocated.flatMap(({ cidrs }) => cidrs).join(' ')
}

/**
 * Whether `node` is an earlier version than the one seen: a watch may deliver one after our own write was answered.
 * Versions that are not whole numbers cannot be compared; such a one counts as newer.
 *
 * @source Kubernetes KEP-5504, comparable resource versions
 */
export function isOlderVersion(node: Pick<CiliumNode, 'uid' | 'resourceVersion'>, seen: SeenResource): boolean {
  const pattern = /^\d+$/
  if (node.uid !== seen.uid || !pattern.test(node.resourceVersion) || !pattern.test(seen.resourceVersion)) return false
  return BigInt(node.resourceVersion) < BigInt(seen.resourceVersion)
}

/** Whether `node` is the very version that was seen. */
export function isSameVersion(node: Pick<CiliumNode, 'uid' | 'resourceVersion'>, seen: SeenResource): boolean {
  return node.resourceVersion !== '' && node.resourceVersion === seen.resourceVersion && node.uid === seen.uid
}

function ownPart(node: CiliumNode): OwnPart {
  const { spec, status } = node
  return {
    ...(spec.ipam.pool !== undefined && { pool: packMap(spec.ipam.pool) }),
    ...sections(status),
    assignedStaticIP: status.assignedStaticIP,
    operatorError: status.operatorError,
  }
}

function othersPart(node: CiliumNode): OthersPart {
  const { pool: _pool, ...ipam } = node.spec.ipam
  return {
    ownerReferenceCount: node.ownerReferenceCount,
    annotations: node.annotations,
    isBeingDeleted: node.isBeingDeleted,
    ipam,
    ...sections(node.spec),
    used: packMap(node.status.used),
  }
}

interface Sections {
  readonly eni?: JSONObject
  readonly azure?: JSONObject
  readonly alibabaCloud?: JSONObject
}

function sections({ eni, azure, alibabaCloud }: Sections): Sections {
  return {
    ...(eni !== undefined && { eni }),
    ...(azure !== undefined && { azure }),
    ...(alibabaCloud !== undefined && { alibabaCloud }),
  }
}

/** Interface ID → its addresses, joined by spaces, in the order of the map. */
function packMap(map: AllocationMap): PackedMap {
  const lists = new Map<string, string[]>()
  for (const [address, { resource = '' }] of map) {
    const list = lists.get(resource)
    if (list === undefined) lists.set(resource, [address])
    else list.push(address)
  }
  return Object.fromEntries([...lists].map(([resource, list]) => [resource, list.join(' ')]))
}

function unpackMap(packed: PackedMap): AllocationMap {
  const map = new Map<string, AllocationIP>()
  for (const [resource, text] of Object.entries(packed)) {
    const entry: AllocationIP = resource === '' ? {} : { resource }
    for (const address of text.split(' ')) map.set(address, entry)
  }
  return map
}
