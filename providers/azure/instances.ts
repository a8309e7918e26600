import type { Logger, SyncResult } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import { InstanceMap } from '../../src/ipam/instance-map.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { FoldedRequests } from '../../src/runtime/folded-requests.ts'
import type { AzureAPI } from './api.ts'
import { InstanceClock, type ReadTicket } from './instance-clock.ts'
import { parseInterface } from './parse-interface.ts'
import { withoutAddresses } from './plan-release.ts'
import { keyOf, parseMachineID } from './resource-id.ts'
import { isIdenticalInterface, isSameInterface } from './same-interface.ts'
import type { SubnetCache } from './subnet-cache.ts'
import type { NIC } from './types.ts'
import type { UnfinishedNames } from './unfinished-names.ts'

type Interfaces = ReadonlyMap<string, NIC>
/** Interfaces as a listing shows them, by instance and ID. */
type InstanceListing = Map<string, Map<string, NIC>>
const NO_INTERFACES: Interfaces = new Map()

/** Machines asked for within this time of a read share the next one (ms). docs/decisions/0011-freshness.md */
const SHARING_WINDOW_MS = 1000
/** Interfaces that one page of a list holds (count). Not documented; a wrong guess costs calls, nothing else. */
const PAGE_SIZE = 100
/** Calls that reading one standalone machine takes (count): the machine, and its interface. */
const STANDALONE_READS = 2
/** Instances of a full listing that are taken over at once (count); other work runs in between. */
const TAKEN_OVER_AT_ONCE = 500
/** Machines of live nodes that one full sync asks for by themselves (count). The rest stays as it is until the next one. */
const MAX_VERIFIED = 50
/** Machines with an ordinary interface: they share a list. */
const STANDALONE_GROUP = 'standalone'

export interface InstancesManagerDependencies {
  readonly api: AzureAPI
  readonly subnets: SubnetCache
  /** Is told of every interface that is taken over; absent: nobody wants to know. */
  readonly unfinished?: Pick<UnfinishedNames, 'seen'>
  readonly clock: Clock
  readonly log: Logger
  /** Ends reads that several instances share. */
  readonly signal: AbortSignal
}

/**
 * The inventory: which interfaces every machine has. It is fed by lists, by reads of single machines and of what our own writes left.
 * Records are replaced, never edited.
 *
 * A read that began before a write of ours ended is not believed about that machine, however late it arrives, nor one that is older
 * than what was applied; a live node's machine that the lists do not show is asked for by itself before it is believed gone.
 *
 * @source cilium pkg/azure/ipam/instances.go, InstancesManager
 */
export class InstancesManager {
  readonly #deps: InstancesManagerDependencies
  readonly #reads: FoldedRequests<SyncResult>
  readonly #instances = new InstanceMap<NIC>()
  readonly #order = new InstanceClock()
  /** Machines of live nodes. */
  readonly #tracked = new Set<string>()
  /** How many of them share a list (count), by group. */
  readonly #groupSizes = new Map<string, number>()
  #missingInstanceCount = 0

  constructor(deps: InstancesManagerDependencies) {
    this.#deps = deps
    this.#reads = new FoldedRequests({
      clock: deps.clock,
      signal: deps.signal,
      windowMs: SHARING_WINDOW_MS,
      groupOf: (instanceID) => this.#groupOf(instanceID),
      serve: (instanceIDs, context) => this.#serveReads(instanceIDs, context),
    })
  }

  /** Machines of live nodes that the newest full sync did not show (count). */
  get missingInstanceCount(): number {
    return this.#missingInstanceCount
  }

  /** Interfaces of one machine by ID; undefined when the machine is not known. The same object until something changes. */
  interfacesOf(instanceID: string): Interfaces | undefined {
    return instanceID === '' ? undefined : this.#instances.interfacesOf(instanceID)
  }

  hasInstance(instanceID: string): boolean {
    return this.interfacesOf(instanceID) !== undefined
  }

  /** Start of the newest read that covered this machine (monotonic ms). */
  syncedAtMs(instanceID: string): number | undefined {
    return this.#order.syncedAtMs(instanceID)
  }

  /** Whether a write of ours is newer than the newest full sync: the release marker of the reference. */
  hasUnlistedWrite(instanceID: string): boolean {
    return this.#order.hasUnlistedWrite(instanceID)
  }

  /** A live node has this machine: no list makes it forgotten without asking for it. */
  track(instanceID: string): void {
    if (instanceID === '' || this.#tracked.has(instanceID)) return
    this.#tracked.add(instanceID)
    const group = this.#groupOf(instanceID)
    this.#groupSizes.set(group, (this.#groupSizes.get(group) ?? 0) + 1)
  }

  /** Interfaces that a node's own status tells of, where nothing better is known; they stay unverified. */
  restore(instanceID: string, interfaces: Interfaces): void {
    if (instanceID === '' || interfaces.size === 0 || this.#instances.hasInstance(instanceID)) return
    for (const nic of interfaces.values()) this.#deps.subnets.restore(nic.subnet)
    this.#instances.replaceInstance(instanceID, new Map([...interfaces].map(([id, nic]) => [id, this.#withCIDR(nic)])))
  }

  deleteInstance(instanceID: string): void {
    if (instanceID === '') return
    if (this.#tracked.delete(instanceID)) {
      const group = this.#groupOf(instanceID)
      this.#groupSizes.set(group, (this.#groupSizes.get(group) ?? 1) - 1)
    }
    this.#instances.deleteInstance(instanceID)
    this.#order.forget(instanceID)
  }

  /** A write of ours to this machine has ended: what began to be read before does not count any more. */
  noteWrite(instanceID: string): void {
    this.#order.wrote(instanceID)
  }

  /** Our write took these addresses off an interface. */
  recordReleased(instanceID: string, interfaceID: string, addresses: ReadonlySet<string>): void {
    this.noteWrite(instanceID)
    const nic = this.interfacesOf(instanceID)?.get(interfaceID)
    if (nic === undefined) return
    this.#instances.updateInterface(instanceID, interfaceID, withoutAddresses(nic, addresses))
  }

  /** What one interface looks like now. @throws CloudAPIError */
  async readInterface(instanceID: string, interfaceID: string, context: CallContext): Promise<void> {
    const ticket = this.#order.begin(this.#deps.clock.now())
    const listed = parseInterface(await this.#deps.api.getInterface(interfaceID, context))
    if (listed === undefined || !this.#order.isNews(instanceID, ticket)) return
    const previous = this.interfacesOf(instanceID)?.get(interfaceID)
    this.#instances.updateInterface(
      instanceID,
      interfaceID,
      this.#recordOf({ ...listed.nic, id: interfaceID }, previous),
    )
  }

  /**
   * Full sync: scale sets and their interfaces, the ordinary interfaces, then the subnets in use. One list that fails for good fails
   * all of it, and the inventory is then as it was.
   *
   * @throws CloudAPIError
   * @source cilium pkg/azure/ipam/instances.go, Resync
   */
  async resync(context: CallContext): Promise<SyncResult> {
    const { api, clock, log } = this.#deps
    const ticket = this.#order.begin(clock.now())
    const listed: InstanceListing = new Map()
    for (const { name, capacity } of await api.listScaleSets(context)) {
      // A scale set without machines answers 404, and costs a call (cilium issue 24185).
      if (capacity !== 0) collect(await api.listScaleSetInterfaces(name, context), listed)
    }
    collect(await api.listInterfaces(context), listed)
    const unlisted = [...this.#tracked].filter((instanceID) => !listed.has(instanceID)).sort()
    this.#missingInstanceCount = unlisted.length
    if (unlisted.length > 0) log.info({ count: unlisted.length }, 'Asking for machines that the lists do not show')
    await this.#deps.subnets.readUsed(this.#usedSubnets(listed, unlisted), context)
    const changed = await this.#takeOver(listed, new Set(unlisted), ticket, context)
    changed.push(...(await this.#verify(unlisted.slice(0, MAX_VERIFIED), context)))
    return { startedAtMs: ticket.startedAtMs, changedInstanceIDs: changed.sort() }
  }

  /** Reads one machine; calls within a second share what can be shared. @throws CloudAPIError; the signal's reason */
  instanceSync(instanceID: string, context: CallContext): Promise<SyncResult> {
    return this.#reads.request(instanceID, context)
  }

  /** Subnets of what was listed, and of live machines that were not. */
  #usedSubnets(listed: InstanceListing, unlisted: readonly string[]): ReadonlySet<string> {
    const used = new Set<string>()
    for (const interfaces of listed.values()) for (const { subnet } of interfaces.values()) used.add(subnet.id)
    for (const instanceID of unlisted)
      for (const { subnet } of (this.interfacesOf(instanceID) ?? NO_INTERFACES).values()) used.add(subnet.id)
    return used
  }

  /** Takes a full listing over, in steps between which other work runs. Each machine stands for itself. */
  async #takeOver(
    listed: InstanceListing,
    doubtful: ReadonlySet<string>,
    ticket: ReadTicket,
    context: CallContext,
  ): Promise<string[]> {
    const changed: string[] = []
    let count = 0
    for (const [instanceID, interfaces] of listed) {
      if (this.#apply(instanceID, interfaces, ticket, true)) changed.push(instanceID)
      if (++count % TAKEN_OVER_AT_ONCE === 0) await this.#deps.clock.sleep(0, context.signal)
    }
    if (this.#instances.instanceCount <= listed.size) return changed
    for (const instanceID of this.#instances.instanceIDs()) {
      if (listed.has(instanceID) || doubtful.has(instanceID)) continue
      if (this.#apply(instanceID, undefined, ticket, true)) changed.push(instanceID)
    }
    return changed
  }

  /** Asks for machines by themselves. When that fails, what is known is kept. @returns those that changed */
  async #verify(instanceIDs: readonly string[], context: CallContext): Promise<readonly string[]> {
    const results = await Promise.all(
      instanceIDs.map(async (instanceID) => {
        try {
          return (await this.#readInstance(instanceID, context)).changedInstanceIDs
        } catch (error) {
          if (!(error instanceof CloudAPIError)) throw error
          this.#deps.log.warn({ instanceID, error }, 'Cannot confirm a machine, keeping what is known')
          return []
        }
      }),
    )
    return results.flat()
  }

  /** Machines that wait together: by one list where that takes fewer calls, else each by itself. */
  #serveReads(instanceIDs: readonly string[], context: CallContext): ReadonlyMap<string, Promise<SyncResult>> {
    const [first = ''] = instanceIDs
    const machine = parseMachineID(first)
    const reads = instanceIDs.length * (machine?.kind === 'standalone' ? STANDALONE_READS : 1)
    const pages = Math.ceil((this.#groupSizes.get(this.#groupOf(first)) ?? 0) / PAGE_SIZE) || 1
    if (machine === undefined || reads <= pages || !this.#deps.api.isListed(machine))
      return new Map(instanceIDs.map((instanceID) => [instanceID, this.#readInstance(instanceID, context)]))
    const list =
      machine.kind === 'standalone'
        ? this.#list((background) => this.#deps.api.listInterfaces(background), context)
        : this.#list((background) => this.#deps.api.listScaleSetInterfaces(machine.scaleSetName, background), context)
    return new Map(
      instanceIDs.map((instanceID) => [
        instanceID,
        list.then(({ listed, ticket }) => {
          const interfaces = listed.get(instanceID)
          if (interfaces === undefined) return this.#readInstance(instanceID, context)
          return this.#resultOf(instanceID, ticket, this.#apply(instanceID, interfaces, ticket, false))
        }),
      ]),
    )
  }

  async #list(
    read: (context: CallContext) => Promise<readonly JSONObject[]>,
    context: CallContext,
  ): Promise<{ readonly listed: InstanceListing; readonly ticket: ReadTicket }> {
    const ticket = this.#order.begin(this.#deps.clock.now())
    const listed: InstanceListing = new Map()
    collect(await read(context), listed)
    await this.#deps.subnets.readStale(this.#usedSubnets(listed, []), context)
    return { listed, ticket }
  }

  async #readInstance(instanceID: string, context: CallContext): Promise<SyncResult> {
    const { api, clock, subnets } = this.#deps
    const ticket = this.#order.begin(clock.now())
    const machine = parseMachineID(instanceID)
    const documents = machine === undefined ? undefined : await api.listMachineInterfaces(machine, context)
    if (documents === undefined)
      return this.#resultOf(instanceID, ticket, this.#apply(instanceID, undefined, ticket, false))
    const interfaces = new Map<string, NIC>()
    for (const document of documents) {
      const nic = parseInterface(document)?.nic
      if (nic !== undefined) interfaces.set(nic.id, nic)
    }
    await subnets.readStale(
      [...interfaces.values()].map(({ subnet }) => subnet.id),
      context,
    )
    return this.#resultOf(instanceID, ticket, this.#apply(instanceID, interfaces, ticket, false))
  }

  #resultOf(instanceID: string, { startedAtMs }: ReadTicket, hasChanged: boolean): SyncResult {
    return { startedAtMs, changedInstanceIDs: hasChanged ? [instanceID] : [] }
  }

  /**
   * @param interfaces undefined when Azure does not know the machine
   * @returns whether the machine's record changed
   */
  #apply(instanceID: string, interfaces: Interfaces | undefined, ticket: ReadTicket, isFull: boolean): boolean {
    if (!this.#order.isNews(instanceID, ticket)) return false
    const previous = this.interfacesOf(instanceID)
    if (interfaces === undefined) {
      this.#instances.deleteInstance(instanceID)
      this.#order.forget(instanceID)
      if (this.#tracked.has(instanceID)) this.#order.applied(instanceID, ticket, isFull)
      return previous !== undefined
    }
    this.#order.applied(instanceID, ticket, isFull)
    const records = new Map([...interfaces].map(([id, nic]) => [id, this.#recordOf(nic, previous?.get(id))]))
    if (previous !== undefined && hasSame(records, previous, (a, b) => a === b)) return false
    this.#instances.replaceInstance(instanceID, records)
    return previous === undefined || !hasSame(records, previous, isSameInterface)
  }

  /** Our own record where it says the same: most of a sync then compares by identity. */
  #recordOf(nic: NIC, previous: NIC | undefined): NIC {
    const record = this.#withCIDR(nic, previous)
    this.#deps.unfinished?.seen(record)
    return previous !== undefined && isIdenticalInterface(previous, record) ? previous : record
  }

  /** With the CIDR of its subnet; where that is not cached, as it was known before. */
  #withCIDR(nic: NIC, previous?: NIC): NIC {
    const known = previous?.subnet.id === nic.subnet.id ? previous.subnet.cidr : ''
    const cidr = this.#deps.subnets.get(nic.subnet.id)?.cidr ?? (nic.subnet.cidr || known)
    return cidr === nic.subnet.cidr ? nic : { ...nic, subnet: { id: nic.subnet.id, cidr } }
  }

  /** Which machines one list shows. */
  #groupOf(instanceID: string): string {
    const machine = parseMachineID(instanceID)
    if (machine === undefined || !this.#deps.api.isListed(machine)) return 'unlisted'
    return machine.kind === 'standalone' ? STANDALONE_GROUP : keyOf(machine.scaleSetName)
  }
}

/** Adds documents of interfaces to a listing; those that hang on no machine are left out. */
function collect(documents: readonly JSONObject[], listed: InstanceListing): void {
  for (const document of documents) {
    const parsed = parseInterface(document)
    if (parsed === undefined || parsed.instanceID === '') continue
    const interfaces = listed.get(parsed.instanceID)
    if (interfaces === undefined) listed.set(parsed.instanceID, new Map([[parsed.nic.id, parsed.nic]]))
    else interfaces.set(parsed.nic.id, parsed.nic)
  }
}

function hasSame(a: Interfaces, b: Interfaces, isSame: (one: NIC, other: NIC) => boolean): boolean {
  if (a.size !== b.size) return false
  return [...a].every(([id, nic]) => {
    const other = b.get(id)
    return other !== undefined && isSame(nic, other)
  })
}
