import type { RouteTable } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentRouteTable } from '../present.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<RouteTable> = {
  'route-table-id': (table) => table.id,
  'vpc-id': (table) => table.vpc.id,
  'association.main': (table) => table.associations.map(({ subnet }) => String(subnet === undefined)),
  'association.route-table-association-id': (table) => table.associations.map((one) => one.id),
  'association.subnet-id': (table) => table.associations.flatMap(({ subnet }) => subnet?.id ?? []),
}

/** Pages at 100 even when no page size is asked for. @source Amazon EC2 API Reference, DescribeRouteTables */
const DEFAULT_PAGE_SIZE = 100

export const describeRouteTables = operation({
  action: 'DescribeRouteTables',
  changes: false,
  parameters: {
    RouteTableId: list(required(id('routeTable'))),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeRouteTables',
        filters: FILTERS,
        pageSize: { min: 5, max: DEFAULT_PAGE_SIZE },
        defaultPageSize: DEFAULT_PAGE_SIZE,
        ids: {
          parameter: 'routeTableIds',
          values: parameters.RouteTableId,
          find: (tableID) => cloud.routeTable(tableID),
        },
        candidates: () => cloud.routeTables.ordered,
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return { routeTableSet: items.map((table) => presentRouteTable(cloud, table)), nextToken }
  },
})
