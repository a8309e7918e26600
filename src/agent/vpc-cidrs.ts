import { cidrsOverlap, formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import { IPAMError } from './errors.ts'
import type { LocalNode } from './local-node.ts'

/** The CIDRs of the virtual network that a node is in (canonical texts). */
export interface VPCCIDRs {
  readonly primary: string
  readonly secondary: readonly string[]
}

/**
 * The virtual network's CIDRs as the node's resource tells them: the first ENI with a valid primary one, else the first Azure
 * interface with a valid subnet, else Alibaba Cloud's block of the node. "First" is by ID; the reference takes any.
 *
 * @returns undefined when nothing is known yet
 * @source cilium pkg/ipam/crd.go, deriveVpcCIDRs
 */
export function deriveVPCCIDRs(node: LocalNode): VPCCIDRs | undefined {
  for (const { vpcPrimaryCIDR, vpcSecondaryCIDRs } of [...node.eni.values(), ...node.azure.values()]) {
    const primary = canonicalCIDR(vpcPrimaryCIDR)
    if (primary !== undefined) return { primary, secondary: validCIDRs(vpcSecondaryCIDRs) }
  }
  const [eni] = node.alibabaCloud.values()
  const block = canonicalCIDR(node.alibabaCloudCIDRBlock)
  if (eni === undefined || block === undefined) return undefined
  return { primary: block, secondary: validCIDRs(eni.vpcSecondaryCIDRs) }
}

/** In the reference's order: the primary one last. */
export function listVPCCIDRs(cidrs: VPCCIDRs | undefined): readonly string[] | null {
  return cidrs === undefined ? null : [...cidrs.secondary, cidrs.primary]
}

/**
 * What to do about the IPv4 native routing CIDR once the VPC's are known: nothing is configured → take over the primary one. What is
 * configured must overlap one of them: equal, inside or around. (The reference asks whether two CIDRs merge into one, which
 * an adjacent one does too.)
 *
 * @returns the CIDR to configure, undefined when one is
 * @throws IPAMError NATIVE_ROUTING_CIDR_MISMATCH
 * @source cilium pkg/ipam/crd.go, autoDetectIPv4NativeRoutingCIDR
 */
export function nativeRoutingCIDR(configured: string | undefined, vpc: VPCCIDRs): string | undefined {
  if (configured === undefined) return vpc.primary
  const wanted = parseCIDR(configured)
  const all = [vpc.primary, ...vpc.secondary]
  const overlaps = all.some((text) => {
    const cidr = parseCIDR(text)
    return wanted !== undefined && cidr !== undefined && cidrsOverlap(wanted, cidr)
  })
  if (overlaps) return undefined
  throw new IPAMError(
    'NATIVE_ROUTING_CIDR_MISMATCH',
    `the IPv4 native routing CIDR ${configured} overlaps none of the VPC's CIDRs ${all.join(', ')}`,
    { cidr: configured },
  )
}

function canonicalCIDR(text: string): string | undefined {
  const cidr = text === '' ? undefined : parseCIDR(text)
  return cidr === undefined ? undefined : formatCIDR(cidr)
}

function validCIDRs(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => canonicalCIDR(text) ?? [])
}
