import { formatIPv4 } from '../../kit/ipv4.ts'
import type { ElasticIP } from '../cloud/types.ts'
import { fault } from '../errors.ts'
import type { FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentElasticIP } from '../present.ts'
import { filterField, id, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<ElasticIP> = {
  'allocation-id': (elasticIP) => elasticIP.id,
  'association-id': (elasticIP) => elasticIP.association?.id,
  domain: () => 'vpc',
  'instance-id': (elasticIP) => elasticIP.association?.iface.attachment?.instance.id,
  'network-interface-id': (elasticIP) => elasticIP.association?.iface.id,
  'private-ip-address': (elasticIP) => elasticIP.association && formatIPv4(elasticIP.association.address),
  'public-ip': (elasticIP) => elasticIP.publicIP,
}

/** Not paged. */
export const describeAddresses = operation({
  action: 'DescribeAddresses',
  changes: false,
  parameters: {
    AllocationId: list(required(id('allocation'))),
    PublicIp: list(required(text())),
    Filter: filterField,
  },
  execute(cloud, parameters) {
    const named = parameters.PublicIp.map((publicIP) => {
      for (const elasticIP of cloud.elasticIPs) if (elasticIP.publicIP === publicIP) return elasticIP.id
      throw fault('InvalidAddress.NotFound', publicIP)
    })
    const { items } = listPage(
      parameters,
      {
        action: 'DescribeAddresses',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: {
          parameter: 'allocationIds',
          values: [...parameters.AllocationId, ...named],
          find(allocationID) {
            const found = cloud.elasticIPs.get(allocationID)
            if (found === undefined) throw fault('InvalidAllocationID.NotFound', allocationID)
            return found
          },
        },
        candidates: () => cloud.elasticIPs.ordered,
      },
      cloud.now(),
    )
    return { addressesSet: items.map((elasticIP) => presentElasticIP(cloud, elasticIP)) }
  },
})
