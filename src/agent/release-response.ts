import type { ReleaseStatus } from '../ipam/cilium-node.ts'
import { assertNever } from '../runtime/assert.ts'

/** What a node's agent knows of one address in the release handshake. */
export interface ReleaseQuestion {
  readonly status: ReleaseStatus
  /** The address is in `spec.ipam.pool`. */
  readonly isInPool: boolean
  /** A pod holds the address. */
  readonly isInUse: boolean
  /** `spec.ipam.pool` is absent, which is not the same as empty: nothing can be said yet. */
  readonly isPoolAbsent: boolean
}

/**
 * The agent's answer in the release handshake of one address.
 *
 * @returns the state to write; undefined removes the entry
 * @source cilium pkg/ipam/crd.go, updateLocalNodeResource (handling of ReleaseIPs)
 */
export function releaseResponse(question: ReleaseQuestion): ReleaseStatus | undefined {
  const { status, isInPool, isInUse, isPoolAbsent } = question
  if (isPoolAbsent) return status
  switch (status) {
    case 'ready-for-release':
    case 'do-not-release':
      return status
    case 'released':
      return isInPool ? status : undefined
    case 'marked-for-release':
      return isInPool && !isInUse ? 'ready-for-release' : 'do-not-release'
    default:
      return assertNever(status)
  }
}
