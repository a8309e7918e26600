import { presentScaleSet, presentVirtualMachine } from './cloud/machines.ts'
import { presentNetwork } from './cloud/networks.ts'
import { renderNIC } from './cloud/nics.ts'
import { objectAt, objectsAt, without } from './cloud/json.ts'
import type { JSONObject } from './cloud/json.ts'
import { presentPublicIP, presentPublicPrefix } from './cloud/public-ips.ts'
import { presentScaleSetVM } from './cloud/scale-set-vms.ts'
import type { PublicIPAddress, ScaleSetVM, VirtualNetwork } from './cloud/types.ts'
import type { Cloud } from './cloud.ts'

/**
 * A whole subscription as plain data: what `GET /_berth/state` answers and `PUT /_berth/state` takes, and the form of a world file.
 * Every resource is the document that the API shows of it. Written by hand, most of it may be left out (`load-world.ts`).
 */
export interface World {
  readonly version: 1
  readonly resourceGroups: readonly string[]
  readonly virtualNetworks: readonly JSONObject[]
  readonly publicIPPrefixes: readonly JSONObject[]
  /** Those of scale-set VMs among them. */
  readonly publicIPAddresses: readonly JSONObject[]
  readonly virtualMachineScaleSets: readonly JSONObject[]
  readonly scaleSetVirtualMachines: readonly JSONObject[]
  readonly virtualMachines: readonly JSONObject[]
  /** Those of scale-set VMs among them. */
  readonly networkInterfaces: readonly JSONObject[]
}

/** What exists now, without what is on its way: a write under way counts as done on an interface and as not begun on a scale-set VM. */
export function saveWorld(cloud: Cloud): World {
  cloud.settle()
  const { groups } = cloud
  const nics = [...cloud.nics.values()]
  return {
    version: 1,
    resourceGroups: groups.map(({ name }) => name),
    virtualNetworks: cloud.networks.items.map((network) => saveNetwork(cloud, network)),
    publicIPPrefixes: groups.flatMap(({ publicPrefixes }) =>
      publicPrefixes.items.map((prefix) => presentPublicPrefix(cloud, prefix)),
    ),
    publicIPAddresses: savePublicIPs(cloud),
    virtualMachineScaleSets: groups.flatMap(({ scaleSets }) =>
      scaleSets.items.map((scaleSet) => ({ ...presentScaleSet(cloud, scaleSet), nextInstance: scaleSet.nextInstance })),
    ),
    scaleSetVirtualMachines: [...cloud.scaleSetVMs.values()].map((vm) => saveScaleSetVM(cloud, vm)),
    virtualMachines: groups.flatMap(({ machines }) =>
      machines.items.map((vm) => presentVirtualMachine(cloud, vm, false)),
    ),
    networkInterfaces: nics.map((nic) => ({
      ...(JSON.parse(renderNIC(cloud, nic)) as JSONObject),
      macAddress: nic.macAddress,
    })),
  }
}

function saveNetwork(cloud: Cloud, network: VirtualNetwork): JSONObject {
  const document = presentNetwork(cloud, network)
  const properties = objectAt(document, 'properties') ?? {}
  const subnets = objectsAt(properties, 'subnets').map((subnet) => ({
    ...subnet,
    properties: without(objectAt(subnet, 'properties') ?? {}, 'ipConfigurations'),
  }))
  return { ...document, properties: { ...properties, subnets } }
}

function savePublicIPs(cloud: Cloud): readonly JSONObject[] {
  const all = new Map<string, PublicIPAddress>()
  for (const { publicIPs } of cloud.groups) for (const one of publicIPs.items) all.set(one.key, one)
  for (const nic of cloud.nics.values()) {
    for (const { publicIP } of nic.configurations) if (publicIP !== undefined) all.set(publicIP.key, publicIP)
  }
  return [...all.values()].map((one) => presentPublicIP(cloud, one))
}

function saveScaleSetVM(cloud: Cloud, vm: ScaleSetVM): JSONObject {
  if (vm.operation === undefined) return presentScaleSetVM(cloud, vm, false)
  return presentScaleSetVM(cloud, { ...vm, document: vm.applied, state: 'Succeeded' }, false)
}
