import type { Cloud } from '../cloud.ts'
import { keyOf } from './arm-id.ts'
import { AddressSpace } from './address-space.ts'
import { blockContains, blocksOverlap, formatBlock, parseBlock } from '../../kit/ipv4.ts'
import { configurationID } from './ip-configurations.ts'
import { objectAt, objectsAt, textAt, without } from './json.ts'
import type { JSONObject } from './json.ts'
import type { Subnet, VirtualNetwork } from './types.ts'

/** A network or subnet cannot be made as asked: told to whoever writes the world. */
export class NetworkError extends Error {}

const LARGEST_SUBNET_BITS = 8
const SMALLEST_SUBNET_BITS = 29

/**
 * Makes a virtual network with its subnets.
 *
 * @param properties `{addressSpace: {addressPrefixes}, subnets: [{name, properties}]}`
 * @throws NetworkError
 */
export function makeNetwork(
  cloud: Cloud,
  given: {
    readonly group: string
    readonly name: string
    readonly document: JSONObject
    readonly properties: JSONObject
  },
): VirtualNetwork {
  const id = cloud.resourceID(given.group, 'Microsoft.Network/virtualNetworks', given.name)
  if (cloud.networks.get(keyOf(id)) !== undefined) throw new NetworkError(`${id} exists`)
  const prefixes = textsAt(given.properties['addressSpace'], 'addressPrefixes')
  if (prefixes.length === 0) throw new NetworkError(`${id} has no address prefixes`)
  const network: VirtualNetwork = {
    id,
    key: keyOf(id),
    name: given.name,
    group: given.group,
    document: { ...given.document, properties: without(given.properties, 'subnets', 'provisioningState') },
    etag: textAt(given.document, 'etag') ?? cloud.newETag(),
    addressPrefixes: prefixes,
    subnets: [],
    configurationCount: 0,
  }
  for (const subnet of objectsAt(given.properties, 'subnets')) addSubnet(cloud, network, subnet)
  cloud.networks.add(network)
  cloud.addGroup(given.group).networks.add(network)
  for (const subnet of network.subnets) cloud.subnets.set(subnet.key, subnet)
  return network
}

function addSubnet(cloud: Cloud, network: VirtualNetwork, given: JSONObject): void {
  const name = textAt(given, 'name')
  if (name === undefined) throw new NetworkError(`a subnet of ${network.id} has no name`)
  const properties = (given['properties'] ?? {}) as JSONObject
  const prefix = textAt(properties, 'addressPrefix')
  const all = prefix === undefined ? textsAt(properties, 'addressPrefixes') : [prefix]
  const blocks = all.filter((text) => !text.includes(':')).map((text) => ({ text, block: parseBlock(text) }))
  const [first, ...others] = blocks
  if (first === undefined || others.length > 0) {
    throw new NetworkError(`subnet ${name} must have exactly one IPv4 prefix; this simulator has no others`)
  }
  if (first.block === undefined || first.block.bits < LARGEST_SUBNET_BITS || first.block.bits > SMALLEST_SUBNET_BITS) {
    throw new NetworkError(`${first.text} of subnet ${name} must be a block of /${LARGEST_SUBNET_BITS} to /29`)
  }
  const { block } = first
  const spaces = network.addressPrefixes.map(parseBlock)
  if (!spaces.some((outer) => outer !== undefined && blockContains(outer, block))) {
    throw new NetworkError(
      `${formatBlock(block)} of subnet ${name} is not within ${network.addressPrefixes.join(', ')}`,
    )
  }
  const other = network.subnets.find((one) => blocksOverlap(one.space.block, block) || keyOf(one.name) === keyOf(name))
  if (other !== undefined) throw new NetworkError(`subnet ${name} collides with subnet ${other.name}`)
  const id = `${network.id}/subnets/${name}`
  network.subnets.push({
    id,
    key: keyOf(id),
    name,
    network,
    properties: without(properties, 'ipConfigurations', 'provisioningState'),
    etag: textAt(given, 'etag') ?? cloud.newETag(),
    space: new AddressSpace(block),
    configurations: new Set(),
    prefixCount: 0,
  })
}

/** Addresses that configurations hold, as `usages` counts them (count). */
export function subnetUsage(cloud: Cloud, subnet: Subnet): number {
  return subnet.configurations.size + subnet.prefixCount * (cloud.settings.prefixUsage - 1)
}

/** The member when it is an array, its texts. */
export function textsAt(parent: unknown, key: string): readonly string[] {
  const value = typeof parent === 'object' && parent !== null ? (parent as JSONObject)[key] : undefined
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
}

export function presentNetwork(cloud: Cloud, network: VirtualNetwork): JSONObject {
  return {
    name: network.name,
    id: network.id,
    etag: network.etag,
    type: 'Microsoft.Network/virtualNetworks',
    location: cloud.settings.location,
    ...network.document,
    properties: {
      ...objectAt(network.document, 'properties'),
      provisioningState: 'Succeeded',
      subnets: network.subnets.map((subnet) => presentSubnet(cloud, subnet)),
    },
  }
}

/** Without `ipConfigurations` when there are none or very many of them. */
export function presentSubnet(cloud: Cloud, subnet: Subnet): JSONObject {
  const { size } = subnet.configurations
  const isListed = size > 0 && size <= cloud.settings.listedConfigurations
  return {
    name: subnet.name,
    id: subnet.id,
    etag: subnet.etag,
    type: 'Microsoft.Network/virtualNetworks/subnets',
    properties: {
      ...subnet.properties,
      provisioningState: 'Succeeded',
      ...(isListed
        ? {
            ipConfigurations: Array.from(subnet.configurations, ({ nic, name }) => ({
              id: configurationID(nic, name),
            })),
          }
        : {}),
    },
  }
}
