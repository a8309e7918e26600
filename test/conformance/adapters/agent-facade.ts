import { claimFrom } from '../../../src/agent/address-range.ts'
import type { AddressRange } from '../../../src/agent/address-range.ts'
import type { AllocationResult, Allocator, AllocatorDump, ExcludedAddresses } from '../../../src/agent/allocator.ts'
import type { AgentProfile } from '../../../src/agent/configuration.ts'
import { AGENT_PROFILES } from '../../../src/agent/configuration.ts'
import { createIPAM } from '../../../src/agent/create-ipam.ts'
import { IPAMError } from '../../../src/agent/errors.ts'
import type { IPAMEventMetrics } from '../../../src/agent/event-metrics.ts'
import type { Family } from '../../../src/agent/family.ts'
import { FAMILIES } from '../../../src/agent/family.ts'
import type { AllocationPair } from '../../../src/agent/ipam-types.ts'
import { IPAM } from '../../../src/agent/ipam.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { testRange } from './agent-ranges.ts'
import type { Subject } from './agent-steps.ts'
import { subjectOf } from './agent-steps.ts'
import { agentWorld, configurationOf, fileResult } from './agent-world.ts'

interface FacadeSetup {
  readonly mode: string
  readonly families: readonly Family[]
  readonly ipv4Cidr?: string
  readonly ipv6Cidr?: string
  /** Family → pool → CIDR. */
  readonly pools?: Readonly<Partial<Record<Family, Readonly<Record<string, string>>>>>
}

interface FacadeArguments {
  readonly ip: string
  readonly arg: string
  readonly owner: string
  readonly pool?: string
  readonly family: string
  readonly timeoutMs: number
  readonly uuid: string
  readonly cidr: string
  readonly ms: number
}

/** One range a pool; a pool that is not there is unknown. */
class PooledTestAllocator implements Allocator {
  readonly isPooled = true
  readonly #pools: ReadonlyMap<string, AddressRange>

  constructor(pools: Readonly<Record<string, string>>, profile: AgentProfile) {
    const smallCIDR = profile === 'later' ? 'usable' : 'unusable'
    this.#pools = new Map(Object.entries(pools).map(([pool, cidr]) => [pool, testRange(cidr, smallCIDR)]))
  }

  allocate(ip: string, owner: string, pool: string): AllocationResult {
    claimFrom(this.#pool(pool, owner), ip, { ip, owner, pool }, false)
    return { ip, ipPoolName: pool }
  }

  allocateWithoutSyncUpstream(ip: string, owner: string, pool: string): AllocationResult {
    return this.allocate(ip, owner, pool)
  }

  allocateNext(owner: string, pool: string, excluded?: ExcludedAddresses): AllocationResult {
    const ip = this.#pool(pool, owner).claimNext(excluded)
    if (ip === undefined) throw new IPAMError('RANGE_FULL', 'range is full', { owner, pool })
    return { ip, ipPoolName: pool }
  }

  allocateNextWithoutSyncUpstream(owner: string, pool: string, excluded?: ExcludedAddresses): AllocationResult {
    return this.allocateNext(owner, pool, excluded)
  }

  release(ip: string, pool: string): void {
    this.#pool(pool, '').release(ip)
  }

  dump(): AllocatorDump {
    const allocated = new Map([...this.#pools].map(([pool, range]) => [pool, new Set(range.addresses())]))
    return { allocated, status: `${this.#pools.size} pools` }
  }

  capacity(): bigint {
    return 0n
  }

  usage(): readonly never[] {
    return []
  }

  restoreFinished(): void {
    // Nothing is reported.
  }

  #pool(pool: string, owner: string): AddressRange {
    const range = this.#pools.get(pool)
    if (range === undefined) throw new IPAMError('POOL_UNKNOWN', `unknown pool ${pool}`, { pool, owner })
    return range
  }
}

export async function facadeSubject(json: JSONObject, profileName: string): Promise<Subject> {
  const setup = json as unknown as FacadeSetup
  const profile: AgentProfile = AGENT_PROFILES.find((name) => name === profileName) ?? 'later'
  const world = agentWorld()
  const counts = { allocate: { ipv4: 0, ipv6: 0 }, release: { ipv4: 0, ipv6: 0 } }
  const metrics: IPAMEventMetrics = {
    countEvent: (action, family) => {
      counts[action][family] += 1
    },
    setCapacity: () => undefined,
  }
  const ipam = await createFacade(setup, profile, metrics, world)
  const allocators = { ipv4: ipam.ipv4Allocator, ipv6: ipam.ipv6Allocator }
  const operations: Readonly<Record<string, (args: FacadeArguments) => unknown>> = {
    allocateIp: ({ ip, owner, pool }) => fileResult(ipam.allocateIP(ip, owner, pool)),
    allocateIpString: ({ ip, owner, pool }) => fileResult(ipam.allocateIPString(ip, owner, pool)),
    allocateIpWithoutSyncUpstream: ({ ip, owner, pool }) =>
      fileResult(ipam.allocateIPWithoutSyncUpstream(ip, owner, pool)),
    allocateNext: (args) => filePair(ipam.allocateNext(args)),
    allocateNextFamily: (args) => fileResult(ipam.allocateNextFamily(args)),
    allocateNextFamilyWithoutSyncUpstream: (args) => fileResult(ipam.allocateNextFamilyWithoutSyncUpstream(args)),
    allocateNextWithExpiration: (args) => filePair(ipam.allocateNextWithExpiration(args)),
    releaseIp: ({ ip, pool }) => ipam.releaseIP(ip, pool),
    releaseIpString: ({ arg, pool }) => ipam.releaseIPString(arg, pool),
    excludeIp: ({ ip, owner, pool }) => ipam.excludeIP(ip, owner, pool),
    blacklistIp: ({ ip, owner }) => ipam.blacklistIP(ip, owner),
    blacklistIpNet: ({ cidr, owner }) => ipam.blacklistIPNet(cidr, owner),
    reserveLocalRoutes: () => ipam.reserveLocalRoutes(),
    startExpirationTimer: ({ ip, pool, timeoutMs }) => ipam.startExpirationTimer(ip, pool ?? 'default', timeoutMs),
    stopExpirationTimer: ({ ip, pool, uuid }) => ipam.stopExpirationTimer(ip, pool ?? 'default', uuid),
    advance: ({ ms }) => world.clock.advance(ms),
    dump: () => {
      const { ipv4, ipv6 } = ipam.dump()
      return { ipv4: ipv4 ?? null, ipv6: ipv6 ?? null }
    },
    debugStatus: () => ipam.debugStatus(),
    getVpcCidrs: () => ipam.getVPCCIDRs(),
    restoreFinished: () => ipam.restoreFinished(),
    allocatorStatus: ({ family }) => allocators[family as Family]?.dump().status,
    events: () => counts,
  }
  return subjectOf(operations)
}

function createFacade(
  setup: FacadeSetup,
  profile: AgentProfile,
  metrics: IPAMEventMetrics,
  world: ReturnType<typeof agentWorld>,
): Promise<IPAM> {
  const { mode, families, ipv4Cidr, ipv6Cidr, pools } = setup
  if (pools !== undefined) {
    const allocators = Object.fromEntries(
      FAMILIES.filter((family) => families.includes(family)).map((family) => [
        `${family}Allocator`,
        new PooledTestAllocator(pools[family] ?? {}, profile),
      ]),
    )
    return Promise.resolve(new IPAM({ ...world, ...allocators, metrics, profile }))
  }
  const allocationCIDRs = {
    ...(ipv4Cidr !== undefined && { ipv4: [ipv4Cidr] }),
    ...(ipv6Cidr !== undefined && { ipv6: [ipv6Cidr] }),
  }
  const configuration = configurationOf({ mode, families })
  return createIPAM(
    { ...world, nodeName: 'node1', configuration, metrics, profile, allocationCIDRs },
    new AbortController().signal,
  )
}

function filePair({ ipv4, ipv6 }: AllocationPair): JSONObject {
  return { ipv4: fileResult(ipv4), ipv6: fileResult(ipv6) }
}
