import type { CiliumNode, ProviderStatus } from '../../src/ipam/cilium-node.ts'
import type {
  AllocateIPsOutcome,
  CIDROperations,
  InterfacesAndIPs,
  Logger,
  NodeOperations,
  PrefixOperations,
  ReleaseCIDRsOutcome,
  StaticIPOperations,
} from '../../src/ipam/contracts.ts'
import type { DestructiveContext } from '../../src/ipam/destruction.ts'
import { CloudAPIError, InstanceNotFoundError } from '../../src/ipam/errors.ts'
import { addressesOfPrefix, prefixCeil, PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { AllocationAction, AllocationMap, ReleaseAction } from '../../src/ipam/types.ts'
import { usageOf, usedIPsWithPrefixes } from '../../src/ipam/usage.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { AzureAPI } from './api.ts'
import type { DocumentWriter } from './document-writer.ts'
import { isFeatureMissing, isSubnetFull, refusedByUs } from './errors.ts'
import type { InstancesManager } from './instances.ts'
import type { InterfaceOfNode, InterfaceWrites } from './interface-writes.ts'
import {
  interfaceRoom,
  interfacesAndIPs,
  maximumAllocatableIPv4,
  MINIMUM_ALLOCATABLE_IPV4,
  NOTHING_ATTACHED,
  prepareIPAllocation,
  type NodeFacts,
} from './plan.ts'
import {
  addressesOfCIDRs,
  addressesOutside,
  attachedCIDRs,
  prepareCIDRRelease,
  prepareIPRelease,
  withoutAddresses,
} from './plan-release.ts'
import type { PrefixSupply } from './prefix-supply.ts'
import { instanceIDOf, parseMachineID } from './resource-id.ts'
import { allocateStaticIP } from './static-ip.ts'
import { decodeAzureSpec, decodeAzureStatus, encodeAzureStatus } from './status-codec.ts'
import type { SubnetCache } from './subnet-cache.ts'
import type { AzureProviderConfig, AzureSpec, NIC } from './types.ts'

export interface NodeDependencies {
  readonly config: AzureProviderConfig
  readonly api: AzureAPI
  readonly instances: InstancesManager
  readonly subnets: SubnetCache
  readonly writer: DocumentWriter
  readonly writes: InterfaceWrites
  readonly prefixSupply: PrefixSupply
  readonly log: Logger
}

/**
 * What the provider does for one node. Choices come from the plan files; the state of the machine from the inventory, read anew for
 * each operation. Interfaces are never created: a scale-set VM gets them with its scale set, others only while they are stopped.
 *
 * @source cilium pkg/azure/ipam/node.go, Node
 */
export class AzureNode implements NodeOperations {
  readonly #deps: NodeDependencies
  #name: string
  #instanceID: string
  #spec: AzureSpec
  #used: ReadonlySet<string>
  #withMirrors: boolean
  #view: { readonly record: ReadonlyMap<string, NIC>; readonly interfaces: readonly NIC[] } | undefined

  #inventory:
    | { readonly interfaces: readonly NIC[]; readonly spec: AzureSpec; readonly seen: InterfacesAndIPs }
    | undefined

  readonly prefixes?: PrefixOperations
  readonly cidrs?: CIDROperations
  readonly staticIP: StaticIPOperations = {
    allocateStaticIP: async (tags, context) => {
      const machine = parseMachineID(this.#instanceID)
      if (machine === undefined) throw new InstanceNotFoundError(this.#instanceID)
      const { api, config, writer } = this.#deps
      return allocateStaticIP(machine, tags, { api, writer, resourceGroup: config.resourceGroup }, context)
    },
  }

  constructor(resource: CiliumNode, deps: NodeDependencies) {
    this.#deps = deps
    const { releaseExcessIPs } = deps.config
    if (deps.config.prefixes)
      this.prefixes = {
        releaseIPPrefixes: (action, context) =>
          this.#release(action, action.ipPrefixesToRelease.flatMap(addressesOfPrefix), context),
        getUsedIPWithPrefixes: (used) => this.#getUsedIPWithPrefixes(used),
      }
    if (releaseExcessIPs)
      this.cidrs = {
        getAttachedCIDRs: () => attachedCIDRs(this.#interfaces()),
        prepareCIDRRelease: (cidrs) => prepareCIDRRelease({ spec: this.#spec, interfaces: this.#interfaces() }, cidrs),
        releaseCIDRs: (action, context) => this.#releaseCIDRs(action, context),
      }
    this.#name = resource.name
    this.#instanceID = instanceIDOf(resource.spec.instanceID)
    this.#spec = decodeAzureSpec(resource.spec.azure)
    this.#used = new Set(resource.status.used.keys())
    this.#withMirrors = this.#readsMirrors(resource)
    deps.instances.track(this.#instanceID)
    deps.instances.restore(this.#instanceID, decodeAzureStatus(resource.status.azure))
  }

  updatedNode(resource: CiliumNode): void {
    const instanceID = instanceIDOf(resource.spec.instanceID)
    if (this.#instanceID !== instanceID) this.#deps.instances.deleteInstance(this.#instanceID)
    this.#name = resource.name
    this.#instanceID = instanceID
    const spec = decodeAzureSpec(resource.spec.azure)
    if (spec.interfaceName !== this.#spec.interfaceName) this.#spec = spec
    this.#used = new Set(resource.status.used.keys())
    this.#withMirrors = this.#readsMirrors(resource)
    this.#deps.instances.track(instanceID)
  }

  /** Agents that read addresses from the pool of the resource are those that know the old fields of an interface. */
  #readsMirrors(resource: CiliumNode): boolean {
    const { profile } = this.#deps.config
    return usageOf(resource, { preAllocate: 0, availableIPv6Prefixes: 0, profile }).generation !== 'multi-pool'
  }

  populateStatusFields(withheld: readonly string[] = []): ProviderStatus | undefined {
    if (!this.#deps.instances.hasInstance(this.#instanceID)) return undefined
    const hidden = new Set(addressesOfCIDRs(withheld))
    const interfaces =
      hidden.size === 0 ? this.#interfaces() : this.#interfaces().map((nic) => withoutAddresses(nic, hidden))
    return {
      section: 'azure',
      value: encodeAzureStatus(interfaces, {
        usePrimaryAddress: this.#deps.config.usePrimaryAddress,
        withMirrors: this.#withMirrors,
      }),
    }
  }

  resyncInterfacesAndIPs(): InterfacesAndIPs {
    if (this.#instanceID === '') return NOTHING_ATTACHED
    const facts = this.#knownFacts()
    if (this.#inventory?.interfaces !== facts.interfaces || this.#inventory.spec !== facts.spec)
      this.#inventory = { interfaces: facts.interfaces, spec: facts.spec, seen: interfacesAndIPs(facts) }
    return this.#inventory.seen
  }

  getMaximumAllocatableIPv4(): number {
    return maximumAllocatableIPv4(this.#deps.config.prefixes)
  }

  getMinimumAllocatableIPv4(): number {
    return MINIMUM_ALLOCATABLE_IPV4
  }

  isPrefixDelegated(): boolean {
    return this.#deps.config.prefixes
  }

  prepareIPAllocation(): AllocationAction {
    return prepareIPAllocation(this.#knownFacts(), this.#deps.subnets.open)
  }

  /** Nothing without `--azure-release-excess-ips`. */
  prepareIPRelease(excess: number): ReleaseAction {
    const isOff = !this.#deps.config.releaseExcessIPs
    return prepareIPRelease({ spec: this.#spec, interfaces: isOff ? [] : this.#interfaces(), used: this.#used }, excess)
  }

  async allocateIPs(action: AllocationAction, context: CallContext): Promise<AllocateIPsOutcome> {
    const wanted = action.ipv4.availableForAllocation
    if (wanted <= 0) return { kind: 'allocated', addressCount: 0 }
    try {
      const addressCount =
        (this.#deps.config.prefixes ? await this.#addPrefixes(action, wanted, context) : undefined) ??
        (await this.#addAddresses(action, this.#freeSlots(action.interfaceID, wanted), context))
      return { kind: 'allocated', addressCount }
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      const isGone = error.reason === 'instanceNotRunning' || error.kind === 'notFound'
      return { kind: 'failed', error, isInstanceRunning: !isGone }
    }
  }

  /** @returns addresses of the new blocks (count); undefined when the subnet has no free block, or the subscription no blocks at all */
  async #addPrefixes(action: AllocationAction, wanted: number, context: CallContext): Promise<number | undefined> {
    const { interfaceID, poolID: subnetID } = action
    const { log, prefixSupply } = this.#deps
    if (prefixSupply.isRefused(subnetID)) return undefined
    const count = this.#freeSlots(interfaceID, prefixCeil(wanted))
    try {
      return await this.#add({ interfaceID, subnetID, count, arePrefixes: true }, context)
    } catch (error) {
      if (!isSubnetFull(error) && !isFeatureMissing(error)) throw error
      log.warn({ node: this.#name, interfaceID, error }, 'No prefix to be had in the subnet, using addresses')
      prefixSupply.refused(subnetID)
      return undefined
    }
  }

  /**
   * Single addresses. Where the subnet has not so many, half as many are asked for, down to one: the last ones can be had, and every
   * refusal is known to the other nodes of the subnet.
   */
  async #addAddresses(action: AllocationAction, wanted: number, context: CallContext): Promise<number> {
    const { interfaceID, poolID: subnetID } = action
    const { subnets } = this.#deps
    for (let count = wanted; ;) {
      try {
        return await this.#add({ interfaceID, subnetID, count, arePrefixes: false }, context)
      } catch (error) {
        if (!isSubnetFull(error)) throw error
        subnets.lowerFreeAddresses(subnetID, count)
        count = Math.min(Math.floor(count / 2), subnets.get(subnetID)?.availableAddresses ?? 0)
        if (count < 1) throw error
      }
    }
  }

  #add(
    added: {
      readonly interfaceID: string
      readonly subnetID: string
      readonly count: number
      readonly arePrefixes: boolean
    },
    context: CallContext,
  ): Promise<number> {
    const { interfaceID } = added
    return this.#deps.writes.add(this.#place(interfaceID), added, context)
  }

  #place(interfaceID: string): InterfaceOfNode {
    return { node: this.#name, instanceID: this.#instanceID, interfaceID }
  }

  /** Configurations that fit, at most `wanted` (count). */
  #freeSlots(interfaceID: string, wanted: number): number {
    const facts = this.#facts()
    const nic = facts.interfaces.find(({ id }) => id === interfaceID)
    if (nic === undefined) return wanted
    return Math.min(wanted, interfaceRoom(nic, { ...facts, prefixes: false }))
  }

  /** Addresses of the action's blocks went with them and are not given back one by one. */
  async releaseIPs(action: ReleaseAction, context: DestructiveContext): Promise<void> {
    await this.#release(action, addressesOutside(action.ipsToRelease, action.ipPrefixesToRelease), context)
  }

  async #release(action: ReleaseAction, addresses: readonly string[], context: DestructiveContext): Promise<void> {
    if (!this.#deps.config.releaseExcessIPs)
      throw refusedByUs(
        'release',
        `Cannot release from ${action.interfaceID}: --azure-release-excess-ips is off`,
        'ReleaseIsOff',
        'invalid',
      )
    if (addresses.length === 0) return
    await this.#deps.writes.remove(this.#place(action.interfaceID), addresses, context)
  }

  async #releaseCIDRs(action: ReleaseAction, context: DestructiveContext): Promise<ReleaseCIDRsOutcome> {
    const { interfaceID, cidrsToRelease } = action
    try {
      const gone = await this.#deps.writes.remove(this.#place(interfaceID), addressesOfCIDRs(cidrsToRelease), context)
      const released = cidrsToRelease.filter((cidr) => addressesOfCIDRs([cidr]).some((address) => gone.has(address)))
      if (released.length > 0) return { released }
      const error = refusedByUs(
        'release',
        `Cannot release from ${interfaceID}: ${cidrsToRelease.length} of the ${PREFIX_SIZE} addresses of a prefix`,
        'PartOfPrefix',
        'invalid',
      )
      return { released, error }
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      return { released: [], error }
    }
  }

  #getUsedIPWithPrefixes(used: AllocationMap): number {
    const prefixes = this.#interfaces().map(
      ({ id, configurations }) =>
        [id, configurations.map(({ prefix }) => prefix).filter((prefix) => prefix !== '')] as const,
    )
    return usedIPsWithPrefixes(new Map(prefixes), used)
  }

  /** @throws InstanceNotFoundError */
  #knownFacts(): NodeFacts {
    if (!this.#deps.instances.hasInstance(this.#instanceID)) throw new InstanceNotFoundError(this.#instanceID)
    return this.#facts()
  }

  #facts(): NodeFacts {
    const { usePrimaryAddress, prefixes, profile } = this.#deps.config
    return { spec: this.#spec, usePrimaryAddress, prefixes, profile, interfaces: this.#interfaces() }
  }

  /** The machine's interfaces by ID; made anew only when the record is another one. */
  #interfaces(): readonly NIC[] {
    const record = this.#deps.instances.interfacesOf(this.#instanceID)
    if (record === undefined) return []
    if (this.#view?.record !== record) this.#view = { record, interfaces: [...record.values()] }
    return this.#view.interfaces
  }
}
