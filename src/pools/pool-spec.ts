import { parseCIDROf } from './cidr-set.ts'
import type { Family } from './cidr-set.ts'
import { PoolError } from './errors.ts'

/** One family of a CiliumPodIPPool. */
export interface PoolFamilySpec {
  readonly cidrs: readonly string[]
  readonly maskSize: number
}

/** A pool; a family without CIDRs is left out. */
export interface PoolSpec extends Readonly<Partial<Record<Family, PoolFamilySpec>>> {
  /** Whether pods may use the first and the last address of a node's CIDR; absent: they may not. */
  readonly allowFirstIP?: boolean
  readonly allowLastIP?: boolean
}

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']

/** Longest mask. */
const MAX_MASK: Readonly<Record<Family, number>> = { ipv4: 32, ipv6: 128 }

/**
 * A pool as the flag `auto-create-cilium-pod-ip-pools` writes it:
 * `ipv4-cidrs:10.0.0.0/16,10.1.0.0/16;ipv4-mask-size:24;ipv6-cidrs:…;ipv6-mask-size:…`. Blanks and empty parts do not matter, unknown
 * keys are ignored.
 *
 * @throws PoolError POOL_SPEC_INVALID, with the key
 * @source cilium operator/pkg/controller-runtime and pkg/ipam/allocator/multipool, parsePoolSpec
 */
export function parsePoolSpec(text: string): PoolSpec {
  const parts = new Map<string, string>()
  for (const part of text.split(';').map((item) => item.trim())) {
    if (part === '') continue
    const colon = part.indexOf(':')
    if (colon === -1) throw new PoolError('POOL_SPEC_INVALID', `invalid part ${JSON.stringify(part)}: no colon`)
    parts.set(part.slice(0, colon).trim(), part.slice(colon + 1).trim())
  }
  return Object.fromEntries(
    FAMILIES.flatMap((family) => {
      const cidrs = parseCIDRs(family, parts.get(`${family}-cidrs`) ?? '')
      const maskSize = parseMaskSize(family, parts.get(`${family}-mask-size`))
      if (cidrs.length === 0) return []
      if (maskSize === undefined)
        throw new PoolError('POOL_SPEC_INVALID', `${family}-mask-size is missing beside ${family}-cidrs`)
      return [[family, { cidrs, maskSize }]]
    }),
  )
}

function parseCIDRs(family: Family, text: string): readonly string[] {
  const cidrs = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
  for (const cidr of cidrs) {
    try {
      parseCIDROf(family, cidr)
    } catch (error) {
      throw new PoolError('POOL_SPEC_INVALID', `invalid value of ${family}-cidrs: ${JSON.stringify(cidr)}`, error)
    }
  }
  return cidrs
}

function parseMaskSize(family: Family, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,3}$/.test(text) || Number(text) > MAX_MASK[family])
    throw new PoolError('POOL_SPEC_INVALID', `invalid value of ${family}-mask-size: ${JSON.stringify(text)}`)
  return Number(text)
}
