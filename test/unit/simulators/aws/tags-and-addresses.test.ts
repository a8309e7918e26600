import { describe, expect, test } from 'vitest'
import { SUBNET, filters, startSimulator } from './support.ts'

describe('tags', () => {
  test('are created, replaced, listed and deleted', async () => {
    const { launch, ok } = startSimulator()
    const { instanceID, interfaceID } = launch()
    await ok('CreateTags', {
      'ResourceId.1': instanceID,
      'ResourceId.2': interfaceID,
      'Tag.1.Key': 'cluster',
      'Tag.1.Value': 'one',
      'Tag.2.Key': 'empty',
      'Tag.2.Value': '',
    })
    await ok('CreateTags', { 'ResourceId.1': instanceID, 'Tag.1.Key': 'cluster', 'Tag.1.Value': 'two' })
    const found = await ok(
      'DescribeTags',
      filters({ 'resource-type': 'instance', 'resource-id': instanceID, key: 'cluster' }),
    )
    expect([found.all('resourceId'), found.all('value')]).toEqual([[instanceID], ['two']])
    expect((await ok('DescribeTags', filters({ value: 'one' }))).all('resourceId')).toEqual([interfaceID])
    // With another value the tag stays, with its own it goes.
    await ok('DeleteTags', { 'ResourceId.1': instanceID, 'Tag.1.Key': 'cluster', 'Tag.1.Value': 'one' })
    expect((await ok('DescribeTags', filters({ 'resource-id': instanceID }))).all('key')).toEqual(['cluster', 'empty'])
    await ok('DeleteTags', { 'ResourceId.1': instanceID, 'Tag.1.Key': 'cluster' })
    expect((await ok('DescribeTags', filters({ 'resource-id': instanceID }))).all('key')).toEqual(['empty'])
  })

  test('pages of tags hold each once', async () => {
    const { create, ok } = startSimulator()
    for (let index = 0; index < 4; index++) {
      const id = await create()
      await ok('CreateTags', {
        'ResourceId.1': id,
        'Tag.1.Key': 'a',
        'Tag.1.Value': 'x',
        'Tag.2.Key': 'b',
        'Tag.2.Value': 'x',
      })
    }
    const first = await ok('DescribeTags', { MaxResults: 5 })
    const second = await ok('DescribeTags', { MaxResults: 5, NextToken: first.one('nextToken') })
    expect([first.all('key'), second.all('key')]).toEqual([
      ['a', 'b', 'a', 'b', 'a'],
      ['b', 'a', 'b'],
    ])
  })

  test('a resource carries at most 50', async () => {
    const { create, call } = startSimulator()
    const id = await create()
    const tags = (count: number, from = 0) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [
          [`Tag.${index + 1}.Key`, `key${from + index}`],
          [`Tag.${index + 1}.Value`, 'x'],
        ]).flat(),
      )
    expect((await call('CreateTags', { 'ResourceId.1': id, ...tags(51) })).code).toBe('TagLimitExceeded')
    expect((await call('CreateTags', { 'ResourceId.1': id, ...tags(50) })).status).toBe(200)
    expect((await call('CreateTags', { 'ResourceId.1': id, ...tags(1, 7) })).status).toBe(200) // replaces one
    expect((await call('CreateTags', { 'ResourceId.1': id, ...tags(1, 99) })).code).toBe('TagLimitExceeded')
  })

  test('of an unknown resource are refused', async () => {
    const { call } = startSimulator()
    const request = { 'ResourceId.1': 'eni-0000000000000dead', 'Tag.1.Key': 'a', 'Tag.1.Value': 'b' }
    expect((await call('CreateTags', request)).code).toBe('InvalidNetworkInterfaceID.NotFound')
    expect((await call('CreateTags', { ...request, 'ResourceId.1': 'vol-0000000000000dead' })).code).toBe('InvalidID')
  })
})

describe('Elastic IP addresses', () => {
  async function withAddress() {
    const started = startSimulator()
    const made = await started.ok('AllocateAddress', {
      'TagSpecification.1.ResourceType': 'elastic-ip',
      'TagSpecification.1.Tag.1.Key': 'use',
      'TagSpecification.1.Tag.1.Value': 'egress',
    })
    return { ...started, allocationID: made.one('allocationId'), publicIP: made.one('publicIp') }
  }

  test('are found by tag, associated, and shown on interface and address', async () => {
    const { ok, launch, allocationID, publicIP } = await withAddress()
    const { interfaceID, address } = launch()
    const free = await ok('DescribeAddresses', filters({ 'tag:use': 'egress' }))
    expect([free.all('allocationId'), free.all('associationId')]).toEqual([[allocationID], []])
    const associated = await ok('AssociateAddress', {
      AllocationId: allocationID,
      NetworkInterfaceId: interfaceID,
      AllowReassociation: false,
    })
    const listed = await ok('DescribeAddresses')
    expect(listed.one('associationId')).toBe(associated.one('associationId'))
    expect(listed.one('privateIpAddress')).toBe(address)
    const iface = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    expect(iface.all('publicIp')).toEqual([publicIP, publicIP])
  })

  test('the same association again is the same; another needs leave', async () => {
    const { ok, call, launch, allocationID } = await withAddress()
    const one = launch()
    const two = launch()
    const request = { AllocationId: allocationID, NetworkInterfaceId: one.interfaceID, AllowReassociation: false }
    const first = await ok('AssociateAddress', request)
    expect((await ok('AssociateAddress', request)).one('associationId')).toBe(first.one('associationId'))
    const refused = await call('AssociateAddress', { ...request, NetworkInterfaceId: two.interfaceID })
    expect(refused.code).toBe('Resource.AlreadyAssociated')
    await ok('AssociateAddress', { AllocationId: allocationID, InstanceId: two.instanceID })
    const before = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': one.interfaceID })
    expect(before.all('publicIp')).toEqual([])
  })

  test('an association ends with its interface', async () => {
    const { ok, launch, allocationID } = await withAddress()
    const { instanceID, interfaceID } = launch()
    await ok('AssociateAddress', { AllocationId: allocationID, NetworkInterfaceId: interfaceID })
    await ok('TerminateInstances', { 'InstanceId.1': instanceID })
    expect((await ok('DescribeAddresses')).all('associationId')).toEqual([])
  })

  test('an unknown allocation is not found, and five is the quota', async () => {
    const { ok, call, launch } = await withAddress()
    const request = { AllocationId: 'eipalloc-0000000000000dead', NetworkInterfaceId: launch().interfaceID }
    const refused = await call('AssociateAddress', request)
    expect([refused.code, refused.message]).toEqual([
      'InvalidAllocationID.NotFound',
      "Allocation ID 'eipalloc-0000000000000dead' not found.",
    ])
    for (let index = 0; index < 4; index++) await ok('AllocateAddress')
    expect((await call('AllocateAddress')).code).toBe('AddressLimitExceeded')
  })
})

describe('setting a world up', () => {
  test('a VPC brings a main route table and a default group', async () => {
    const { ok } = startSimulator({ world: 'empty' })
    const vpcID = (await ok('CreateVpc', { CidrBlock: '10.0.0.0/16' })).one('vpcId')
    expect((await ok('DescribeRouteTables', filters({ 'vpc-id': vpcID }))).all('main')).toEqual(['true'])
    expect((await ok('DescribeSecurityGroups', filters({ 'vpc-id': vpcID }))).all('groupName')).toEqual(['default'])
  })

  test.each([
    ['10.0.0.0/24', 251],
    ['10.0.1.0/28', 11],
    ['10.0.16.0/20', 4091],
    ['10.0.0.0/16', 65531],
  ])('a fresh subnet %s has %i addresses', async (cidr, available) => {
    const { ok } = startSimulator({ world: 'empty' })
    const vpcID = (await ok('CreateVpc', { CidrBlock: '10.0.0.0/16' })).one('vpcId')
    const made = await ok('CreateSubnet', { VpcId: vpcID, CidrBlock: cidr, AvailabilityZone: 'us-east-1c' })
    expect(Number(made.one('availableIpAddressCount'))).toBe(available)
  })

  test.each([
    ['overlaps another', { CidrBlock: '10.0.0.128/25' }, 'InvalidSubnet.Conflict'],
    ['is outside the VPC', { CidrBlock: '10.1.0.0/24' }, 'InvalidSubnet.Range'],
    ['is too small', { CidrBlock: '10.0.8.0/29' }, 'InvalidSubnet.Range'],
    ['is not aligned', { CidrBlock: '10.0.8.1/24' }, 'InvalidParameterValue'],
    ['is no block', { CidrBlock: '10.0.8.0' }, 'InvalidParameterValue'],
    [
      'is in a zone of another region',
      { CidrBlock: '10.0.8.0/24', AvailabilityZone: 'eu-west-1a' },
      'InvalidParameterValue',
    ],
  ])('a subnet that %s is refused', async (_, parameters, code) => {
    const { call } = startSimulator()
    const request = { VpcId: 'vpc-00000000000000001', AvailabilityZone: 'us-east-1a', ...parameters }
    expect((await call('CreateSubnet', request)).code).toBe(code)
  })

  test('RunInstances makes instances with a primary interface that goes with them', async () => {
    const { ok, simulator, free } = startSimulator()
    const answer = await ok('RunInstances', {
      ImageId: 'ami-1',
      InstanceType: 'm5.large',
      MinCount: 2,
      MaxCount: 3,
      SubnetId: SUBNET,
      'TagSpecification.1.ResourceType': 'instance',
      'TagSpecification.1.Tag.1.Key': 'role',
      'TagSpecification.1.Tag.1.Value': 'node',
    })
    expect(answer.all('instanceId')).toHaveLength(3)
    expect(answer.all('deviceIndex')).toEqual(['0', '0', '0'])
    expect(answer.all('deleteOnTermination')).toEqual(['true', 'true', 'true'])
    expect(answer.all('reservationId')).toHaveLength(1)
    expect(await free()).toBe(248)
    expect((await ok('DescribeInstances', filters({ 'tag:role': 'node' }))).all('instanceId')).toHaveLength(3)
    expect(simulator.check()).toEqual([])
  })

  test('RunInstances makes as many as fit, or none when that is too few', async () => {
    const { ok, call, free, simulator } = startSimulator()
    const request = { ImageId: 'ami-1', InstanceType: 'm5.large', SubnetId: 'subnet-00000000000000002' }
    const refused = await call('RunInstances', { ...request, MinCount: 12, MaxCount: 12 })
    expect(refused.code).toBe('InsufficientFreeAddressesInSubnet')
    expect(await free('subnet-00000000000000002')).toBe(11)
    expect(simulator.cloud.instances.size).toBe(0)
    expect((await ok('RunInstances', { ...request, MinCount: 1, MaxCount: 12 })).all('instanceId')).toHaveLength(11)
  })

  test('RunInstances takes interfaces as specified', async () => {
    const { ok, create, simulator } = startSimulator()
    const existing = await create()
    const answer = await ok('RunInstances', {
      ImageId: 'ami-1',
      InstanceType: 'm5.large',
      MinCount: 1,
      MaxCount: 1,
      'NetworkInterface.1.DeviceIndex': 0,
      'NetworkInterface.1.SubnetId': SUBNET,
      'NetworkInterface.1.Ipv4PrefixCount': 1,
      'NetworkInterface.2.DeviceIndex': 1,
      'NetworkInterface.2.NetworkInterfaceId': existing,
    })
    expect(answer.all('networkInterfaceId')[1]).toBe(existing)
    expect(answer.all('deleteOnTermination')).toEqual(['true', 'false'])
    expect(answer.all('ipv4Prefix')).toHaveLength(1)
    expect(simulator.check()).toEqual([])
  })
})
