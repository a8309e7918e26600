/** An IPv4 block: its first address as an unsigned integer and its prefix length in bits. */
export interface IPv4Block {
  readonly base: number
  readonly bits: number
}

/** Addresses of a delegated prefix (count), on every cloud that has them: a /28 block. */
export const PREFIX_SIZE = 16
export const PREFIX_BITS = 28

/** Four decimal numbers without leading zeros. @returns the address as an unsigned integer, or undefined */
export function parseIPv4(text: string): number | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  let address = 0
  for (const part of parts) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    address = address * 256 + Number(part)
  }
  return address
}

export function formatIPv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

/** `10.0.0.0/16`; the address must be the first of its block. */
export function parseBlock(text: string): IPv4Block | undefined {
  const [address = '', bitsText = '', ...rest] = text.split('/')
  const base = parseIPv4(address)
  if (base === undefined || rest.length > 0 || !/^(?:0|[1-9]\d?)$/.test(bitsText)) return undefined
  const bits = Number(bitsText)
  if (bits > 32 || base % 2 ** (32 - bits) !== 0) return undefined
  return { base, bits }
}

export function formatBlock(block: IPv4Block): string {
  return `${formatIPv4(block.base)}/${block.bits}`
}

/** Addresses in a block (count). */
export function blockSize(block: IPv4Block): number {
  return 2 ** (32 - block.bits)
}

export function blockContains(outer: IPv4Block, inner: IPv4Block): boolean {
  return inner.base >= outer.base && inner.base + blockSize(inner) <= outer.base + blockSize(outer)
}

export function blocksOverlap(a: IPv4Block, b: IPv4Block): boolean {
  return a.base < b.base + blockSize(b) && b.base < a.base + blockSize(a)
}
