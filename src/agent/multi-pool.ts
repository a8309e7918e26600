import type { PoolRequest } from '../ipam/cilium-node.ts'
import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Timer, TimerQueue } from '../runtime/timer.ts'
import type { AddressRangeOptions } from './address-range.ts'
import type { AllocationResult, AllocatorDump, ExcludedAddresses, PoolUsage } from './allocator.ts'
import { cloudResult } from './cloud-result.ts'
import { eniOf, eniPool } from './eni-pools.ts'
import type { IPAMErrorDetails } from './errors.ts'
import { IPAMError } from './errors.ts'
import type { Family } from './family.ts'
import type { LocalNode, NodePool } from './local-node.ts'
import { decodeLocalNode } from './local-node.ts'
import type { NodeWriter, UnreachableRoutes } from './node-writer.ts'
import { OwnNodeVersions } from './own-node-versions.ts'
import { PendingDemand } from './pending-demand.ts'
import type { Reclaim } from './pod-cidr-pool.ts'
import { PodCIDRPool } from './pod-cidr-pool.ts'
import type { PreAllocation } from './pool-demand.ts'
import { neededIPCeil } from './pool-demand.ts'
import type { Pool } from './pool.ts'
import type { PoolsToWrite } from './pools-patch.ts'
import { poolsPatch } from './pools-patch.ts'
import { SyncLoop } from './sync-loop.ts'

export interface MultiPoolOptions {
  readonly nodeName: string
  /** Enabled ones. */
  readonly families: readonly Family[]
  readonly preAllocation: PreAllocation
  /**
   * Where the node's CIDRs stand: in `spec.ipam.pools.allocated`, to which the operator adds (absent), or in the ENI status, where the list
   * of the pools is the agent's word alone.
   */
  readonly source?: 'eni'
  readonly writer: NodeWriter
  readonly range: AddressRangeOptions
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly log: Logger
  /** Flag `ipam-cilium-node-update-rate`: between two writes (ms). */
  readonly updateIntervalMs: number
  readonly unreachableRoutes?: UnreachableRoutes | undefined
  /** The configured native routing CIDR, for the results of ENI addresses. */
  readonly nativeRoutingCIDR?: () => string | undefined
  /** Ends writes that are under way. */
  readonly signal: AbortSignal
}

/** A write comes at least this often, should a request have been lost (ms). Cilium pkg/ipam/multipool.go, refreshPoolInterval. */
const REPEAT_MS = 60_000
/** Cilium pkg/controller, errorRetryBaseDuration (ms). */
const RETRY_BASE_MS = 1_000

const NO_EDGES = { allowFirstIP: false, allowLastIP: false }

/** The two families of one pool. */
interface NodePoolState {
  readonly families: ReadonlyMap<Family, PodCIDRPool>
  readonly edges: { readonly allowFirstIP: boolean; readonly allowLastIP: boolean }
  /** False: all its CIDRs were given back; only what may still be listed is remembered. */
  isKnown: boolean
}

/**
 * A node's pools of pod CIDRs: tells the operator how many addresses are needed, takes up the CIDRs it gives, hands out their
 * addresses, and gives unused CIDRs back.
 *
 * A CIDR that was given back in a write that may have reached the API server belongs to others from then on, also while an old
 * version of the resource still lists it. Of an ENI's it may be asked for again: a write that the server takes, for a version that lists
 * it, makes it ours again.
 *
 * @source cilium pkg/ipam/multipool.go, multiPoolManager
 */
export class MultiPoolManager {
  /** To be told of the own node. */
  readonly versions: OwnNodeVersions
  readonly #options: MultiPoolOptions
  readonly #pools = new Map<Pool, NodePoolState>()
  readonly #pending: PendingDemand
  readonly #restored = new Set<Family>()
  readonly #loop: SyncLoop
  readonly #expiry: Timer
  /** CIDRs that a write gave up, whether or not it succeeded. */
  readonly #surrendered = new Set<string>()

  constructor(options: MultiPoolOptions) {
    const { nodeName, clock, timers, log, updateIntervalMs } = options
    this.#options = options
    this.versions = new OwnNodeVersions({ nodeName, log, onVersion: (node, before) => this.#takeOver(node, before) })
    this.#pending = new PendingDemand(clock)
    this.#loop = new SyncLoop({
      run: () => this.#write(),
      minIntervalMs: updateIntervalMs,
      repeatMs: REPEAT_MS,
      retryBaseMs: RETRY_BASE_MS,
      clock,
      timers,
      onError: (error, attempt) => log.warn({ error, attempt }, 'Unable to write the pools of the own CiliumNode'),
    })
    // Demand that fades must be taken back, also when nothing else happens on the node.
    this.#expiry = timers.timer(() => {
      this.#pending.removeExpired()
      this.#requestSync()
    })
  }

  /** What is held of pools that the node does not list is left alone. */
  #takeOver(node: LocalNode, before: LocalNode | undefined): void {
    const entries = this.#options.source === 'eni' ? [eniPool(node)] : node.allocated
    for (const entry of entries) this.#updatePool(entry)
    if (this.#options.source === 'eni') this.#confirm(node, before)
    const listed = new Set(entries.map(({ pool }) => pool))
    for (const [pool, { families }] of this.#pools)
      if (!listed.has(pool)) for (const ofFamily of families.values()) ofFamily.unlisted()
    this.#forgetSurrendered()
    this.#requestSync()
  }

  /** @throws IPAMError POOL_NOT_READY, and the pool's own; the owner then counts as demand for a while */
  allocate(
    ip: string,
    owner: string,
    pool: Pool,
    family: Family,
    options: { readonly needsSync: boolean },
  ): AllocationResult {
    return this.#serve({ ip, owner, pool, family }, options.needsSync, (ofFamily, details) => {
      ofFamily.allocate(ip, details, !options.needsSync)
      return ip
    })
  }

  /** @throws as `allocate` */
  allocateNext(
    owner: string,
    pool: Pool,
    family: Family,
    options: { readonly needsSync: boolean; readonly excluded?: ExcludedAddresses | undefined },
  ): AllocationResult {
    return this.#serve({ owner, pool, family }, options.needsSync, (ofFamily, details) =>
      ofFamily.allocateNext(details, options.excluded),
    )
  }

  /** @throws IPAMError POOL_UNKNOWN */
  release(ip: string, pool: Pool, family: Family): void {
    const ofFamily = this.#knownPool(pool, family)
    if (ofFamily === undefined)
      throw new IPAMError('POOL_UNKNOWN', `unable to release IP ${ip}: unknown pool ${pool}`, { ip, pool, family })
    ofFamily.release(ip)
    this.#requestSync()
  }

  /** Somebody will want an address: counts as demand for a while. */
  expectDemand(owner: string, pool: Pool, family: Family): void {
    this.#pending.upsert(pool, owner, family)
    this.#requestSync()
  }

  /** From now on unused CIDRs of this family may be given back. */
  restoreFinished(family: Family): void {
    if (this.#restored.has(family)) return
    this.#restored.add(family)
    this.#requestSync()
  }

  dump(family: Family): AllocatorDump {
    const known = [...this.#pools].filter(([, { isKnown }]) => isKnown)
    return {
      allocated: new Map(
        known.map(([pool, { families }]) => [pool, families.get(family)?.dump().addresses ?? new Set<string>()]),
      ),
      status: `${known.length} IPAM pool(s) available`,
    }
  }

  usage(family: Family): readonly PoolUsage[] {
    const names = new Set([...this.#pools.keys(), ...this.#pending.pools()])
    return [...names].sort().map((pool) => {
      const ofFamily = this.#knownPool(pool, family)
      return {
        family,
        pool,
        capacity: BigInt(ofFamily?.capacity ?? 0),
        allocated: ofFamily?.used ?? 0,
        cooling: ofFamily?.cooling ?? 0,
        pending: this.#pending.count(pool, family),
      }
    })
  }

  capacity(family: Family): bigint {
    let sum = 0
    for (const { families } of this.#pools.values()) sum += families.get(family)?.capacity ?? 0
    return BigInt(sum)
  }

  /**
   * What `spec.ipam.pools` should say now. Gives unused CIDRs back on the way, where restoration has finished.
   *
   * @returns undefined while the own node has not been seen: an empty list must not be written over CIDRs in use
   */
  poolsToWrite(): PoolsToWrite | undefined {
    if (this.versions.node === undefined) return undefined
    this.#pending.removeExpired()
    const requested = this.#requested()
    return { requested, allocated: this.#releaseExcess() }
  }

  /**
   * Waits, for as long as it takes, until every pool with a pre-allocation has a free address in every enabled family.
   *
   * @throws the signal's reason
   */
  waitUntilReady(signal: AbortSignal): Promise<void> {
    const message = 'Waiting for pod CIDRs of these pools: see the operator and the CiliumPodIPPools'
    return this.versions.waitUntilComplete(() => this.#missingPools(), message, signal)
  }

  /** No further writes. */
  stop(): void {
    this.#loop.stop()
    this.#expiry.cancel()
  }

  /**
   * What the resource says that we have taken over is ours. After a restart that is all: what an interface has beside it may have been
   * given back before, and be about to go.
   */
  #confirm({ allocated }: LocalNode, before: LocalNode | undefined): void {
    const ours = new Set(allocated.flatMap(({ cidrs }) => cidrs))
    for (const { families } of this.#pools.values())
      for (const ofFamily of families.values()) {
        if (before === undefined && ours.size > 0) ofFamily.confirmOnly(ours)
        ofFamily.confirm(ours)
      }
  }

  #updatePool(entry: NodePool): void {
    const { allowFirstIP, allowLastIP, pool, cidrs } = entry
    const known = this.#pools.get(pool)
    const state = {
      families: known?.families ?? this.#newFamilies(),
      edges: { allowFirstIP, allowLastIP },
      isKnown: known?.isKnown ?? true,
    }
    for (const ofFamily of state.families.values()) {
      ofFamily.update(cidrs, state.edges)
      if (ofFamily.inUseCIDRs().length > 0) state.isKnown = true
    }
    this.#pools.set(pool, state)
  }

  #newFamilies(): ReadonlyMap<Family, PodCIDRPool> {
    const { families, range, log, unreachableRoutes } = this.#options
    return new Map(families.map((family) => [family, new PodCIDRPool({ family, range, log, unreachableRoutes })]))
  }

  #knownPool(pool: Pool, family: Family): PodCIDRPool | undefined {
    const state = this.#pools.get(pool)
    return state?.isKnown === true ? state.families.get(family) : undefined
  }

  #serve(
    request: { readonly ip?: string; readonly owner: string; readonly pool: Pool; readonly family: Family },
    needsSync: boolean,
    allocate: (ofFamily: PodCIDRPool, details: IPAMErrorDetails) => string,
  ): AllocationResult {
    const { ip: wanted, owner, pool, family } = request
    try {
      const ofFamily = this.#knownPool(pool, family)
      if (ofFamily === undefined) {
        const what = wanted === undefined ? '' : ` IP ${wanted}`
        throw new IPAMError('POOL_NOT_READY', `unable to allocate${what}: pool ${pool} is not ready yet`, request)
      }
      const ip = allocate(ofFamily, request)
      this.#pending.markAsAllocated(pool, owner, family)
      return { ...this.#resultOf(ip), ipPoolName: pool }
    } catch (error) {
      this.#pending.upsert(pool, owner, family)
      throw error
    } finally {
      // Also after a failure: that is how demand reaches the operator.
      if (needsSync) this.#requestSync()
    }
  }

  /** With what a plug-in must know of the interface, where there is one. */
  #resultOf(ip: string): AllocationResult {
    const { node } = this.versions
    const eni = this.#options.source === 'eni' && node !== undefined ? eniOf(node, ip) : undefined
    if (eni === undefined || node === undefined) return { ip }
    const nativeRoutingCIDR = this.#options.nativeRoutingCIDR?.()
    return cloudResult({
      ip,
      resource: eni.id,
      mode: 'eni',
      node,
      nativeRoutingCIDR,
      isNativeRoutingCIDRDetected: false,
    })
  }

  #requested(): readonly PoolRequest[] {
    const { preAllocation } = this.#options
    const names = new Set([...this.#pools.keys(), ...this.#pending.pools(), ...preAllocation.keys()])
    return [...names]
      .sort()
      .map((pool) => ({
        pool,
        ipv4Addrs: this.#needed(pool, 'ipv4'),
        ipv6Addrs: this.#needed(pool, 'ipv6'),
      }))
      .filter(({ ipv4Addrs, ipv6Addrs }) => ipv4Addrs > 0 || ipv6Addrs > 0)
  }

  #needed(pool: Pool, family: Family): number {
    const { preAllocation, families } = this.#options
    if (!families.includes(family)) return 0
    const used = this.#pools.get(pool)?.families.get(family)?.used ?? 0
    return neededIPCeil(used + this.#pending.count(pool, family), preAllocation.get(pool) ?? 0)
  }

  #releaseExcess(): readonly NodePool[] {
    const allocated: NodePool[] = []
    for (const [pool, state] of [...this.#pools].sort(([left], [right]) => (left < right ? -1 : 1))) {
      for (const [family, ofFamily] of state.families) {
        if (!this.#restored.has(family)) continue
        const floor = Math.max(this.#needed(pool, family) - ofFamily.used, 0)
        ofFamily.releaseExcess(floor, (cidr) => this.#reclaimOf(cidr))
      }
      const cidrs = (['ipv4', 'ipv6'] as const).flatMap((family) => state.families.get(family)?.inUseCIDRs() ?? [])
      state.isKnown = cidrs.length > 0
      // Of an ENI's CIDRs every address is usable: that need not be said, and older definitions would drop it.
      const edges = this.#options.source === 'eni' ? NO_EDGES : state.edges
      if (cidrs.length > 0) allocated.push({ pool, cidrs, ...edges })
      else if ([...state.families.values()].every(({ isEmpty }) => isEmpty)) this.#pools.delete(pool)
    }
    return allocated
  }

  #reclaimOf(cidr: string): Reclaim {
    if (!this.#surrendered.has(cidr)) return 'at-once'
    return this.#options.source === 'eni' ? 'once-confirmed' : 'no'
  }

  #missingPools(): readonly string[] {
    const { preAllocation, families } = this.#options
    return [...preAllocation]
      .filter(([, count]) => count > 0)
      .flatMap(([pool]) =>
        families
          .filter((family) => this.#knownPool(pool, family)?.hasAvailableIPs !== true)
          .map((family) => `${pool} (${family})`),
      )
  }

  #requestSync(): void {
    const expiryMs = this.#pending.nextExpiryMs
    if (expiryMs !== undefined) this.#expiry.setAt(expiryMs)
    if (this.versions.node !== undefined) this.#loop.request()
  }

  /** A CIDR is nobody's concern any more once a version of the resource is without it. */
  #forgetSurrendered(): void {
    const released = new Set(
      [...this.#pools.values()].flatMap(({ families }) =>
        [...families.values()].flatMap((pool) => pool.releasedCIDRs()),
      ),
    )
    for (const cidr of this.#surrendered) if (!released.has(cidr)) this.#surrendered.delete(cidr)
  }

  async #write(): Promise<void> {
    const { writer, signal, log } = this.#options
    if (signal.aborted) return
    const wanted = this.poolsToWrite()
    const seen = this.versions.node
    if (wanted === undefined || seen === undefined) return
    const patch = poolsPatch(seen, wanted)
    if (patch === undefined) return
    for (const { families } of this.#pools.values())
      for (const ofFamily of families.values()) for (const cidr of ofFamily.releasedCIDRs()) this.#surrendered.add(cidr)
    const written = decodeLocalNode(await writer.patchSpec(patch, signal))
    log.debug({ resourceVersion: written.resourceVersion }, 'Wrote the pools of the own CiliumNode')
    this.versions.update(written)
  }
}
