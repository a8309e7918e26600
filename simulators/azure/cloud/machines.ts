import type { Cloud } from '../cloud.ts'
import { keyOf } from './arm-id.ts'
import { endOperation } from './async-operations.ts'
import { applyConfigurations } from './ip-configurations.ts'
import type { PublicIPSource } from './ip-configurations.ts'
import { objectAt } from './json.ts'
import type { JSONObject } from './json.ts'
import { NIC_TYPE, documentOf, newNIC, removeNIC } from './nics.ts'
import { ResourceStore } from './resource-store.ts'
import type { NIC, ScaleSet, ScaleSetVM, VirtualMachine } from './types.ts'
import type { WantedConfiguration } from './wanted-configurations.ts'

/** New machines have no public addresses. */
const NO_PUBLIC_IPS: PublicIPSource = { resolve: () => undefined, undo() {} }

/** Digits of the computer name of a scale-set VM after the set's name: base 36, as the service does. */
const HOST_DIGITS = 6

export function makeScaleSet(
  cloud: Cloud,
  given: {
    readonly group: string
    readonly name: string
    readonly orchestration: ScaleSet['orchestration']
    readonly vmSize: string
    readonly document: JSONObject
    readonly nextInstance?: number
  },
): ScaleSet {
  const id = cloud.resourceID(given.group, 'Microsoft.Compute/virtualMachineScaleSets', given.name)
  const made: ScaleSet = {
    id,
    key: keyOf(id),
    name: given.name,
    group: given.group,
    document: given.document,
    orchestration: given.orchestration,
    vmSize: given.vmSize,
    machines: new ResourceStore(),
    flexible: new Set(),
    nics: new ResourceStore(),
    nextInstance: given.nextInstance ?? 0,
    writesRunning: 0,
  }
  cloud.addGroup(given.group).scaleSets.add(made)
  return made
}

/** A machine of a uniform scale set without interfaces. */
export function makeScaleSetVM(
  cloud: Cloud,
  scaleSet: ScaleSet,
  given: { readonly instanceID: string; readonly vmID?: string; readonly etag?: number; readonly document: JSONObject },
): ScaleSetVM {
  const id = `${scaleSet.id}/virtualMachines/${given.instanceID}`
  const made: ScaleSetVM = {
    kind: 'scale-set-vm',
    id,
    key: keyOf(id),
    name: `${scaleSet.name}_${given.instanceID}`,
    scaleSet,
    instanceID: given.instanceID,
    vmID: given.vmID ?? cloud.newUUID(),
    document: given.document,
    applied: given.document,
    etag: given.etag ?? 1,
    state: 'Succeeded',
    failure: undefined,
    nics: [],
    operation: undefined,
  }
  scaleSet.machines.add(made)
  cloud.scaleSetVMs.set(made.key, made)
  scaleSet.nextInstance = Math.max(scaleSet.nextInstance, Number(given.instanceID) + 1)
  return made
}

/** A machine of its own, or of a flexible scale set, without interfaces. */
export function makeVirtualMachine(
  cloud: Cloud,
  given: {
    readonly group: string
    readonly name: string
    readonly vmSize: string
    readonly vmID?: string
    readonly scaleSet: ScaleSet | undefined
    readonly document: JSONObject
  },
): VirtualMachine {
  const id = cloud.resourceID(given.group, 'Microsoft.Compute/virtualMachines', given.name)
  const made: VirtualMachine = {
    kind: 'vm',
    id,
    key: keyOf(id),
    name: given.name,
    group: given.group,
    vmID: given.vmID ?? cloud.newUUID(),
    vmSize: given.vmSize,
    document: given.document,
    scaleSet: given.scaleSet,
    nics: [],
  }
  cloud.addGroup(given.group).machines.add(made)
  given.scaleSet?.flexible.add(made)
  return made
}

/** The ID that an interface has: within its scale-set VM, or in the group. */
export function nicID(cloud: Cloud, owner: ScaleSetVM | VirtualMachine, name: string): string {
  return owner.kind === 'scale-set-vm'
    ? `${owner.id}/networkInterfaces/${name}`
    : cloud.resourceID(owner.group, NIC_TYPE, name)
}

export interface PlacedInterface {
  readonly id: string
  readonly name: string
  readonly group: string
  readonly owner: ScaleSetVM | VirtualMachine | undefined
  /** As a client would write it. */
  readonly document: JSONObject
  readonly configurations: readonly WantedConfiguration[]
  /** Of a snapshot; drawn otherwise. */
  readonly etag?: string
  readonly macAddress?: string
  readonly resourceGuid?: string
  readonly publicIPs?: PublicIPSource
}

/**
 * Puts an interface with these configurations into the world, at once and without an operation.
 *
 * @throws ARMError; nothing is changed then
 */
export function placeInterface(cloud: Cloud, given: PlacedInterface): NIC {
  const { id, name, group, owner, document } = given
  const isPrimary = owner !== undefined && owner.nics.length === 0
  const nic: NIC = {
    ...newNIC(cloud, { id, name, group, owner, isPrimary }),
    document: owner?.kind === 'scale-set-vm' ? modelDocument(document) : documentOf(document),
    ...(given.etag === undefined ? {} : { etag: given.etag }),
    ...(given.macAddress === undefined ? {} : { macAddress: given.macAddress }),
    ...(given.resourceGuid === undefined ? {} : { resourceGuid: given.resourceGuid }),
  }
  for (const one of applyConfigurations(cloud, nic, given.configurations, given.publicIPs ?? NO_PUBLIC_IPS)) {
    one.state = 'Succeeded'
  }
  owner?.nics.push(nic)
  cloud.nics.set(nic.key, nic)
  if (owner?.kind === 'scale-set-vm') owner.scaleSet.nics.add(nic)
  else cloud.addGroup(group).nics.add(nic)
  return nic
}

/** An interface of a scale-set VM has no location nor tags. */
function modelDocument(document: JSONObject): JSONObject {
  return { properties: objectAt(documentOf(document), 'properties') ?? {} }
}

/** Machines go with their interfaces, and their addresses are free at once. A write under way ends canceled. */
export function removeMachines(cloud: Cloud, gone: ReadonlySet<ScaleSetVM | VirtualMachine>): void {
  const nics = new Set<NIC>()
  const scaleSets = new Map<ScaleSet, Set<ScaleSetVM>>()
  const machines = new Set<VirtualMachine>()
  for (const one of gone) {
    for (const nic of one.nics) nics.add(nic)
    if (one.kind === 'vm') {
      machines.add(one)
      one.scaleSet?.flexible.delete(one)
      continue
    }
    if (one.operation !== undefined) {
      endOperation(cloud, one.operation, { code: 'Canceled', message: `${one.id} was deleted.` })
      one.operation = undefined
      one.scaleSet.writesRunning--
    }
    cloud.scaleSetVMs.delete(one.key)
    const ofSet = scaleSets.get(one.scaleSet) ?? new Set()
    scaleSets.set(one.scaleSet, ofSet.add(one))
  }
  for (const nic of nics) removeNIC(cloud, nic)
  for (const [scaleSet, ofSet] of scaleSets) {
    scaleSet.machines.deleteAll(ofSet)
    scaleSet.nics.deleteAll(nics)
  }
  for (const group of cloud.groups) {
    group.machines.deleteAll(machines)
    group.nics.deleteAll(nics)
  }
}

export function presentScaleSet(cloud: Cloud, scaleSet: ScaleSet): JSONObject {
  const isUniform = scaleSet.orchestration === 'Uniform'
  return {
    name: scaleSet.name,
    id: scaleSet.id,
    type: 'Microsoft.Compute/virtualMachineScaleSets',
    location: cloud.settings.location,
    ...scaleSet.document,
    sku: {
      name: scaleSet.vmSize,
      tier: 'Standard',
      capacity: isUniform ? scaleSet.machines.size : scaleSet.flexible.size,
    },
    properties: {
      provisioningState: 'Succeeded',
      orchestrationMode: scaleSet.orchestration,
      singlePlacementGroup: false,
      ...objectAt(scaleSet.document, 'properties'),
    },
  }
}

export function presentVirtualMachine(cloud: Cloud, vm: VirtualMachine, withInstanceView: boolean): JSONObject {
  return {
    name: vm.name,
    id: vm.id,
    type: 'Microsoft.Compute/virtualMachines',
    location: cloud.settings.location,
    ...vm.document,
    properties: {
      hardwareProfile: { vmSize: vm.vmSize },
      provisioningState: 'Succeeded',
      vmId: vm.vmID,
      ...(vm.scaleSet === undefined ? {} : { virtualMachineScaleSet: { id: vm.scaleSet.id } }),
      ...objectAt(vm.document, 'properties'),
      networkProfile: {
        networkInterfaces: vm.nics.map(({ id, isPrimary }) => ({ id, properties: { primary: isPrimary } })),
      },
      ...(withInstanceView
        ? {
            instanceView: {
              statuses: [
                { code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Provisioning succeeded' },
                { code: 'PowerState/running', level: 'Info', displayStatus: 'VM running' },
              ],
            },
          }
        : {}),
    },
  }
}

/** `np1000000`: how the machine calls itself. */
export function computerName(scaleSet: ScaleSet, instanceID: string): string {
  return `${scaleSet.name}${Number(instanceID).toString(36).toUpperCase().padStart(HOST_DIGITS, '0')}`
}
