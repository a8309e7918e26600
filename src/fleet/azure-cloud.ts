import {
  DOCUMENTED_THROTTLE,
  createAzureSimulator,
  inProcessHTTPClient,
  parseLatency,
} from '../../simulators/azure/index.ts'
import { ADDRESSES_PER_INTERFACE, AzureAccount, isWrite } from './azure-account.ts'
import { azureFirstAddressCuts } from './azure-bounds.ts'
import { LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID, planAzureNetwork } from './azure-network.ts'
import { CLOUD_FACTS } from './cloud-facts.ts'
import { addressesPerNode, instanceTypesOf, nodeCapacities } from './node-capacity.ts'
import type { CloudKind, SimulatedCloud } from './simulated-cloud.ts'
import { throttleOf } from './throttle-plan.ts'
import { PREFIX_ADDRESSES } from './world-view.ts'

/** What Azure grants before anybody asks (counts). @source Azure documentation, networking limits */
const DEFAULT_QUOTAS = { interfaces: 65_536, addressesPerNetwork: 65_536 }
/**
 * The end of a write is seen up to 10 s later, and a need that grew meanwhile begins with two more calls. Below the minute after which a
 * full sync would find a forgotten node again (ms).
 */
const IDLE_BOUND_MS = 45_000
/** Names of VM sizes: `Standard_D4s_v5`, `Standard_E4-2s_v5`. */
const VM_SIZE = /^Standard_[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*$/

/** Worlds in a subscription of Azure: uniform scale sets of up to a thousand machines, one interface each. */
export const AZURE_CLOUD: CloudKind = {
  ...CLOUD_FACTS.azure,
  simulator: 'Azure simulator',
  ownAgents: ['pool'],
  servingActions: [
    'VirtualMachineScaleSetVMs.Get',
    'VirtualMachineScaleSetVMs.Update',
    'Operations.GetCompute',
    'Interfaces.ListVirtualMachineScaleSetNetworkInterfaces',
    'Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces',
  ],
  idleBoundMs: IDLE_BOUND_MS,
  isMutating: isWrite,
  capacityOf(instanceType, { prefixDelegation }) {
    if (!VM_SIZE.test(instanceType)) return undefined
    const podSlots = ADDRESSES_PER_INTERFACE - 1
    return {
      interfaces: 1,
      slotsPerInterface: ADDRESSES_PER_INTERFACE,
      podAddresses: podSlots * (prefixDelegation ? PREFIX_ADDRESSES : 1),
    }
  },
  create(plan, clock, latency): SimulatedCloud {
    const capacities = nodeCapacities(plan, AZURE_CLOUD)
    const network = planAzureNetwork(plan.nodes, addressesPerNode(plan, capacities))
    const quotas = {
      interfaces: Math.max(DEFAULT_QUOTAS.interfaces, 2 * plan.nodes),
      addressesPerNetwork: Math.max(DEFAULT_QUOTAS.addressesPerNetwork, network.capacity),
    }
    const azure = createAzureSimulator({
      clock,
      seed: plan.seed,
      throttle: throttleOf(plan.throttle),
      latency: parseLatency(latency),
      world: network.world,
      settings: {
        location: LOCATION,
        subscriptionID: SUBSCRIPTION_ID,
        resourceGroup: RESOURCE_GROUP,
        quotas: { networkInterfaces: quotas.interfaces, configurationsPerNetwork: quotas.addressesPerNetwork },
      },
    })
    return {
      account: new AzureAccount(azure, { subnetIDs: network.subnetIDs, instanceTypes: instanceTypesOf(plan) }),
      router: azure.router,
      capacities,
      quotas,
      access: { azure: { ...CLOUD_FACTS.azure.access.azure, httpClient: inProcessHTTPClient(azure.router) } },
      setThrottle: (choice) => azure.setThrottle(choice),
      setFaults: (rules) => azure.faults.set(rules),
      listen: (where) => azure.listen(where),
      controllerFlags: (url) => [
        '--ipam=azure',
        '--azure-environment=AzurePublicCloud',
        ...(url === undefined ? [] : [`--azure-resource-manager-endpoint=${url}`]),
        `--azure-subscription-id=${SUBSCRIPTION_ID}`,
        `--azure-resource-group=${RESOURCE_GROUP}`,
        `--azure-enable-prefixes=${plan.prefixDelegation}`,
      ],
      exportLines: (url) => [
        `export AZURE_RESOURCE_MANAGER_ENDPOINT=${url} AZURE_POD_IDENTITY_AUTHORITY_HOST=${url}`,
        `export AZURE_SUBSCRIPTION_ID=${SUBSCRIPTION_ID} AZURE_RESOURCE_GROUP=${RESOURCE_GROUP}`,
      ],
    }
  },
  async loadProvider() {
    await import('../../providers/azure/index.ts')
  },
  documentedThrottle: DOCUMENTED_THROTTLE,
  firstAddressCuts: azureFirstAddressCuts,
}
