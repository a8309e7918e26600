/** Zones of the simulated region that have a subnet at the start (letters). */
const ZONES = ['a', 'b', 'c']

/**
 * What a new account has: the default VPC 172.31.0.0/16 with a /20 subnet in each zone, its main route table and default security
 * group (made by the loader). Ids are fixed, so that scripts can name them.
 *
 * @source Amazon VPC User Guide, default VPCs
 */
export function defaultWorld(region: string): unknown {
  return {
    version: 1,
    vpcs: [{ vpcId: 'vpc-0000000000000001a', cidrBlock: '172.31.0.0/16', isDefault: true }],
    securityGroups: [
      {
        groupId: 'sg-0000000000000001a',
        vpcId: 'vpc-0000000000000001a',
        groupName: 'default',
        description: 'default VPC security group',
      },
    ],
    subnets: ZONES.map((letter, index) => ({
      subnetId: `subnet-0000000000000001${letter}`,
      vpcId: 'vpc-0000000000000001a',
      cidrBlock: `172.31.${index * 16}.0/20`,
      availabilityZone: `${region}${letter}`,
      defaultForAz: true,
    })),
  }
}
