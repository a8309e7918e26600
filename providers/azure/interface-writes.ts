import type { Logger } from '../../src/ipam/contracts.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { DestructionGuard, DestructiveContext } from '../../src/ipam/destruction.ts'
import { assert } from '../../src/runtime/assert.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import { WRITE_LABELS, type AzureAPI, type WriteTarget } from './api.ts'
import type { DocumentChange, DocumentWriter } from './document-writer.ts'
import {
  newConfigurationNames,
  resolveAddresses,
  withConfigurations,
  withoutConfigurations,
  withoutUnfinished,
  type NICDocument,
} from './edit-document.ts'
import { refusedByUs } from './errors.ts'
import type { InstancesManager } from './instances.ts'
import { textAt } from './json.ts'
import { addressesOf, isUsable } from './plan.ts'
import { configurationsToRelease } from './plan-release.ts'
import { keyOf, parseMachineID } from './resource-id.ts'
import type { SubnetCache } from './subnet-cache.ts'
import type { IPConfiguration, NIC } from './types.ts'
import type { UnfinishedNames } from './unfinished-names.ts'

/** Reads after a write until its addresses are shown as usable (count), and the wait between them (ms). */
const MAX_READBACKS = 4
const READBACK_MS = 2000

export interface InterfaceWritesDependencies {
  readonly api: AzureAPI
  readonly writer: DocumentWriter
  readonly instances: InstancesManager
  readonly subnets: SubnetCache
  readonly unfinished: UnfinishedNames
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Stands in front of every write that gives something back; undefined: nobody asks. */
  readonly guard: DestructionGuard | undefined
}

/** An interface of a node. */
export interface InterfaceOfNode {
  /** The node's name. */
  readonly node: string
  readonly instanceID: string
  readonly interfaceID: string
}

/**
 * Addresses put on interfaces and taken off, in the cloud and then at once in the inventory.
 *
 * @source cilium pkg/azure/api, AssignPrivateIpAddressesVM, AssignPrivateIpAddressesVMSS and their counterparts
 */
export class InterfaceWrites {
  readonly #deps: InterfaceWritesDependencies

  constructor(deps: InterfaceWritesDependencies) {
    this.#deps = deps
  }

  /**
   * Adds configurations, and reads what became of them: a scale-set model knows their names alone.
   *
   * @param added.count configurations (count)
   * @returns the addresses that are usable now (count)
   * @throws CloudAPIError
   */
  async add(
    where: InterfaceOfNode,
    added: { readonly count: number; readonly subnetID: string; readonly arePrefixes: boolean },
    context: CallContext,
  ): Promise<number> {
    const { api, instances, random, subnets, unfinished, writer } = this.#deps
    const { instanceID, interfaceID } = where
    const target = api.targetOf(interfaceID, parseMachineID(instanceID))
    const place = this.#placeOf(where, target)
    const names = newConfigurationNames(added.count, random)
    const edit: DocumentChange['edit'] = (document) => {
      const tidied = withoutUnfinished(document, place, unfinished.of(interfaceID))
      return withConfigurations(tidied ?? document, place, { ...added, names }) ?? tidied
    }
    try {
      await writer.change(target, { edit }, context)
    } catch (error) {
      unfinished.remember(interfaceID, names)
      throw error
    } finally {
      instances.noteWrite(instanceID)
    }
    unfinished.forget(interfaceID)
    const addressCount = await this.#readBack(where, target, new Set(names), context)
    subnets.adjustFreeAddresses(added.subnetID, -addressCount)
    return addressCount
  }

  /**
   * Takes configurations off by their addresses: a block only when all of it is named. What is not on the interface any more is taken
   * for released.
   *
   * @returns the addresses that are gone
   * @throws CloudAPIError: nothing is gone then, or it is not known; AssertionError when there is a guard and no proof
   */
  async remove(
    where: InterfaceOfNode,
    addresses: readonly string[],
    context: DestructiveContext,
  ): Promise<ReadonlySet<string>> {
    const { api, instances, subnets, writer } = this.#deps
    const { instanceID, interfaceID } = where
    const nic = this.#interface(where)
    if (nic === undefined)
      throw refusedByUs('release', `Cannot release from ${interfaceID}: it is not known`, 'InterfaceUnknown', 'stale')
    const { heads, covered } = configurationsToRelease(nic, addresses)
    if (heads.length === 0) return covered
    const target = api.targetOf(interfaceID, parseMachineID(instanceID))
    const place = this.#placeOf(where, target)
    const admit = this.#admission(where, target, covered, context)
    const names = target.kind === 'scaleSetVM' ? await this.#namesOf(where, heads, context) : undefined
    const edit: DocumentChange['edit'] = (document) =>
      withoutConfigurations(document, place, names ?? resolveAddresses(document, heads).names)
    try {
      await writer.change(target, admit === undefined ? { edit } : { edit, admit }, context)
    } catch (error) {
      instances.noteWrite(instanceID)
      throw error
    }
    instances.recordReleased(instanceID, interfaceID, covered)
    subnets.adjustFreeAddresses(nic.subnet.id, covered.size)
    return covered
  }

  #admission(
    { node, instanceID, interfaceID }: InterfaceOfNode,
    target: WriteTarget,
    addresses: ReadonlySet<string>,
    { proof, reason }: DestructiveContext,
  ): DocumentChange['admit'] {
    const { guard } = this.#deps
    if (guard === undefined) return undefined
    const action = WRITE_LABELS[target.kind]
    assert(proof !== undefined, `${action} would give something back without proof`)
    const subject = { node, instanceID, interfaceID, addresses: [...addresses] }
    return () => guard.began({ action, reason, subject, proof })
  }

  /** What addresses are called on an interface of a scale set, as its own document tells. @throws CloudAPIError */
  async #namesOf(
    { instanceID, interfaceID }: InterfaceOfNode,
    heads: readonly string[],
    context: CallContext,
  ): Promise<ReadonlySet<string>> {
    const { api } = this.#deps
    const action = WRITE_LABELS.scaleSetVM
    const machine = parseMachineID(instanceID)
    const documents = machine === undefined ? undefined : await api.listMachineInterfaces(machine, context)
    const document = documents?.find((one) => keyOf(textAt(one, 'id')) === keyOf(interfaceID))
    if (document === undefined)
      throw refusedByUs(
        action,
        `Cannot release from ${interfaceID}: the interface is gone`,
        'InterfaceUnknown',
        'notFound',
      )
    const { names, missing } = resolveAddresses(document, heads)
    if (missing.length > 0)
      throw refusedByUs(
        action,
        `Cannot release ${missing.join(', ')}: not on ${interfaceID}`,
        'AddressUnknown',
        'stale',
      )
    return names
  }

  /** Reads until the configurations are shown with their addresses. @returns usable addresses (count). @throws CloudAPIError */
  async #readBack(
    where: InterfaceOfNode,
    target: WriteTarget,
    names: ReadonlySet<string>,
    context: CallContext,
  ): Promise<number> {
    const { clock, instances, log } = this.#deps
    for (let reads = 1; ; reads++) {
      try {
        if (target.kind === 'interface') await instances.readInterface(where.instanceID, where.interfaceID, context)
        else await instances.instanceSync(where.instanceID, context)
      } catch (error) {
        if (!(error instanceof CloudAPIError)) throw error
        throw new CloudAPIError(`Cannot read what was assigned to ${where.interfaceID}: ${error.message}`, {
          kind: 'unavailable',
          code: error.code,
          action: error.action,
          cause: error,
        })
      }
      const shown = this.#interface(where)?.configurations.filter((one) => names.has(one.name) && isUsable(one)) ?? []
      if (shown.length === names.size) return countAddresses(shown)
      if (reads === MAX_READBACKS) {
        const count = names.size - shown.length
        log.warn({ interfaceID: where.interfaceID, count }, 'Assigned addresses are not shown yet')
        if (shown.length > 0) return countAddresses(shown)
        const message = `None of ${names.size} new configurations of ${where.interfaceID} has a usable address`
        throw refusedByUs(WRITE_LABELS[target.kind], message, 'NotShown', 'stale')
      }
      await clock.sleep(READBACK_MS, context.signal)
    }
  }

  #placeOf(where: InterfaceOfNode, target: WriteTarget): NICDocument {
    if (target.kind === 'interface') return { kind: 'standalone' }
    const name = this.#interface(where)?.name ?? ''
    return { kind: 'scaleSetVM', nicName: name === '' ? lastSegment(where.interfaceID) : name }
  }

  #interface({ instanceID, interfaceID }: InterfaceOfNode): NIC | undefined {
    return this.#deps.instances.interfacesOf(instanceID)?.get(interfaceID)
  }
}

function countAddresses(configurations: readonly IPConfiguration[]): number {
  return configurations.reduce((sum, one) => sum + addressesOf(one).length, 0)
}

function lastSegment(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1)
}
