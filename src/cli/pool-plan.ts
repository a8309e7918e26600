import type { Config, PoolsConfig } from '../config/config.ts'
import { ConfigError } from '../ipam/errors.ts'
import type { CIDRSet, Family } from '../pools/cidr-set.ts'
import { newCIDRSets } from '../pools/cidr-set.ts'
import { PoolError } from '../pools/errors.ts'
import { MultiPoolAllocator } from '../pools/multi-pool-allocator.ts'
import type { PoolSpec } from '../pools/pool-spec.ts'
import { parsePoolSpec } from '../pools/pool-spec.ts'
import { assertNever } from '../runtime/assert.ts'

/** What the options mean for a mode in which nodes get CIDRs of the cluster's own. */
export type PoolPlan =
  | { readonly mode: 'cluster-pool'; readonly sets: Readonly<Record<Family, readonly CIDRSet[]>> }
  | {
      readonly mode: 'multi-pool'
      readonly families: readonly Family[]
      /** Created at the start unless they exist. */
      readonly pools: ReadonlyMap<string, PoolSpec>
    }
  /** Kubernetes gives each node its CIDR. */
  | { readonly mode: 'kubernetes' }

/**
 * The plan of the configured mode; undefined for the clouds.
 *
 * @throws ConfigError with every fault
 * @source cilium operator/pkg/ipam/clusterpool.go and multipool.go
 */
export function readPoolPlan({ ipam, pools }: Pick<Config, 'ipam' | 'pools'>): PoolPlan | undefined {
  switch (ipam) {
    case 'cluster-pool':
      return clusterPoolPlan(pools)
    case 'multi-pool':
      return multiPoolPlan(pools)
    case 'kubernetes':
      return { mode: 'kubernetes' }
    case 'eni':
    case 'azure':
    case 'alibabacloud':
      return undefined
    default:
      return assertNever(ipam)
  }
}

function clusterPoolPlan(pools: PoolsConfig): PoolPlan {
  const faults = familyFaults(pools)
  const sets = {
    ipv4: setsOf('ipv4', pools.enableIPv4, pools.clusterPoolIPv4CIDRs, pools.clusterPoolIPv4MaskSize, faults),
    ipv6: setsOf('ipv6', pools.enableIPv6, pools.clusterPoolIPv6CIDRs, pools.clusterPoolIPv6MaskSize, faults),
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return { mode: 'cluster-pool', sets }
}

function setsOf(
  family: Family,
  isEnabled: boolean,
  cidrs: readonly string[],
  maskSize: number,
  faults: string[],
): readonly CIDRSet[] {
  const option = `--cluster-pool-${family}-cidr`
  if (isEnabled && cidrs.length === 0)
    faults.push(`${option} must be given with --ipam cluster-pool and --enable-${family}`)
  if (!isEnabled && cidrs.length > 0) faults.push(`${option} must not be given without --enable-${family}`)
  if (!isEnabled) return []
  try {
    return newCIDRSets(family, cidrs, maskSize)
  } catch (error) {
    if (!(error instanceof PoolError)) throw error
    const named = error.code === 'SUBNET_MASK_INVALID' || error.code === 'CIDR_SET_SUBNET_TOO_BIG'
    faults.push(`${named ? `--cluster-pool-${family}-mask-size` : option}: ${error.message}`)
    return []
  }
}

function multiPoolPlan(config: PoolsConfig): PoolPlan {
  const faults = familyFaults(config)
  const families = (['ipv4', 'ipv6'] as const).filter((family) =>
    family === 'ipv4' ? config.enableIPv4 : config.enableIPv6,
  )
  const pools = new Map<string, PoolSpec>()
  // Refuses what it would refuse later, when the pools are there.
  const allocator = new MultiPoolAllocator(families)
  const texts = Object.entries(config.autoCreateCiliumPodIPPools).sort(([left], [right]) => (left < right ? -1 : 1))
  for (const [name, text] of texts) {
    try {
      const spec = parsePoolSpec(text)
      if (spec.ipv4 === undefined && spec.ipv6 === undefined)
        throw new PoolError('POOL_SPEC_INVALID', `${JSON.stringify(text)} has neither ipv4-cidrs nor ipv6-cidrs`)
      allocator.upsertPool(name, spec)
      pools.set(name, spec)
    } catch (error) {
      if (!(error instanceof PoolError)) throw error
      faults.push(`--auto-create-cilium-pod-ip-pools: pool ${name}: ${error.message}`)
    }
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return { mode: 'multi-pool', families, pools }
}

function familyFaults({ enableIPv4, enableIPv6 }: PoolsConfig): string[] {
  return enableIPv4 || enableIPv6 ? [] : ['--enable-ipv4 and --enable-ipv6 are both false: there is nothing to give']
}
