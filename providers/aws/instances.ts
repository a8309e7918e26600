import type { Logger, SyncResult } from '../../src/ipam/contracts.ts'
import { InstanceMap } from '../../src/ipam/instance-map.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { subnetFilters, tagFilters } from './filters.ts'
import type { DenseAddresses } from './dense-addresses.ts'
import type { InfrastructureCache } from './infrastructure.ts'
import { InstanceReads } from './instance-reads.ts'
import { applyChange, RecentChanges, type InterfaceChange } from './interface-change.ts'
import type { EC2Listings } from './listings.ts'
import type { ListedInterface } from './parse-interface.ts'
import { primaryInterface } from './plan.ts'
import { isSameInterface } from './same-interface.ts'
import type { AWSProviderConfig, ENI } from './types.ts'

type Interfaces = ReadonlyMap<string, ENI>
/** Attached interfaces as a listing shows them, by instance and ID. */
type InstanceListing = Map<string, Map<string, ENI>>
const NO_INTERFACES: Interfaces = new Map()
/** How long the first full sync takes what `prepare` read for fresh (ms). A choice: well below the interval of full syncs. */
const PREPARED_FOR_MS = 30_000

/** Instances of a full listing that are taken over at once (count); other work runs in between. */
const TAKEN_OVER_AT_ONCE = 500

export interface InstancesManagerDependencies {
  readonly listings: EC2Listings
  readonly infrastructure: InfrastructureCache
  readonly clock: Clock
  readonly log: Logger
  /** Ends reads that several instances share. */
  readonly signal: AbortSignal
  /** Is told of every change of the inventory; absent: nobody wants to know. */
  readonly dense?: Pick<DenseAddresses, 'changed' | 'listed'>
}

/**
 * The inventory: which interfaces every instance has. It is fed by listings and at once by the answers of our own writes.
 * Records are replaced, never edited, so that what was handed out stays as it was.
 *
 * A listing is merged, not swapped in: an instance that was read more recently keeps what that read showed, our own changes
 * that a listing may have missed are replayed over it, and a live node's interface that a listing does not show is asked for
 * by the instance's ID before it is believed gone.
 *
 * @source cilium pkg/aws/ipam/instances.go, InstancesManager
 */
export class InstancesManager {
  readonly #config: AWSProviderConfig
  readonly #listings: EC2Listings
  readonly #infrastructure: InfrastructureCache
  readonly #clock: Clock
  readonly #log: Logger
  readonly #reads: InstanceReads
  readonly #dense: Pick<DenseAddresses, 'changed' | 'listed'> | undefined
  readonly #instances = new InstanceMap<ENI>()
  readonly #syncedAtMs = new Map<string, number>()
  /** Instances of live nodes, with their type. */
  readonly #tracked = new Map<string, string>()
  readonly #recent = new RecentChanges()
  /** Starts of the reads under way. */
  readonly #readsUnderWay = new Set<{ readonly startedAtMs: number }>()
  #missingInstanceCount = 0
  #preparedAtMs: number | undefined

  constructor(config: AWSProviderConfig, deps: InstancesManagerDependencies) {
    this.#config = config
    this.#listings = deps.listings
    this.#infrastructure = deps.infrastructure
    this.#clock = deps.clock
    this.#log = deps.log
    this.#dense = deps.dense
    this.#reads = new InstanceReads({
      clock: deps.clock,
      signal: deps.signal,
      read: (instanceIDs, context) => this.#readInstances(instanceIDs, context),
    })
  }

  /** Instances of live nodes that the newest full listing did not show (count). */
  get missingInstanceCount(): number {
    return this.#missingInstanceCount
  }

  /** Interfaces of one instance by ID; undefined when the instance is not known. The same object until something changes. */
  interfacesOf(instanceID: string): Interfaces | undefined {
    return instanceID === '' ? undefined : this.#instances.interfacesOf(instanceID)
  }

  hasInstance(instanceID: string): boolean {
    return (this.interfacesOf(instanceID)?.size ?? 0) > 0
  }

  /** Start of the newest read that covered this instance (monotonic ms). */
  syncedAtMs(instanceID: string): number | undefined {
    return this.#syncedAtMs.get(instanceID)
  }

  /** A live node has this instance: no listing makes it forgotten without asking for it by its ID. */
  track(instanceID: string, instanceType: string): void {
    if (instanceID !== '') this.#tracked.set(instanceID, instanceType)
  }

  /** The type of a live node's instance; empty when there is no such node, or when its resource does not say. */
  instanceTypeOf(instanceID: string): string {
    return this.#tracked.get(instanceID) ?? ''
  }

  /** Interfaces that a node's own status tells of, where nothing better is known; they stay unverified. */
  restore(instanceID: string, interfaces: Interfaces): void {
    if (instanceID === '' || interfaces.size === 0 || this.#instances.hasInstance(instanceID)) return
    const restored = [...interfaces].map(([id, eni]): [string, ENI] => [id, this.#infrastructure.withCIDRs(eni, eni)])
    this.#replace(instanceID, new Map(restored))
  }

  deleteInstance(instanceID: string): void {
    if (instanceID === '') return
    this.#tracked.delete(instanceID)
    this.#forget(instanceID)
  }

  /** One of our own calls changed an interface. An unknown interface is left alone with a warning. */
  recordChange(instanceID: string, interfaceID: string, change: InterfaceChange): void {
    const nowMs = this.#clock.now()
    this.#recent.record(instanceID, interfaceID, change, nowMs, this.#oldestReadMs())
    const previous = this.interfacesOf(instanceID)?.get(interfaceID)
    const updated = applyChange(previous, change)
    if (updated === undefined) {
      this.#log.warn({ instanceID, interfaceID }, 'Changed an interface that is not in the inventory')
      return
    }
    const interfaces = this.interfacesOf(instanceID) ?? NO_INTERFACES
    const record = this.#infrastructure.withCIDRs(updated, previous)
    this.#instances.updateInterface(instanceID, interfaceID, record)
    this.#dense?.changed(interfaces, this.interfacesOf(instanceID) ?? NO_INTERFACES)
  }

  /** Reads what nodes need before they are served; the first full sync does not read it again. @throws CloudAPIError */
  async prepare(context: CallContext): Promise<void> {
    const startedAtMs = this.#clock.now()
    await this.#infrastructure.read(context)
    this.#preparedAtMs = startedAtMs
  }

  /**
   * Full sync: infrastructure first, published even when the listing after it fails; then all interfaces, applied at the end.
   *
   * @throws CloudAPIError; the inventory is then as it was
   */
  async resync(context: CallContext): Promise<SyncResult> {
    const startedAtMs = this.#clock.now()
    const isPrepared = startedAtMs - (this.#preparedAtMs ?? Number.NEGATIVE_INFINITY) < PREPARED_FOR_MS
    this.#preparedAtMs = undefined
    if (!isPrepared) await this.#infrastructure.read(context)
    return this.#whileReading(startedAtMs, async () => {
      const { subnetIDsFilter, subnetTagsFilter, instanceTagsFilter } = this.#config
      const hasSubnetFilters = subnetFilters(subnetTagsFilter, subnetIDsFilter).length > 0
      const listed: InstanceListing = new Map()
      const others: ENI[] = []
      await this.#listings.describeInterfaces(
        {
          subnetIDs: hasSubnetFilters ? [...this.#infrastructure.current.subnets.keys()].sort() : undefined,
          instanceFilters: tagFilters(instanceTagsFilter),
        },
        context,
        (page) => this.#collect(page, listed, others),
      )
      this.#missingInstanceCount = [...this.#tracked.keys()].filter((id) => !listed.has(id)).length
      const doubtful = new Set(
        [...this.#tracked.keys()].filter((id) => this.#isDoubtful(id, listed.get(id), startedAtMs)),
      )
      const changed = await this.#takeOver(listed, doubtful, startedAtMs, context)
      if (doubtful.size > 0) changed.push(...(await this.#verify([...doubtful].sort(), listed, context)))
      this.#recent.forgetBefore(startedAtMs)
      this.#dense?.listed(others)
      return { startedAtMs, changedInstanceIDs: changed.sort() }
    })
  }

  /** Reads one instance; calls within a second share one listing. @throws CloudAPIError; the signal's reason */
  instanceSync(instanceID: string, context: CallContext): Promise<SyncResult> {
    return this.#reads.request(instanceID, context)
  }

  /**
   * Whether a listing's picture of a live node's instance is to be confirmed: it is missing, its first interface is, or an
   * interface that we know is.
   */
  #isDoubtful(instanceID: string, listed: Interfaces | undefined, startedAtMs: number): boolean {
    if (this.#isReadAfter(instanceID, startedAtMs)) return false
    if (listed === undefined || primaryInterface(listed.values()) === undefined) return true
    const seen = this.#recent.has(instanceID, startedAtMs)
      ? this.#recent.replay(instanceID, listed, startedAtMs)
      : listed
    for (const interfaceID of this.interfacesOf(instanceID)?.keys() ?? []) if (!seen.has(interfaceID)) return true
    return false
  }

  /** Takes a full listing over, in steps between which other work runs. Each instance stands for itself. */
  async #takeOver(
    listed: InstanceListing,
    doubtful: ReadonlySet<string>,
    startedAtMs: number,
    context: CallContext,
  ): Promise<string[]> {
    const changed: string[] = []
    let count = 0
    for (const [instanceID, interfaces] of listed) {
      if (!doubtful.has(instanceID) && this.#applyInstance(instanceID, interfaces, startedAtMs))
        changed.push(instanceID)
      if (++count % TAKEN_OVER_AT_ONCE === 0) await this.#clock.sleep(0, context.signal)
    }
    // Sorting all IDs is worth it only where some may be left over.
    if (this.#instances.instanceCount <= listed.size && doubtful.size === 0) return changed
    for (const instanceID of this.#instances.instanceIDs()) {
      if (listed.has(instanceID) || doubtful.has(instanceID)) continue
      if (this.#applyInstance(instanceID, NO_INTERFACES, startedAtMs)) changed.push(instanceID)
    }
    return changed
  }

  /** Asks for instances by their IDs. When that fails, what is known is kept and what was listed is added to it. */
  async #verify(
    doubtful: readonly string[],
    listed: InstanceListing,
    context: CallContext,
  ): Promise<readonly string[]> {
    this.#log.info(
      { count: doubtful.length, missing: this.#missingInstanceCount },
      'Asking for instances that the listing does not show in full',
    )
    try {
      return (await this.#readInstances(doubtful, context)).changedInstanceIDs
    } catch (error) {
      if (context.signal.aborted) throw error
      this.#log.warn({ count: doubtful.length, error }, 'Cannot confirm instances, keeping what is known')
      return doubtful.filter((instanceID) => this.#addListed(instanceID, listed.get(instanceID) ?? NO_INTERFACES))
    }
  }

  #addListed(instanceID: string, listed: Interfaces): boolean {
    const previous = this.interfacesOf(instanceID) ?? NO_INTERFACES
    const added = [...listed].filter(([interfaceID]) => !previous.has(interfaceID))
    if (added.length === 0) return false
    this.#replace(instanceID, new Map([...previous, ...added]))
    return true
  }

  async #readInstances(instanceIDs: readonly string[], context: CallContext): Promise<SyncResult> {
    const startedAtMs = this.#clock.now()
    return this.#whileReading(startedAtMs, async () => {
      const listed: InstanceListing = new Map()
      await this.#listings.describeInterfacesOfInstances(instanceIDs, context, (page) => this.#collect(page, listed))
      const changedInstanceIDs = instanceIDs.filter((instanceID) =>
        this.#applyInstance(instanceID, listed.get(instanceID) ?? NO_INTERFACES, startedAtMs),
      )
      return { startedAtMs, changedInstanceIDs }
    })
  }

  /** @returns whether the instance's record changed */
  #applyInstance(instanceID: string, listed: Interfaces, startedAtMs: number): boolean {
    if (this.#isReadAfter(instanceID, startedAtMs)) return false
    const previous = this.interfacesOf(instanceID) ?? NO_INTERFACES
    const interfaces = this.#recent.has(instanceID, startedAtMs)
      ? new Map(
          [...this.#recent.replay(instanceID, listed, startedAtMs)].map(([id, eni]) => [
            id,
            this.#recordOf(eni, previous.get(id)),
          ]),
        )
      : listed
    if (interfaces.size === 0) {
      this.#forget(instanceID)
      if (this.#tracked.has(instanceID)) this.#syncedAtMs.set(instanceID, startedAtMs)
      return previous.size > 0
    }
    this.#syncedAtMs.set(instanceID, startedAtMs)
    if (isIdentical(interfaces, previous)) return false
    this.#replace(instanceID, interfaces)
    return interfaces.size !== previous.size || [...interfaces].some(([id, eni]) => !isSame(eni, previous.get(id)))
  }

  #replace(instanceID: string, interfaces: Interfaces): void {
    const previous = this.interfacesOf(instanceID) ?? NO_INTERFACES
    this.#instances.replaceInstance(instanceID, interfaces)
    this.#dense?.changed(previous, interfaces)
  }

  #forget(instanceID: string): void {
    this.#dense?.changed(this.interfacesOf(instanceID) ?? NO_INTERFACES, NO_INTERFACES)
    this.#instances.deleteInstance(instanceID)
    this.#syncedAtMs.delete(instanceID)
    this.#recent.forgetInstance(instanceID)
  }

  #isReadAfter(instanceID: string, startedAtMs: number): boolean {
    return (this.#syncedAtMs.get(instanceID) ?? Number.NEGATIVE_INFINITY) > startedAtMs
  }

  /**
   * Adds a page to a listing, with our own records where they say the same: most of a sync then compares by identity.
   *
   * @param others takes what hangs on no instance
   */
  #collect(page: readonly ListedInterface[], listed: InstanceListing, others?: ENI[]): readonly ListedInterface[] {
    for (const { instanceID, eni } of page) {
      if (instanceID === '') {
        others?.push(eni)
        continue
      }
      const record = this.#recordOf(eni, this.interfacesOf(instanceID)?.get(eni.id))
      const interfaces = listed.get(instanceID)
      if (interfaces === undefined) listed.set(instanceID, new Map([[eni.id, record]]))
      else interfaces.set(eni.id, record)
    }
    return []
  }

  #recordOf(eni: ENI, previous: ENI | undefined): ENI {
    const told = this.#infrastructure.withCIDRs(eni, previous)
    // A node's status does not carry the type: where nobody is interested in it, it stays unknown, and nothing has changed.
    const isTypeIdle =
      previous?.interfaceType === '' && !this.#config.excludedInterfaceTypes.includes(eni.interfaceType)
    const record = isTypeIdle ? { ...told, interfaceType: '' } : told
    if (previous === undefined || !isSameInterface(previous, record)) return record
    return previous.attachmentID === record.attachmentID
      ? previous
      : { ...previous, attachmentID: record.attachmentID || previous.attachmentID }
  }

  #oldestReadMs(): number {
    return Math.min(this.#clock.now(), ...[...this.#readsUnderWay].map(({ startedAtMs }) => startedAtMs))
  }

  async #whileReading<T>(startedAtMs: number, read: () => Promise<T>): Promise<T> {
    const underWay = { startedAtMs }
    this.#readsUnderWay.add(underWay)
    try {
      return await read()
    } finally {
      this.#readsUnderWay.delete(underWay)
    }
  }
}

function isIdentical(a: Interfaces, b: Interfaces): boolean {
  if (a.size !== b.size) return false
  for (const [interfaceID, eni] of a) if (b.get(interfaceID) !== eni) return false
  return true
}

function isSame(eni: ENI, before: ENI | undefined): boolean {
  return before !== undefined && isSameInterface(before, eni)
}
