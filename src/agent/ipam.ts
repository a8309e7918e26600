import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { AllocationResult, Allocator, ExcludedAddresses, PoolUsage } from './allocator.ts'
import type { AgentProfile, LocalRouteReader } from './configuration.ts'
import { debugText } from './debug-text.ts'
import { AggregateIPAMError, familyDisabledError, IPAMError, unknownFamilyError } from './errors.ts'
import type { IPAMEventMetrics } from './event-metrics.ts'
import { NO_EVENT_METRICS } from './event-metrics.ts'
import { ExclusionList } from './exclusion-list.ts'
import { ExpirationTimers } from './expiration.ts'
import type { Family } from './family.ts'
import { canonicalIP, isFamily, parseIP } from './family.ts'
import type { AllocationPair, IPAMDump, NextRequest, NextWithExpirationRequest } from './ipam-types.ts'
import { conflictingRoutes } from './local-routes.ts'
import { OwnerTable } from './owner-table.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

export interface IPAMDependencies {
  /** Absent: the family is disabled. */
  readonly ipv4Allocator?: Allocator | undefined
  readonly ipv6Allocator?: Allocator | undefined
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly random: Random
  readonly log: Logger
  readonly metrics?: IPAMEventMetrics
  /** `later` when absent. */
  readonly profile?: AgentProfile
  /** The VPC's CIDRs as the node's resource tells them; absent outside of the cloud modes. */
  readonly vpcCIDRs?: () => readonly string[] | null
  /** For `reserveLocalRoutes`; absent: the host's routes are not looked at. */
  readonly routes?: LocalRouteReader | undefined
}

/**
 * Hands out a node's pod addresses: who asks, who holds what, what must not be given, what expires. Where the addresses come from
 * is the business of one allocator for each family.
 *
 * Everything is synchronous, so that nothing runs between a check and its booking. Addresses come in any spelling and go out in
 * one. Every error is an `IPAMError` (`AggregateIPAMError` for several), and a call that fails has changed nothing.
 *
 * @source cilium pkg/ipam/ipam.go and pkg/ipam/allocator.go
 */
export class IPAM {
  readonly ipv4Allocator: Allocator | undefined
  readonly ipv6Allocator: Allocator | undefined
  readonly #log: Logger
  readonly #metrics: IPAMEventMetrics
  readonly #profile: AgentProfile
  readonly #vpcCIDRs: () => readonly string[] | null
  readonly #routes: LocalRouteReader | undefined
  readonly #owners = new OwnerTable()
  readonly #exclusions = new Map<Pool, ExclusionList>()
  readonly #expirations: ExpirationTimers

  constructor(deps: IPAMDependencies) {
    this.ipv4Allocator = deps.ipv4Allocator
    this.ipv6Allocator = deps.ipv6Allocator
    this.#log = deps.log
    this.#metrics = deps.metrics ?? NO_EVENT_METRICS
    this.#profile = deps.profile ?? 'later'
    this.#vpcCIDRs = deps.vpcCIDRs ?? (() => null)
    this.#routes = deps.routes
    this.#expirations = new ExpirationTimers(deps, (ip, pool) => this.#expire(ip, pool))
  }

  /**
   * Reserves exactly this address.
   *
   * @param ip text of an address; its family must be enabled
   * @param pool the default one when absent; named when given (`later`)
   * @throws IPAMError INVALID_IP, POOL_REQUIRED, IP_EXCLUDED (with who excluded it), IPV4_DISABLED, IPV6_DISABLED, and the
   *   allocator's own
   */
  allocateIP(ip: string, owner: string, pool?: Pool): AllocationResult {
    return this.#allocateIP(ip, owner, pool, true)
  }

  /** The reference parses the text here; `allocateIP` does so already. */
  allocateIPString(text: string, owner: string, pool?: Pool): AllocationResult {
    return this.allocateIP(text, owner, pool)
  }

  /** As `allocateIP`, without a write to the API server: for endpoints that are restored. */
  allocateIPWithoutSyncUpstream(ip: string, owner: string, pool?: Pool): AllocationResult {
    return this.#allocateIP(ip, owner, pool, false)
  }

  /**
   * Reserves any address of every family that is asked for and enabled: IPv6 first, which goes back when IPv4 fails. A family that
   * is disabled, or a text that is none, gives no address and no error.
   *
   * @throws IPAMError the allocator's; nothing is held then
   */
  allocateNext(request: NextRequest): AllocationPair {
    const { family = '', owner } = request
    const pool = this.#requestedPool(request.pool)
    const wantsIPv6 = (family === '' || family === 'ipv6') && this.ipv6Allocator !== undefined
    const wantsIPv4 = (family === '' || family === 'ipv4') && this.ipv4Allocator !== undefined
    let ipv6: AllocationResult | undefined
    try {
      if (wantsIPv6) ipv6 = this.#allocateNextFamily('ipv6', owner, pool, true)
      const ipv4 = wantsIPv4 ? this.#allocateNextFamily('ipv4', owner, pool, true) : undefined
      return { ...(ipv4 !== undefined && { ipv4 }), ...(ipv6 !== undefined && { ipv6 }) }
    } catch (error) {
      if (ipv6 !== undefined) this.#rollBack(ipv6, pool)
      if (wantsIPv4 && wantsIPv6) {
        // Otherwise the reported demand would swing between the families while both are short.
        this.ipv4Allocator?.expectDemand?.(owner, pool)
        this.ipv6Allocator?.expectDemand?.(owner, pool)
      }
      throw error
    }
  }

  /**
   * Reserves any address of one family.
   *
   * @throws IPAMError FAMILY_UNKNOWN, ALLOCATOR_UNAVAILABLE (the family is disabled), and the allocator's own
   */
  allocateNextFamily(request: NextRequest & { readonly family: string }): AllocationResult {
    return this.#allocateNextFamily(request.family, request.owner, this.#requestedPool(request.pool), true)
  }

  /** As `allocateNextFamily`, without a write to the API server: for the agent's own addresses at its start. */
  allocateNextFamilyWithoutSyncUpstream(request: NextRequest & { readonly family: string }): AllocationResult {
    return this.#allocateNextFamily(request.family, request.owner, this.#requestedPool(request.pool), false)
  }

  /** `allocateNext`, each address with a token that must be shown (`stopExpirationTimer`) before the time is up. */
  allocateNextWithExpiration(request: NextWithExpirationRequest): AllocationPair {
    const { timeoutMs } = request
    const pool = this.#requestedPool(request.pool)
    const pair = this.allocateNext(request)
    if (timeoutMs === 0) return pair
    try {
      return {
        ...(pair.ipv4 !== undefined && { ipv4: this.#withExpiration(pair.ipv4, pool, timeoutMs) }),
        ...(pair.ipv6 !== undefined && { ipv6: this.#withExpiration(pair.ipv6, pool, timeoutMs) }),
      }
    } catch (error) {
      for (const result of [pair.ipv4, pair.ipv6]) if (result !== undefined) this.#rollBack(result, pool)
      throw error
    }
  }

  /**
   * Gives the address back unless `stopExpirationTimer` is called with the token first. Whether it is allocated is not checked.
   *
   * @returns the token, a random UUID. @throws IPAMError INVALID_IP, TIMER_EXISTS
   */
  startExpirationTimer(ip: string, pool: Pool, timeoutMs: number): string {
    const { ip: canonical, family } = canonicalIP(ip)
    return this.#expirations.start(canonical, this.#poolOf(family, pool), timeoutMs)
  }

  /** The address is in use. @throws IPAMError INVALID_IP, TIMER_NOT_FOUND, TIMER_UUID_MISMATCH */
  stopExpirationTimer(ip: string, pool: Pool, uuid: string): void {
    const { ip: canonical, family } = canonicalIP(ip)
    this.#expirations.stop(canonical, this.#poolOf(family, pool), uuid)
  }

  /**
   * Never hands this address out in this pool, also not where it is outside of the range today. A holder keeps it.
   *
   * @param owner who says so: named in the errors of those who ask for it
   * @throws IPAMError INVALID_IP
   */
  excludeIP(ip: string, owner: string, pool: Pool = POOL_DEFAULT): void {
    const { ip: canonical, family } = canonicalIP(ip)
    this.#exclusionsOf(this.#poolOf(family, pool)).exclude(canonical, owner)
  }

  /** Cilium 1.6's name of `excludeIP`, on the default pool. */
  blacklistIP(ip: string, owner: string): void {
    this.excludeIP(ip, owner, POOL_DEFAULT)
  }

  /** Excludes a whole network of the default pool. @throws IPAMError CIDR_PARSE */
  blacklistIPNet(cidr: string, owner: string): void {
    this.#exclusionsOf(POOL_DEFAULT).excludeNetwork(cidr, owner)
  }

  /**
   * Excludes the destinations of the host's IPv4 routes, which pods of the same address could not be told from. Needs a reader of
   * routes; without IPv4 there is nothing to do.
   */
  reserveLocalRoutes(): void {
    if (this.#routes === undefined || this.ipv4Allocator === undefined) return
    for (const { cidr, owner } of conflictingRoutes(this.#routes, this.#log)) this.blacklistIPNet(cidr, owner)
  }

  /** @throws IPAMError INVALID_IP, POOL_REQUIRED, IPV4_DISABLED, IPV6_DISABLED, the allocator's own; nothing has changed then */
  releaseIP(ip: string, pool?: Pool): void {
    const { ip: canonical, family } = canonicalIP(ip)
    this.#releaseIP(canonical, family, this.#namedPool(pool, { ip: canonical }))
  }

  /**
   * Releases an address, or every address of an owner in that pool, of both families. All are tried; the failures are reported
   * together.
   *
   * @param arg an address or an owner's name, tried in this order
   * @throws IPAMError INVALID_IP_OR_OWNER, and those of `releaseIP`; AggregateIPAMError for several
   */
  releaseIPString(arg: string, pool?: Pool): void {
    const named = this.#namedPool(pool, { owner: arg })
    const address = parseIP(arg)
    if (address !== undefined) {
      this.#releaseIP(address.ip, address.family, named)
      return
    }
    const held = this.#owners.addressesOf(arg, this.#ownerPools(named))
    if (held.length === 0)
      throw new IPAMError('INVALID_IP_OR_OWNER', `neither an IP address nor a known owner: ${JSON.stringify(arg)}`, {
        owner: arg,
        pool: named,
      })
    const errors: IPAMError[] = []
    for (const { ip, pool: heldPool } of held) {
      try {
        this.#releaseIP(ip, canonicalIP(ip).family, heldPool)
      } catch (error) {
        if (!(error instanceof IPAMError)) throw error
        errors.push(error)
      }
    }
    const [only] = errors
    if (only !== undefined) throw errors.length === 1 ? only : new AggregateIPAMError(errors)
  }

  /** Who holds what, and one line for each allocator. */
  dump(): IPAMDump {
    const ipv4 = this.ipv4Allocator?.dump()
    const ipv6 = this.ipv6Allocator?.dump()
    const lines = [
      ...(ipv4 === undefined ? [] : [`IPv4: ${ipv4.status}`]),
      ...(ipv6 === undefined ? [] : [`IPv6: ${ipv6.status}`]),
    ]
    return {
      ...(ipv4 !== undefined && { ipv4: this.#owners.named(ipv4.allocated) }),
      ...(ipv6 !== undefined && { ipv6: this.#owners.named(ipv6.allocated) }),
      status: lines.length === 0 ? 'Not running' : lines.join(', '),
    }
  }

  /** Owners, expirations and exclusions as text for people. */
  debugStatus(): string {
    return debugText({
      status: this.dump().status,
      owners: this.#owners.entries(),
      expirations: this.#expirations.entries(),
      exclusions: [...this.#exclusions].map(([pool, list]) => [pool, list.entries()] as const),
    })
  }

  /** The VPC's CIDRs, the primary one last; null when unknown, and outside of the cloud modes. */
  getVPCCIDRs(): readonly string[] | null {
    return this.#vpcCIDRs()
  }

  /** Every endpoint of before the restart is registered again; see `Allocator.restoreFinished`. */
  restoreFinished(): void {
    this.ipv4Allocator?.restoreFinished()
    this.ipv6Allocator?.restoreFinished()
  }

  /** The numbers of every pool, for metrics. */
  usage(): readonly PoolUsage[] {
    return [...(this.ipv4Allocator?.usage() ?? []), ...(this.ipv6Allocator?.usage() ?? [])]
  }

  #allocateIP(text: string, owner: string, requested: Pool | undefined, needsSync: boolean): AllocationResult {
    const { ip, family } = canonicalIP(text)
    const named = this.#namedPool(requested, { ip, owner })
    const pool = this.#poolOf(family, named)
    const excludedBy = this.#exclusions.get(pool)?.ownerOf(ip)
    if (excludedBy !== undefined)
      throw new IPAMError('IP_EXCLUDED', `IP ${ip} is excluded, owned by ${excludedBy}`, { ip, owner, pool })
    const allocator = this.#allocator(family)
    if (allocator === undefined) throw familyDisabledError(family, { ip, owner, pool })
    const result = needsSync
      ? allocator.allocate(ip, owner, pool)
      : allocator.allocateWithoutSyncUpstream(ip, owner, pool)
    return this.#book(result, family, owner, pool)
  }

  #allocateNextFamily(family: string, owner: string, requested: Pool, needsSync: boolean): AllocationResult {
    if (!isFamily(family)) throw unknownFamilyError(family, { owner, pool: requested })
    const allocator = this.#allocator(family)
    if (allocator === undefined)
      throw new IPAMError('ALLOCATOR_UNAVAILABLE', `${family} allocator not available`, {
        owner,
        pool: requested,
        family,
      })
    const pool = this.#poolOf(family, requested)
    const excluded: ExcludedAddresses | undefined = this.#exclusions.get(pool)
    const result = needsSync
      ? allocator.allocateNext(owner, pool, excluded)
      : allocator.allocateNextWithoutSyncUpstream(owner, pool, excluded)
    return this.#book(result, family, owner, pool)
  }

  #book(result: AllocationResult, family: Family, owner: string, pool: Pool): AllocationResult {
    const realPool = result.ipPoolName ?? pool
    this.#owners.set(result.ip, realPool, owner)
    this.#metrics.countEvent('allocate', family)
    this.#setCapacity(family)
    this.#log.debug({ address: result.ip, pool: realPool, pod: owner }, 'Allocated IP')
    if (this.#profile === 'later') return result.ipPoolName === undefined ? { ...result, ipPoolName: pool } : result
    // Results carry no pool before 1.14.0.
    const { ipPoolName: _, ...withoutPool } = result
    return withoutPool
  }

  #releaseIP(ip: string, family: Family, requested: Pool): void {
    const allocator = this.#allocator(family)
    if (allocator === undefined) throw familyDisabledError(family, { ip, pool: requested })
    const pool = this.#poolOf(family, requested)
    allocator.release(ip, pool)
    const owner = this.#owners.delete(ip, pool)
    this.#expirations.cancel(ip, pool)
    this.#metrics.countEvent('release', family)
    this.#setCapacity(family)
    this.#log.debug({ address: ip, pool, pod: owner }, 'Released IP')
  }

  #withExpiration(result: AllocationResult, pool: Pool, timeoutMs: number): AllocationResult {
    const expirationUUID = this.startExpirationTimer(result.ip, result.ipPoolName ?? pool, timeoutMs)
    return { ...result, expirationUUID }
  }

  /** Gives back what a call that fails has reserved. A failure of the roll-back must not hide the failure itself. */
  #rollBack(result: AllocationResult, pool: Pool): void {
    const { ip } = result
    try {
      this.#releaseIP(ip, canonicalIP(ip).family, result.ipPoolName ?? pool)
    } catch (error) {
      this.#log.warn({ address: ip, pool, error }, 'Unable to release IP after a failed allocation')
    }
  }

  #expire(ip: string, pool: Pool): void {
    const owner = this.#owners.get(ip, pool)
    try {
      this.#releaseIP(ip, canonicalIP(ip).family, pool)
      this.#log.warn({ address: ip, pool, pod: owner }, 'Released IP: nobody confirmed its use in time')
    } catch (error) {
      this.#log.warn({ address: ip, pool, pod: owner, error }, 'Unable to release IP after its time was up')
    }
  }

  #allocator(family: Family): Allocator | undefined {
    return family === 'ipv4' ? this.ipv4Allocator : this.ipv6Allocator
  }

  /** The pool that addresses of a request come from: without pools it is the default one, whatever was asked for. */
  #poolOf(family: Family, requested: Pool): Pool {
    return this.#allocator(family)?.isPooled === false ? POOL_DEFAULT : requested
  }

  /** Of a request for any address: nothing named means the default pool. */
  #requestedPool(pool: Pool | undefined): Pool {
    if (this.#profile === 'v1.6' || pool === undefined) return POOL_DEFAULT
    return pool === '' && this.#profile === 'later' ? POOL_DEFAULT : pool
  }

  /** Of a request about a certain address: an empty name is a caller that lost its pool. */
  #namedPool(pool: Pool | undefined, about: { readonly ip?: string; readonly owner?: string }): Pool {
    if (this.#profile === 'v1.6' || pool === undefined) return POOL_DEFAULT
    if (pool === '' && this.#profile === 'later')
      throw new IPAMError('POOL_REQUIRED', 'a pool must be named', { ...about, pool })
    return pool
  }

  /** The pools in which the owners of a named pool are kept: one for each family's allocator. */
  #ownerPools(pool: Pool): readonly Pool[] {
    return [...new Set([this.#poolOf('ipv4', pool), this.#poolOf('ipv6', pool)])]
  }

  #exclusionsOf(pool: Pool): ExclusionList {
    const list = this.#exclusions.get(pool) ?? new ExclusionList()
    this.#exclusions.set(pool, list)
    return list
  }

  #setCapacity(family: Family): void {
    const allocator = this.#allocator(family)
    if (allocator !== undefined) this.#metrics.setCapacity(family, allocator.capacity())
  }
}
