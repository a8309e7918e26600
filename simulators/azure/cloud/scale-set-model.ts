import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { PREFIX_BITS } from '../../kit/ipv4.ts'
import { keyOf } from './arm-id.ts'
import { objectAt, objectsAt, textAt, without } from './json.ts'
import type { JSONObject } from './json.ts'
import type { NIC, ScaleSetVM } from './types.ts'
import { readConfigurations } from './wanted-configurations.ts'
import type { WantedConfiguration } from './wanted-configurations.ts'

/** Members of a scale-set VM that only the service sets. */
const READ_ONLY = ['id', 'name', 'type', 'etag', 'instanceId', 'sku', 'zones', 'resources']
const READ_ONLY_PROPERTIES = [
  'provisioningState',
  'vmId',
  'instanceView',
  'latestModelApplied',
  'modelDefinitionApplied',
  'timeCreated',
  'networkProfile',
]

/** One interface of a model that is to be: the interface and its configurations. */
export interface WantedInterface {
  readonly nic: NIC
  readonly wanted: readonly WantedConfiguration[]
  readonly document: JSONObject
}

/**
 * The model that a write asks for. What the body leaves out is gone, but for the image reference and the network configuration,
 * which then stay as they are. Members of both levels that are not known are kept.
 *
 * @throws ARMError LinkedAuthorizationFailed for an image of another subscription
 */
export function modelOf(cloud: Cloud, vm: ScaleSetVM, body: JSONObject, client: string): JSONObject {
  const properties = objectAt(body, 'properties') ?? {}
  const storage = objectAt(properties, 'storageProfile')
  const image = textAt(objectAt(storage, 'imageReference'), 'id')
  const own = `/subscriptions/${keyOf(cloud.settings.subscriptionID)}/`
  if (image !== undefined && !keyOf(image).startsWith(own)) {
    throw fault('LinkedAuthorizationFailed', client, vm.id, image)
  }
  const current = objectAt(vm.document, 'properties') ?? {}
  const imageReference = objectAt(storage, 'imageReference') ?? objectAt(current, 'storageProfile')?.['imageReference']
  const network = objectAt(properties, 'networkProfileConfiguration') ?? current['networkProfileConfiguration']
  return {
    ...without(body, ...READ_ONLY),
    properties: {
      ...without(properties, ...READ_ONLY_PROPERTIES),
      ...(storage === undefined
        ? {}
        : { storageProfile: { ...storage, ...(imageReference ? { imageReference } : {}) } }),
      ...(network === undefined ? {} : { networkProfileConfiguration: network }),
    },
  }
}

/**
 * Checks the interfaces of a model against those the VM has.
 *
 * @throws ARMError
 */
export function interfacesOf(cloud: Cloud, vm: ScaleSetVM, model: JSONObject): readonly WantedInterface[] {
  const network = objectAt(objectAt(model, 'properties'), 'networkProfileConfiguration')
  const given = objectsAt(network, 'networkInterfaceConfigurations')
  const names = given.map((one) => keyOf(textAt(one, 'name') ?? ''))
  const missing = vm.nics.find((nic) => !names.includes(keyOf(nic.name)))
  if (missing !== undefined || given.length !== vm.nics.length) {
    throw fault(
      'OperationNotAllowed',
      `The network interfaces of ${vm.id} cannot be added or removed by this operation.`,
    )
  }
  return vm.nics.map((nic) => {
    const properties = objectAt(given[names.indexOf(keyOf(nic.name))], 'properties') ?? {}
    const configurations = objectsAt(properties, 'ipConfigurations')
    const wanted = readConfigurations(cloud, nic.id, configurations, 'scale-set-vm')
    const subnet = nic.configurations[0]?.subnet
    if (subnet !== undefined && wanted[0]?.subnet.network !== subnet.network) {
      throw fault(
        'InvalidParameter',
        `Network interface ${nic.id} cannot move to a virtual network other than ${subnet.network.id}.`,
      )
    }
    return { nic, wanted, document: { properties: without(properties, 'ipConfigurations', 'primary') } }
  })
}

/** Addresses that a model asks for beyond those there are (count). */
export function missingAddresses(wanted: readonly WantedInterface[]): number {
  let missing = 0
  for (const { nic, wanted: configurations } of wanted) {
    const names = new Set(nic.configurations.map(({ name }) => keyOf(name)))
    for (const one of configurations) if (!names.has(keyOf(one.name))) missing += one.addressCount
  }
  return missing
}

/** The network configuration of a model that asks for what the interfaces have: names, never addresses. */
export function modelFromInterfaces(vm: ScaleSetVM): JSONObject {
  return {
    networkInterfaceConfigurations: vm.nics.map((nic) => ({
      name: nic.name,
      properties: {
        primary: nic.isPrimary,
        ...objectAt(nic.document, 'properties'),
        ipConfigurations: nic.configurations.map((one) => ({
          name: one.name,
          properties: {
            ...one.properties,
            primary: one.primary,
            subnet: { id: one.subnet.id },
            privateIPAddressVersion: 'IPv4',
            ...(one.addressCount > 1 ? { privateIPAddressPrefixLength: PREFIX_BITS } : {}),
          },
        })),
      },
    })),
  }
}
