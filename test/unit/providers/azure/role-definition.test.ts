import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { AZURE_OPERATIONS, type AzureOperation } from '../../../../providers/azure/buckets.ts'

const role = JSON.parse(
  readFileSync(new URL('../../../../deploy/azure/role-definition.json', import.meta.url), 'utf8'),
) as Readonly<Record<'Actions' | 'NotActions' | 'DataActions' | 'AssignableScopes', string[]>>

const SCALE_SETS = 'Microsoft.Compute/virtualMachineScaleSets'

/** The right that each call needs. @source Azure documentation, Azure permissions for Compute and for Networking */
const RIGHTS: Readonly<Record<AzureOperation, string>> = {
  'VirtualMachineScaleSets.List': `${SCALE_SETS}/read`,
  'VirtualMachineScaleSetVMs.Get': `${SCALE_SETS}/virtualMachines/read`,
  'VirtualMachineScaleSetVMs.Update': `${SCALE_SETS}/virtualMachines/write`,
  'VirtualMachines.Get': 'Microsoft.Compute/virtualMachines/read',
  'Operations.GetCompute': 'Microsoft.Compute/locations/operations/read',
  'Operations.GetNetwork': 'Microsoft.Network/locations/operations/read',
  'Interfaces.ListVirtualMachineScaleSetNetworkInterfaces': `${SCALE_SETS}/networkInterfaces/read`,
  'Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces': `${SCALE_SETS}/virtualMachines/networkInterfaces/read`,
  'Interfaces.List': 'Microsoft.Network/networkInterfaces/read',
  'Interfaces.Get': 'Microsoft.Network/networkInterfaces/read',
  'Interfaces.CreateOrUpdate': 'Microsoft.Network/networkInterfaces/write',
  'Subnets.Get': 'Microsoft.Network/virtualNetworks/subnets/read',
  'VirtualNetworks.ListUsage': 'Microsoft.Network/virtualNetworks/usages/read',
  'PublicIPPrefixes.List': 'Microsoft.Network/publicIPPrefixes/read',
  'PublicIPAddresses.Get': 'Microsoft.Network/publicIPAddresses/read',
  'PublicIPAddresses.ListVirtualMachineScaleSetVMPublicIPAddresses': `${SCALE_SETS}/virtualMachines/networkInterfaces/ipConfigurations/publicIPAddresses/read`,
}

/** What a write needs on the resources that its document refers to, and for a public address that is made with it. */
const LINKED = [
  'Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action',
  'Microsoft.Network/loadBalancers/backendAddressPools/join/action',
  'Microsoft.Network/networkSecurityGroups/join/action',
  'Microsoft.Network/publicIPAddresses/join/action',
  'Microsoft.Network/publicIPAddresses/write',
  'Microsoft.Network/publicIPPrefixes/join/action',
  'Microsoft.Network/virtualNetworks/subnets/join/action',
]

describe('the Azure role', () => {
  test('allows exactly what the provider can call, and the joins that its writes imply', () => {
    const operations = Object.keys(AZURE_OPERATIONS) as AzureOperation[]
    const needed = [...new Set([...operations.map((operation) => RIGHTS[operation]), ...LINKED])]
    expect(role.Actions).toEqual(needed.toSorted())
  })

  test('a right to write goes with each kind of write, and none to delete', () => {
    const writes = Object.entries(AZURE_OPERATIONS).filter(([, { kind }]) => kind === 'writes')
    for (const [operation] of writes) expect(RIGHTS[operation as AzureOperation]).toMatch(/\/write$/)
    expect(role.Actions.filter((action) => action.endsWith('/delete'))).toEqual([])
  })

  test('has no wildcard, and no rights to data', () => {
    expect(role.Actions.filter((action) => action.includes('*'))).toEqual([])
    expect([...role.DataActions, ...role.NotActions]).toEqual([])
    // A custom role is assignable somewhere; which subscription is the reader's to fill in.
    expect(role.AssignableScopes).toEqual(['/subscriptions/00000000-0000-0000-0000-000000000000'])
  })
})
