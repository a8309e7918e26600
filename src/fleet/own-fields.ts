import type { JSONObject, JSONValue } from '../ipam/types.ts'

/** What a world reads of the resource of one of its nodes, apart from what the node's agent makes of it. */
export interface SeenResource {
  readonly resourceVersion: string
  /** Addresses that `spec.ipam.pool` opens to pods. */
  readonly open: readonly string[]
  /** Counts of addresses; 0 when absent. */
  readonly watermarks: { readonly preAllocate: number; readonly minAllocate: number; readonly maxAllocate: number }
}

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

/** `status.ipam.used`. @source cilium pkg/ipam/crd.go: the agent replaces it as a whole, and nobody else writes it */
export function readOwnFields(json: JSONObject): OwnFields {
  const used = at(at(at(json, 'status'), 'ipam'), 'used')
  const entries = Object.entries(used).map(([ip, entry]) => `${ip} ${textOf(isObject(entry) ? entry['owner'] : '')}`)
  return {
    resourceVersion: textOf(at(json, 'metadata')['resourceVersion']),
    content: entries.sort().join('\n'),
  }
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
