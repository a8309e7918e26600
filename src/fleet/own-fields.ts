import type { JSONObject, JSONValue } from '../ipam/types.ts'
import { addressesOf } from './world-view.ts'

/** What a world reads of the resource of one of its nodes, apart from what the node's agent makes of it. */
export interface SeenResource {
  readonly resourceVersion: string
  /** Addresses that `spec.ipam.pool` opens to pods. */
  readonly open: readonly string[]
  /** Counts of addresses; 0 when absent. */
  readonly watermarks: { readonly preAllocate: number; readonly minAllocate: number; readonly maxAllocate: number }
}

/** Which fields of the resource are the agent's alone. */
export type AgentKind = 'pool' | 'multi-pool'

/** The fields that are the agent's alone, in a form that can be compared. */
export interface OwnFields {
  readonly resourceVersion: string
  readonly content: string
}

export function readResource(json: JSONObject): SeenResource {
  const ipam = at(at(json, 'spec'), 'ipam')
  return {
    resourceVersion: textOf(at(json, 'metadata')['resourceVersion']),
    open: Object.keys(at(ipam, 'pool')),
    watermarks: {
      preAllocate: countOf(ipam['pre-allocate']),
      minAllocate: countOf(ipam['min-allocate']),
      maxAllocate: countOf(ipam['max-allocate']),
    },
  }
}

/**
 * `status.ipam.used`, or `spec.ipam.pools`.
 *
 * @source cilium pkg/ipam/crd.go and pkg/ipam/multipool.go: the agent replaces them as a whole, and nobody else writes them
 */
export function readOwnFields(json: JSONObject, kind: AgentKind): OwnFields {
  const resourceVersion = textOf(at(json, 'metadata')['resourceVersion'])
  if (kind === 'multi-pool')
    return { resourceVersion, content: JSON.stringify(at(at(json, 'spec'), 'ipam')['pools'] ?? {}) }
  const used = at(at(at(json, 'status'), 'ipam'), 'used')
  const entries = Object.entries(used).map(([ip, entry]) => `${ip} ${textOf(isObject(entry) ? entry['owner'] : '')}`)
  return { resourceVersion, content: entries.sort().join('\n') }
}

/** CIDRs of the ENIs that are the agent's business: prefixes, and other addresses as /32. */
export function readAttached(json: JSONObject): readonly string[] {
  const spec = at(at(json, 'spec'), 'eni')
  return Object.values(at(at(at(json, 'status'), 'eni'), 'enis')).flatMap((eni) => {
    if (!isObject(eni) || countOf(eni['number']) < countOf(spec['first-interface-index'])) return []
    const prefixes = textsOf(eni['prefixes'])
    const delegated = new Set(prefixes.flatMap(addressesOf))
    if (spec['use-primary-address'] !== true) delegated.add(textOf(eni['ip']))
    const single = textsOf(eni['addresses']).filter((address) => !delegated.has(address))
    return [...prefixes, ...single.map((address) => `${address}/32`)]
  })
}

/** CIDRs that the agent has taken over, as the resource says. */
export function readTakenOver(json: JSONObject): ReadonlySet<string> {
  const allocated = at(at(at(json, 'spec'), 'ipam'), 'pools')['allocated']
  const entries = Array.isArray(allocated) ? (allocated as readonly JSONValue[]) : []
  return new Set(entries.flatMap((entry) => (isObject(entry) ? textsOf(entry['cidrs']) : [])))
}

/** The addresses of CIDRs as `readAttached` has them. */
export function addressesIn(cidrs: readonly string[]): readonly string[] {
  return cidrs.flatMap((cidr) => (cidr.endsWith('/32') ? [cidr.slice(0, -3)] : addressesOf(cidr)))
}

function textsOf(value: JSONValue | undefined): readonly string[] {
  return Array.isArray(value) ? (value as readonly JSONValue[]).filter((item) => typeof item === 'string') : []
}

function at(parent: JSONObject, key: string): JSONObject {
  const value = parent[key]
  return isObject(value) ? value : {}
}

function isObject(value: JSONValue | undefined): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: JSONValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function countOf(value: JSONValue | undefined): number {
  return typeof value === 'number' ? value : 0
}
