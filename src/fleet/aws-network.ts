/** Zones of the region that the cluster is spread over (letters). */
const ZONES = ['a', 'b', 'c', 'd']
/** Usable addresses of the subnets below: five of each block are the cloud's own (counts). */
const QUARTER_BLOCK_ADDRESSES = 2 ** 14 - 5
const WHOLE_BLOCK_ADDRESSES = 2 ** 16 - 5
/** Subnets are made so large that at most this share is used: prefixes need whole aligned blocks that are free. */
const LARGEST_FILL = 0.6
/** 10.0.0.0/8 has no more /16 blocks. */
const MAX_BLOCKS = 256

export const VPC_ID = 'vpc-0000000000000b001'
export const GROUP_ID = 'sg-0000000000000b001'

/** The network of a simulated cluster, in the form of a world file of the EC2 simulator. */
export interface NetworkPlan {
  readonly world: unknown
  readonly subnetIDs: readonly string[]
}

/**
 * One VPC with a subnet in each zone, as many times as the addresses need: quarters of 10.0.0.0/16 for a small cluster, whole /16
 * blocks for a large one.
 *
 * @param addresses that the cluster may come to use, primary ones included (count)
 * @throws RangeError when 10.0.0.0/8 is too small
 */
export function planNetwork(region: string, addresses: number): NetworkPlan {
  const wanted = Math.ceil(addresses / LARGEST_FILL)
  const isSmall = wanted <= ZONES.length * QUARTER_BLOCK_ADDRESSES
  const rounds = isSmall ? 1 : Math.ceil(wanted / (ZONES.length * WHOLE_BLOCK_ADDRESSES))
  const count = rounds * ZONES.length
  if (count > MAX_BLOCKS) throw new RangeError(`${addresses} addresses do not fit into 10.0.0.0/8`)
  const subnets = Array.from({ length: count }, (_, index) => ({
    subnetId: `subnet-${(0xb000 + index).toString(16).padStart(17, '0')}`,
    vpcId: VPC_ID,
    cidrBlock: isSmall ? `10.0.${index * 64}.0/18` : `10.${index}.0.0/16`,
    availabilityZone: `${region}${ZONES[index % ZONES.length]}`,
    tags: { Name: `nodes-${ZONES[index % ZONES.length]}-${Math.floor(index / ZONES.length)}` },
  }))
  return {
    subnetIDs: subnets.map(({ subnetId }) => subnetId),
    world: {
      version: 1,
      vpcs: [
        {
          vpcId: VPC_ID,
          cidrBlock: '10.0.0.0/16',
          additionalCidrBlocks: isSmall ? [] : subnets.slice(1).map(({ cidrBlock }) => cidrBlock),
        },
      ],
      securityGroups: [{ groupId: GROUP_ID, vpcId: VPC_ID, groupName: 'nodes', description: 'nodes of the cluster' }],
      subnets,
    },
  }
}
