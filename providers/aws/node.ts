import type { CiliumNode, ProviderStatus } from '../../src/ipam/cilium-node.ts'
import type {
  AllocateIPsOutcome,
  CIDROperations,
  CreateInterfaceOutcome,
  InterfacesAndIPs,
  Logger,
  NodeOperations,
  PaceOperations,
  PrefixOperations,
  ReleaseCIDRsOutcome,
  StaticIPOperations,
} from '../../src/ipam/contracts.ts'
import type { DestructionSubject, DestructiveContext } from '../../src/ipam/destruction.ts'
import { CloudAPIError, InstanceNotFoundError, LimitsNotFoundError } from '../../src/ipam/errors.ts'
import type { AllocationAction, AllocationMap, Limits, ReleaseAction, Tags } from '../../src/ipam/types.ts'
import { usedIPsWithPrefixes } from '../../src/ipam/usage.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import type { AddressPaths } from './address-paths.ts'
import { allocateIPs, type AssignedAddresses } from './allocate-ips.ts'
import type { EC2API } from './api.ts'
import type { BackgroundWork } from './background.ts'
import { createInterface } from './create-interface.ts'
import type { AddressReservation, DenseAddresses } from './dense-addresses.ts'
import { decodeENISpec, decodeENIStatus, encodeENIStatus } from './eni-codec.ts'
import type { InfrastructureCache } from './infrastructure.ts'
import type { InstancesManager } from './instances.ts'
import type { LimitsTable } from './limits.ts'
import {
  compareInterfaces,
  interfacesAndIPs,
  interfaceView,
  isLeftOut,
  isPrefixDelegated,
  maximumAllocatableIPv4,
  minimumAllocatableIPv4,
  prepareIPAllocation,
  prefixObstacle,
  primaryInterface,
  wouldBePrefixDelegated,
  type NodeFacts,
  type PrefixObstacle,
} from './plan.ts'
import {
  addressesOutside,
  attachedCIDRs,
  prepareCIDRRelease,
  prepareIPRelease,
  splitCIDRs,
  withoutCIDRs,
} from './plan-release.ts'
import type { PrefixSupply } from './prefix-supply.ts'
import type { AWSProviderConfig, ENI, ENISpec } from './types.ts'
import { UnansweredAssignment } from './unanswered-assignment.ts'

export interface NodeDependencies {
  readonly config: AWSProviderConfig
  readonly api: EC2API
  readonly instances: InstancesManager
  readonly infrastructure: InfrastructureCache
  readonly limits: LimitsTable
  readonly background: BackgroundWork
  /** Keeps whole blocks free for prefixes; undefined: EC2 chooses addresses. */
  readonly dense: DenseAddresses | undefined
  readonly prefixSupply: PrefixSupply
  readonly paths: AddressPaths
  /** Interfaces of all nodes that are created and about to be attached, by ID. */
  readonly beingAttached: Set<string>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

interface View {
  /** What the view was made of: it holds as long as these are the same objects. */
  readonly record: ReadonlyMap<string, ENI> | undefined
  readonly spec: ENISpec
  readonly interfaces: readonly ENI[]
}

/** A look at the inventory: it holds as long as the view and the limits are the same objects. */
interface Look {
  readonly interfaces: readonly ENI[]
  readonly limits: Limits
  readonly seen: InterfacesAndIPs
}

/**
 * What the provider does for one node: calls in their order, undone on failure. Choices come from the plan files; the state of
 * the instance from the inventory, read anew for each operation.
 *
 * @source cilium pkg/aws/ipam/node.go, Node
 */
export class AWSNode implements NodeOperations {
  readonly #deps: NodeDependencies
  #name: string
  #instanceID: string
  #spec: ENISpec
  #used: ReadonlySet<string>
  #view: View | undefined
  #look: Look | undefined
  #prefixObstacle: PrefixObstacle | undefined
  readonly #unanswered = new UnansweredAssignment()
  #hasCeiling: boolean

  readonly prefixes: PrefixOperations = {
    releaseIPPrefixes: (action, context) => this.#releaseIPPrefixes(action, context),
    getUsedIPWithPrefixes: (used) => this.#getUsedIPWithPrefixes(used),
  }

  readonly staticIP: StaticIPOperations = {
    allocateStaticIP: (tags, context) => this.#allocateStaticIP(tags, context),
  }

  readonly cidrs: CIDROperations = {
    getAttachedCIDRs: () => attachedCIDRs(this.#interfaces()),
    prepareCIDRRelease: (cidrs) => prepareCIDRRelease(this.#facts(), cidrs),
    releaseCIDRs: (action, context) => this.#releaseCIDRs(action, context),
  }

  readonly pace: PaceOperations

  constructor(resource: CiliumNode, deps: NodeDependencies) {
    this.#deps = deps
    this.pace = deps.paths
    this.#name = resource.name
    this.#instanceID = resource.spec.instanceID
    this.#spec = decodeSpec(resource, deps.config)
    this.#used = new Set(resource.status.used.keys())
    this.#hasCeiling = resource.spec.ipam.maxAllocate > 0
    deps.instances.track(this.#instanceID, this.#spec.instanceType)
    deps.instances.restore(this.#instanceID, decodeENIStatus(resource.status.eni))
  }

  updatedNode(resource: CiliumNode): void {
    if (this.#instanceID !== resource.spec.instanceID) this.#deps.instances.deleteInstance(this.#instanceID)
    this.#name = resource.name
    this.#instanceID = resource.spec.instanceID
    this.#spec = decodeSpec(resource, this.#deps.config)
    this.#used = new Set(resource.status.used.keys())
    this.#hasCeiling = resource.spec.ipam.maxAllocate > 0
    this.#deps.instances.track(this.#instanceID, this.#spec.instanceType)
  }

  populateStatusFields(withheld: readonly string[] = []): ProviderStatus | undefined {
    if (!this.#deps.instances.hasInstance(this.#instanceID)) return undefined
    const told = this.#interfaces().filter((eni) => !isLeftOut(eni, this.#spec))
    return { section: 'eni', value: encodeENIStatus(withoutCIDRs(told, withheld)) }
  }

  resyncInterfacesAndIPs(): InterfacesAndIPs {
    const facts = this.#factsWithLimits()
    if (facts.interfaces.length === 0) throw new InstanceNotFoundError(this.#instanceID)
    if (facts.prefixDelegation) this.#tellPrefixObstacle(prefixObstacle(facts))
    const { interfaces, limits } = facts
    if (this.#look?.interfaces !== interfaces || this.#look.limits !== limits)
      this.#look = { interfaces, limits, seen: countedOnly(facts) }
    return this.#look.seen
  }

  /** Says once why this node gets no prefixes where others do, and when that is over. */
  #tellPrefixObstacle(obstacle: PrefixObstacle | undefined): void {
    if (obstacle === this.#prefixObstacle) return
    this.#prefixObstacle = obstacle
    const fields = { node: this.#name, instanceID: this.#instanceID }
    if (obstacle === undefined) this.#deps.log.info(fields, 'The node gets prefixes again')
    else this.#deps.log.info({ ...fields, reason: obstacle }, 'The node gets single addresses, not prefixes')
  }

  getMaximumAllocatableIPv4(): number {
    return maximumAllocatableIPv4({
      limits: this.#limits(),
      firstInterfaceIndex: this.#spec.firstInterfaceIndex,
      prefixDelegated: this.isPrefixDelegated(),
    })
  }

  getMinimumAllocatableIPv4(): number {
    return minimumAllocatableIPv4({ limits: this.#limits(), firstInterfaceIndex: this.#spec.firstInterfaceIndex })
  }

  isPrefixDelegated(): boolean {
    return isPrefixDelegated(this.#facts())
  }

  prepareIPAllocation(): AllocationAction {
    return prepareIPAllocation(this.#factsWithLimits(), this.#deps.infrastructure.current.subnets)
  }

  prepareIPRelease(excess: number): ReleaseAction {
    return prepareIPRelease(
      {
        spec: this.#spec,
        interfaces: this.#interfaces(),
        used: this.#used,
        prefersWholeBlocks: this.#deps.config.prefixDelegation,
      },
      excess,
    )
  }

  async allocateIPs(action: AllocationAction, context: CallContext): Promise<AllocateIPsOutcome> {
    const { api, infrastructure, log, prefixSupply } = this.#deps
    try {
      const addressCount = await this.#settleUnanswered(context)
      if (addressCount !== undefined) return { kind: 'allocated', addressCount }
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      return { kind: 'failed', error, isInstanceRunning: true }
    }
    const outcome = await allocateIPs(
      this.#facts(),
      action,
      {
        api,
        log,
        node: this.#name,
        prefixSupply,
        interfaceNow: (interfaceID) => this.#interface(interfaceID),
        onAssigned: (interfaceID, assigned) => this.#recordAssigned(interfaceID, assigned),
        onSubnetExhausted: (subnetID, refusedCount) => infrastructure.lowerFreeAddresses(subnetID, refusedCount),
        claimAddresses: (subnetID, count) => infrastructure.claimAddresses(subnetID, count, 'AssignPrivateIpAddresses'),
        reserveAddresses: (subnetID, count) => this.#reserveAddresses(subnetID, count),
      },
      context,
    )
    this.#noteUnanswered(action.interfaceID, outcome)
    return outcome
  }

  /** What an assignment without an answer did is found out before anything more is assigned. @returns addresses it brought (count) */
  async #settleUnanswered(context: CallContext): Promise<number | undefined> {
    const { clock, instances } = this.#deps
    const instanceID = this.#instanceID
    return this.#unanswered.settle(
      {
        clock,
        hasCeiling: this.#hasCeiling,
        interfaceNow: (interfaceID) => this.#interface(interfaceID),
        syncedAtMs: () => instances.syncedAtMs(instanceID),
        read: async () => void (await instances.instanceSync(instanceID, context)),
      },
      context,
    )
  }

  #noteUnanswered(interfaceID: string, outcome: AllocateIPsOutcome): void {
    const eni = this.#interface(interfaceID)
    if (outcome.kind !== 'failed' || outcome.error.kind !== 'unavailable' || eni === undefined) return
    this.#unanswered.record(eni, this.#deps.clock.now())
  }

  #reserveAddresses(subnetID: string, count: number): AddressReservation | undefined {
    const subnet = this.#deps.infrastructure.current.subnets.get(subnetID)
    return subnet && this.#deps.dense?.reserve(subnet, count)
  }

  async createInterface(action: AllocationAction, context: CallContext): Promise<CreateInterfaceOutcome> {
    // A read that fails ends the step as it throws.
    const addressCount = await this.#settleUnanswered(context)
    if (addressCount !== undefined) return { kind: 'created', interfaceID: '', poolID: '', addressCount }
    const onAttaching = this.#deps.paths.creationStarted(context.priority)
    try {
      return await this.#createInterface(action, context, onAttaching)
    } finally {
      onAttaching()
    }
  }

  #createInterface(
    action: AllocationAction,
    context: CallContext,
    onAttaching: () => void,
  ): Promise<CreateInterfaceOutcome> {
    const { api, background, beingAttached, clock, random, infrastructure, instances, config, prefixSupply } =
      this.#deps
    const instanceID = this.#instanceID
    return createInterface(
      {
        ...this.#facts(),
        instanceID,
        infrastructure: infrastructure.current,
        tags: config.eniTags,
        triesSiblingSubnets: config.triesSiblingSubnets,
      },
      action,
      {
        api,
        background,
        owner: this.#owner(),
        beingAttached,
        onAttaching,
        claimAddresses: (subnetID, count) => infrastructure.claimAddresses(subnetID, count, 'CreateNetworkInterface'),
        reserveAddresses: (subnetID, count) => this.#reserveAddresses(subnetID, count),
        clock,
        random,
        log: this.#deps.log,
        onAttached: (eni) => instances.recordChange(instanceID, eni.id, { kind: 'attached', eni }),
        onSubnetChanged: (subnetID, difference) => infrastructure.adjustFreeAddresses(subnetID, difference),
        onPrefixesExhausted: (subnetID) => prefixSupply.refused(subnetID),
        returnsToPrefixes: (subnetID) => wouldBePrefixDelegated(this.#facts()) && prefixSupply.mayTry(subnetID),
        onSubnetExhausted: (subnetID, refusedCount) => infrastructure.lowerFreeAddresses(subnetID, refusedCount),
        readInstance: async () => void (await instances.instanceSync(instanceID, context)),
      },
      context,
    )
  }

  /** Addresses of the action's prefixes went with them and are not given back one by one. */
  async releaseIPs(action: ReleaseAction, context: DestructiveContext): Promise<void> {
    const addresses = addressesOutside(action.ipsToRelease, action.ipPrefixesToRelease)
    if (addresses.length > 0) await this.#unassignAddresses(action.interfaceID, addresses, context)
  }

  async #releaseIPPrefixes(action: ReleaseAction, context: DestructiveContext): Promise<void> {
    if (action.ipPrefixesToRelease.length > 0)
      await this.#unassignPrefixes(action.interfaceID, action.ipPrefixesToRelease, context)
  }

  async #releaseCIDRs(action: ReleaseAction, context: DestructiveContext): Promise<ReleaseCIDRsOutcome> {
    const { prefixes, addresses } = splitCIDRs(action.cidrsToRelease)
    const released: string[] = []
    try {
      if (prefixes.length > 0) await this.#unassignPrefixes(action.interfaceID, prefixes, context)
      released.push(...prefixes)
      if (addresses.length > 0) await this.#unassignAddresses(action.interfaceID, addresses, context)
      return { released: action.cidrsToRelease }
    } catch (error) {
      if (!(error instanceof CloudAPIError)) throw error
      return { released, error }
    }
  }

  async #unassignPrefixes(
    interfaceID: string,
    prefixes: readonly string[],
    context: DestructiveContext,
  ): Promise<void> {
    await this.#deps.api.unassignIPv4Prefixes(interfaceID, prefixes, context, this.#owner())
    this.#recordUnassigned(interfaceID, [], prefixes)
  }

  async #unassignAddresses(
    interfaceID: string,
    addresses: readonly string[],
    context: DestructiveContext,
  ): Promise<void> {
    await this.#deps.api.unassignPrivateIPAddresses(interfaceID, addresses, context, this.#owner())
    this.#recordUnassigned(interfaceID, addresses, [])
  }

  #owner(): DestructionSubject {
    return { node: this.#name, instanceID: this.#instanceID }
  }

  #getUsedIPWithPrefixes(used: AllocationMap): number {
    return usedIPsWithPrefixes(new Map(this.#interfaces().map((eni) => [eni.id, eni.prefixes])), used)
  }

  /** On the first interface, even when it is not managed. @source cilium pkg/aws/ipam/node.go, AllocateStaticIP */
  async #allocateStaticIP(tags: Tags, context: CallContext): Promise<string> {
    const eni = primaryInterface(this.#interfaces())
    if (eni === undefined) throw new Error('no primary ENI found')
    if (eni.publicIP !== '') return eni.publicIP
    const publicIP = await this.#deps.api.associateElasticIP(eni.id, tags, context)
    this.#deps.instances.recordChange(this.#instanceID, eni.id, { kind: 'associated', publicIP })
    return publicIP
  }

  #recordAssigned(interfaceID: string, given: AssignedAddresses): void {
    const { addresses = [], prefixes = [], ipv6Prefixes = [] } = given
    const before = this.#interface(interfaceID)
    this.#deps.instances.recordChange(this.#instanceID, interfaceID, {
      kind: 'assigned',
      addresses,
      prefixes,
      ipv6Prefixes,
    })
    this.#adjustSubnet(interfaceID, before)
  }

  #recordUnassigned(interfaceID: string, addresses: readonly string[], prefixes: readonly string[]): void {
    const before = this.#interface(interfaceID)
    this.#deps.instances.recordChange(this.#instanceID, interfaceID, { kind: 'unassigned', addresses, prefixes })
    this.#adjustSubnet(interfaceID, before)
  }

  /** What an interface gained its subnet lost. */
  #adjustSubnet(interfaceID: string, before: ENI | undefined): void {
    const now = this.#interface(interfaceID)
    if (before === undefined || now === undefined) return
    this.#deps.infrastructure.adjustFreeAddresses(now.subnet.id, before.addresses.length - now.addresses.length)
  }

  /** An interface as the inventory has it. */
  #interface(interfaceID: string): ENI | undefined {
    return this.#deps.instances.interfacesOf(this.#instanceID)?.get(interfaceID)
  }

  #limits(): Limits | undefined {
    return this.#deps.limits.get(this.#spec.instanceType)
  }

  #facts(): NodeFacts {
    return {
      limits: this.#limits(),
      spec: this.#spec,
      prefixDelegation: this.#deps.config.prefixDelegation,
      interfaces: this.#interfaces(),
    }
  }

  #factsWithLimits(): NodeFacts & { readonly limits: Limits } {
    const facts = this.#facts()
    if (facts.limits === undefined) throw new LimitsNotFoundError(this.#spec.instanceType)
    return { ...facts, limits: facts.limits }
  }

  /** The node's view of its interfaces, in their fixed order; made anew only when the record or the spec is another one. */
  #interfaces(): readonly ENI[] {
    const record = this.#deps.instances.interfacesOf(this.#instanceID)
    if (this.#view === undefined || this.#view.record !== record || this.#view.spec !== this.#spec) {
      const { isFirstCardOnly } = this.#deps.config
      const interfaces = [...(record?.values() ?? [])]
        .filter(({ networkCardIndex }) => !isFirstCardOnly || networkCardIndex === 0)
        .map((eni) => interfaceView(eni, this.#spec.usesPrimaryAddress))
        .toSorted(compareInterfaces)
      this.#view = { record, spec: this.#spec, interfaces }
    }
    return this.#view.interfaces
  }
}

/** Keeps the numbers; the map of addresses, which is large and seldom asked for, is made anew each time. */
function countedOnly(facts: NodeFacts & { readonly limits: Limits }): InterfacesAndIPs {
  const { available, stats } = interfacesAndIPs(facts)
  return {
    stats,
    availableCount: available.size,
    get available() {
      return interfacesAndIPs(facts).available
    },
  }
}

function decodeSpec(resource: CiliumNode, config: AWSProviderConfig): ENISpec {
  const spec = decodeENISpec(resource.spec.eni)
  const { excludedInterfaceTypes, usePrimaryAddress } = config
  return { ...spec, usesPrimaryAddress: spec.usesPrimaryAddress || usePrimaryAddress, excludedInterfaceTypes }
}
