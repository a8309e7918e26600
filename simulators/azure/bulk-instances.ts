import { InputError, InputReader } from '../kit/input.ts'
import { keyOf } from './cloud/arm-id.ts'
import { formatIPv4 } from '../kit/ipv4.ts'
import type { JSONObject } from './cloud/json.ts'
import {
  computerName,
  makeScaleSet,
  makeScaleSetVM,
  makeVirtualMachine,
  nicID,
  placeInterface,
  removeMachines,
} from './cloud/machines.ts'
import { modelFromInterfaces } from './cloud/scale-set-model.ts'
import type { NIC, ScaleSet, ScaleSetVM, Subnet, VirtualMachine } from './cloud/types.ts'
import { readConfigurations } from './cloud/wanted-configurations.ts'
import type { Cloud } from './cloud.ts'
import { ARMError } from './errors.ts'

/** What the door tells of each machine made: what its node has to know of itself. */
export interface BulkInstance {
  /** ARM ID. A node's provider ID is `azure://` and this. */
  readonly id: string
  readonly name: string
  readonly vmSize: string
  readonly networkInterfaceId: string
  readonly subnetId: string
  readonly macAddress: string
  readonly privateIPAddress: string
}

/** Most machines of one request (count). */
const MAX_COUNT = 100_000
/** Most IP configurations beside the primary one (count). */
const MAX_SECONDARY = 255
const KEYS = [
  'kind',
  'scaleSet',
  'namePrefix',
  'count',
  'subnetId',
  'vmSize',
  'resourceGroup',
  'secondaryAddresses',
  'imageId',
]

/**
 * Makes many running machines at once, each with one interface: `{"kind": "uniform" | "flexible" | "standalone", "count", "scaleSet" (of
 * the first two kinds; made when it does not exist), "namePrefix", "subnetId", "vmSize", "resourceGroup", "secondaryAddresses",
 * "imageId"}`; all but `count` may be absent. Not metered; all or none.
 *
 * @throws InputError also when the subnet is too small
 */
export function makeInstances(cloud: Cloud, body: unknown): { readonly instances: readonly BulkInstance[] } {
  cloud.settle()
  const reader = new InputReader('instances')
  const input = reader.object(body, 'body', KEYS)
  const text = (key: string, otherwise: string): string =>
    input[key] === undefined ? otherwise : reader.string(input[key], key)
  const kind =
    reader.oneOf(input['kind'] ?? 'uniform', 'kind', ['uniform', 'flexible', 'standalone'] as const) ?? 'uniform'
  const count = reader.integer(input['count'], 'count', { min: 1, max: MAX_COUNT })
  const secondary = reader.integer(input['secondaryAddresses'] ?? 0, 'secondaryAddresses', {
    min: 0,
    max: MAX_SECONDARY,
  })
  const vmSize = text('vmSize', 'Standard_D4s_v5')
  const groupName = text('resourceGroup', cloud.settings.resourceGroup)
  const scaleSetName = text('scaleSet', 'np1')
  const prefix = text('namePrefix', kind === 'standalone' ? 'vm' : scaleSetName)
  const imageID = text('imageId', '')
  const [firstSubnet] = cloud.subnets.values()
  const subnetID = text('subnetId', firstSubnet?.id ?? '')
  const subnet = cloud.subnets.get(keyOf(subnetID))
  if (subnet === undefined) reader.fault('subnetId', subnetID === '' ? 'none is there' : `${subnetID} does not exist`)
  reader.finish()
  if (subnet === undefined) return { instances: [] }
  const group = cloud.addGroup(groupName).name
  const scaleSet = kind === 'standalone' ? undefined : scaleSetFor(cloud, { group, name: scaleSetName, kind, vmSize })
  const made: (ScaleSetVM | VirtualMachine)[] = []
  try {
    for (let index = 0; index < count; index++) {
      const vm =
        kind === 'uniform' && scaleSet !== undefined
          ? makeScaleSetVM(cloud, scaleSet, uniformParts(scaleSet, imageID))
          : makeVirtualMachine(cloud, { group, name: freeName(cloud, group, prefix), vmSize, scaleSet, document: {} })
      made.push(vm)
      addPrimaryInterface(cloud, vm, subnet, secondary)
    }
  } catch (error) {
    removeMachines(cloud, new Set(made))
    if (error instanceof ARMError) throw new InputError('instances', [`${error.message} (${error.code})`])
    throw error
  }
  return { instances: made.flatMap(describe) }
}

/** Takes machines away with their interfaces: `{"ids": [...]}`, ARM IDs. @throws InputError when one does not exist */
export function deleteInstances(cloud: Cloud, body: unknown): void {
  cloud.settle()
  const reader = new InputReader('delete-instances')
  const input = reader.object(body, 'body', ['ids'])
  const gone = new Set<ScaleSetVM | VirtualMachine>()
  reader.array(input['ids'], 'ids').forEach((value, at) => {
    const id = reader.string(value, `ids[${at}]`)
    const machines = cloud.groups.map((group) => group.machines.get(keyOf(id)))
    const found = cloud.scaleSetVMs.get(keyOf(id)) ?? machines.find((one) => one !== undefined)
    if (found === undefined) reader.fault(`ids[${at}]`, `${id} does not exist`)
    else gone.add(found)
  })
  reader.finish()
  removeMachines(cloud, gone)
}

function scaleSetFor(
  cloud: Cloud,
  wanted: {
    readonly group: string
    readonly name: string
    readonly kind: 'uniform' | 'flexible'
    readonly vmSize: string
  },
): ScaleSet {
  const orchestration = wanted.kind === 'uniform' ? 'Uniform' : 'Flexible'
  const id = cloud.resourceID(wanted.group, 'Microsoft.Compute/virtualMachineScaleSets', wanted.name)
  const found = cloud.group(wanted.group).scaleSets.get(keyOf(id))
  if (found === undefined) return makeScaleSet(cloud, { ...wanted, orchestration, document: {} })
  if (found.orchestration !== orchestration)
    throw new InputError('instances', [`scaleSet ${wanted.name} is ${found.orchestration}`])
  return found
}

function uniformParts(scaleSet: ScaleSet, imageID: string) {
  const instanceID = `${scaleSet.nextInstance}`
  const document: JSONObject = {
    properties: {
      hardwareProfile: {},
      osProfile: { computerName: computerName(scaleSet, instanceID) },
      storageProfile: {
        ...(imageID === '' ? {} : { imageReference: { id: imageID } }),
        osDisk: { createOption: 'FromImage' },
        dataDisks: [],
      },
    },
  }
  return { instanceID, document }
}

function freeName(cloud: Cloud, group: string, prefix: string): string {
  const { machines } = cloud.group(group)
  for (let number = machines.size; ; number++) {
    const name = `${prefix}-${number}`
    if (machines.get(keyOf(cloud.resourceID(group, 'Microsoft.Compute/virtualMachines', name))) === undefined)
      return name
  }
}

function addPrimaryInterface(cloud: Cloud, vm: ScaleSetVM | VirtualMachine, subnet: Subnet, secondary: number): NIC {
  const name = vm.kind === 'vm' ? `${vm.name}-nic` : vm.scaleSet.name
  const id = nicID(cloud, vm, name)
  const configurations = Array.from({ length: secondary + 1 }, (_, at) => ({
    name: `ipconfig${at + 1}`,
    properties: { primary: at === 0, subnet: { id: subnet.id } },
  }))
  const nic = placeInterface(cloud, {
    id,
    name,
    group: vm.kind === 'vm' ? vm.group : vm.scaleSet.group,
    owner: vm,
    document: { properties: { enableAcceleratedNetworking: true, enableIPForwarding: true } },
    configurations: readConfigurations(cloud, id, configurations, 'interface'),
  })
  if (vm.kind === 'scale-set-vm') {
    const properties = {
      ...(vm.document['properties'] as JSONObject),
      networkProfileConfiguration: modelFromInterfaces(vm),
    }
    vm.document = { ...vm.document, properties }
    vm.applied = vm.document
  }
  return nic
}

function describe(vm: ScaleSetVM | VirtualMachine): readonly BulkInstance[] {
  const [nic] = vm.nics
  const [primary] = nic?.configurations ?? []
  if (nic === undefined || primary === undefined) return []
  return [
    {
      id: vm.id,
      name: vm.name,
      vmSize: vm.kind === 'vm' ? vm.vmSize : vm.scaleSet.vmSize,
      networkInterfaceId: nic.id,
      subnetId: primary.subnet.id,
      macAddress: nic.macAddress,
      privateIPAddress: formatIPv4(primary.address),
    },
  ]
}
