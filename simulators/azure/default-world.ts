import { resourceID } from './cloud/arm-id.ts'
import type { CloudSettings } from './cloud/settings.ts'

/**
 * What a new cluster of the managed Kubernetes service finds: the network 10.224.0.0/12 with one /16 subnet, and a public prefix.
 * No machines; names are fixed, so that scripts can name them.
 */
export function defaultWorld({ subscriptionID, resourceGroup }: CloudSettings): unknown {
  const id = (type: string, name: string): string => resourceID(subscriptionID, resourceGroup, type, name)
  return {
    version: 1,
    virtualNetworks: [
      {
        id: id('Microsoft.Network/virtualNetworks', 'aks-vnet'),
        properties: {
          addressSpace: { addressPrefixes: ['10.224.0.0/12'] },
          subnets: [{ name: 'aks-subnet', properties: { addressPrefix: '10.224.0.0/16' } }],
        },
      },
    ],
    publicIPPrefixes: [
      {
        id: id('Microsoft.Network/publicIPPrefixes', 'nodes'),
        tags: { pool: 'nodes' },
        properties: { ipPrefix: '20.40.0.0/28' },
      },
    ],
  }
}
