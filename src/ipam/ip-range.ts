import ipaddr from 'ipaddr.js'

/** Addresses of one delegated IPv4 prefix: a /28. Amazon EC2 User Guide, "Prefix delegation". */
export const PREFIX_SIZE = 16

const IPV4_BITS = 32
const IPV6_BITS = 128

const DOT = 0x2e
const ZERO = 0x30

/** An IPv4 network: addresses are integers, 0 to 2^32 - 1. */
export interface IPv4CIDR {
  /** First address; host bits are 0. */
  readonly network: number
  /** 0 to 32. */
  readonly prefixLength: number
}

export interface IPv6CIDR {
  /** First address as a 128-bit integer; host bits are 0. */
  readonly network: bigint
  /** 0 to 128. */
  readonly prefixLength: number
}

/**
 * @param text four decimal parts without leading zeros, as Go's `netip.ParseAddr` takes them
 * @returns the address as an integer, undefined when the text is anything else
 */
export function parseIPv4(text: string): number | undefined {
  let address = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return undefined
      address = address * 256 + part
      part = 0
      digits = 0
    } else {
      const digit = code - ZERO
      if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return undefined
      part = part * 10 + digit
      digits += 1
      if (part > 255) return undefined
    }
  }
  return dots === 3 && digits > 0 ? address * 256 + part : undefined
}

/** @param address 0 to 2^32 - 1 */
export function formatIPv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`
}

/** @returns undefined for anything that is not `a.b.c.d/n`; host bits are cut off */
export function parseIPv4CIDR(text: string): IPv4CIDR | undefined {
  const parts = splitCIDR(text, IPV4_BITS)
  if (parts === undefined) return undefined
  const address = parseIPv4(parts.address)
  if (address === undefined) return undefined
  const size = 2 ** (IPV4_BITS - parts.prefixLength)
  return { network: Math.floor(address / size) * size, prefixLength: parts.prefixLength }
}

export function formatIPv4CIDR(cidr: IPv4CIDR): string {
  return `${formatIPv4(cidr.network)}/${cidr.prefixLength}`
}

/** @returns undefined for anything that is not an IPv6 network; host bits are cut off */
export function parseIPv6CIDR(text: string): IPv6CIDR | undefined {
  const parts = splitCIDR(text, IPV6_BITS)
  if (parts === undefined || !ipaddr.IPv6.isValid(parts.address) || parts.address.includes('%')) return undefined
  const address = ipaddr.IPv6.parse(parts.address)
    .toByteArray()
    .reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
  const hostBits = BigInt(IPV6_BITS - parts.prefixLength)
  return { network: (address >> hostBits) << hostBits, prefixLength: parts.prefixLength }
}

function splitCIDR(text: string, maxLength: number): { address: string; prefixLength: number } | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text)
  const address = match?.[1]
  const prefixLength = Number(match?.[2])
  return address === undefined || prefixLength > maxLength ? undefined : { address, prefixLength }
}

/** Addresses of a network (count), the first and the last included. */
export function cidrSize(cidr: IPv4CIDR): number {
  return 2 ** (IPV4_BITS - cidr.prefixLength)
}

/** @param address 0 to 2^32 - 1 */
export function cidrContains(cidr: IPv4CIDR, address: number): boolean {
  return address >= cidr.network && address < cidr.network + cidrSize(cidr)
}

/** An IPv4 or IPv6 address, IPv6 with or without a zone: what Go's `netip.ParseAddr` takes. */
export function isIPAddress(text: string): boolean {
  return parseIPv4(text) !== undefined || ipaddr.IPv6.isValid(text)
}

/** The longest list `addressesOfPrefix` makes: a /20. Prefixes are /28; anything far larger is a mistake of the caller. */
const LARGEST_LISTED_PREFIX = 4096

/**
 * Every address of a delegated prefix, ascending, its first and last included: clouds route a prefix as a whole, so that all of
 * its addresses are open to pods.
 *
 * @returns canonical texts; empty when `cidr` is not an IPv4 network of at most 4,096 addresses
 * @source cilium pkg/ip/ip.go, PrefixToIps
 */
export function addressesOfPrefix(cidr: string): string[] {
  const parsed = parseIPv4CIDR(cidr)
  if (parsed === undefined || cidrSize(parsed) > LARGEST_LISTED_PREFIX) return []
  return Array.from({ length: cidrSize(parsed) }, (_, offset) => formatIPv4(parsed.network + offset))
}

/**
 * Blocks that hold `count` addresses.
 *
 * @param blockSize addresses of one block (count)
 * @returns a count of blocks; 0 for a count of 0 or less
 * @source cilium pkg/ip/ip.go, PrefixCeil
 */
export function prefixCeil(count: number, blockSize: number = PREFIX_SIZE): number {
  return count <= 0 ? 0 : Math.ceil(count / blockSize)
}

/** An address of either family: its one text (RFC 5952, an IPv4-mapped address as IPv4), and its number. */
export type Address =
  | { readonly family: 'ipv4'; readonly text: string; readonly value: number }
  | { readonly family: 'ipv6'; readonly text: string; readonly value: bigint }

/** @returns undefined when the text is no address; a zone, leading zeros and short forms are refused */
export function parseAddress(text: string): Address | undefined {
  const ipv4 = parseIPv4(text)
  if (ipv4 !== undefined) return { family: 'ipv4', text, value: ipv4 }
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined
  const parsed = ipaddr.IPv6.parse(text)
  if (parsed.isIPv4MappedAddress()) {
    const mapped = parsed.toIPv4Address().toString()
    return { family: 'ipv4', text: mapped, value: parseIPv4(mapped) ?? 0 }
  }
  const value = parsed.parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n)
  return { family: 'ipv6', text: parsed.toRFC5952String(), value }
}

/** @param address 0 to 2^128 - 1. @returns RFC 5952 */
export function formatIPv6(address: bigint): string {
  const parts = Array.from({ length: 8 }, (_, index) => Number((address >> BigInt(112 - 16 * index)) & 0xffffn))
  return new ipaddr.IPv6(parts).toRFC5952String()
}

/** A network of either family; host bits are 0. */
export type CIDR = ({ readonly family: 'ipv4' } & IPv4CIDR) | ({ readonly family: 'ipv6' } & IPv6CIDR)

/** @returns undefined for anything that is not a network of either family; host bits are cut off */
export function parseCIDR(text: string): CIDR | undefined {
  const ipv4 = parseIPv4CIDR(text)
  if (ipv4 !== undefined) return { family: 'ipv4', ...ipv4 }
  const ipv6 = parseIPv6CIDR(text)
  return ipv6 === undefined ? undefined : { family: 'ipv6', ...ipv6 }
}

/** Canonical text. */
export function formatCIDR(cidr: CIDR): string {
  const network = cidr.family === 'ipv4' ? formatIPv4(cidr.network) : formatIPv6(cidr.network)
  return `${network}/${cidr.prefixLength}`
}

/** Bits of an address that the network leaves free (count). */
export function hostBits(cidr: CIDR): number {
  return (cidr.family === 'ipv4' ? IPV4_BITS : IPV6_BITS) - cidr.prefixLength
}

/** Whether an address is in a network; never when the families differ. */
export function cidrHas(cidr: CIDR, address: Address): boolean {
  if (cidr.family === 'ipv4') return address.family === 'ipv4' && cidrContains(cidr, address.value)
  const bits = BigInt(hostBits(cidr))
  return address.family === 'ipv6' && address.value >> bits === cidr.network >> bits
}

/** Whether two networks share an address: one then contains the other. */
export function cidrsOverlap(left: CIDR, right: CIDR): boolean {
  if (left.family !== right.family) return false
  const bits = BigInt(Math.max(hostBits(left), hostBits(right)))
  return BigInt(left.network) >> bits === BigInt(right.network) >> bits
}

/** The first two networks of a list that share an address; undefined when none do. */
export function overlapping(cidrs: readonly CIDR[]): readonly [CIDR, CIDR] | undefined {
  for (const [index, cidr] of cidrs.entries()) {
    const other = cidrs.slice(0, index).find((earlier) => cidrsOverlap(earlier, cidr))
    if (other !== undefined) return [other, cidr]
  }
  return undefined
}
