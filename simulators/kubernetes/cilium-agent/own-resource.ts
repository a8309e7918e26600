import { isObject } from '../json.ts'
import type { JSONObject, JSONValue } from '../json.ts'

/** One interface of `status.eni.enis` or `status.azure.interfaces`, as far as an agent reads it. */
export interface AttachedInterface {
  readonly id: string
  /** Its primary address. */
  readonly ip: string
  /** Device index. */
  readonly number: number
  readonly addresses: readonly string[]
  /** Delegated /28 blocks. */
  readonly prefixes: readonly string[]
}

/** The CiliumNode of an agent's own node, as far as its IPAM reads it. A private copy: the whole object is not kept. */
export interface OwnResource {
  readonly uid: string
  readonly resourceVersion: string
  /** Address to interface ID; undefined when the field is absent, which differs from empty. */
  readonly pool: ReadonlyMap<string, string> | undefined
  readonly releaseIPs: ReadonlyMap<string, string>
  /** Address to owner, as the server has it. */
  readonly used: ReadonlyMap<string, string>
  readonly interfaces: ReadonlyMap<string, AttachedInterface>
  /** `spec.ipam.pools` as the server has it. */
  readonly pools: Pools
  /** Device index below which interfaces are not the agent's business (count). */
  readonly firstInterfaceIndex: number
  readonly usesPrimaryAddress: boolean
  /** 0 when absent (counts of addresses). */
  readonly watermarks: { readonly preAllocate: number; readonly minAllocate: number; readonly maxAllocate: number }
}

/** `spec.ipam.pools`: what a multi-pool agent asks for and what it has taken over, by pool name. */
export interface Pools {
  readonly requested: readonly { readonly pool: string; readonly ipv4Addrs: number }[]
  readonly allocated: readonly { readonly pool: string; readonly cidrs: readonly string[] }[]
}

/**
 * Reads the wire form. What is absent or of the wrong type counts as empty, as a Go client would decode it.
 *
 * @source cilium pkg/k8s/apis/cilium.io/v2/types.go, CiliumNode; pkg/ipam/types/types.go, IPAMSpec, IPAMStatus
 */
export function readOwnResource(object: JSONObject): OwnResource {
  const metadata = objectAt(object, 'metadata')
  const spec = objectAt(object, 'spec')
  const specIPAM = objectAt(spec, 'ipam')
  const specENI = objectAt(spec, 'eni')
  const status = objectAt(object, 'status')
  const statusIPAM = objectAt(status, 'ipam')
  return {
    uid: textAt(metadata, 'uid'),
    resourceVersion: textAt(metadata, 'resourceVersion'),
    pool: isObject(specIPAM['pool']) ? textsWithin(specIPAM['pool'], 'resource') : undefined,
    releaseIPs: texts(statusIPAM['release-ips']),
    used: textsWithin(statusIPAM['used'], 'owner'),
    interfaces: isObject(status['azure'])
      ? readAzureInterfaces(status['azure']['interfaces'])
      : readInterfaces(objectAt(status, 'eni')['enis']),
    pools: readPools(objectAt(specIPAM, 'pools')),
    firstInterfaceIndex: numberAt(specENI, 'first-interface-index'),
    usesPrimaryAddress: specENI['use-primary-address'] === true,
    watermarks: {
      preAllocate: numberAt(specIPAM, 'pre-allocate'),
      minAllocate: numberAt(specIPAM, 'min-allocate'),
      maxAllocate: numberAt(specIPAM, 'max-allocate'),
    },
  }
}

function readInterfaces(value: JSONValue | undefined): ReadonlyMap<string, AttachedInterface> {
  const interfaces = new Map<string, AttachedInterface>()
  for (const [id, eni] of Object.entries(isObject(value) ? value : {})) {
    if (!isObject(eni)) continue
    interfaces.set(id, {
      id,
      ip: textAt(eni, 'ip'),
      number: numberAt(eni, 'number'),
      addresses: textList(eni['addresses']),
      prefixes: textList(eni['prefixes']),
    })
  }
  return interfaces
}

/**
 * Azure's have no index and no blocks, which are listed by their addresses, and a state for each address: one that is not usable yet is
 * not the agent's.
 */
function readAzureInterfaces(value: JSONValue | undefined): ReadonlyMap<string, AttachedInterface> {
  return new Map(
    objectList(value).map((nic) => {
      const id = textAt(nic, 'id')
      const usable = objectList(nic['addresses']).filter((entry) => textAt(entry, 'state') === 'succeeded')
      return [
        id,
        {
          id,
          ip: textAt(nic, 'ip'),
          number: 0,
          addresses: usable.map((entry) => textAt(entry, 'ip')),
          prefixes: [],
        },
      ]
    }),
  )
}

function readPools(pools: JSONObject): Pools {
  return {
    requested: objectList(pools['requested']).map((entry) => ({
      pool: textAt(entry, 'pool'),
      ipv4Addrs: numberAt(objectAt(entry, 'needed'), 'ipv4-addrs'),
    })),
    allocated: objectList(pools['allocated']).map((entry) => ({
      pool: textAt(entry, 'pool'),
      cidrs: textList(entry['cidrs']),
    })),
  }
}

function objectAt(object: JSONObject, key: string): JSONObject {
  const value = object[key]
  return isObject(value) ? value : {}
}

function textAt(object: JSONObject, key: string): string {
  const value = object[key]
  return typeof value === 'string' ? value : ''
}

function numberAt(object: JSONObject, key: string): number {
  const value = object[key]
  return typeof value === 'number' ? value : 0
}

function textList(value: JSONValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

function objectList(value: JSONValue | undefined): readonly JSONObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** A map of texts; other values are left out. */
function texts(value: JSONValue | undefined): ReadonlyMap<string, string> {
  const entries = Object.entries(isObject(value) ? value : {})
  return new Map(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

/** From a map of objects, one text field of each; empty where it is missing. */
function textsWithin(value: JSONValue | undefined, field: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [key, entry] of Object.entries(isObject(value) ? value : {}))
    found.set(key, isObject(entry) ? textAt(entry, field) : '')
  return found
}
