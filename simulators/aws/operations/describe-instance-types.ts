import { instanceType, instanceTypes } from '../cloud/instance-types.ts'
import type { InstanceType } from '../cloud/instance-types.ts'
import { fault } from '../errors.ts'
import type { FilterTable } from '../filters.ts'
import { listPage, sourceOf } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentInstanceType } from '../present.ts'
import { filterField, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<InstanceType> = {
  'instance-type': (type) => type.name,
  hypervisor: (type) => type.hypervisor,
  'bare-metal': (type) => String(type.bareMetal),
  'network-info.maximum-network-interfaces': (type) => String(type.adapters),
  'network-info.ipv4-addresses-per-interface': (type) => String(type.ipv4),
  'network-info.ipv6-addresses-per-interface': (type) => String(type.ipv6),
}

/** Pages at 100 even when no page size is asked for. @source Amazon EC2 API Reference, DescribeInstanceTypes */
const DEFAULT_PAGE_SIZE = 100

export const describeInstanceTypes = operation({
  action: 'DescribeInstanceTypes',
  changes: false,
  parameters: {
    InstanceType: list(required(text()), { max: DEFAULT_PAGE_SIZE }),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    const { items, nextToken } = listPage<InstanceType & { tags?: never }>(
      parameters,
      {
        action: 'DescribeInstanceTypes',
        filters: FILTERS,
        pageSize: { min: 5, max: DEFAULT_PAGE_SIZE },
        defaultPageSize: DEFAULT_PAGE_SIZE,
        ids: {
          parameter: 'instanceTypes',
          values: parameters.InstanceType,
          find(name) {
            const found = instanceType(name)
            if (found === undefined) throw fault('InvalidInstanceType', name)
            return found
          },
        },
        candidates: () => sourceOf([...instanceTypes()]),
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return { instanceTypeSet: items.map(presentInstanceType), nextToken }
  },
})
