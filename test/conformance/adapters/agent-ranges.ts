import type { RangeStrategy } from '../../../src/agent/address-range.ts'
import { AddressRange } from '../../../src/agent/address-range.ts'
import { HostScopeAllocator } from '../../../src/agent/host-scope.ts'
import { PendingDemand } from '../../../src/agent/pending-demand.ts'
import { PodCIDRPool } from '../../../src/agent/pod-cidr-pool.ts'
import { podCIDRStatus } from '../../../src/agent/pod-cidr-status.ts'
import { POOL_DEFAULT } from '../../../src/agent/pool.ts'
import type { SmallCIDRs } from '../../../src/agent/range-bounds.ts'
import type { Family } from '../../../src/agent/family.ts'
import { canonicalIP } from '../../../src/agent/family.ts'
import { parseCIDR } from '../../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import type { Subject } from './agent-steps.ts'
import { subjectOf } from './agent-steps.ts'
import { agentWorld } from './agent-world.ts'

/** What the steps of these areas carry. */
interface RangeArguments {
  readonly ip: string
  readonly ips: readonly string[]
  readonly count: number
  readonly cidrs: readonly string[]
  readonly freeNeeded: number
  readonly reclaim?: boolean
  readonly pool: string
  readonly owner: string
  readonly family: Family
  readonly seconds: number
}

interface RangeSetup {
  readonly cidr: string
  readonly smallCidr?: SmallCIDRs
  readonly strategy?: RangeStrategy
  readonly allowFirstIp?: boolean
  readonly allowLastIp?: boolean
}

function repeat<T>(count: number, make: () => T): readonly T[] {
  return Array.from({ length: count }, make)
}

/** One range, through the allocator that says its errors. */
export function rangeSubject(json: JSONObject): Subject {
  const setup = json as unknown as RangeSetup
  const world = agentWorld()
  const cidr = parseCIDR(setup.cidr)
  const allocator = new HostScopeAllocator(cidr?.family ?? 'ipv4', [setup.cidr], {
    ...world,
    smallCIDR: setup.smallCidr ?? 'unusable',
    cooldownMs: 0,
    strategy: setup.strategy ?? 'random',
    allowFirstIP: setup.allowFirstIp,
    allowLastIP: setup.allowLastIp,
  })
  const held = (): readonly string[] => [...(allocator.dump().allocated?.get(POOL_DEFAULT) ?? [])]
  const next = (): string => allocator.allocateNext('', POOL_DEFAULT).ip
  return subjectOf({
    allocate: ({ ip }: RangeArguments) => allocator.allocate(canonicalIP(ip).ip, '', POOL_DEFAULT).ip,
    allocateNext: next,
    allocateMany: ({ count }: RangeArguments) => repeat(count, next),
    release: ({ ip }: RangeArguments) => allocator.release(canonicalIP(ip).ip, POOL_DEFAULT),
    has: ({ ip }: RangeArguments) => held().includes(canonicalIP(ip).ip),
    counts: () => ({ used: held().length, free: Number(allocator.capacity()) - held().length }),
    allocatedIps: held,
  })
}

export function podCIDRPoolSubject(json: JSONObject, profile: string): Subject {
  const setup = json as unknown as RangeSetup & {
    readonly allocationThreshold?: number
    readonly releaseThreshold?: number
    readonly previouslyReleased?: readonly string[]
  }
  const world = agentWorld()
  const range = {
    ...world,
    smallCIDR: setup.smallCidr ?? (profile === 'later' ? 'usable' : 'unusable'),
    cooldownMs: 0,
    allowFirstIP: setup.allowFirstIp,
    allowLastIP: setup.allowLastIp,
  } as const
  const edges = { allowFirstIP: setup.allowFirstIp, allowLastIP: setup.allowLastIp }
  // A pool is of one family, which the vectors tell by their first CIDR or address.
  let pool: PodCIDRPool | undefined
  const poolFor = (text: string): PodCIDRPool => {
    if (pool === undefined) {
      pool = new PodCIDRPool({ family: text.includes(':') ? 'ipv6' : 'ipv4', range, log: world.log })
      pool.seedReleased(setup.previouslyReleased ?? [])
    }
    return pool
  }
  const any = (): PodCIDRPool => poolFor(setup.previouslyReleased?.[0] ?? '')
  const anyOf = (cidrs: readonly string[]): PodCIDRPool => {
    const [first] = cidrs
    // Nothing was held before the first list: the family may still be chosen.
    if (first !== undefined && pool?.isEmpty === true) pool = undefined
    return first === undefined ? any() : poolFor(first)
  }
  const thresholds = { allocation: setup.allocationThreshold ?? 0, release: setup.releaseThreshold ?? 0 }
  return subjectOf({
    updatePool: ({ cidrs }: RangeArguments) => anyOf(cidrs).update(cidrs, edges),
    allocate: ({ ip }: RangeArguments) => any().allocate(canonicalIP(ip).ip, { ip }, false),
    allocateNext: () => any().allocateNext({}),
    allocateMany: ({ count }: RangeArguments) => repeat(count, () => any().allocateNext({})),
    release: ({ ip }: RangeArguments) => any().release(canonicalIP(ip).ip),
    releaseMany: ({ ips }: RangeArguments) => ips.forEach((ip) => any().release(ip)),
    status: () => podCIDRStatus(any(), thresholds),
    hasAvailableIps: () => any().hasAvailableIPs,
    dump: () => {
      const { used, free, podCIDRs } = any().dump()
      return { used, free, podCIDRs }
    },
    releaseExcess: ({ freeNeeded, reclaim = false }: RangeArguments) =>
      any().releaseExcess(freeNeeded, reclaim ? () => 'at-once' as const : undefined),
    inUseCidrs: () => any().inUseCIDRs(),
  })
}

export function pendingSubject(): Subject {
  const { clock } = agentWorld()
  const pending = new PendingDemand(clock)
  return subjectOf({
    upsert: ({ pool, owner, family }: RangeArguments) => pending.upsert(pool, owner, family),
    markAsAllocated: ({ pool, owner, family }: RangeArguments) => pending.markAsAllocated(pool, owner, family),
    removeExpired: () => pending.removeExpired(),
    count: ({ pool, family }: RangeArguments) => pending.count(pool, family),
    advance: ({ seconds }: RangeArguments) => clock.advance(seconds * 1000),
  })
}

/** One range of a test pool. */
export function testRange(cidr: string, smallCIDR: SmallCIDRs): AddressRange {
  const parsed = parseCIDR(cidr)
  if (parsed === undefined) throw new Error(`invalid CIDR ${cidr}`)
  return new AddressRange(parsed, { ...agentWorld(), smallCIDR, cooldownMs: 0 })
}
