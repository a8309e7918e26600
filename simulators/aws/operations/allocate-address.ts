import { allocateAddress as allocate } from '../cloud/elastic-ips.ts'
import { specifiedTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { choice, tagSpecificationField } from '../wire/parameters.ts'

export const allocateAddress = operation({
  action: 'AllocateAddress',
  changes: true,
  parameters: { Domain: choice('vpc'), TagSpecification: tagSpecificationField },
  execute(cloud, parameters) {
    const elasticIP = allocate(cloud, specifiedTags(cloud, parameters.TagSpecification, 'elastic-ip'))
    return {
      publicIp: elasticIP.publicIP,
      allocationId: elasticIP.id,
      domain: 'vpc',
      publicIpv4Pool: 'amazon',
      networkBorderGroup: cloud.settings.region,
    }
  },
})
