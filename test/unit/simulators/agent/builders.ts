import { readOwnResource } from '../../../../simulators/kubernetes/cilium-agent/own-resource.ts'
import type { OwnResource } from '../../../../simulators/kubernetes/cilium-agent/own-resource.ts'
import type { JSONObject } from '../../../../simulators/kubernetes/json.ts'

export interface ResourceParts {
  readonly pool?: Readonly<Record<string, string>>
  readonly releaseIPs?: Readonly<Record<string, string>>
  readonly used?: Readonly<Record<string, string>>
  /** Interface ID to its secondary addresses and prefixes. */
  readonly enis?: Readonly<
    Record<string, { addresses?: readonly string[]; prefixes?: readonly string[]; number?: number }>
  >
  readonly pools?: JSONObject
  readonly eni?: JSONObject
  readonly resourceVersion?: string
}

/** The wire form of a CiliumNode; an address of the pool is listed by its interface unless `enis` says otherwise. */
export function wireNode(parts: ResourceParts): JSONObject {
  const { pool, releaseIPs = {}, used = {}, pools, eni = {} } = parts
  const listed: Record<string, { addresses: string[] }> = {}
  for (const [address, id] of Object.entries(pool ?? {})) (listed[id] ??= { addresses: [] }).addresses.push(address)
  const enis = Object.fromEntries(
    Object.entries(parts.enis ?? listed).map(([id, one]) => [id, { id, ip: '10.0.0.4', ...one }]),
  )
  return {
    metadata: { name: 'n1', uid: 'u1', resourceVersion: parts.resourceVersion ?? '1' },
    spec: {
      eni,
      ipam: {
        ...(pool === undefined ? {} : { pool: mapValues(pool, (resource) => ({ resource })) }),
        ...(pools === undefined ? {} : { pools }),
      },
    },
    status: {
      eni: { enis },
      ipam: { 'release-ips': releaseIPs, used: mapValues(used, (owner) => ({ owner, resource: 'eni-1' })) },
    },
  }
}

export function resource(parts: ResourceParts): OwnResource {
  return readOwnResource(wireNode(parts))
}

function mapValues<T, U>(object: Readonly<Record<string, T>>, to: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, to(value)]))
}
