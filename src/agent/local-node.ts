import { isDeepStrictEqual } from 'node:util'
import type { PoolAllocation, PoolRequest, ReleaseStatus } from '../ipam/cilium-node.ts'
import { parseAddress } from '../ipam/ip-range.ts'
import type { AllocationIP, JSONObject, JSONValue, Tags } from '../ipam/types.ts'
import type { Family } from './family.ts'
import type { NodeInterface } from './node-interfaces.ts'
import { alibabaCloudInterfaces, azureInterfaces, eniInterfaces } from './node-interfaces.ts'
import { countIn, isObject, listIn, objectIn, textIn, textsIn } from './read-json.ts'

/** An entry of `spec.ipam.pool`. */
export interface PoolEntry extends AllocationIP {
  /** Undefined: the key is no address; nobody can be given it. */
  readonly family: Family | undefined
}

/** An entry of `spec.ipam.pools.allocated`. Its CIDRs may be open to their first and last address (by 1.21). */
export interface NodePool extends PoolAllocation {
  readonly allowFirstIP: boolean
  readonly allowLastIP: boolean
}

/**
 * The node's own CiliumNode as its agent reads it: leniently, since one odd field must not take the node's addresses away. Keys
 * that are addresses are canonical; those that are not stay as they are.
 *
 * @source cilium pkg/k8s/apis/cilium.io/v2/types.go, CiliumNode
 */
export interface LocalNode {
  readonly name: string
  readonly resourceVersion: string
  /** Absent and empty differ: an agent waits for the first. */
  readonly pool: ReadonlyMap<string, PoolEntry> | undefined
  /** Keys as written. */
  readonly used: ReadonlyMap<string, AllocationIP>
  /** Keys as written. A text that is no state of the protocol is left out: nobody answers it. */
  readonly releaseIPs: ReadonlyMap<string, ReleaseStatus>
  /** Counts of addresses; 0 when not set. */
  readonly minAllocate: number
  readonly preAllocate: number
  readonly staticIPTags: Tags
  readonly assignedStaticIP: string
  /** As listed, both families. */
  readonly podCIDRs: readonly string[]
  /** Of cluster-pool-v2beta (counts of addresses); 0 when not set. */
  readonly podCIDRThresholds: { readonly allocation: number; readonly release: number }
  /** `status.ipam.pod-cidrs`: CIDR text → status. */
  readonly podCIDRStatus: ReadonlyMap<string, string>
  readonly requested: readonly PoolRequest[]
  readonly allocated: readonly NodePool[]
  /** Interface ID → interface, sorted by ID. A cloud that the node is not of has none. */
  readonly eni: ReadonlyMap<string, NodeInterface>
  readonly azure: ReadonlyMap<string, NodeInterface>
  readonly alibabaCloud: ReadonlyMap<string, NodeInterface>
  /** `spec.alibaba-cloud.cidr-block`. */
  readonly alibabaCloudCIDRBlock: string
  /** `spec.eni` as it is: which interfaces are the agent's business. */
  readonly eniSpec: JSONObject
}

/** What names a version of a resource. Texts are empty when missing. */
export function identityOf(json: JSONObject): { readonly name: string; readonly resourceVersion: string } {
  const metadata = objectIn(json, 'metadata')
  return { name: textIn(metadata, 'name'), resourceVersion: textIn(metadata, 'resourceVersion') }
}

const RELEASE_STATES: readonly string[] = [
  'marked-for-release',
  'ready-for-release',
  'do-not-release',
  'released',
] satisfies readonly ReleaseStatus[]

/** @returns never fails: what cannot be read counts as absent */
export function decodeLocalNode(json: JSONObject): LocalNode {
  const spec = objectIn(json, 'spec')
  const status = objectIn(json, 'status')
  const ipam = objectIn(spec, 'ipam')
  const ipamStatus = objectIn(status, 'ipam')
  const pool = ipam['pool']
  return {
    ...identityOf(json),
    pool: isObject(pool) ? decodePool(pool) : undefined,
    used: decodeUsed(objectIn(ipamStatus, 'used')),
    releaseIPs: decodeReleaseIPs(objectIn(ipamStatus, 'release-ips')),
    minAllocate: countIn(ipam, 'min-allocate'),
    preAllocate: countIn(ipam, 'pre-allocate'),
    staticIPTags: tagsIn(ipam, 'static-ip-tags'),
    assignedStaticIP: textIn(ipamStatus, 'assigned-static-ip'),
    podCIDRs: textsIn(ipam, 'podCIDRs'),
    podCIDRThresholds: {
      allocation: countIn(ipam, 'pod-cidr-allocation-threshold'),
      release: countIn(ipam, 'pod-cidr-release-threshold'),
    },
    podCIDRStatus: decodePodCIDRStatus(objectIn(ipamStatus, 'pod-cidrs')),
    requested: decodeRequested(listIn(objectIn(ipam, 'pools'), 'requested')),
    allocated: decodeAllocated(listIn(objectIn(ipam, 'pools'), 'allocated')),
    eni: eniInterfaces(objectIn(objectIn(status, 'eni'), 'enis')),
    azure: azureInterfaces(listIn(objectIn(status, 'azure'), 'interfaces')),
    alibabaCloud: alibabaCloudInterfaces(objectIn(objectIn(status, 'alibaba-cloud'), 'enis')),
    alibabaCloudCIDRBlock: textIn(objectIn(spec, 'alibaba-cloud'), 'cidr-block'),
    eniSpec: objectIn(spec, 'eni'),
  }
}

/** Whether two versions say the same in all that an agent reads: what else has changed is not its business. */
export function isSameContent(left: LocalNode, right: LocalNode): boolean {
  return isDeepStrictEqual({ ...left, resourceVersion: '' }, { ...right, resourceVersion: '' })
}

/** Entries without owner that name the same interface are one object: a node has hundreds of addresses, and few interfaces. */
function decodePool(pool: JSONObject): Map<string, PoolEntry> {
  const unowned = new Map<string, PoolEntry>()
  const entries = new Map<string, PoolEntry>()
  for (const key in pool) {
    const address = parseAddress(key)
    const family = address?.family
    const entry: PoolEntry = { family, ...allocationIP(pool[key]) }
    const text = address === undefined || address.text === key ? key : address.text
    if (entry.owner !== undefined) {
      entries.set(text, entry)
      continue
    }
    const kind = `${family} ${entry.resource}`
    const known = unowned.get(kind)
    if (known === undefined) unowned.set(kind, entry)
    entries.set(text, known ?? entry)
  }
  return entries
}

/** Keys as the resource spells them: a patch that removes one must do so too. */
function decodeUsed(used: JSONObject): Map<string, AllocationIP> {
  return new Map(Object.entries(used).map(([key, value]): [string, AllocationIP] => [key, allocationIP(value)]))
}

function allocationIP(value: JSONValue | undefined): AllocationIP {
  const entry = isObject(value) ? value : {}
  const owner = textIn(entry, 'owner')
  const resource = textIn(entry, 'resource')
  return { ...(owner !== '' && { owner }), ...(resource !== '' && { resource }) }
}

function decodeReleaseIPs(entries: JSONObject): Map<string, ReleaseStatus> {
  const states = new Map<string, ReleaseStatus>()
  for (const [key, value] of Object.entries(entries)) {
    if (isReleaseStatus(value)) states.set(key, value)
  }
  return states
}

function isReleaseStatus(value: JSONValue | undefined): value is ReleaseStatus {
  return typeof value === 'string' && RELEASE_STATES.includes(value)
}

function decodePodCIDRStatus(entries: JSONObject): Map<string, string> {
  return new Map(Object.entries(entries).map(([cidr, value]) => [cidr, isObject(value) ? textIn(value, 'status') : '']))
}

function decodeRequested(entries: readonly JSONValue[]): readonly PoolRequest[] {
  return entries.filter(isObject).map((entry) => {
    const needed = objectIn(entry, 'needed')
    return {
      pool: textIn(entry, 'pool'),
      ipv4Addrs: countIn(needed, 'ipv4-addrs'),
      ipv6Addrs: countIn(needed, 'ipv6-addrs'),
    }
  })
}

function decodeAllocated(entries: readonly JSONValue[]): readonly NodePool[] {
  return entries
    .filter(isObject)
    .map((entry) => ({
      pool: textIn(entry, 'pool'),
      cidrs: textsIn(entry, 'cidrs'),
      allowFirstIP: entry['allowFirstIP'] === true,
      allowLastIP: entry['allowLastIP'] === true,
    }))
    .filter(({ pool }) => pool !== '')
}

function tagsIn(from: JSONObject, key: string): Tags {
  const tags = objectIn(from, key)
  return Object.fromEntries(
    Object.entries(tags).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
  )
}
