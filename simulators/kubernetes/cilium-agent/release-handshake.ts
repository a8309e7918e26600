import type { OwnResource } from './own-resource.ts'

/**
 * States of an address that the agent does not hand out.
 *
 * @source cilium pkg/ipam/crd.go, isIPInReleaseHandshake
 */
const BLOCKED: ReadonlySet<string> = new Set(['marked-for-release', 'ready-for-release', 'released'])

/** Whether the operator may be about to take the address away, or has done so. */
export function isInReleaseHandshake(resource: OwnResource, address: string): boolean {
  const state = resource.releaseIPs.get(address)
  return state !== undefined && BLOCKED.has(state)
}

/**
 * The node's answers to the operator's release requests: only entries that change.
 *
 * An address that the operator gave back although the entry still says `released` stays blocked until the operator withdraws the
 * entry, as with the real agent (https://github.com/cilium/cilium/issues/39981).
 *
 * @param isHeld whether a pod uses the address now
 * @returns the new state by address; null removes the entry
 * @source cilium pkg/ipam/crd.go, updateLocalNodeResource
 */
export function answerReleases(
  resource: OwnResource,
  isHeld: (address: string) => boolean,
): ReadonlyMap<string, 'ready-for-release' | 'do-not-release' | null> {
  const answers = new Map<string, 'ready-for-release' | 'do-not-release' | null>()
  const { pool } = resource
  if (pool === undefined) return answers
  for (const [address, state] of resource.releaseIPs) {
    if (!pool.has(address)) {
      if (state === 'released') answers.set(address, null)
      else if (state === 'marked-for-release') answers.set(address, 'do-not-release')
    } else if (state === 'marked-for-release') {
      answers.set(address, isHeld(address) ? 'do-not-release' : 'ready-for-release')
    }
  }
  return answers
}
