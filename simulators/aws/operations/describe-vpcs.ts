import { formatBlock } from '../../kit/ipv4.ts'
import type { VPC } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { presentVPC } from '../present.ts'
import { storedListing } from './stored-listing.ts'

const FILTERS: FilterTable<VPC> = {
  'vpc-id': (vpc) => vpc.id,
  cidr: (vpc) => vpc.blocks.slice(0, 1).map(({ block }) => formatBlock(block)),
  'cidr-block-association.cidr-block': (vpc) => vpc.blocks.map(({ block }) => formatBlock(block)),
  'cidr-block-association.state': () => 'associated',
  'is-default': (vpc) => String(vpc.isDefault),
  isDefault: (vpc) => String(vpc.isDefault),
  state: () => 'available',
}

export const describeVpcs = storedListing({
  action: 'DescribeVpcs',
  ids: { parameter: 'VpcId', inTexts: 'vpcIds', kind: 'vpc' },
  filters: FILTERS,
  pageSize: { min: 5, max: 1000 },
  answer: 'vpcSet',
  store: (cloud) => cloud.vpcs,
  find: (cloud, id) => cloud.vpc(id),
  present: presentVPC,
})
