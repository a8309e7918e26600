import type { PoolAllocation, PoolRequest } from '../ipam/cilium-node.ts'
import type { JSONObject } from '../ipam/types.ts'
import { isCIDR } from './addresses.ts'
import { FieldReader } from './field-reader.ts'
import { isObject } from './json.ts'

/** An entry of `spec.ipam.pools.allocated` as a whole: what is not written back is lost. */
export interface NodePoolEntry extends PoolAllocation {
  readonly allowFirstIP: boolean
  readonly allowLastIP: boolean
}

/**
 * A CiliumNode as the modes read it that give nodes CIDRs.
 *
 * What can be read counts although something else is wrong: a CIDR that a node holds must never be given to another one because its
 * resource has a fault elsewhere.
 *
 * @source cilium pkg/k8s/apis/cilium.io/v2/types.go, IPAMSpec and IPAMStatus
 */
export interface PoolNode {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly ownerReferenceCount: number
  readonly annotations: Readonly<Record<string, string>>
  /** `spec.ipam.podCIDRs` as written. */
  readonly podCIDRs: readonly string[]
  readonly requested: readonly PoolRequest[]
  readonly allocated: readonly NodePoolEntry[]
  /** `status.ipam.operator-status.error`; empty when fine. */
  readonly operatorError: string
  /** Path and what is wrong, one entry for each fault. */
  readonly faults: readonly string[]
}

/** What stays of a resource for its deletion. */
export type PoolNodeDigest = Pick<PoolNode, 'name' | 'uid'>

/** Faults that are told of one resource (count): they end up in its status. */
const MAX_FAULTS = 10

/** @returns undefined for what has no name or version, which no API server sends */
export function decodePoolNode(json: JSONObject): PoolNode | undefined {
  const reader = new FieldReader()
  const metadata = reader.object(json, 'metadata', 'metadata')
  const ipam = reader.object(reader.object(json, 'spec', 'spec'), 'ipam', 'spec.ipam')
  const pools = reader.object(ipam, 'pools', 'spec.ipam.pools')
  const status = reader.object(reader.object(json, 'status', 'status'), 'ipam', 'status.ipam')
  const operatorStatus = reader.object(status, 'operator-status', 'status.ipam.operator-status')
  const name = reader.text(metadata, 'name', 'metadata.name')
  const resourceVersion = reader.text(metadata, 'resourceVersion', 'metadata.resourceVersion')
  if (name === '' || resourceVersion === '') return undefined
  const node = {
    name,
    uid: reader.text(metadata, 'uid', 'metadata.uid'),
    resourceVersion,
    ownerReferenceCount: reader.list(metadata, 'ownerReferences', 'metadata.ownerReferences').length,
    annotations: ciliumAnnotations(reader.texts(metadata, 'annotations', 'metadata.annotations')),
    podCIDRs: texts(reader, ipam, 'podCIDRs', 'spec.ipam.podCIDRs'),
    requested: entries(reader, pools, 'requested').map(({ entry, pool, path }) => {
      const needed = reader.object(entry, 'needed', `${path}.needed`)
      return {
        pool,
        ipv4Addrs: reader.count(needed, 'ipv4-addrs', `${path}.needed.ipv4-addrs`),
        ipv6Addrs: reader.count(needed, 'ipv6-addrs', `${path}.needed.ipv6-addrs`),
      }
    }),
    allocated: entries(reader, pools, 'allocated').map(({ entry, pool, path }) => ({
      pool,
      cidrs: texts(reader, entry, 'cidrs', `${path}.cidrs`).filter((cidr, index) => {
        if (!isCIDR(cidr)) reader.fault(`${path}.cidrs[${index}]`, `expected a CIDR, found ${JSON.stringify(cidr)}`)
        return isCIDR(cidr)
      }),
      allowFirstIP: entry['allowFirstIP'] === true,
      allowLastIP: entry['allowLastIP'] === true,
    })),
    operatorError: reader.text(operatorStatus, 'error', 'status.ipam.operator-status.error'),
  }
  return { ...node, faults: reader.faults.slice(0, MAX_FAULTS) }
}

function texts(reader: FieldReader, parent: JSONObject | undefined, key: string, path: string): readonly string[] {
  return reader.list(parent, key, path).flatMap((value, index) => {
    if (typeof value === 'string') return [value]
    reader.fault(`${path}[${index}]`, `expected a text, found ${JSON.stringify(value)}`)
    return []
  })
}

function entries(
  reader: FieldReader,
  pools: JSONObject | undefined,
  key: 'requested' | 'allocated',
): readonly { readonly entry: JSONObject; readonly pool: string; readonly path: string }[] {
  return reader.list(pools, key, `spec.ipam.pools.${key}`).flatMap((entry, index) => {
    const path = `spec.ipam.pools.${key}[${index}]`
    if (!isObject(entry)) {
      reader.fault(path, `expected an object, found ${JSON.stringify(entry)}`)
      return []
    }
    const pool = reader.text(entry, 'pool', `${path}.pool`)
    if (pool === '') reader.fault(`${path}.pool`, 'is missing')
    return pool === '' ? [] : [{ entry, pool, path }]
  })
}

/** Those that keep a resource from being collected are among them. */
function ciliumAnnotations(all: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => key.startsWith('cilium.io/')))
}
