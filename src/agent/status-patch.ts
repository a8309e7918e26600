import type { ReleaseStatus } from '../ipam/cilium-node.ts'
import type { AllocationIP, AllocationMap, JSONObject, JSONValue } from '../ipam/types.ts'
import type { LocalNode } from './local-node.ts'

/** What an agent of the CRD modes writes: both maps replace the resource's. */
export interface AgentStatus {
  /** `status.ipam.used`: what the node's pods hold. */
  readonly used: AllocationMap
  /** `status.ipam.release-ips`, with the answers. */
  readonly releaseIPs: ReadonlyMap<string, ReleaseStatus>
}

/**
 * The merge patch that makes `status.ipam.used` and `release-ips` of exactly the seen version what they should be. Changed entries
 * only: a state that the operator adds meanwhile is not ours to remove.
 *
 * @returns undefined when nothing changed
 */
export function statusPatch(seen: LocalNode, wanted: AgentStatus): JSONObject | undefined {
  const used = changes(seen.used, wanted.used, isSameEntry, entryJSON)
  const releaseIPs = changes(
    seen.releaseIPs,
    wanted.releaseIPs,
    (left, right) => left === right,
    (state) => state,
  )
  if (used === undefined && releaseIPs === undefined) return undefined
  return {
    metadata: { resourceVersion: seen.resourceVersion },
    status: {
      ipam: {
        ...(used !== undefined && { used }),
        ...(releaseIPs !== undefined && { 'release-ips': releaseIPs }),
      },
    },
  }
}

/** Members of a merge patch that turns one map into the other; undefined when they are the same. */
function changes<V>(
  seen: ReadonlyMap<string, V>,
  wanted: ReadonlyMap<string, V>,
  isSame: (left: V, right: V) => boolean,
  toJSON: (value: V, before: V | undefined) => JSONValue,
): JSONObject | undefined {
  const patch: Record<string, JSONValue> = {}
  for (const [key, value] of wanted) {
    const before = seen.get(key)
    if (before === undefined || !isSame(before, value)) patch[key] = toJSON(value, before)
  }
  for (const key of seen.keys()) if (!wanted.has(key)) patch[key] = null
  return Object.keys(patch).length === 0 ? undefined : patch
}

function isSameEntry(left: AllocationIP, right: AllocationIP): boolean {
  return left.owner === right.owner && left.resource === right.resource
}

/** A member that the entry had and has no more is removed. */
function entryJSON({ owner, resource }: AllocationIP, before: AllocationIP | undefined): JSONObject {
  return {
    ...(owner !== undefined ? { owner } : before?.owner !== undefined && { owner: null }),
    ...(resource !== undefined ? { resource } : before?.resource !== undefined && { resource: null }),
  }
}
