import { describe, expect, test } from 'vitest'
import { GROUP, OTHER_ZONE, SUBNET, TINY, numbered, startSimulator } from './support.ts'

describe('secondary addresses', () => {
  test('an interface holds as many addresses as its type allows, and the next one is refused', async () => {
    const { launch, ok, call, free, simulator } = startSimulator()
    const { interfaceID } = launch('m5.large') // 10 addresses, the primary included
    const before = await free()
    const assigned = await ok('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      SecondaryPrivateIpAddressCount: 9,
    })
    expect(new Set(assigned.all('privateIpAddress')).size).toBe(9)
    expect(await free()).toBe(before - 9)
    const refused = await call('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      SecondaryPrivateIpAddressCount: 1,
    })
    expect([refused.status, refused.code, refused.message]).toEqual([
      400,
      'PrivateIpAddressLimitExceeded',
      'Number of private addresses will exceed limit.',
    ])
    expect(await free()).toBe(before - 9)
    expect(simulator.check()).toEqual([])
  })

  test('two interfaces never share an address: a subnet filled to the last one has each of its addresses once', async () => {
    const { create, call, ok, free, simulator } = startSimulator()
    for (let index = 0; index < 11; index++) await create({ SubnetId: TINY })
    expect(await free(TINY)).toBe(0)
    const refused = await call('CreateNetworkInterface', { SubnetId: TINY })
    expect(refused.code).toBe('InsufficientFreeAddressesInSubnet')
    expect(await free(TINY)).toBe(0)
    const listed = (await ok('DescribeNetworkInterfaces')).all('privateIpAddress')
    expect([...new Set(listed)].map((address) => Number(address.split('.')[3])).sort((a, b) => a - b)).toEqual([
      4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    ])
    expect(simulator.check()).toEqual([])
  })

  test('an assignment that does not fit takes nothing', async () => {
    const { create, call, free } = startSimulator()
    const interfaceID = await create({ SubnetId: TINY, SecondaryPrivateIpAddressCount: 5 })
    const refused = await call('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      SecondaryPrivateIpAddressCount: 6,
    })
    expect(refused.code).toBe('InsufficientFreeAddressesInSubnet')
    expect(await free(TINY)).toBe(5)
  })

  test('a loose interface takes more addresses than any type would, and is refused when it is attached', async () => {
    const { create, call, launch } = startSimulator()
    const interfaceID = await create({ SecondaryPrivateIpAddressCount: 11 })
    const { instanceID } = launch('m5.large')
    const refused = await call('AttachNetworkInterface', {
      NetworkInterfaceId: interfaceID,
      InstanceId: instanceID,
      DeviceIndex: 1,
    })
    expect([refused.code, refused.message]).toEqual([
      'InvalidInterface.IpAddressLimitExceeded',
      `Address count 12 on interface-${interfaceID} exceeds the limit for m5.large`,
    ])
  })

  test('named addresses are taken as named', async () => {
    const { create, ok, call } = startSimulator()
    const interfaceID = await create({ PrivateIpAddress: '10.0.0.10' })
    await ok('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      ...numbered('PrivateIpAddress', ['10.0.0.11', '10.0.0.12']),
    })
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    expect([...new Set(listed.all('privateIpAddress'))]).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.12'])
    const cases: [string, string][] = [
      ['10.0.0.11', 'InvalidIPAddress.InUse'],
      ['10.0.0.3', 'InvalidParameterValue'], // reserved
      ['10.0.0.255', 'InvalidParameterValue'], // reserved
      ['10.0.9.1', 'InvalidParameterValue'], // not in the subnet
      ['10.0.0.256', 'InvalidParameterValue'], // not an address
    ]
    for (const [address, code] of cases) {
      const refused = await call('AssignPrivateIpAddresses', {
        NetworkInterfaceId: interfaceID,
        'PrivateIpAddress.1': address,
      })
      expect([address, refused.code]).toEqual([address, code])
    }
  })

  test('a secondary address moves to another interface only when that is allowed; a primary one never', async () => {
    const { create, call, ok, simulator, free } = startSimulator()
    const from = await create({ PrivateIpAddress: '10.0.0.10' })
    await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: from, 'PrivateIpAddress.1': '10.0.0.11' })
    const to = await create({ PrivateIpAddress: '10.0.0.20' })
    const before = await free()
    const move = { NetworkInterfaceId: to, 'PrivateIpAddress.1': '10.0.0.11' }
    expect((await call('AssignPrivateIpAddresses', move)).code).toBe('InvalidIPAddress.InUse')
    await ok('AssignPrivateIpAddresses', { ...move, AllowReassignment: true })
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': from })
    expect(listed.all('privateIpAddress')).not.toContain('10.0.0.11')
    expect(await free()).toBe(before)
    const primary = { NetworkInterfaceId: to, 'PrivateIpAddress.1': '10.0.0.10', AllowReassignment: true }
    expect((await call('AssignPrivateIpAddresses', primary)).code).toBe('InvalidIPAddress.InUse')
    expect(simulator.check()).toEqual([])
  })

  test('lowest choice gives the lowest free address', async () => {
    const { create, ok } = startSimulator({ settings: { addressChoice: 'lowest' } })
    const interfaceID = await create()
    const assigned = await ok('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      SecondaryPrivateIpAddressCount: 3,
    })
    expect(assigned.all('privateIpAddress')).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.7'])
  })
})

describe('unassigning', () => {
  test('gives addresses back', async () => {
    const { create, ok, free, simulator } = startSimulator()
    const interfaceID = await create()
    const before = await free()
    const assigned = await ok('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      SecondaryPrivateIpAddressCount: 3,
    })
    await ok('UnassignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      ...numbered('PrivateIpAddress', assigned.all('privateIpAddress').slice(0, 2)),
    })
    expect(await free()).toBe(before - 1)
    expect(simulator.check()).toEqual([])
  })

  test('the primary address stays, and one foreign address spoils the whole call', async () => {
    const { create, ok, call, free } = startSimulator()
    const interfaceID = await create({ PrivateIpAddress: '10.0.0.10' })
    await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, 'PrivateIpAddress.1': '10.0.0.11' })
    const before = await free()
    for (const foreign of ['10.0.0.10', '10.0.0.99']) {
      const refused = await call('UnassignPrivateIpAddresses', {
        NetworkInterfaceId: interfaceID,
        ...numbered('PrivateIpAddress', ['10.0.0.11', foreign]),
      })
      expect([refused.code, refused.message]).toEqual([
        'InvalidParameterValue',
        `Some of [${foreign}] are not assigned to interface ${interfaceID}`,
      ])
    }
    expect(await free()).toBe(before)
  })
})

describe('prefixes', () => {
  test('are aligned /28 blocks, described, and lower the count by 16', async () => {
    const { create, ok, free, simulator } = startSimulator()
    const before = await free()
    const interfaceID = await create({ Ipv4PrefixCount: 2 })
    expect(await free()).toBe(before - 33)
    const assigned = await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 1 })
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    // The lowest block holds reserved addresses.
    expect(listed.all('ipv4Prefix')).toEqual(['10.0.0.16/28', '10.0.0.32/28', '10.0.0.48/28'])
    expect(assigned.all('ipv4Prefix')).toEqual(['10.0.0.48/28'])
    expect(simulator.check()).toEqual([])
  })

  test('a prefix takes one slot, as a secondary address does', async () => {
    const { launch, ok, call } = startSimulator()
    const { interfaceID } = launch('t3.medium') // 6 slots
    await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 3 })
    await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, SecondaryPrivateIpAddressCount: 2 })
    const refused = await call('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 1 })
    expect(refused.code).toBe('PrivateIpAddressLimitExceeded')
  })

  test('single addresses never fall into a prefix, nor a prefix onto single addresses', async () => {
    const { call, create, simulator } = startSimulator({ seed: 5 })
    let prefixes = 0
    for (let round = 0; round < 30; round++) {
      const { code } = await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })
      if (code === undefined) prefixes++
      await create({ SecondaryPrivateIpAddressCount: 1 })
    }
    expect(prefixes).toBeGreaterThan(3)
    expect(simulator.check()).toEqual([])
  })

  test('in a subnet with fewer than 16 free addresses a prefix is refused as too full', async () => {
    const { create, call, free } = startSimulator()
    const refused = await call('CreateNetworkInterface', { SubnetId: TINY, Ipv4PrefixCount: 1 })
    expect([refused.code, refused.message]).toEqual([
      'InvalidParameterValue',
      "There aren't sufficient free Ipv4 addresses or prefixes",
    ])
    expect(await free(TINY)).toBe(11)
    const interfaceID = await create({ SubnetId: TINY })
    const again = await call('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 1 })
    expect(again.code).toBe('InvalidParameterValue')
  })

  test('in a fragmented subnet a prefix is refused for lack of blocks, though many addresses are free', async () => {
    const { create, call, free, ok, simulator } = startSimulator()
    // One address in each of the 14 blocks without reserved addresses.
    for (let block = 1; block < 15; block++) await create({ PrivateIpAddress: `10.0.0.${block * 16 + 3}` })
    const before = await free()
    expect(before).toBe(251 - 14)
    const refused = await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })
    expect([refused.code, refused.message]).toEqual([
      'InsufficientCidrBlocks',
      'The specified subnet does not have enough free cidr blocks to satisfy the request.',
    ])
    expect(await free()).toBe(before)
    // One block freed is found.
    const listed = await ok('DescribeNetworkInterfaces', {
      'Filter.1.Name': 'private-ip-address',
      'Filter.1.Value.1': '10.0.0.35',
    })
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: listed.one('networkInterfaceId') })
    const found = await ok('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })
    expect(found.all('ipv4Prefix')).toEqual(['10.0.0.32/28'])
    expect(simulator.check()).toEqual([])
  })

  test('of several prefixes either all are assigned or none', async () => {
    const { create, call, free } = startSimulator()
    for (let block = 1; block < 14; block++) await create({ PrivateIpAddress: `10.0.0.${block * 16 + 3}` })
    const before = await free()
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 2 })).code).toBe(
      'InsufficientCidrBlocks',
    )
    expect(await free()).toBe(before)
  })

  test('random addresses fragment a subnet long before it is full', async () => {
    const { create, call, free } = startSimulator({ seed: 11 })
    for (let index = 0; index < 100; index++) await create()
    expect(await free()).toBeGreaterThan(100)
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })).code).toBe(
      'InsufficientCidrBlocks',
    )
  })

  test('are unassigned whole', async () => {
    const { create, ok, call, free } = startSimulator()
    const interfaceID = await create()
    const before = await free()
    await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 2 })
    const inside = await call('UnassignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      'PrivateIpAddress.1': '10.0.0.17',
    })
    expect(inside.code).toBe('InvalidParameterValue')
    await ok('UnassignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, 'Ipv4Prefix.1': '10.0.0.16/28' })
    expect(await free()).toBe(before - 16)
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    expect(listed.all('ipv4Prefix')).toEqual(['10.0.0.32/28'])
  })

  test('a type of before Nitro takes none', async () => {
    const { launch, call, create } = startSimulator()
    const { interfaceID, instanceID } = launch('t2.medium')
    const refused = await call('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 1 })
    expect(refused.code).toBe('InvalidParameterValue')
    expect(refused.message).not.toContain('sufficient free')
    const loose = await create({ Ipv4PrefixCount: 1 })
    const attach = { NetworkInterfaceId: loose, InstanceId: instanceID, DeviceIndex: 1 }
    expect((await call('AttachNetworkInterface', attach)).code).toBe('InvalidParameterValue')
  })
})

describe('IPv6', () => {
  test('an interface in a dual-stack subnet gets /80 prefixes and addresses', async () => {
    const { create, ok } = startSimulator()
    const interfaceID = await create({ SubnetId: OTHER_ZONE })
    const assigned = await ok('AssignIpv6Addresses', { NetworkInterfaceId: interfaceID, Ipv6PrefixCount: 1 })
    expect(assigned.xml).toMatch(
      /<assignedIpv6PrefixSet><item>2600:1f13:a:b(:[0-9a-f]{1,4})?::\/80<\/item><\/assignedIpv6PrefixSet>/,
    )
    await ok('AssignIpv6Addresses', { NetworkInterfaceId: interfaceID, Ipv6AddressCount: 1 })
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    expect(listed.all('ipv6Prefix')).toHaveLength(1)
    expect(listed.all('ipv6Address')).toHaveLength(1)
  })

  test('a subnet without IPv6 has none to give, and the interface is not made', async () => {
    const { call, free } = startSimulator()
    const before = await free()
    const refused = await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv6PrefixCount: 1 })
    expect(refused.code).toBe('InvalidParameterValue')
    expect(await free()).toBe(before)
  })
})

describe('CreateNetworkInterface', () => {
  test('answers the whole interface, pending and with its tags', async () => {
    const { ok } = startSimulator()
    const made = await ok('CreateNetworkInterface', {
      SubnetId: SUBNET,
      Description: 'Cilium-CNI (i-1) <&>',
      'SecurityGroupId.1': GROUP,
      'TagSpecification.1.ResourceType': 'network-interface',
      'TagSpecification.1.Tag.1.Key': 'io.cilium/cilium-managed',
      'TagSpecification.1.Tag.1.Value': 'true',
      SecondaryPrivateIpAddressCount: 2,
    })
    expect(made.one('networkInterfaceId')).toMatch(/^eni-[0-9a-f]{17}$/)
    expect(made.one('description')).toBe('Cilium-CNI (i-1) &lt;&amp;&gt;')
    expect(made.one('status')).toBe('pending')
    expect(made.one('macAddress')).toMatch(/^0a(:[0-9a-f]{2}){5}$/)
    expect(made.one('groupId')).toBe(GROUP)
    expect(made.one('key')).toBe('io.cilium/cilium-managed')
    expect(made.all('primary')).toEqual(['true', 'false', 'false'])
  })

  test('the same client token gives the same interface, and only one', async () => {
    const { ok, simulator, call } = startSimulator()
    const request = { SubnetId: SUBNET, ClientToken: 'token-1', SecondaryPrivateIpAddressCount: 1 }
    const first = await ok('CreateNetworkInterface', request)
    const second = await ok('CreateNetworkInterface', request)
    expect(second.one('networkInterfaceId')).toBe(first.one('networkInterfaceId'))
    expect(simulator.cloud.interfaces.count).toBe(1)
    const changed = await call('CreateNetworkInterface', { ...request, SecondaryPrivateIpAddressCount: 2 })
    expect(changed.code).toBe('IdempotentParameterMismatch')
    const other = await ok('CreateNetworkInterface', { ...request, ClientToken: 'token-2' })
    expect(other.one('networkInterfaceId')).not.toBe(first.one('networkInterfaceId'))
  })

  test('a refused call does not use up its token', async () => {
    const { call, ok, create, simulator } = startSimulator()
    const fillers = []
    for (let index = 0; index < 11; index++) fillers.push(await create({ SubnetId: TINY }))
    const request = { SubnetId: TINY, ClientToken: 'token-1' }
    expect((await call('CreateNetworkInterface', request)).code).toBe('InsufficientFreeAddressesInSubnet')
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: fillers[0]! })
    await ok('CreateNetworkInterface', request)
    expect(simulator.check()).toEqual([])
  })

  test.each([
    ['an unknown subnet', { SubnetId: 'subnet-0000000000000dead' }, 'InvalidSubnetID.NotFound'],
    ['a subnet id of wrong form', { SubnetId: 'subnet-1' }, 'InvalidSubnetID.Malformed'],
    ['no subnet', { SubnetId: '' }, 'MissingParameter'],
    ['an unknown group', { 'SecurityGroupId.1': 'sg-0000000000000dead' }, 'InvalidGroup.NotFound'],
    [
      'addresses and prefixes',
      { SecondaryPrivateIpAddressCount: 1, Ipv4PrefixCount: 1 },
      'InvalidParameterCombination',
    ],
    [
      'a tag specification without tags',
      { 'TagSpecification.1.ResourceType': 'network-interface' },
      'InvalidParameterValue',
    ],
    [
      'tags for another resource',
      {
        'TagSpecification.1.ResourceType': 'instance',
        'TagSpecification.1.Tag.1.Key': 'a',
        'TagSpecification.1.Tag.1.Value': 'b',
      },
      'InvalidParameterValue',
    ],
    [
      'a reserved tag',
      {
        'TagSpecification.1.ResourceType': 'network-interface',
        'TagSpecification.1.Tag.1.Key': 'aws:x',
        'TagSpecification.1.Tag.1.Value': 'b',
      },
      'InvalidParameterValue',
    ],
    ['a long description', { Description: 'x'.repeat(256) }, 'InvalidParameterValue'],
    ['a long token', { ClientToken: 'x'.repeat(65) }, 'InvalidParameterValue'],
    ['a negative count', { SecondaryPrivateIpAddressCount: -1 }, 'InvalidParameterValue'],
    [
      'an unknown group among known ones',
      numbered('SecurityGroupId', [GROUP, 'sg-00000000000000000', 'sg-00000000000000002']),
      'InvalidGroup.NotFound',
    ],
  ])('refuses %s and makes nothing', async (_, parameters, code) => {
    const { call, simulator, free } = startSimulator()
    const refused = await call('CreateNetworkInterface', { SubnetId: SUBNET, ...parameters })
    expect([refused.status, refused.code]).toEqual([400, code])
    expect(simulator.cloud.interfaces.count).toBe(0)
    expect(await free()).toBe(251)
  })

  test('stops at the quotas', async () => {
    const { create, call } = startSimulator({ settings: { quotas: { interfaces: 2, securityGroupsPerInterface: 1 } } })
    const groups = numbered('SecurityGroupId', [GROUP, 'sg-00000000000000000'])
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET, ...groups })).code).toBe(
      'SecurityGroupsPerInterfaceLimitExceeded',
    )
    await create()
    await create()
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET })).code).toBe('NetworkInterfaceLimitExceeded')
  })
})
