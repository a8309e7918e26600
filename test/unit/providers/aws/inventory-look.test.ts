import { expect, test } from 'vitest'
import { contextOf, scriptedNode } from '../../../conformance/adapters/aws-node.ts'

const LIMITS = { instanceType: 'm5.large', adapters: 3, ipv4: 10, ipv6: 10, hypervisor: 'nitro', bareMetal: false }

test('the count of a look is that of its addresses, and both follow the inventory', async () => {
  const { node, ec2 } = await scriptedNode({
    instanceID: 'i-1',
    eni: { 'first-interface-index': 0 },
    limits: LIMITS,
    enis: [{ id: 'eni-0', number: 0, ip: '10.0.0.4', subnet: 'subnet-1', addresses: ['10.0.0.5'] }],
    subnets: [{ id: 'subnet-1', vpc: 'vpc-1', az: 'a', available: 100 }],
  })
  const before = node.resyncInterfacesAndIPs()
  expect([before.availableCount, [...before.available.keys()]]).toEqual([1, ['10.0.0.5']])
  expect(node.resyncInterfacesAndIPs()).toBe(before)

  ec2.respond = () => ({
    AssignedPrivateIpAddresses: [{ PrivateIpAddress: '10.0.0.6' }, { PrivateIpAddress: '10.0.0.7' }],
  })
  const action = {
    interfaceID: 'eni-0',
    poolID: 'subnet-1',
    ipv4: { availableForAllocation: 2, maxIPsToAllocate: 2, interfaceCandidates: 1 },
    ipv6: { maxPrefixesToAllocate: 0 },
    emptyInterfaceSlots: 2,
  }
  await node.allocateIPs(action, contextOf())
  const after = node.resyncInterfacesAndIPs()
  expect([after.availableCount, [...after.available.keys()]]).toEqual([3, ['10.0.0.5', '10.0.0.6', '10.0.0.7']])
  // What was handed out stays as it was.
  expect([before.availableCount, before.available.size]).toEqual([1, 1])
})
