import type {
  CiliumNode,
  CiliumNodeSpec,
  CiliumNodeStatus,
  IPAMSpec,
  PoolAllocation,
  PoolRequest,
  ReleaseStatus,
} from '../ipam/cilium-node.ts'
import { RELEASE_STATUSES } from '../ipam/cilium-node.ts'
import type { AllocationIP, AllocationMap, JSONObject, JSONValue } from '../ipam/types.ts'
import { canonicalAddress, isCIDR } from './addresses.ts'
import { FieldReader } from './field-reader.ts'
import { isObject } from './json.ts'

/** What stays of a resource when nobody keeps the resource itself: enough to deliver its deletion. */
export interface CiliumNodeDigest {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly instanceID: string
}

export type DecodedCiliumNode =
  | { readonly kind: 'ok'; readonly node: CiliumNode }
  | {
      readonly kind: 'malformed'
      /** Empty when even that is missing. */
      readonly name: string
      readonly uid: string
      readonly resourceVersion: string
      /** `status.ipam.operator-status.error` as it stands. */
      readonly operatorError: string
      /** Path and what is wrong, one entry for each fault, at most `MAX_FAULTS`. */
      readonly faults: readonly string[]
    }

/** More faults than this are counted, not listed: the list ends up in a log line and in the node's own status. */
const MAX_FAULTS = 10

const IPAM_ANNOTATION_PREFIXES = ['ipam.cilium.io/', 'cilium.io/', 'ipam.berth.io/']

const isReleaseStatus = (text: string): text is ReleaseStatus => (RELEASE_STATUSES as readonly string[]).includes(text)

/**
 * A CiliumNode as JSON → the form that the controller works with. Keys of address maps become canonical. Fields of others are not
 * looked at, so that their changes cannot make a node unmanageable.
 *
 * @source cilium pkg/k8s/apis/cilium.io/v2/types.go, and its schema pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnodes.yaml
 */
export function decodeCiliumNode(json: JSONValue | undefined): DecodedCiliumNode {
  const reader = new FieldReader()
  const root = isObject(json) ? json : {}
  if (!isObject(json)) reader.fault('resource', 'expected an object')
  const metadata = reader.object(root, 'metadata', 'metadata')
  const name = reader.text(metadata, 'name', 'metadata.name')
  if (name === '') reader.fault('metadata.name', 'is missing')
  const node: CiliumNode = {
    name,
    uid: reader.text(metadata, 'uid', 'metadata.uid'),
    resourceVersion: reader.text(metadata, 'resourceVersion', 'metadata.resourceVersion'),
    ownerReferenceCount: reader.list(metadata, 'ownerReferences', 'metadata.ownerReferences').length,
    annotations: ipamAnnotations(reader.texts(metadata, 'annotations', 'metadata.annotations')),
    isBeingDeleted: reader.text(metadata, 'deletionTimestamp', 'metadata.deletionTimestamp') !== '',
    spec: decodeSpec(reader, reader.object(root, 'spec', 'spec')),
    status: decodeStatus(reader, reader.object(root, 'status', 'status')),
  }
  if (reader.faults.length === 0) return { kind: 'ok', node }
  return {
    kind: 'malformed',
    name,
    uid: node.uid,
    resourceVersion: node.resourceVersion,
    operatorError: node.status.operatorError,
    faults: shortened(reader.faults),
  }
}

export function digestOf(node: CiliumNode): CiliumNodeDigest {
  const { name, uid, resourceVersion } = node
  return { name, uid, resourceVersion, instanceID: node.spec.instanceID }
}

/** The resource as far as a digest knows it: what a deletion that was found by a list is delivered with. */
export function ciliumNodeOfDigest(digest: CiliumNodeDigest): CiliumNode {
  return {
    name: digest.name,
    uid: digest.uid,
    resourceVersion: digest.resourceVersion,
    ownerReferenceCount: 0,
    annotations: {},
    isBeingDeleted: true,
    spec: { ...decodeSpec(new FieldReader(), undefined), instanceID: digest.instanceID },
    status: decodeStatus(new FieldReader(), undefined),
  }
}

function decodeSpec(reader: FieldReader, spec: JSONObject | undefined): CiliumNodeSpec {
  const eni = reader.object(spec, 'eni', 'spec.eni')
  const azure = reader.object(spec, 'azure', 'spec.azure')
  const alibabaCloud = reader.object(spec, 'alibaba-cloud', 'spec.alibaba-cloud')
  return {
    instanceID: reader.text(spec, 'instance-id', 'spec.instance-id'),
    ipam: decodeIPAMSpec(reader, reader.object(spec, 'ipam', 'spec.ipam')),
    ...(eni !== undefined && { eni }),
    ...(azure !== undefined && { azure }),
    ...(alibabaCloud !== undefined && { alibabaCloud }),
  }
}

function decodeIPAMSpec(reader: FieldReader, ipam: JSONObject | undefined): IPAMSpec {
  const pool = reader.object(ipam, 'pool', 'spec.ipam.pool')
  const pools = reader.object(ipam, 'pools', 'spec.ipam.pools')
  return {
    ...(pool !== undefined && { pool: decodeAllocations(reader, pool, 'spec.ipam.pool') }),
    requested: entriesOf(reader, pools, 'requested').map(({ entry, path }) => decodeRequest(reader, entry, path)),
    allocated: entriesOf(reader, pools, 'allocated').map(({ entry, path }) => decodeAllocated(reader, entry, path)),
    preAllocate: reader.count(ipam, 'pre-allocate', 'spec.ipam.pre-allocate'),
    minAllocate: reader.count(ipam, 'min-allocate', 'spec.ipam.min-allocate'),
    maxAllocate: reader.count(ipam, 'max-allocate', 'spec.ipam.max-allocate'),
    maxAboveWatermark: reader.count(ipam, 'max-above-watermark', 'spec.ipam.max-above-watermark'),
    staticIPTags: reader.texts(ipam, 'static-ip-tags', 'spec.ipam.static-ip-tags'),
  }
}

function decodeRequest(reader: FieldReader, entry: JSONObject, path: string): PoolRequest {
  const needed = reader.object(entry, 'needed', `${path}.needed`)
  return {
    pool: decodePoolName(reader, entry, path),
    ipv4Addrs: reader.count(needed, 'ipv4-addrs', `${path}.needed.ipv4-addrs`),
    ipv6Addrs: reader.count(needed, 'ipv6-addrs', `${path}.needed.ipv6-addrs`),
  }
}

function decodeAllocated(reader: FieldReader, entry: JSONObject, path: string): PoolAllocation {
  const cidrs: string[] = []
  for (const [index, cidr] of reader.list(entry, 'cidrs', `${path}.cidrs`).entries()) {
    if (typeof cidr === 'string' && isCIDR(cidr)) cidrs.push(cidr)
    else reader.fault(`${path}.cidrs[${index}]`, `expected a CIDR, found ${JSON.stringify(cidr)}`)
  }
  return { pool: decodePoolName(reader, entry, path), cidrs }
}

function decodePoolName(reader: FieldReader, entry: JSONObject, path: string): string {
  const pool = reader.text(entry, 'pool', `${path}.pool`)
  if (pool === '') reader.fault(`${path}.pool`, 'is missing')
  return pool
}

function decodeStatus(reader: FieldReader, status: JSONObject | undefined): CiliumNodeStatus {
  const ipam = reader.object(status, 'ipam', 'status.ipam')
  const eni = reader.object(status, 'eni', 'status.eni')
  const azure = reader.object(status, 'azure', 'status.azure')
  const alibabaCloud = reader.object(status, 'alibaba-cloud', 'status.alibaba-cloud')
  const operatorStatus = reader.object(ipam, 'operator-status', 'status.ipam.operator-status')
  return {
    used: decodeAllocations(reader, reader.object(ipam, 'used', 'status.ipam.used') ?? {}, 'status.ipam.used'),
    releaseIPs: decodeReleaseIPs(reader, ipam),
    assignedStaticIP: reader.text(ipam, 'assigned-static-ip', 'status.ipam.assigned-static-ip'),
    operatorError: reader.text(operatorStatus, 'error', 'status.ipam.operator-status.error'),
    ...(eni !== undefined && { eni }),
    ...(azure !== undefined && { azure }),
    ...(alibabaCloud !== undefined && { alibabaCloud }),
  }
}

/** Keys as the resource spells them, where that is not the canonical text: a patch that removes a key must use this spelling. */
const foreignSpellings = new WeakMap<object, ReadonlyMap<string, string>>()

/** The spelling of an address in the resource that `map` was decoded from. */
export function spellingOf(map: object | undefined, address: string): string {
  return (map === undefined ? undefined : foreignSpellings.get(map)?.get(address)) ?? address
}

function decodeAllocations(reader: FieldReader, entries: JSONObject, path: string): AllocationMap {
  return decodeAddressMap(reader, entries, path, (value, entryPath): AllocationIP => {
    if (value !== null && value !== undefined && !isObject(value)) {
      reader.fault(entryPath, `expected an object, found ${JSON.stringify(value)}`)
      return {}
    }
    const owner = reader.text(value ?? undefined, 'owner', `${entryPath}.owner`)
    const resource = reader.text(value ?? undefined, 'resource', `${entryPath}.resource`)
    return { ...(owner !== '' && { owner }), ...(resource !== '' && { resource }) }
  })
}

function decodeReleaseIPs(reader: FieldReader, ipam: JSONObject | undefined): ReadonlyMap<string, ReleaseStatus> {
  const path = 'status.ipam.release-ips'
  const entries = reader.object(ipam, 'release-ips', path) ?? {}
  return decodeAddressMap(reader, entries, path, (value, entryPath): ReleaseStatus => {
    if (typeof value === 'string' && isReleaseStatus(value)) return value
    reader.fault(entryPath, `expected one of ${RELEASE_STATUSES.join(', ')}, found ${JSON.stringify(value)}`)
    return 'do-not-release'
  })
}

function decodeAddressMap<T>(
  reader: FieldReader,
  entries: JSONObject,
  path: string,
  decodeValue: (value: JSONValue | undefined, path: string) => T,
): ReadonlyMap<string, T> {
  const map = new Map<string, T>()
  let foreign: Map<string, string> | undefined
  for (const key in entries) {
    const address = canonicalAddress(key)
    if (address === undefined) {
      reader.fault(`${path}['${key}']`, 'the key is not an IP address')
      continue
    }
    if (address !== key) (foreign ??= new Map()).set(address, key)
    map.set(address, decodeValue(entries[key], `${path}['${key}']`))
  }
  if (foreign !== undefined) foreignSpellings.set(map, foreign)
  return map
}

function entriesOf(
  reader: FieldReader,
  pools: JSONObject | undefined,
  key: 'requested' | 'allocated',
): { entry: JSONObject; path: string }[] {
  const path = `spec.ipam.pools.${key}`
  return reader.list(pools, key, path).flatMap((entry, index) => {
    if (isObject(entry)) return [{ entry, path: `${path}[${index}]` }]
    reader.fault(`${path}[${index}]`, `expected an object, found ${JSON.stringify(entry)}`)
    return []
  })
}

function ipamAnnotations(all: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(all).filter(([key]) => IPAM_ANNOTATION_PREFIXES.some((prefix) => key.startsWith(prefix))),
  )
}

function shortened(faults: readonly string[]): readonly string[] {
  if (faults.length <= MAX_FAULTS) return faults
  return [...faults.slice(0, MAX_FAULTS), `and ${faults.length - MAX_FAULTS} more`]
}

/** The wire form of what a `CiliumNode` holds, for creation: without status, which a creation ignores. */
export function encodeCiliumNode(node: CiliumNode): JSONObject {
  const { ipam, instanceID, eni, azure, alibabaCloud } = node.spec
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name: node.name, ...(Object.keys(node.annotations).length > 0 && { annotations: node.annotations }) },
    spec: {
      ...(instanceID !== '' && { 'instance-id': instanceID }),
      ipam: {
        ...(ipam.pool !== undefined && {
          pool: Object.fromEntries([...ipam.pool].map(([ip, entry]) => [ip, { ...entry }])),
        }),
        ...(ipam.preAllocate !== 0 && { 'pre-allocate': ipam.preAllocate }),
        ...(ipam.minAllocate !== 0 && { 'min-allocate': ipam.minAllocate }),
        ...(ipam.maxAllocate !== 0 && { 'max-allocate': ipam.maxAllocate }),
        ...(ipam.maxAboveWatermark !== 0 && { 'max-above-watermark': ipam.maxAboveWatermark }),
        ...(Object.keys(ipam.staticIPTags).length > 0 && { 'static-ip-tags': ipam.staticIPTags }),
      },
      ...(eni !== undefined && { eni }),
      ...(azure !== undefined && { azure }),
      ...(alibabaCloud !== undefined && { 'alibaba-cloud': alibabaCloud }),
    },
  }
}
