import ipaddr from 'ipaddr.js'

/** Addresses of one delegated IPv4 prefix: a /28. Amazon EC2 User Guide, "Prefix delegation". */
export const PREFIX_SIZE = 16

const IPV4_BITS = 32
const IPV6_BITS = 128

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
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined
  return text.split('.').reduce((address, part) => address * 256 + Number(part), 0)
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
