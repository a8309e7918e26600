/** As the simulated metadata service names them. */
export const SUBSCRIPTION_ID = '00000000-0000-0000-0000-0000000000aa'
export const RESOURCE_GROUP = 'MC_berth_berth_westeurope'
export const LOCATION = 'westeurope'
/** The network is in a group of its own, as that of a company is. */
const NETWORK_GROUP = 'berth-network'
const NETWORK_ID = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${NETWORK_GROUP}/providers/Microsoft.Network/virtualNetworks/nodes`

/** Most machines of one scale set (count). @source Azure documentation, Virtual Machine Scale Sets, limits */
export const MACHINES_PER_SCALE_SET = 1000
/** Addresses of each subnet that are Azure's own (count). */
const RESERVED = 5
/** Subnets are made so large that at most this share is used. */
const LARGEST_FILL = 0.6
/** A subnet has /19 at least, so that small clusters look like real ones. */
const SMALLEST_SUBNET_SIZE = 2 ** 13
const NETWORK_SIZE = 2 ** 24
const NETWORK_FIRST = 10 * 2 ** 24

/** The network of a simulated cluster, in the form of a world file of the Azure simulator. */
export interface AzureNetworkPlan {
  readonly world: unknown
  /** One for each scale set's worth of machines. */
  readonly subnetIDs: readonly string[]
  /** Addresses that machines can take in all subnets (count). */
  readonly capacity: number
}

/**
 * One virtual network of 10.0.0.0/8 with a subnet for each thousand machines.
 *
 * @param addressesPerNode that a machine may come to use, its primary one included (count)
 * @throws RangeError when 10.0.0.0/8 is too small
 */
export function planAzureNetwork(nodes: number, addressesPerNode: number): AzureNetworkPlan {
  const machines = Math.min(nodes, MACHINES_PER_SCALE_SET)
  const wanted = (machines * addressesPerNode) / LARGEST_FILL + RESERVED
  const size = Math.max(SMALLEST_SUBNET_SIZE, 2 ** Math.ceil(Math.log2(wanted)))
  const count = Math.ceil(nodes / MACHINES_PER_SCALE_SET)
  if (size * count > NETWORK_SIZE)
    throw new RangeError(`${nodes} nodes with ${addressesPerNode} addresses each do not fit into 10.0.0.0/8`)
  const bits = 32 - Math.log2(size)
  const subnets = Array.from({ length: count }, (_, index) => ({
    name: `nodes-${index + 1}`,
    properties: { addressPrefix: `${textOf(NETWORK_FIRST + index * size)}/${bits}` },
  }))
  return {
    subnetIDs: subnets.map(({ name }) => `${NETWORK_ID}/subnets/${name}`),
    capacity: count * (size - RESERVED),
    world: {
      version: 1,
      virtualNetworks: [{ id: NETWORK_ID, properties: { addressSpace: { addressPrefixes: ['10.0.0.0/8'] }, subnets } }],
    },
  }
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')
}
