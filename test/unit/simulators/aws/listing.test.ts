import { describe, expect, test } from 'vitest'
import { GROUP, OTHER_ZONE, SUBNET, TINY, VPC, filters, numbered, startSimulator } from './support.ts'

describe('paging', () => {
  test('pages of interfaces hold all of them once, in one order', async () => {
    const { create, ok } = startSimulator()
    const made: string[] = []
    for (let index = 0; index < 13; index++) made.push(await create())
    const seen: string[][] = []
    let nextToken: string | undefined
    do {
      const page = await ok('DescribeNetworkInterfaces', {
        MaxResults: 5,
        ...(nextToken === undefined ? {} : { NextToken: nextToken }),
      })
      seen.push([...page.all('networkInterfaceId')])
      ;[nextToken] = page.all('nextToken')
    } while (nextToken !== undefined)
    expect(seen.map((page) => page.length)).toEqual([5, 5, 3])
    expect(seen.flat()).toEqual(made)
  })

  test('a full last page has no token after it', async () => {
    const { create, ok } = startSimulator()
    for (let index = 0; index < 5; index++) await create()
    expect((await ok('DescribeNetworkInterfaces', { MaxResults: 5 })).all('nextToken')).toEqual([])
  })

  test('what is deleted between two pages is skipped, what is created comes at the end', async () => {
    const { create, ok } = startSimulator()
    const made: string[] = []
    for (let index = 0; index < 8; index++) made.push(await create())
    const first = await ok('DescribeNetworkInterfaces', { MaxResults: 5 })
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: made[4]! }) // the one the token stands on
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: made[6]! })
    const late = await create()
    const second = await ok('DescribeNetworkInterfaces', { MaxResults: 5, NextToken: first.one('nextToken') })
    expect(second.all('networkInterfaceId')).toEqual([made[5], made[7], late])
  })

  test('with short pages, filtered pages come short or empty and still lead on', async () => {
    const { create, ok } = startSimulator({ settings: { shortPages: true } })
    for (let index = 0; index < 12; index++) await create({ Description: index === 11 ? 'wanted' : 'other' })
    const sizes: number[] = []
    let nextToken: string | undefined
    do {
      const page = await ok('DescribeNetworkInterfaces', {
        MaxResults: 5,
        ...filters({ description: 'wanted' }),
        ...(nextToken === undefined ? {} : { NextToken: nextToken }),
      })
      sizes.push(page.all('networkInterfaceId').length)
      ;[nextToken] = page.all('nextToken')
    } while (nextToken !== undefined)
    expect(sizes).toEqual([0, 0, 1])
  })

  test.each([
    ['too small', { MaxResults: 4 }, 'InvalidParameterValue'],
    ['too large', { MaxResults: 1001 }, 'InvalidParameterValue'],
    ['no number', { MaxResults: 'many' }, 'InvalidParameterValue'],
    ['an invented token', { NextToken: 'abc' }, 'InvalidNextToken'],
    [
      'ids with a page size',
      { MaxResults: 5, 'NetworkInterfaceId.1': 'eni-0000000000000dead' },
      'InvalidParameterCombination',
    ],
  ])('refuses a page size or token: %s', async (_, parameters, code) => {
    expect((await startSimulator().call('DescribeNetworkInterfaces', parameters)).code).toBe(code)
  })

  test('a token of another listing is refused', async () => {
    const { call, create, ok } = startSimulator()
    for (let index = 0; index < 6; index++) await create()
    const token = (await ok('DescribeNetworkInterfaces', { MaxResults: 5 })).one('nextToken')
    expect((await call('DescribeSubnets', { NextToken: token })).code).toBe('InvalidNextToken')
  })

  test('instance types come in pages of 100 without being asked, each once', async () => {
    const { ok, call } = startSimulator()
    const first = await ok('DescribeInstanceTypes')
    const second = await ok('DescribeInstanceTypes', { NextToken: first.one('nextToken') })
    const names = [...first.all('instanceType'), ...second.all('instanceType')]
    expect(first.all('instanceType')).toHaveLength(100)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toContain('m5.large')
    expect(second.all('nextToken')).toEqual([])
    expect((await call('DescribeInstanceTypes', { MaxResults: 101 })).code).toBe('InvalidParameterValue')
  })

  test('an unpaged listing of all interfaces is refused above the limit, a narrowed or paged one is not', async () => {
    const { create, call, ok } = startSimulator({ settings: { unpagedInterfaceLimit: 5 } })
    for (let index = 0; index < 6; index++) await create()
    for (const parameters of [{}, filters({ 'private-ip-address': '*' }), filters({ status: 'available' })]) {
      expect((await call('DescribeNetworkInterfaces', parameters)).code).toBe('OperationNotPermitted')
    }
    await ok('DescribeNetworkInterfaces', filters({ 'subnet-id': SUBNET }))
    await ok('DescribeNetworkInterfaces', { MaxResults: 5, ...filters({ 'private-ip-address': '*' }) })
  })
})

describe('filters', () => {
  async function world() {
    const started = startSimulator()
    const { create, launch, attach } = started
    const { instanceID, interfaceID: primary } = launch()
    const attached = await create({
      'SecurityGroupId.1': GROUP,
      'TagSpecification.1.ResourceType': 'network-interface',
      'TagSpecification.1.Tag.1.Key': 'team',
      'TagSpecification.1.Tag.1.Value': 'a*b',
    })
    await attach(attached, instanceID, 1)
    const tiny = await create({ SubnetId: TINY, PrivateIpAddress: '10.0.1.9', Description: 'Cilium-CNI (i-1)' })
    const efaOnly = await create({ InterfaceType: 'efa-only' })
    const find = async (given: Parameters<typeof filters>[0]) =>
      (await started.ok('DescribeNetworkInterfaces', filters(given))).all('networkInterfaceId')
    return { ...started, instanceID, primary, attached, tiny, efaOnly, find }
  }

  test('every filter of the listing finds what it names', async () => {
    const { find, instanceID, primary, attached, tiny, efaOnly } = await world()
    expect(await find({ 'attachment.instance-id': instanceID })).toEqual([primary, attached])
    expect(await find({ 'attachment.status': 'attached' })).toEqual([primary, attached])
    expect(await find({ 'subnet-id': TINY })).toEqual([tiny])
    expect(await find({ 'subnet-id': [TINY, SUBNET] })).toEqual([primary, attached, tiny, efaOnly])
    expect(await find({ 'vpc-id': VPC })).toEqual([primary, attached, tiny, efaOnly])
    expect(await find({ status: 'available' })).toEqual([tiny, efaOnly])
    expect(await find({ status: 'in-use' })).toEqual([primary, attached])
    expect(await find({ 'tag:team': 'a\\*b' })).toEqual([attached])
    expect(await find({ 'tag-key': 'te?m' })).toEqual([attached])
    expect(await find({ 'group-id': GROUP })).toEqual([attached])
    expect(await find({ 'network-interface-id': [tiny, 'eni-0000000000000dead'] })).toEqual([tiny])
    expect(await find({ 'interface-type': 'efa-only' })).toEqual([efaOnly])
    expect(await find({ 'private-ip-address': '10.0.1.9' })).toEqual([tiny])
    expect(await find({ 'private-ip-address': '10.0.1.*' })).toEqual([tiny])
    expect(await find({ description: 'Cilium-CNI*' })).toEqual([tiny])
  })

  test('any private address leaves out interfaces without one', async () => {
    const { find, primary, attached, tiny } = await world()
    expect(await find({ 'private-ip-address': '*' })).toEqual([primary, attached, tiny])
  })

  test('all filters must match, by any of their values, with case', async () => {
    const { find, primary, attached, instanceID } = await world()
    expect(await find({ 'attachment.instance-id': instanceID, 'group-id': [GROUP, 'sg-none'] })).toEqual([attached])
    expect(await find({ 'attachment.instance-id': instanceID, status: 'available' })).toEqual([])
    expect(await find({ 'tag:team': 'A*' })).toEqual([])
    expect(await find({ 'attachment.instance-id': 'i-*' })).toEqual([primary, attached])
  })

  test.each([
    ['an unknown name', filters({ 'subnet-idd': 'x' }), 'InvalidFilter'],
    ['a name of every object', filters({ constructor: 'x' }), 'InvalidFilter'],
    ['no values', { 'Filter.1.Name': 'subnet-id' }, 'InvalidParameterValue'],
    [
      '201 values',
      filters({ 'subnet-id': Array.from({ length: 201 }, (_, index) => `s${index}`) }),
      'FilterLimitExceeded',
    ],
    ['a value of 256 characters', filters({ 'subnet-id': 'x'.repeat(256) }), 'FilterLimitExceeded'],
    [
      '51 filters',
      filters(Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`tag:${index}`, 'x']))),
      'FilterLimitExceeded',
    ],
    ['a misspelt member', { 'Filter.1.Nme': 'subnet-id', 'Filter.1.Value.1': 'x' }, 'MissingParameter'],
    ['a member too many', { ...filters({ 'subnet-id': 'x' }), 'Filter.1.Extra': 'y' }, 'UnknownParameter'],
  ])('refuses %s', async (_, parameters, code) => {
    expect((await startSimulator().call('DescribeNetworkInterfaces', parameters)).code).toBe(code)
  })
})

describe('other listings', () => {
  test('ids that do not exist are not found, one of them is enough', async () => {
    const { call, create } = startSimulator()
    const known = await create()
    const cases: [string, string, string[], string][] = [
      [
        'DescribeNetworkInterfaces',
        'NetworkInterfaceId',
        [known, 'eni-0000000000000dead'],
        'InvalidNetworkInterfaceID.NotFound',
      ],
      ['DescribeInstances', 'InstanceId', ['i-0000000000000dead'], 'InvalidInstanceID.NotFound'],
      ['DescribeSubnets', 'SubnetId', [SUBNET, 'subnet-0000000000000dead'], 'InvalidSubnetID.NotFound'],
      ['DescribeVpcs', 'VpcId', ['vpc-0000000000000dead'], 'InvalidVpcID.NotFound'],
      ['DescribeSecurityGroups', 'GroupId', ['sg-0000000000000dead'], 'InvalidGroup.NotFound'],
      ['DescribeRouteTables', 'RouteTableId', ['rtb-0000000000000dead'], 'InvalidRouteTableID.NotFound'],
      ['DescribeInstanceTypes', 'InstanceType', ['m5.large', 'm5.huge'], 'InvalidInstanceType'],
    ]
    for (const [action, parameter, ids, code] of cases) {
      expect([action, (await call(action, numbered(parameter, ids))).code]).toEqual([action, code])
    }
  })

  test('a VPC shows its primary block among its associations', async () => {
    const { ok } = startSimulator({
      world: { vpcs: [{ vpcId: VPC, cidrBlock: '10.0.0.0/16', additionalCidrBlocks: ['10.9.0.0/16'] }] },
    })
    const answer = await ok('DescribeVpcs', { 'VpcId.1': VPC })
    expect(answer.all('cidrBlock')).toEqual(['10.0.0.0/16', '10.0.0.0/16', '10.9.0.0/16'])
    expect(answer.all('state')).toEqual(['available', 'associated', 'associated'])
  })

  test('route tables show associations; the main one names no subnet', async () => {
    const { ok } = startSimulator()
    const made = await ok('CreateRouteTable', { VpcId: VPC })
    const tableID = made.one('routeTableId')
    await ok('AssociateRouteTable', { RouteTableId: tableID, SubnetId: SUBNET })
    const listed = await ok('DescribeRouteTables', filters({ 'vpc-id': VPC }))
    expect(listed.all('subnetId')).toEqual([SUBNET])
    expect(listed.all('main')).toEqual(['true', 'false'])
    const found = await ok('DescribeRouteTables', filters({ 'association.subnet-id': SUBNET }))
    expect(found.one('routeTableId')).toBe(tableID)
  })

  test('groups of a VPC, by either action', async () => {
    const { ok, call } = startSimulator()
    const other = (await ok('CreateVpc', { CidrBlock: '10.5.0.0/16' })).one('vpcId')
    const described = await ok('DescribeSecurityGroups', filters({ 'vpc-id': VPC }))
    expect(described.all('groupId')).toEqual(['sg-00000000000000000', GROUP])
    const got = await ok('GetSecurityGroupsForVpc', { VpcId: VPC })
    expect([got.all('groupId'), got.all('primaryVpcId')]).toEqual([
      ['sg-00000000000000000', GROUP],
      [VPC, VPC],
    ])
    expect((await ok('GetSecurityGroupsForVpc', { VpcId: other })).all('groupName')).toEqual(['default'])
    expect((await call('GetSecurityGroupsForVpc')).code).toBe('MissingParameter')
  })

  test('subnets by zone and tag, with their free addresses', async () => {
    const { ok } = startSimulator()
    await ok('CreateTags', { 'ResourceId.1': SUBNET, 'Tag.1.Key': 'pods', 'Tag.1.Value': 'yes' })
    const found = await ok('DescribeSubnets', filters({ 'availability-zone': 'us-east-1a', 'tag:pods': 'yes' }))
    expect([found.all('subnetId'), found.all('availableIpAddressCount')]).toEqual([[SUBNET], ['251']])
    expect((await ok('DescribeSubnets', filters({ 'availability-zone': 'us-east-1b' }))).all('subnetId')).toEqual([
      OTHER_ZONE,
    ])
  })

  test('instance types tell their limits, bare metal without hypervisor', async () => {
    const { ok } = startSimulator()
    const large = await ok('DescribeInstanceTypes', { 'InstanceType.1': 'm5.large' })
    expect(
      ['maximumNetworkInterfaces', 'ipv4AddressesPerInterface', 'hypervisor'].map((name) => large.all(name)[0]),
    ).toEqual(['3', '10', 'nitro'])
    const metal = await ok('DescribeInstanceTypes', { 'InstanceType.1': 'm5.metal' })
    expect([metal.all('hypervisor'), metal.one('bareMetal')]).toEqual([[], 'true'])
    const cards = await ok('DescribeInstanceTypes', { 'InstanceType.1': 'c6in.32xlarge' })
    expect(cards.all('maximumNetworkInterfaces')).toEqual(['14', '7', '7'])
  })

  test('instances by tag, state and VPC, with their interfaces', async () => {
    const { launch, ok, create, attach } = startSimulator()
    const one = launch()
    const two = launch()
    await attach(await create(), two.instanceID, 1)
    await ok('CreateTags', { 'ResourceId.1': two.instanceID, 'Tag.1.Key': 'role', 'Tag.1.Value': 'node' })
    await ok('StopInstances', { 'InstanceId.1': one.instanceID })
    const tagged = await ok('DescribeInstances', filters({ 'tag:role': 'node' }))
    expect(tagged.all('instanceId')).toEqual([two.instanceID])
    expect(tagged.all('networkInterfaceId')).toHaveLength(2)
    const stopped = await ok('DescribeInstances', filters({ 'instance-state-name': 'stopped', 'vpc-id': VPC }))
    expect(stopped.all('instanceId')).toEqual([one.instanceID])
  })

  test('status checks of running instances, of the others when all are asked for', async () => {
    const { launch, ok } = startSimulator()
    const one = launch()
    const two = launch()
    await ok('StopInstances', { 'InstanceId.1': one.instanceID })
    const running = await ok('DescribeInstanceStatus')
    expect([running.all('instanceId'), running.all('name')]).toEqual([
      [two.instanceID],
      ['running', 'reachability', 'reachability'],
    ])
    expect((await ok('DescribeInstanceStatus', { 'InstanceId.1': one.instanceID })).all('instanceId')).toEqual([])
    const all = await ok('DescribeInstanceStatus', { IncludeAllInstances: 'true' })
    expect(all.all('instanceId')).toEqual([one.instanceID, two.instanceID])
    const fit = await ok('DescribeInstanceStatus', filters({ 'instance-status.status': 'ok' }))
    expect(fit.all('instanceId')).toEqual([two.instanceID])
  })
})
