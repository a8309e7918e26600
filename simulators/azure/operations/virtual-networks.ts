import { keyOf } from '../cloud/arm-id.ts'
import { presentNetwork, presentSubnet, subnetUsage } from '../cloud/networks.ts'
import type { Subnet, VirtualNetwork } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import { groupOf, nameAt, ok } from '../operation.ts'
import type { Answer, Call, Operation } from '../operation.ts'
import { page } from './paging.ts'

const provider = 'Microsoft.Network'
const kind = 'reads'
const TYPE = 'Microsoft.Network/virtualNetworks'

function find(call: Call): VirtualNetwork {
  const group = call.cloud.group(groupOf(call))
  const name = nameAt(call, 0)
  const found = group.networks.get(keyOf(call.cloud.resourceID(group.name, TYPE, name)))
  if (found === undefined) throw fault('ResourceNotFound', `${TYPE}/${name}`, group.name)
  return found
}

function findSubnet(call: Call): Subnet {
  const network = find(call)
  const found = call.cloud.subnets.get(keyOf(`${network.id}/subnets/${nameAt(call, 1)}`))
  if (found === undefined) throw fault('NotFound', `Resource ${network.id}/subnets/${nameAt(call, 1)}`)
  return found
}

function usages(call: Call): Answer {
  return page(call, find(call).subnets, (subnet) =>
    JSON.stringify({
      currentValue: subnetUsage(call.cloud, subnet),
      id: subnet.id,
      limit: subnet.space.capacity,
      name: { localizedValue: 'Subnet size and usage', value: 'SubnetSpace' },
      unit: 'Count',
    }),
  )
}

const renderNetwork = (call: Call) => (network: VirtualNetwork) => JSON.stringify(presentNetwork(call.cloud, network))
const renderSubnet = (call: Call) => (subnet: Subnet) => JSON.stringify(presentSubnet(call.cloud, subnet))

function read(action: string, run: (call: Call) => Answer): Operation {
  return { action, kind, provider, run }
}

export const VIRTUAL_NETWORKS: readonly (readonly [route: string, operation: Operation])[] = [
  [
    `GET subscription ${TYPE}`,
    read('VirtualNetworks.ListAll', (call) => page(call, call.cloud.networks.items, renderNetwork(call))),
  ],
  [
    `GET group ${TYPE}`,
    read('VirtualNetworks.List', (call) =>
      page(call, call.cloud.group(groupOf(call)).networks.items, renderNetwork(call)),
    ),
  ],
  [`GET group ${TYPE}/*`, read('VirtualNetworks.Get', (call) => ok(presentNetwork(call.cloud, find(call))))],
  [`GET group ${TYPE}/*/usages`, read('VirtualNetworks.ListUsage', usages)],
  [`GET group ${TYPE}/*/subnets`, read('Subnets.List', (call) => page(call, find(call).subnets, renderSubnet(call)))],
  [`GET group ${TYPE}/*/subnets/*`, read('Subnets.Get', (call) => ok(presentSubnet(call.cloud, findSubnet(call))))],
]
