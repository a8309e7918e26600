import type { IPConfiguration, NIC } from '../../../../providers/azure/types.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'

export const GROUP = '/subscriptions/00000000-0000-0000-0000-0000000000aa/resourceGroups/nodes/providers'
export const SUBNET = `${GROUP}/Microsoft.Network/virtualNetworks/vnet/subnets/a`
export const OTHER_SUBNET = `${GROUP}/Microsoft.Network/virtualNetworks/vnet/subnets/b`
export const MACHINE = `${GROUP}/Microsoft.Compute/virtualMachineScaleSets/np1/virtualMachines/0`
export const SCALE_SET_NIC = `${MACHINE}/networkInterfaces/np1`
export const STANDALONE_NIC = `${GROUP}/Microsoft.Network/networkInterfaces/vm-0-nic`

/** A secondary address that is provisioned. */
export function address(ip: string, more: Partial<IPConfiguration> = {}): IPConfiguration {
  return { name: `Cilium-${ip}`, ip, prefix: '', state: 'succeeded', ...more }
}

/** A block that is provisioned. */
export function block(prefix: string): IPConfiguration {
  return { ...address(prefix.split('/')[0] ?? ''), prefix }
}

/** `count` addresses from 10.0.1.0 on. */
export function addresses(count: number): readonly IPConfiguration[] {
  return Array.from({ length: count }, (_, at) => address(`10.0.${1 + Math.floor(at / 250)}.${at % 250}`))
}

export function nicOf(more: Partial<NIC> = {}): NIC {
  return {
    id: SCALE_SET_NIC,
    name: 'np1',
    mac: '00:0D:3A:11:22:33',
    ip: '10.0.0.4',
    isPrimary: true,
    subnet: { id: SUBNET, cidr: '10.0.0.0/16' },
    securityGroup: '',
    configurations: [],
    primaryState: 'succeeded',
    pendingCount: 0,
    ...more,
  }
}

/** A configuration as documents have it. */
export function configuration(name: string, properties: JSONObject = {}): JSONObject {
  return { name, properties: { provisioningState: 'Succeeded', subnet: { id: SUBNET }, ...properties } }
}

/** An interface's own document: a primary configuration, and one for each further address. */
export function nicDocument(more: JSONObject = {}, ...configurations: readonly JSONObject[]): JSONObject {
  return {
    id: STANDALONE_NIC,
    name: 'vm-0-nic',
    etag: 'W/"1"',
    location: 'westeurope',
    properties: {
      provisioningState: 'Succeeded',
      macAddress: '00-0D-3A-11-22-33',
      virtualMachine: { id: `${GROUP}/Microsoft.Compute/virtualMachines/vm-0` },
      ipConfigurations: [
        configuration('ipconfig1', { primary: true, privateIPAddress: '10.0.0.4' }),
        ...configurations,
      ],
      ...more,
    },
  }
}

/** The model of a scale-set VM with one interface `np1`. */
export function machineDocument(more: JSONObject = {}, ...configurations: readonly JSONObject[]): JSONObject {
  return {
    id: MACHINE,
    name: 'np1_0',
    etag: '"4"',
    location: 'westeurope',
    properties: {
      provisioningState: 'Succeeded',
      storageProfile: { imageReference: { id: '/subscriptions/of-microsoft/image' }, osDisk: { name: 'd0' } },
      networkProfileConfiguration: {
        networkInterfaceConfigurations: [
          {
            name: 'np1',
            properties: {
              primary: true,
              enableIPForwarding: true,
              ipConfigurations: [
                { name: 'ipconfig1', properties: { primary: true, subnet: { id: SUBNET } } },
                ...configurations,
              ],
            },
          },
        ],
      },
      ...more,
    },
  }
}
