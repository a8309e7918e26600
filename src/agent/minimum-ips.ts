import type { ReleaseStatus } from '../ipam/cilium-node.ts'
import type { LocalNode } from './local-node.ts'
import { isWithheld } from './release-answers.ts'
import { deriveVPCCIDRs } from './vpc-cidrs.ts'

/** Whether a node has what it needs to start (counts of addresses). */
export interface MinimumIPs {
  readonly reached: boolean
  readonly required: number
  /** Not in the release handshake; only for people. */
  readonly available: number
}

export interface MinimumIPsInput {
  /** Undefined: the resource is not there (yet). */
  readonly node: LocalNode | undefined
  readonly states: ReadonlyMap<string, ReleaseStatus>
  readonly healthChecking: boolean
  /** The cloud modes also need to know the VPC's CIDR. */
  readonly isCloudMode: boolean
  /** Later versions wait for a static address that is asked for. */
  readonly waitsForStaticIP: boolean
}

/**
 * The addresses that an agent waits for before it serves. Entries of the pool count also while they are being released, and
 * whatever their key is; the operator counts them the same way.
 *
 * @source cilium pkg/ipam/crd.go, hasMinimumIPsInPool
 */
export function minimumIPs(input: MinimumIPsInput): MinimumIPs {
  const { node, states, healthChecking, isCloudMode, waitsForStaticIP } = input
  if (node === undefined) return { reached: false, required: 0, available: 0 }
  const required = node.minAllocate || node.preAllocate || (healthChecking ? 2 : 1)
  const available = [...(node.pool?.keys() ?? [])].filter((ip) => !isWithheld(states.get(ip))).length
  const hasEnough = node.pool !== undefined && node.pool.size >= required
  const knowsNetwork = !isCloudMode || deriveVPCCIDRs(node) !== undefined
  const wantsStaticIP = waitsForStaticIP && Object.keys(node.staticIPTags).length > 0
  return {
    reached: hasEnough && knowsNetwork && (!wantsStaticIP || node.assignedStaticIP !== ''),
    required,
    available,
  }
}
