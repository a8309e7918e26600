import { formatBlock } from '../../kit/ipv4.ts'
import type { Subnet } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { presentSubnet } from '../present.ts'
import { storedListing } from './stored-listing.ts'

const FILTERS: FilterTable<Subnet> = {
  'subnet-id': (subnet) => subnet.id,
  'vpc-id': (subnet) => subnet.vpc.id,
  'availability-zone': (subnet) => subnet.availabilityZone,
  availabilityZone: (subnet) => subnet.availabilityZone,
  'available-ip-address-count': (subnet, nowMs) => String(subnet.seenFree.seen(subnet.space.free, nowMs)),
  'cidr-block': (subnet) => formatBlock(subnet.space.block),
  cidr: (subnet) => formatBlock(subnet.space.block),
  cidrBlock: (subnet) => formatBlock(subnet.space.block),
  'default-for-az': (subnet) => String(subnet.isDefaultForZone),
  defaultForAz: (subnet) => String(subnet.isDefaultForZone),
  'ipv6-cidr-block-association.ipv6-cidr-block': (subnet) => subnet.ipv6 && `${subnet.ipv6.groups}::/64`,
  'map-public-ip-on-launch': () => 'false',
  state: () => 'available',
}

export const describeSubnets = storedListing({
  action: 'DescribeSubnets',
  ids: { parameter: 'SubnetId', inTexts: 'subnetIds', kind: 'subnet' },
  filters: FILTERS,
  pageSize: { min: 5, max: 1000 },
  answer: 'subnetSet',
  store: (cloud) => cloud.subnets,
  find: (cloud, id) => cloud.subnet(id),
  present: presentSubnet,
})
