import type { Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { IPAMProfile, PoolQuotaMap, Subnet } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { FoldedRequests } from '../../src/runtime/folded-requests.ts'
import type { AzureAPI } from './api.ts'
import { textAt } from './json.ts'
import { freeByUsage, isUsageUnknown, parseSubnet, unreadSubnet } from './parse-subnet.ts'
import { keyOf, parseSubnetID } from './resource-id.ts'
import type { NIC } from './types.ts'

/** What was read of a subnet holds this long for reads of single machines (ms): as long as between two full syncs of a small fleet. */
const FRESH_MS = 60_000
/** Reads of one subnet asked for within this time share one (ms). */
const SHARING_WINDOW_MS = 1000

interface Entry {
  readonly subnet: Subnet
  /** Start of the read; undefined when it is known from a node's status alone. */
  readonly readAtMs: number | undefined
}

export interface SubnetCacheDependencies {
  readonly api: Pick<AzureAPI, 'getSubnet' | 'listUsages'>
  readonly profile: IPAMProfile
  /** New addresses come from these alone (ARM IDs, any letter case); empty: from any. */
  readonly subnetIDsFilter: readonly string[]
  readonly clock: Clock
  readonly log: Logger
  /** Ends shared reads. */
  readonly signal: AbortSignal
}

/**
 * The subnets that interfaces are in, each read by itself: listing all virtual networks of a subscription throttles it
 * (cilium/cilium#41555). A subnet that cannot be read stays as it was.
 *
 * @source cilium pkg/azure/ipam/instances.go; pkg/azure/api, GetSubnetsByIDs
 */
export class SubnetCache {
  readonly #deps: SubnetCacheDependencies
  readonly #filter: ReadonlySet<string>
  readonly #reads: FoldedRequests<boolean>
  #entries: ReadonlyMap<string, Entry> = new Map()
  #open: ReadonlyMap<string, Subnet> | undefined

  constructor(deps: SubnetCacheDependencies) {
    this.#deps = deps
    this.#filter = new Set(deps.subnetIDsFilter.map(keyOf))
    this.#reads = new FoldedRequests({
      clock: deps.clock,
      signal: deps.signal,
      windowMs: SHARING_WINDOW_MS,
      groupOf: keyOf,
      // Spellings of one ID that differ in letter case are one group, and one read answers all of them.
      serve: (ids, context) => {
        const read = this.#read(ids[0] ?? '', context)
        return new Map(ids.map((id) => [id, read]))
      },
    })
  }

  /** Subnets that new addresses may come from, by `keyOf` of their ID. The same object until something changes. */
  get open(): ReadonlyMap<string, Subnet> {
    this.#open ??= new Map(
      [...this.#entries]
        .filter(([key]) => this.#filter.size === 0 || this.#filter.has(key))
        .map(([key, { subnet }]) => [key, subnet]),
    )
    return this.#open
  }

  /** @returns undefined for a subnet that is not known */
  get(id: string): Subnet | undefined {
    return this.#entries.get(keyOf(id))?.subnet
  }

  poolQuota(): PoolQuotaMap {
    return new Map(
      [...this.#entries.values()].map(({ subnet: { id, availabilityZone, availableAddresses } }) => [
        id,
        { availabilityZone, availableIPs: availableAddresses, availableIPv6s: 0 },
      ]),
    )
  }

  /** Reads those that were not read just before, and adds them. Others stay: they belong to other machines (cilium/cilium#45715). */
  async readStale(ids: Iterable<string>, context: CallContext): Promise<void> {
    const nowMs = this.#deps.clock.now()
    const stale = distinct(ids).filter((id) => {
      const readAtMs = this.#entries.get(keyOf(id))?.readAtMs
      return readAtMs === undefined || nowMs - readAtMs >= FRESH_MS
    })
    await this.#readAll(stale, context)
  }

  /** Reads all that are in use; the others are forgotten. */
  async readUsed(ids: Iterable<string>, context: CallContext): Promise<void> {
    const used = distinct(ids)
    await this.#readAll(used, context)
    const keys = new Set(used.map(keyOf))
    if ([...this.#entries.keys()].every((key) => keys.has(key))) return
    this.#replace(new Map([...this.#entries].filter(([key]) => keys.has(key))))
  }

  /** A subnet that a node's status tells of, where nothing better is known: all of it is taken for free until it is read. */
  restore({ id, cidr }: NIC['subnet']): void {
    if (id === '' || this.#entries.has(keyOf(id))) return
    const subnet = unreadSubnet(id, cidr)
    if (subnet !== undefined) this.#set(keyOf(id), { subnet, readAtMs: undefined })
  }

  /** Our own call took addresses from a subnet (negative) or gave some back (count). */
  adjustFreeAddresses(id: string, difference: number): void {
    this.#update(id, (free) => Math.max(free + difference, 0))
  }

  /** The subnet had no room for so many addresses: our count is too high. Half of it is assumed, until the next read. */
  lowerFreeAddresses(id: string, refusedCount: number): void {
    this.#update(id, (free) => Math.min(free, Math.floor(refusedCount / 2)))
  }

  async #readAll(ids: readonly string[], context: CallContext): Promise<void> {
    await Promise.all(ids.map((id) => this.#reads.request(id, context)))
  }

  /** @returns whether it was read. @throws only the signal's reason */
  async #read(id: string, context: CallContext): Promise<boolean> {
    const { clock, log } = this.#deps
    const readAtMs = clock.now()
    try {
      const subnet = await this.#fetch(id, context)
      if (subnet === undefined) {
        log.warn({ subnetID: id }, 'A subnet has no IPv4 prefix that can be read, leaving it out')
        this.#forget(id)
        return false
      }
      this.#set(keyOf(id), { subnet: { ...subnet, id }, readAtMs })
      return true
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      log.warn({ subnetID: id, error }, 'Cannot read a subnet, keeping what is known')
      if (error.kind === 'notFound') this.#forget(id)
      return false
    }
  }

  async #fetch(id: string, context: CallContext): Promise<Subnet | undefined> {
    const { api, profile } = this.#deps
    const place = parseSubnetID(id)
    if (place === undefined) return undefined
    const document = await api.getSubnet(place, context)
    const subnet = parseSubnet(document, profile)
    if (subnet === undefined || profile !== 'latest' || !isUsageUnknown(document)) return subnet
    const free = await this.#freeByUsage(id, context)
    return free === undefined ? subnet : { ...subnet, availableAddresses: free }
  }

  /** Where the subnet's list is left out the network's usages tell. Undefined when they do not. @throws the signal's reason */
  async #freeByUsage(id: string, context: CallContext): Promise<number | undefined> {
    const place = parseSubnetID(id)
    if (place === undefined) return undefined
    try {
      const usages = await this.#deps.api.listUsages(place, context)
      const usage = usages.find((one) => keyOf(textAt(one, 'id')) === keyOf(id))
      return usage && freeByUsage(usage)
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      this.#deps.log.debug({ subnetID: id, error }, 'Cannot read the usage of a virtual network')
      return undefined
    }
  }

  #update(id: string, freeAddresses: (free: number) => number): void {
    const entry = this.#entries.get(keyOf(id))
    if (entry === undefined) return
    const { subnet, readAtMs } = entry
    this.#set(keyOf(id), {
      subnet: { ...subnet, availableAddresses: freeAddresses(subnet.availableAddresses) },
      readAtMs,
    })
  }

  #forget(id: string): void {
    if (!this.#entries.has(keyOf(id))) return
    this.#replace(new Map([...this.#entries].filter(([key]) => key !== keyOf(id))))
  }

  #set(key: string, entry: Entry): void {
    this.#replace(new Map(this.#entries).set(key, entry))
  }

  #replace(entries: ReadonlyMap<string, Entry>): void {
    this.#entries = entries
    this.#open = undefined
  }
}

/** One spelling of each ID, sorted. */
function distinct(ids: Iterable<string>): readonly string[] {
  const byKey = new Map<string, string>()
  for (const id of ids) if (id !== '' && !byKey.has(keyOf(id))) byKey.set(keyOf(id), id)
  return [...byKey.values()].sort()
}
