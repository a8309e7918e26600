import { describe, expect, test } from 'vitest'
import { instanceIDOf, parseMachineID, parseNICID, parseSubnetID } from '../../../../providers/azure/resource-id.ts'
import { MACHINE, SCALE_SET_NIC, STANDALONE_NIC, SUBNET } from './builders.ts'

describe('the ID of an interface', () => {
  test.each([
    { id: SCALE_SET_NIC, parts: ['nodes', 'np1', '0'] },
    { id: SCALE_SET_NIC.toUpperCase(), parts: ['NODES', 'NP1', '0'] },
    { id: STANDALONE_NIC, parts: ['nodes', '', ''] },
    { id: 'vm-0-nic', parts: ['', '', ''] },
    { id: '', parts: ['', '', ''] },
    { id: `${SCALE_SET_NIC}/`, parts: ['', '', ''] },
    { id: SCALE_SET_NIC.slice(0, SCALE_SET_NIC.lastIndexOf('/')), parts: ['', '', ''] },
  ])('$id', ({ id, parts }) => {
    const { resourceGroup, scaleSetName, vmID } = parseNICID(id)
    expect([resourceGroup, scaleSetName, vmID]).toEqual(parts)
  })
})

describe('the ID of a subnet', () => {
  test('has a group of its own, and its letter case does not count', () => {
    expect(parseSubnetID(SUBNET.replace('resourceGroups/nodes', 'resourcegroups/network'))).toEqual({
      subscriptionID: '00000000-0000-0000-0000-0000000000aa',
      resourceGroup: 'network',
      virtualNetwork: 'vnet',
      subnet: 'a',
    })
    expect(parseSubnetID(SUBNET.toLowerCase())?.subnet).toBe('a')
  })

  test.each([
    '',
    'subnet-1',
    SUBNET.slice(0, SUBNET.indexOf('/subnets')),
    `${SUBNET}/further/thing`,
    SUBNET.replace('Microsoft.Network', 'Microsoft.Compute'),
    SUBNET.replace('virtualNetworks', 'networks'),
    SUBNET.replace('/resourceGroups/nodes', ''),
  ])('%s is none', (id) => {
    expect(parseSubnetID(id)).toBeUndefined()
  })
})

describe('the ID of a machine', () => {
  test('tells one of a scale set from one that stands alone', () => {
    expect(parseMachineID(MACHINE.toLowerCase())).toMatchObject({ kind: 'scaleSetVM', scaleSetName: 'np1', vmID: '0' })
    expect(parseMachineID(MACHINE.replace('virtualMachineScaleSets/np1/', ''))).toMatchObject({
      kind: 'standalone',
      name: '0',
    })
  })

  test.each([SUBNET, SCALE_SET_NIC, 'i-0123456789abcdef0', ''])('%s is none', (id) => {
    expect(parseMachineID(id)).toBeUndefined()
  })

  test('is the lower-cased provider ID without its prefix', () => {
    expect(instanceIDOf(`azure://${MACHINE}`)).toBe(MACHINE.toLowerCase())
    expect(instanceIDOf(MACHINE)).toBe(MACHINE.toLowerCase())
  })
})
