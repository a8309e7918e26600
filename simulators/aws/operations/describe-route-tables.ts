import type { RouteTable } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { presentRouteTable } from '../present.ts'
import { storedListing } from './stored-listing.ts'

const FILTERS: FilterTable<RouteTable> = {
  'route-table-id': (table) => table.id,
  'vpc-id': (table) => table.vpc.id,
  'association.main': (table) => table.associations.map(({ subnet }) => String(subnet === undefined)),
  'association.route-table-association-id': (table) => table.associations.map((one) => one.id),
  'association.route-table-id': (table) => table.associations.map(() => table.id),
  'association.subnet-id': (table) => table.associations.flatMap(({ subnet }) => subnet?.id ?? []),
}

/** Pages at 100 even when no page size is asked for. @source Amazon EC2 API Reference, DescribeRouteTables */
const DEFAULT_PAGE_SIZE = 100

export const describeRouteTables = storedListing({
  action: 'DescribeRouteTables',
  ids: { parameter: 'RouteTableId', inTexts: 'routeTableIds', kind: 'routeTable' },
  filters: FILTERS,
  pageSize: { min: 5, max: DEFAULT_PAGE_SIZE },
  defaultPageSize: DEFAULT_PAGE_SIZE,
  answer: 'routeTableSet',
  store: (cloud) => cloud.routeTables,
  find: (cloud, id) => cloud.routeTable(id),
  present: presentRouteTable,
})
