/** IPv4 addresses as whole numbers, as far as a node's agent cuts CIDRs into addresses. */

export interface IPv4CIDR {
  /** As it was written; the key under which it is listed. */
  readonly text: string
  readonly first: number
  /** Addresses in the block (count). */
  readonly size: number
}

const OCTET = /^(0|[1-9]\d{0,2})$/

/** @returns the address as a number, or undefined when the text is not a canonical dotted quad */
export function parseIPv4(text: string): number | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let value = 0
  for (const part of parts) {
    const octet = OCTET.test(part) ? Number(part) : 256
    if (octet > 255) return undefined
    value = value * 256 + octet
  }
  return value
}

export function formatIPv4(value: number): string {
  return `${(value >>> 24) & 255}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`
}

/** @returns undefined when the text is not an IPv4 CIDR with a block-aligned address */
export function parseIPv4CIDR(text: string): IPv4CIDR | undefined {
  const [addressText = '', lengthText = '', rest] = text.split('/')
  const first = parseIPv4(addressText)
  const length = OCTET.test(lengthText) ? Number(lengthText) : 33
  if (first === undefined || length > 32 || rest !== undefined) return undefined
  const size = 2 ** (32 - length)
  return first % size === 0 ? { text, first, size } : undefined
}

export function contains(cidr: IPv4CIDR, address: number): boolean {
  return address >= cidr.first && address < cidr.first + cidr.size
}
