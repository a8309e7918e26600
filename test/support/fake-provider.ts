import type { CiliumNode, ProviderStatus } from '../../src/ipam/cilium-node.ts'
import type {
  AllocateIPsOutcome,
  AllocationImplementation,
  CIDROperations,
  CreateInterfaceOutcome,
  InterfacesAndIPs,
  NodeOperations,
  PrefixOperations,
  StaticIPOperations,
  SyncResult,
} from '../../src/ipam/contracts.ts'
import { CloudAPIError, InstanceNotFoundError, LimitsNotFoundError } from '../../src/ipam/errors.ts'
import type { CloudErrorKind } from '../../src/ipam/errors.ts'
import { addressesOfPrefix, formatIPv4, prefixCeil, PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { AllocationAction, AllocationMap, PoolQuotaMap, ReleaseAction, Tags } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'

/** An interface of the fake cloud. The primary address is not listed: it is never open to pods. */
export interface FakeInterface {
  readonly id: string
  readonly index: number
  readonly addresses: readonly string[]
  readonly prefixes: readonly string[]
  readonly ipv6Prefixes: number
  readonly isExcluded: boolean
}

export interface FakeLimits {
  readonly adapters: number
  /** Slots of one interface, primary included. */
  readonly ipv4: number
  readonly firstInterfaceIndex: number
}

/** One interface of any size and no further slots: every request is granted while the pool has room. */
export const FLAT_LIMITS: FakeLimits = { adapters: 1, ipv4: 1_000_000, firstInterfaceIndex: 0 }

interface FakeInstance {
  readonly limits: FakeLimits
  readonly interfaces: readonly FakeInterface[]
}

export type FakeCall =
  | 'prepare'
  | 'resync'
  | 'instanceSync'
  | 'allocateIPs'
  | 'createInterface'
  | 'releaseIPs'
  | 'releaseIPPrefixes'
  | 'releaseCIDRs'
  | 'allocateStaticIP'

export interface RecordedCall {
  readonly call: FakeCall
  readonly instanceID: string
  readonly priority: string
  readonly atMs: number
}

/**
 * What happens to one call: refused without effect; `lost`: done, but the answer never arrives; `notRunning`: refused because the
 * instance is stopped.
 */
export type Fault = CloudErrorKind | 'lost' | 'notRunning'

export interface FakeProviderOptions {
  readonly clock: Clock
  /** `flat`: no ceiling (0), one pool; otherwise the limits count. */
  readonly isFlat?: boolean
  readonly limits?: FakeLimits
  readonly subnetAvailable?: number
  readonly prefixDelegation?: boolean
  /** How long a call takes (ms). */
  readonly latencyMs?: number
  /** The ceiling of flat nodes (count); 0 = none. */
  readonly instanceMax?: number
  readonly instanceMin?: number
}

const POOL_ID = 'subnet-1'

/**
 * A cloud in memory with a provider's cache in front of it: enough of a provider to test the controller on, with scripted
 * faults. Writes enter the cache at once; a lost answer changes the cloud only, until the instance is read again.
 */
export class FakeProvider implements AllocationImplementation {
  readonly cloud = new Map<string, FakeInstance>()
  readonly calls: RecordedCall[] = []
  subnetAvailable: number
  /** Contiguous /28 blocks left; undefined: as many as the addresses make. */
  subnetHasPrefixes = true
  limitsAreKnown = true
  /** Whether interfaces with room name the subnet that they are in. */
  poolIsKnown = true
  /** Every plan of a node throws what no caller expects. */
  isDefective = false
  publicAddress = '203.0.113.7'
  readonly prefixDelegation: boolean
  readonly isFlat: boolean
  readonly #clock: Clock
  readonly #latencyMs: number
  readonly #limits: FakeLimits
  readonly instanceMax: number
  readonly instanceMin: number
  readonly #cache = new Map<string, FakeInstance>()
  readonly #syncedAtMs = new Map<string, number>()
  readonly #faults = new Map<FakeCall, Fault[]>()
  #held: { readonly call: FakeCall; readonly release: Promise<void> } | undefined
  #nextAddress = 0x0a000001
  #nextPrefix = 0x0a800000
  #nextInterface = 1

  constructor(options: FakeProviderOptions) {
    this.#clock = options.clock
    this.isFlat = options.isFlat ?? false
    this.#limits = options.limits ?? (this.isFlat ? FLAT_LIMITS : { adapters: 3, ipv4: 10, firstInterfaceIndex: 0 })
    this.subnetAvailable = options.subnetAvailable ?? 10_000
    this.prefixDelegation = options.prefixDelegation ?? false
    this.#latencyMs = options.latencyMs ?? 0
    this.instanceMax = options.instanceMax ?? 0
    this.instanceMin = options.instanceMin ?? 8
  }

  // The test's side.

  /** Starts an instance in the cloud with these interfaces, or with one empty one. The cache does not know it yet. */
  launch(instanceID: string, interfaces?: readonly Partial<FakeInterface>[]): void {
    const given = interfaces ?? [{ index: 0 }]
    this.cloud.set(instanceID, { limits: this.#limits, interfaces: given.map((iface) => this.#newInterface(iface)) })
  }

  /** Ends an instance; the cache learns it with the next read. */
  terminate(instanceID: string): void {
    this.cloud.delete(instanceID)
  }

  /** The next calls of this kind fail like this, in order. */
  fail(call: FakeCall, ...faults: readonly Fault[]): void {
    this.#faults.set(call, [...(this.#faults.get(call) ?? []), ...faults])
  }

  /** Calls of this kind wait until the returned function is called. */
  hold(call: FakeCall): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#held = { call, release: promise }
    return () => {
      this.#held = undefined
      resolve()
    }
  }

  /** The process ended: scripted faults, held calls and everything learned of the cloud are gone; the cloud is as it was. */
  restart(): void {
    this.#cache.clear()
    this.#syncedAtMs.clear()
    this.stopFaults()
  }

  stopFaults(): void {
    this.#faults.clear()
  }

  callCount(call: FakeCall, instanceID?: string): number {
    return this.calls.filter((made) => made.call === call && (instanceID ?? made.instanceID) === made.instanceID).length
  }

  /** What the cache knows without a read: as if it had been listed long ago. */
  learn(instanceID: string): void {
    const instance = this.cloud.get(instanceID)
    if (instance === undefined) this.#cache.delete(instanceID)
    else this.#cache.set(instanceID, instance)
  }

  /** Addresses of an instance in the cloud, primary ones and excluded interfaces left out. */
  addressesInCloud(instanceID: string): readonly string[] {
    return (this.cloud.get(instanceID)?.interfaces ?? []).flatMap(addressesOf)
  }

  /** Changes an interface behind the provider's back. */
  alter(instanceID: string, change: (interfaces: readonly FakeInterface[]) => readonly FakeInterface[]): void {
    const instance = this.cloud.get(instanceID)
    if (instance !== undefined) this.cloud.set(instanceID, { ...instance, interfaces: change(instance.interfaces) })
  }

  // The controller's side.

  createNode(resource: CiliumNode): NodeOperations {
    return new FakeOperations(this, resource)
  }

  getPoolQuota(): PoolQuotaMap {
    return new Map([[POOL_ID, { availabilityZone: 'zone-1', availableIPs: this.subnetAvailable, availableIPv6s: 0 }]])
  }

  async prepare(context: CallContext): Promise<void> {
    const fault = await this.#begin('prepare', '', context)
    if (fault !== undefined) throw refusal('prepare', fault)
  }

  async resync(context: CallContext): Promise<SyncResult> {
    const startedAtMs = this.#clock.now()
    const fault = await this.#begin('resync', '', context)
    if (fault !== undefined) throw refusal('resync', fault)
    const instanceIDs = new Set([...this.cloud.keys(), ...this.#cache.keys()])
    const changedInstanceIDs = [...instanceIDs].filter((instanceID) => this.#read(instanceID, startedAtMs)).sort()
    return { startedAtMs, changedInstanceIDs }
  }

  async instanceSync(instanceID: string, context: CallContext): Promise<SyncResult> {
    const startedAtMs = this.#clock.now()
    const fault = await this.#begin('instanceSync', instanceID, context)
    if (fault !== undefined) throw refusal('instanceSync', fault)
    return { startedAtMs, changedInstanceIDs: this.#read(instanceID, startedAtMs) ? [instanceID] : [] }
  }

  hasInstance(instanceID: string): boolean {
    return this.#cache.has(instanceID)
  }

  deleteInstance(instanceID: string): void {
    this.#cache.delete(instanceID)
    this.#syncedAtMs.delete(instanceID)
  }

  syncedAtMs(instanceID: string): number | undefined {
    return this.#syncedAtMs.get(instanceID)
  }

  async settle(): Promise<void> {
    // Nothing runs in the background here.
  }

  // Used by the operations below.

  cached(instanceID: string): FakeInstance {
    const instance = this.#cache.get(instanceID)
    if (instance === undefined) throw new InstanceNotFoundError(instanceID)
    if (!this.limitsAreKnown) throw new LimitsNotFoundError('m5.large')
    return instance
  }

  get limits(): FakeLimits {
    return this.#limits
  }

  /** Applies a change to the cloud, and to the cache unless the answer is lost. */
  async perform<R>(
    call: FakeCall,
    instanceID: string,
    context: CallContext,
    change: (interfaces: readonly FakeInterface[]) => {
      readonly interfaces: readonly FakeInterface[]
      readonly result: R
    },
  ): Promise<R> {
    const fault = await this.#begin(call, instanceID, context)
    if (fault !== undefined && fault !== 'lost') throw refusal(call, fault)
    const instance = this.cloud.get(instanceID)
    if (instance === undefined) throw refusal(call, 'notFound')
    const { interfaces, result } = change(instance.interfaces)
    this.cloud.set(instanceID, { ...instance, interfaces })
    if (fault === 'lost') throw refusal(call, 'unavailable')
    this.#cache.set(instanceID, { ...instance, interfaces })
    return result
  }

  takeAddresses(count: number): string[] {
    if (count > this.subnetAvailable) throw refusal('allocateIPs', 'exhausted')
    this.subnetAvailable -= count
    return Array.from({ length: count }, () => formatIPv4(this.#nextAddress++))
  }

  takePrefixes(count: number): string[] {
    if (!this.subnetHasPrefixes || count * PREFIX_SIZE > this.subnetAvailable) throw refusal('allocateIPs', 'exhausted')
    this.subnetAvailable -= count * PREFIX_SIZE
    return Array.from({ length: count }, () => {
      const prefix = `${formatIPv4(this.#nextPrefix)}/28`
      this.#nextPrefix += PREFIX_SIZE
      return prefix
    })
  }

  newInterfaceID(): string {
    return `eni-${String(this.#nextInterface++)}`
  }

  #newInterface(given: Partial<FakeInterface>): FakeInterface {
    return {
      id: given.id ?? this.newInterfaceID(),
      index: given.index ?? 0,
      addresses: given.addresses ?? [],
      prefixes: given.prefixes ?? [],
      ipv6Prefixes: given.ipv6Prefixes ?? 0,
      isExcluded: given.isExcluded ?? false,
    }
  }

  async #begin(call: FakeCall, instanceID: string, context: CallContext): Promise<Fault | undefined> {
    this.calls.push({ call, instanceID, priority: context.priority, atMs: this.#clock.now() })
    const fault = this.#faults.get(call)?.shift()
    if (this.#held?.call === call) await untilAborted(this.#held.release, context.signal)
    if (this.#latencyMs > 0) await this.#clock.sleep(this.#latencyMs, context.signal)
    return fault
  }

  #read(instanceID: string, startedAtMs: number): boolean {
    this.#syncedAtMs.set(instanceID, startedAtMs)
    const before = this.#cache.get(instanceID)
    const now = this.cloud.get(instanceID)
    if (before === now) return false
    this.learn(instanceID)
    return true
  }
}

class FakeOperations implements NodeOperations {
  readonly #provider: FakeProvider
  #instanceID: string
  #used: AllocationMap
  readonly prefixes: PrefixOperations
  readonly staticIP: StaticIPOperations
  readonly cidrs: CIDROperations

  constructor(provider: FakeProvider, resource: CiliumNode) {
    this.#provider = provider
    this.#instanceID = resource.spec.instanceID
    this.#used = resource.status.used
    this.prefixes = {
      releaseIPPrefixes: (action, context) => this.#release('releaseIPPrefixes', action, context),
      getUsedIPWithPrefixes: (used) => used.size,
    }
    this.staticIP = { allocateStaticIP: (tags, context) => this.#allocateStaticIP(tags, context) }
    this.cidrs = {
      getAttachedCIDRs: () => this.#included().flatMap(cidrsOf),
      prepareCIDRRelease: (cidrs) =>
        this.#included()
          .map((iface) => ({
            ...releaseOf(iface),
            cidrsToRelease: cidrsOf(iface).filter((cidr) => cidrs.includes(cidr)),
          }))
          .filter((action) => action.cidrsToRelease.length > 0),
      releaseCIDRs: async (action, context) => {
        try {
          await this.#release('releaseCIDRs', action, context)
          return { released: action.cidrsToRelease }
        } catch (error) {
          return { released: [], error: error as CloudAPIError }
        }
      },
    }
  }

  updatedNode(resource: CiliumNode): void {
    this.#instanceID = resource.spec.instanceID
    this.#used = resource.status.used
  }

  populateStatusFields(withheld: readonly string[] = []): ProviderStatus | undefined {
    if (!this.#provider.hasInstance(this.#instanceID)) return undefined
    const enis = Object.fromEntries(
      this.#interfaces().map((iface) => {
        const addresses = [...iface.addresses].filter((address) => !withheld.includes(`${address}/32`))
        const prefixes = [...iface.prefixes].filter((prefix) => !withheld.includes(prefix))
        return [iface.id, { id: iface.id, number: iface.index, addresses, prefixes }]
      }),
    )
    return { section: 'eni', value: { enis } }
  }

  prepareIPAllocation(): AllocationAction {
    if (this.#provider.isDefective) throw new TypeError('a defect')
    const candidates = this.#included().filter((iface) => this.#room(iface) > 0)
    const chosen = candidates[0]
    return {
      interfaceID: chosen?.id ?? '',
      poolID: chosen === undefined || !this.#provider.poolIsKnown ? '' : POOL_ID,
      ipv4: {
        availableForAllocation: chosen === undefined ? 0 : Math.min(this.#room(chosen), this.#provider.subnetAvailable),
        maxIPsToAllocate: 0,
        interfaceCandidates: candidates.length,
      },
      ipv6: { maxPrefixesToAllocate: 0 },
      emptyInterfaceSlots: this.#slots(),
    }
  }

  async allocateIPs(action: AllocationAction, context: CallContext): Promise<AllocateIPsOutcome> {
    try {
      const addressCount = await this.#provider.perform('allocateIPs', this.#instanceID, context, (interfaces) => {
        const iface = interfaces.find((candidate) => candidate.id === action.interfaceID)
        if (iface === undefined) throw refusal('allocateIPs', 'notFound')
        const filled = this.#fill(iface, action)
        return {
          interfaces: interfaces.map((candidate) => (candidate === iface ? filled : candidate)),
          result: addressesOf(filled).length - addressesOf(iface).length,
        }
      })
      return { kind: 'allocated', addressCount }
    } catch (error) {
      return { kind: 'failed', error: error as CloudAPIError, isInstanceRunning: !isNotRunning(error) }
    }
  }

  async createInterface(action: AllocationAction, context: CallContext): Promise<CreateInterfaceOutcome> {
    try {
      return await this.#provider.perform('createInterface', this.#instanceID, context, (interfaces) => {
        const used = new Set(interfaces.map((iface) => iface.index))
        let index = this.#provider.limits.firstInterfaceIndex
        while (used.has(index)) index += 1
        const id = this.#provider.newInterfaceID()
        const empty = { id, index, addresses: [], prefixes: [], ipv6Prefixes: 0, isExcluded: false }
        const wanted = { ...action, ipv4: { ...action.ipv4, availableForAllocation: this.#roomOfNew(action) } }
        const filled = this.#fill(empty, wanted)
        const addressCount = addressesOf(filled).length
        const result: CreateInterfaceOutcome = { kind: 'created', interfaceID: id, poolID: POOL_ID, addressCount }
        return { interfaces: [...interfaces, filled], result }
      })
    } catch (error) {
      const isInstanceRunning = !isNotRunning(error)
      return {
        kind: 'failed',
        condition: 'unableToCreateENI',
        poolID: POOL_ID,
        error: error as Error,
        isInstanceRunning,
      }
    }
  }

  prepareIPRelease(excess: number): ReleaseAction {
    const used = this.#used
    let best: ReleaseAction = {
      interfaceID: '',
      poolID: '',
      ipsToRelease: [],
      ipPrefixesToRelease: [],
      cidrsToRelease: [],
    }
    for (const iface of [...this.#included()].sort((left, right) => (left.id < right.id ? -1 : 1))) {
      const free = iface.addresses.filter((address) => !used.has(address)).slice(0, excess)
      const prefixes = iface.prefixes
        .filter((prefix) => addressesOfPrefix(prefix).every((address) => !used.has(address)))
        .slice(0, Math.floor(excess / PREFIX_SIZE))
      if (prefixes.length > 0) {
        const rest = excess - prefixes.length * PREFIX_SIZE
        const ipsToRelease = [...prefixes.flatMap(addressesOfPrefix), ...free.slice(0, rest)]
        return { ...releaseOf(iface), ipsToRelease, ipPrefixesToRelease: prefixes }
      }
      if (free.length > best.ipsToRelease.length) best = { ...releaseOf(iface), ipsToRelease: free }
    }
    return best
  }

  async releaseIPs(action: ReleaseAction, context: CallContext): Promise<void> {
    await this.#release('releaseIPs', action, context)
  }

  resyncInterfacesAndIPs(): InterfacesAndIPs {
    const included = this.#included()
    const available: AllocationMap = new Map(
      included.flatMap((iface) => addressesOf(iface).map((address) => [address, { resource: iface.id }] as const)),
    )
    const candidates = included.filter((iface) => this.#room(iface) > 0).length
    return {
      available,
      stats: {
        nodeCapacity: this.getMaximumAllocatableIPv4(),
        remainingAvailableInterfaceCount: candidates + this.#slots(),
        interfaceCandidates: candidates,
        emptyInterfaceSlots: this.#slots(),
        nodeIPv6Prefixes: included.reduce((sum, iface) => sum + iface.ipv6Prefixes, 0),
        assignedStaticIP: '',
      },
    }
  }

  getMaximumAllocatableIPv4(): number {
    if (this.#provider.isFlat) return this.#provider.instanceMax
    const { adapters, ipv4, firstInterfaceIndex } = this.#provider.limits
    return (adapters - firstInterfaceIndex) * (ipv4 - 1) * (this.isPrefixDelegated() ? PREFIX_SIZE : 1)
  }

  getMinimumAllocatableIPv4(): number {
    return this.#provider.instanceMin
  }

  isPrefixDelegated(): boolean {
    if (!this.#provider.prefixDelegation || !this.#provider.hasInstance(this.#instanceID))
      return this.#provider.prefixDelegation
    return this.#interfaces().every((iface) => iface.addresses.length === 0 || iface.prefixes.length > 0)
  }

  #interfaces(): readonly FakeInterface[] {
    return this.#provider.cached(this.#instanceID).interfaces
  }

  /** Interfaces below the first index carry no pod address, as on EC2. */
  #included(): readonly FakeInterface[] {
    const { firstInterfaceIndex } = this.#provider.limits
    return this.#interfaces().filter((iface) => !iface.isExcluded && iface.index >= firstInterfaceIndex)
  }

  #slots(): number {
    return Math.max(this.#provider.limits.adapters - this.#interfaces().length, 0)
  }

  /** Addresses that still fit on an interface (count). */
  #room(iface: FakeInterface): number {
    const slots = this.#provider.limits.ipv4 - 1
    const taken = iface.addresses.length + iface.prefixes.length
    return Math.max(slots - taken, 0) * (this.isPrefixDelegated() ? PREFIX_SIZE : 1)
  }

  #roomOfNew(action: AllocationAction): number {
    const slots = this.#provider.limits.ipv4 - 1
    return Math.min(action.ipv4.maxIPsToAllocate, slots * (this.isPrefixDelegated() ? PREFIX_SIZE : 1))
  }

  /** Prefixes where the node gets them, single addresses where the subnet has no block left. */
  #fill(iface: FakeInterface, action: AllocationAction): FakeInterface {
    const count = action.ipv4.availableForAllocation
    const ipv6Prefixes = iface.ipv6Prefixes + action.ipv6.maxPrefixesToAllocate
    if (count <= 0) return { ...iface, ipv6Prefixes }
    if (this.isPrefixDelegated()) {
      try {
        const prefixes = [...iface.prefixes, ...this.#provider.takePrefixes(prefixCeil(count))]
        return { ...iface, prefixes, ipv6Prefixes }
      } catch {
        // No block of 16 left: single addresses, as far as the slots reach.
      }
    }
    const free = this.#provider.limits.ipv4 - 1 - iface.addresses.length - iface.prefixes.length
    const addresses = [...iface.addresses, ...this.#provider.takeAddresses(Math.min(count, free))]
    return { ...iface, addresses, ipv6Prefixes }
  }

  async #allocateStaticIP(_tags: Tags, context: CallContext): Promise<string> {
    return await this.#provider.perform('allocateStaticIP', this.#instanceID, context, (interfaces) => ({
      interfaces,
      result: this.#provider.publicAddress,
    }))
  }

  async #release(call: FakeCall, action: ReleaseAction, context: CallContext): Promise<void> {
    const gone = new Set([
      ...action.cidrsToRelease.map((cidr) => cidr.replace('/32', '')),
      ...action.ipPrefixesToRelease,
      ...(call === 'releaseIPs' ? action.ipsToRelease : []),
    ])
    await this.#provider.perform(call, this.#instanceID, context, (interfaces) => ({
      interfaces: interfaces.map((iface) =>
        iface.id === action.interfaceID
          ? {
              ...iface,
              addresses: iface.addresses.filter((address) => !gone.has(address)),
              prefixes: iface.prefixes.filter((prefix) => !gone.has(prefix)),
            }
          : iface,
      ),
      result: undefined,
    }))
    this.#provider.subnetAvailable += gone.size
  }
}

function releaseOf(iface: FakeInterface): ReleaseAction {
  return { interfaceID: iface.id, poolID: POOL_ID, ipsToRelease: [], ipPrefixesToRelease: [], cidrsToRelease: [] }
}

function addressesOf(iface: FakeInterface): string[] {
  if (iface.isExcluded) return []
  return [...iface.addresses, ...iface.prefixes.flatMap(addressesOfPrefix)]
}

function cidrsOf(iface: FakeInterface): string[] {
  return [...iface.prefixes, ...iface.addresses.map((address) => `${address}/32`)]
}

function refusal(call: FakeCall, fault: Fault): CloudAPIError {
  const isStopped = fault === 'notRunning'
  return new CloudAPIError(`${call} was refused: ${fault}`, {
    kind: isStopped ? 'invalid' : fault === 'lost' ? 'unavailable' : fault,
    reason: isStopped ? 'instanceNotRunning' : undefined,
    code: fault,
    action: call,
  })
}

function isNotRunning(error: unknown): boolean {
  return error instanceof CloudAPIError && error.reason === 'instanceNotRunning'
}

function untilAborted(held: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error)
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    void held.then(resolve)
  })
}
