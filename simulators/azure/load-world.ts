import { InputError, InputReader } from '../kit/input.ts'
import { keyOf, parseARMPath } from './cloud/arm-id.ts'
import type { ARMPath } from './cloud/arm-id.ts'
import type { PublicIPSource } from './cloud/ip-configurations.ts'
import { blockSize, parseBlock, parseIPv4 } from '../kit/ipv4.ts'
import { isObject, objectAt, objectsAt, textAt, without } from './cloud/json.ts'
import type { JSONObject } from './cloud/json.ts'
import { makeScaleSet, makeScaleSetVM, makeVirtualMachine, placeInterface } from './cloud/machines.ts'
import { NetworkError, makeNetwork } from './cloud/networks.ts'
import { documentOf } from './cloud/nics.ts'
import { makePublicIP } from './cloud/public-ips.ts'
import { modelFromInterfaces } from './cloud/scale-set-model.ts'
import type { PublicIPAddress, ScaleSet, ScaleSetVM, VirtualMachine } from './cloud/types.ts'
import { readConfigurations } from './cloud/wanted-configurations.ts'
import { Cloud } from './cloud.ts'
import type { CloudParts } from './cloud.ts'
import { ARMError } from './errors.ts'
import { checkWorld } from './invariants.ts'

const KINDS = [
  'resourceGroups',
  'virtualNetworks',
  'publicIPPrefixes',
  'publicIPAddresses',
  'virtualMachineScaleSets',
  'scaleSetVirtualMachines',
  'virtualMachines',
  'networkInterfaces',
] as const
/** Faults told at once (count). */
const MAX_FAULTS = 20

const NETWORK = ['virtualnetworks']
const SCALE_SET = ['virtualmachinescalesets']
const SCALE_SET_VM = ['virtualmachinescalesets', 'virtualmachines']
const SCALE_SET_NIC = ['virtualmachinescalesets', 'virtualmachines', 'networkinterfaces']
const VM = ['virtualmachines']

/**
 * Makes a cloud from a world: documents as the API shows them, of which only `id` is needed everywhere. Beyond that: a network needs
 * `properties.addressSpace.addressPrefixes` and its subnets `addressPrefix`; a public prefix `properties.ipPrefix`; an interface
 * `properties.ipConfigurations` with a `subnet` (addresses are chosen where they are absent), and `properties.virtualMachine` when it is
 * of a machine that its ID does not name. The model of a scale-set VM follows from its interfaces unless it is given.
 *
 * @throws InputError listing what is wrong
 */
export function loadWorld(parts: CloudParts, value: unknown): Cloud {
  return new Loader(new Cloud(parts), value).load()
}

class Loader {
  readonly #cloud: Cloud
  readonly #value: unknown
  readonly #reader = new InputReader('world')
  readonly #publicIPByHolder = new Map<string, PublicIPAddress>()

  constructor(cloud: Cloud, value: unknown) {
    this.#cloud = cloud
    this.#value = value
  }

  load(): Cloud {
    const file = this.#reader.object(this.#value, 'file', ['version', '$schema', ...KINDS])
    if (file['version'] !== undefined && file['version'] !== 1) this.#reader.fault('version', 'must be 1')
    this.#cloud.addGroup(this.#cloud.settings.resourceGroup)
    this.#reader
      .array(file['resourceGroups'] ?? [], 'resourceGroups')
      .forEach((name, at) => this.#cloud.addGroup(this.#reader.string(name, `resourceGroups[${at}]`)))
    this.#each(file, 'virtualNetworks', NETWORK, (document, path) => this.#network(document, path))
    this.#each(file, 'publicIPPrefixes', ['publicipprefixes'], (document, path) => this.#publicPrefix(document, path))
    this.#each(file, 'publicIPAddresses', undefined, (document, path) => this.#publicIP(document, path))
    this.#each(file, 'virtualMachineScaleSets', SCALE_SET, (document, path) => this.#scaleSet(document, path))
    const models: ScaleSetVM[] = []
    this.#each(file, 'scaleSetVirtualMachines', SCALE_SET_VM, (document, path) => {
      models.push(this.#scaleSetVM(document, path))
    })
    this.#each(file, 'virtualMachines', VM, (document, path) => this.#virtualMachine(document, path))
    this.#each(file, 'networkInterfaces', undefined, (document, path) => this.#interface(document, path))
    this.#reader.finish()
    for (const vm of models) completeModel(vm)
    const violations = checkWorld(this.#cloud)
    if (violations.length > 0) {
      const faults = violations.slice(0, MAX_FAULTS).map(({ rule, detail }) => `${rule}: ${detail}`)
      throw new InputError('world', faults)
    }
    return this.#cloud
  }

  /** Reads each document; what the rules refuse becomes a fault of it. @param types of its ID, lower-cased; any when undefined */
  #each(
    file: JSONObject,
    kind: (typeof KINDS)[number],
    types: readonly string[] | undefined,
    read: (document: JSONObject, path: ARMPath & { readonly resourceGroup: string }) => void,
  ): void {
    this.#reader.array(file[kind] ?? [], kind).forEach((document, at) => {
      const place = `${kind}[${at}]`
      if (!isObject(document)) return this.#reader.fault(place, 'must be an object')
      const id = textAt(document, 'id') ?? ''
      const path = parseARMPath(id)
      const { subscriptionID } = this.#cloud.settings
      if (
        path?.resourceGroup === undefined ||
        path.names.length !== path.types.length ||
        keyOf(path.subscription) !== keyOf(subscriptionID) ||
        (types !== undefined && keyOf(path.types.join('/')) !== types.join('/'))
      ) {
        const wanted = types === undefined ? 'a resource' : types.join('/')
        return this.#reader.fault(
          `${place}.id`,
          `must be the ID of ${wanted} in subscription ${subscriptionID}, not ${id}`,
        )
      }
      try {
        read(document, { ...path, resourceGroup: path.resourceGroup })
      } catch (error) {
        if (!(error instanceof ARMError || error instanceof NetworkError)) throw error
        this.#reader.fault(place, error.message)
      }
    })
  }

  #network(document: JSONObject, { resourceGroup, names }: ARMPath & { resourceGroup: string }): void {
    makeNetwork(this.#cloud, {
      group: this.#cloud.addGroup(resourceGroup).name,
      name: names[0] ?? '',
      document: without(documentOf(document), 'properties'),
      properties: objectAt(document, 'properties') ?? {},
    })
  }

  #publicPrefix(document: JSONObject, { resourceGroup, names }: ARMPath & { resourceGroup: string }): void {
    const properties = objectAt(document, 'properties') ?? {}
    const block = parseBlock(textAt(properties, 'ipPrefix') ?? '')
    if (block === undefined || block.bits < 21 || block.bits > 31) {
      throw new NetworkError(`${names[0]} must have an ipPrefix of /21 to /31`)
    }
    const group = this.#cloud.addGroup(resourceGroup)
    const id = this.#cloud.resourceID(group.name, 'Microsoft.Network/publicIPPrefixes', names[0] ?? '')
    group.publicPrefixes.add({
      id,
      key: keyOf(id),
      name: names[0] ?? '',
      group: group.name,
      document: {
        ...without(document, 'id', 'name', 'type'),
        properties: without(properties, 'publicIPAddresses', 'ipPrefix', 'prefixLength'),
      },
      base: block.base,
      size: blockSize(block),
      addresses: new Map(),
    })
  }

  #publicIP(document: JSONObject, { resourceGroup, names, types }: ARMPath & { resourceGroup: string }): void {
    const properties = objectAt(document, 'properties') ?? {}
    const prefixID = textAt(objectAt(properties, 'publicIPPrefix'), 'id')
    const prefix =
      prefixID === undefined
        ? undefined
        : this.#cloud.findGroup(parseARMPath(prefixID)?.resourceGroup ?? '')?.publicPrefixes.get(keyOf(prefixID))
    if (prefixID !== undefined && prefix === undefined) throw new NetworkError(`${prefixID} does not exist`)
    const holder = textAt(objectAt(properties, 'ipConfiguration'), 'id')
    const address = parseIPv4(textAt(properties, 'ipAddress') ?? '')
    const resourceGuid = textAt(properties, 'resourceGuid')
    const group = this.#cloud.addGroup(resourceGroup)
    const made = makePublicIP(
      this.#cloud,
      {
        group: group.name,
        name: names.at(-1) ?? '',
        id: textAt(document, 'id') ?? '',
        document: {
          ...without(document, 'id', 'name', 'type'),
          properties: without(properties, 'ipConfiguration', 'ipAddress', 'publicIPPrefix', 'resourceGuid'),
        },
        prefix,
        holder,
        ...(address === undefined ? {} : { address }),
        ...(resourceGuid === undefined ? {} : { resourceGuid }),
      },
      types.length === 1,
    )
    if (made === undefined) throw new NetworkError(`${prefixID} has no such free address`)
    if (holder !== undefined) this.#publicIPByHolder.set(keyOf(holder), made)
  }

  #scaleSet(document: JSONObject, { resourceGroup, names }: ARMPath & { resourceGroup: string }): void {
    const properties = objectAt(document, 'properties') ?? {}
    const mode = textAt(properties, 'orchestrationMode')
    const next = document['nextInstance']
    makeScaleSet(this.#cloud, {
      group: this.#cloud.addGroup(resourceGroup).name,
      name: names[0] ?? '',
      orchestration: mode === 'Flexible' ? 'Flexible' : 'Uniform',
      vmSize: textAt(objectAt(document, 'sku'), 'name') ?? 'Standard_D4s_v5',
      document: {
        ...without(document, 'id', 'name', 'type', 'sku', 'nextInstance'),
        properties: without(properties, 'orchestrationMode', 'provisioningState'),
      },
      ...(typeof next === 'number' ? { nextInstance: next } : {}),
    })
  }

  #findScaleSet(id: string): ScaleSet {
    const found = this.#cloud.findGroup(parseARMPath(id)?.resourceGroup ?? '')?.scaleSets.get(keyOf(id))
    if (found === undefined) throw new NetworkError(`scale set ${id} does not exist`)
    return found
  }

  #scaleSetVM(document: JSONObject, { names }: ARMPath): ScaleSetVM {
    const id = textAt(document, 'id') ?? ''
    const scaleSet = this.#findScaleSet(id.slice(0, id.toLowerCase().indexOf('/virtualmachines/')))
    const properties = objectAt(document, 'properties') ?? {}
    const instanceID = names[1] ?? ''
    if (scaleSet.orchestration !== 'Uniform')
      throw new NetworkError(`${scaleSet.id} is flexible: its machines are virtualMachines`)
    if (!/^\d{1,6}$/.test(instanceID)) throw new NetworkError(`${instanceID} is no instance of a uniform scale set`)
    const vmID = textAt(properties, 'vmId')
    const vm = makeScaleSetVM(this.#cloud, scaleSet, {
      instanceID,
      etag: Number((textAt(document, 'etag') ?? '"1"').replaceAll('"', '')) || 1,
      document: {
        ...without(document, 'id', 'name', 'type', 'etag', 'instanceId', 'sku', 'zones'),
        properties: without(
          properties,
          'provisioningState',
          'vmId',
          'instanceView',
          'latestModelApplied',
          'modelDefinitionApplied',
          'networkProfile',
        ),
      },
      ...(vmID === undefined ? {} : { vmID }),
    })
    if (textAt(properties, 'provisioningState') === 'Failed') vm.state = 'Failed'
    return vm
  }

  #virtualMachine(document: JSONObject, { resourceGroup, names }: ARMPath & { resourceGroup: string }): void {
    const properties = objectAt(document, 'properties') ?? {}
    const scaleSetID = textAt(objectAt(properties, 'virtualMachineScaleSet'), 'id')
    const vmID = textAt(properties, 'vmId')
    makeVirtualMachine(this.#cloud, {
      group: this.#cloud.addGroup(resourceGroup).name,
      name: names[0] ?? '',
      vmSize: textAt(objectAt(properties, 'hardwareProfile'), 'vmSize') ?? 'Standard_D4s_v5',
      scaleSet: scaleSetID === undefined ? undefined : this.#findScaleSet(scaleSetID),
      document: {
        ...without(document, 'id', 'name', 'type'),
        properties: without(properties, 'vmId', 'virtualMachineScaleSet', 'networkProfile', 'instanceView'),
      },
      ...(vmID === undefined ? {} : { vmID }),
    })
  }

  #interface(document: JSONObject, { resourceGroup, names, types }: ARMPath & { resourceGroup: string }): void {
    const id = textAt(document, 'id') ?? ''
    const properties = objectAt(document, 'properties') ?? {}
    if (this.#cloud.nics.has(keyOf(id))) throw new NetworkError(`${id} exists`)
    const isOfScaleSet = keyOf(types.join('/')) === SCALE_SET_NIC.join('/')
    const ownerID = isOfScaleSet
      ? id.slice(0, id.toLowerCase().lastIndexOf('/networkinterfaces/'))
      : textAt(objectAt(properties, 'virtualMachine'), 'id')
    const listed = objectsAt(properties, 'ipConfigurations')
    const wanted = readConfigurations(this.#cloud, id, listed, 'interface').map((one, at) => {
      const text = textAt(objectAt(listed[at], 'properties'), 'privateIPAddress')
      const address = parseIPv4((text ?? '').split('/')[0] ?? '')
      if (text !== undefined && address === undefined) throw new NetworkError(`${text} is no address`)
      return address === undefined ? one : { ...one, address }
    })
    const optional = (key: string, at: string, from: JSONObject) => {
      const text = textAt(from, at)
      return text === undefined ? {} : { [key]: text }
    }
    const nic = placeInterface(this.#cloud, {
      id,
      name: names.at(-1) ?? '',
      group: this.#cloud.addGroup(resourceGroup).name,
      owner: ownerID === undefined ? undefined : this.#findMachine(ownerID),
      document: without(document, 'macAddress'),
      configurations: wanted,
      publicIPs: this.#publicIPs(id),
      ...optional('etag', 'etag', document),
      ...optional('resourceGuid', 'resourceGuid', properties),
      ...optional('macAddress', 'macAddress', properties),
      ...optional('macAddress', 'macAddress', document),
    })
    nic.configurations.forEach((one, at) => {
      const given = objectAt(listed[at], 'properties')
      if (textAt(given, 'provisioningState') === 'Failed') one.state = 'Failed'
    })
  }

  #findMachine(id: string): ScaleSetVM | VirtualMachine {
    const group = parseARMPath(id)?.resourceGroup ?? ''
    const found = this.#cloud.scaleSetVMs.get(keyOf(id)) ?? this.#cloud.findGroup(group)?.machines.get(keyOf(id))
    if (found === undefined) throw new NetworkError(`machine ${id} does not exist`)
    return found
  }

  /** Ties the public addresses that name one of the interface's configurations. */
  #publicIPs(nicID: string): PublicIPSource {
    return {
      resolve: ({ name }) => this.#publicIPByHolder.get(keyOf(`${nicID}/ipConfigurations/${name}`)),
      undo() {},
    }
  }
}

/** A VM without network configuration gets the one that its interfaces have. */
function completeModel(vm: ScaleSetVM): void {
  const properties = objectAt(vm.document, 'properties') ?? {}
  if (properties['networkProfileConfiguration'] === undefined) {
    vm.document = {
      ...vm.document,
      properties: { ...properties, networkProfileConfiguration: modelFromInterfaces(vm) },
    }
  }
  vm.applied = vm.document
}
