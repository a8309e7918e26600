import type { CIDR } from '../ipam/ip-range.ts'
import { formatCIDR, formatIPv4, formatIPv6, hostBits } from '../ipam/ip-range.ts'

/** Host bits of an IPv6 network that are looked at: the first 65,536 addresses. Cilium pkg/ipam/service/ipallocator, RangeSize. */
const MAX_IPV6_HOST_BITS = 16

/** Whether networks of one or two addresses hold usable ones: not before 1.17 of the reference. */
export type SmallCIDRs = 'usable' | 'unusable'

export interface RangeOptions {
  readonly smallCIDR: SmallCIDRs
  /** The network address is usable too. No effect on networks of one or two addresses. */
  readonly allowFirstIP?: boolean | undefined
  /** The last address is usable too. */
  readonly allowLastIP?: boolean | undefined
}

/** The usable addresses of a network: `count` of them, from the address `firstOffset` places after the network address. */
export interface RangeBounds {
  readonly firstOffset: number
  readonly count: number
}

/**
 * Addresses of a network before any is taken away (count): 2^hostbits, at most 65,536 of an IPv6 network; 0 for networks with a
 * prefix of /0 or /1, which are a mistake.
 *
 * @source cilium pkg/ipam/service/ipallocator/allocator.go, RangeSize
 */
export function rangeSize(cidr: CIDR): number {
  if (cidr.prefixLength <= 1) return 0
  return 2 ** (cidr.family === 'ipv6' ? Math.min(hostBits(cidr), MAX_IPV6_HOST_BITS) : hostBits(cidr))
}

/** @source cilium pkg/ipam/service/ipallocator/allocator.go, NewCIDRRange */
export function rangeBounds(cidr: CIDR, options: RangeOptions): RangeBounds {
  const size = rangeSize(cidr)
  if (size <= 2) return options.smallCIDR === 'usable' ? { firstOffset: 0, count: size } : { firstOffset: 1, count: 0 }
  const first = options.allowFirstIP === true ? 1 : 0
  const last = options.allowLastIP === true ? 1 : 0
  return { firstOffset: 1 - first, count: size - 2 + first + last }
}

/** The text of the address `offset` places after the network address. */
export function addressAt(cidr: CIDR, offset: number): string {
  return cidr.family === 'ipv4' ? formatIPv4(cidr.network + offset) : formatIPv6(cidr.network + BigInt(offset))
}

/**
 * An address by its place in a subnet: from 0 on counted from the network address, below 0 from the last one (-1).
 *
 * @returns canonical text; undefined when the place is outside of the subnet
 * @source cilium pkg/alibabacloud/utils and pkg/ip, GetNthIP; `subnetGateway` of the alibabacloud and eni results
 */
export function addressByIndex(cidr: CIDR, index: number): string | undefined {
  const size = 1n << BigInt(hostBits(cidr))
  const offset = index >= 0 ? BigInt(index) : size + BigInt(index)
  if (offset < 0n || offset >= size) return undefined
  const address = BigInt(cidr.network) + offset
  return cidr.family === 'ipv4' ? formatIPv4(Number(address)) : formatIPv6(address)
}

/**
 * Usable addresses of a node's network, as the operator of a multi-pool cluster counts them: network and broadcast address not,
 * unless there are no more than two.
 *
 * @source cilium pkg/ipam/allocator/multipool, addrsInPrefix
 */
export function addressesInPrefix(cidr: CIDR): bigint {
  const size = 1n << BigInt(hostBits(cidr))
  return size > 2n ? size - 2n : size
}

/** For messages. */
export function describeCIDRs(cidrs: readonly CIDR[]): string {
  return cidrs.map(formatCIDR).join(', ')
}
