import { describe, expect, test } from 'vitest'
import { parseSettings } from '../../../../simulators/aws/cloud/settings-file.ts'
import { InputError } from '../../../../simulators/kit/input.ts'
import { OTHER_ZONE, SIGNED, SUBNET, VPC, filters, numbered, startSimulator } from './support.ts'
import type { Parameters } from './support.ts'

/** Where a simulator is easily kinder than EC2: a client that is tested on it alone then fails in production. */

const tag = (key: string, at = 1): Parameters => ({ [`Tag.${at}.Key`]: key, [`Tag.${at}.Value`]: 'x' })

describe('tags', () => {
  test.each(['aws:x', 'AWS:x', 'Aws:cloud'])('the key %s is reserved, in any letter case', async (key) => {
    const { create, call } = startSimulator()
    const request = { 'ResourceId.1': await create(), ...tag(key) }
    expect((await call('CreateTags', request)).code).toBe('InvalidParameterValue')
    expect((await call('DeleteTags', request)).code).toBe('InvalidParameterValue')
  })

  test('the same key twice in one request is refused', async () => {
    const { create, call } = startSimulator()
    const refused = await call('CreateTags', { 'ResourceId.1': await create(), ...tag('a'), ...tag('a', 2) })
    expect([refused.code, refused.message]).toEqual(['InvalidParameterValue', "Duplicate tag key 'a' specified."])
  })

  test('reserved tags do not count for the limit of 50', async () => {
    const networkInterfaces = [
      { networkInterfaceId: 'eni-0000000000000abcd', subnetId: SUBNET, tags: { 'aws:eks:cluster-name': 'a' } },
    ]
    const { simulator, call, control } = startSimulator()
    const { body: world } = await control('GET', '/_berth/state')
    await control('PUT', '/_berth/state', { ...world, networkInterfaces })
    const all = Object.assign({}, ...Array.from({ length: 50 }, (_, at) => tag(`k${at}`, at + 1))) as Parameters
    expect((await call('CreateTags', { 'ResourceId.1': 'eni-0000000000000abcd', ...all })).status).toBe(200)
    expect(simulator.cloud.interfaces.get('eni-0000000000000abcd')?.tags.size).toBe(51)
    const one = { 'ResourceId.1': 'eni-0000000000000abcd', ...tag('one-more') }
    expect((await call('CreateTags', one)).code).toBe('TagLimitExceeded')
  })

  test('of more than 1,000 resources at once are refused', async () => {
    const { call } = startSimulator()
    const ids = numbered(
      'ResourceId',
      Array.from({ length: 1001 }, () => SUBNET),
    )
    expect((await call('CreateTags', { ...ids, ...tag('a') })).code).toBe('InvalidParameterValue')
  })

  test('an interface that is not visible yet cannot be tagged either', async () => {
    const consistency = { createdInterfaceMs: 1000, notFoundProbability: 1 }
    const { create, call, clock } = startSimulator({ settings: { consistency } })
    const request = { 'ResourceId.1': await create(), ...tag('a') }
    expect((await call('CreateTags', request)).code).toBe('InvalidNetworkInterfaceID.NotFound')
    await clock.advance(1000)
    expect((await call('CreateTags', request)).status).toBe(200)
  })

  test('are found by their own filter', async () => {
    const { create, ok } = startSimulator()
    await ok('CreateTags', { 'ResourceId.1': await create(), ...tag('team') })
    await ok('CreateTags', { 'ResourceId.1': await create(), ...tag('other') })
    expect((await ok('DescribeTags', filters({ 'tag:team': 'x' }))).all('key')).toEqual(['team'])
  })
})

describe('filters', () => {
  test.each([
    ['DescribeNetworkInterfaces', 'no-such-filter', 'InvalidFilter'],
    ['DescribeNetworkInterfaces', 'operator.managed', 'NotImplemented'],
    ['DescribeInstances', 'key-name', 'NotImplemented'],
    ['DescribeInstanceTypes', 'tag:a', 'InvalidFilter'],
    ['DescribeInstanceStatus', 'tag-key', 'InvalidFilter'],
    ['DescribeTags', 'tag-key', 'InvalidFilter'],
    ['DescribeSubnets', 'tag:', 'InvalidFilter'],
    ['DescribeVpcs', 'x'.repeat(256), 'FilterLimitExceeded'],
  ])('%s by %s is answered %s', async (action, name, code) => {
    const { call } = startSimulator()
    expect((await call(action, filters({ [name]: 'x' }))).code).toBe(code)
  })

  test('of the groups of a VPC are its own', async () => {
    const { call } = startSimulator()
    const by = async (name: string) =>
      (await call('GetSecurityGroupsForVpc', { VpcId: VPC, ...filters({ [name]: '*' }) })).code
    expect([await by('primary-vpc-id'), await by('vpc-id')]).toEqual([undefined, 'InvalidFilter'])
  })

  test('of interfaces by public address, source check and primary address', async () => {
    const { create, ok } = startSimulator()
    const interfaceID = await create()
    await create()
    const allocated = await ok('AllocateAddress')
    await ok('AssociateAddress', { AllocationId: allocated.one('allocationId'), NetworkInterfaceId: interfaceID })
    const found = async (name: string, value: string) =>
      new Set((await ok('DescribeNetworkInterfaces', filters({ [name]: value }))).all('networkInterfaceId')).size
    expect(await found('association.public-ip', allocated.one('publicIp'))).toBe(1)
    expect(await found('association.allocation-id', allocated.one('allocationId'))).toBe(1)
    expect(await found('source-dest-check', 'false')).toBe(0)
    expect(await found('addresses.primary', 'true')).toBe(2)
    expect(await found('private-dns-name', '*')).toBe(0)
  })
})

describe('requests', () => {
  test.each(['é'.repeat(3), 'x'.repeat(65), 'a\nb'])('the client token %j is refused', async (token) => {
    const { call } = startSimulator()
    const refused = await call('CreateNetworkInterface', { SubnetId: SUBNET, ClientToken: token })
    expect(refused.code).toBe('InvalidParameterValue')
  })

  test('more than 100 instance types are refused', async () => {
    const { call } = startSimulator()
    const types = numbered(
      'InstanceType',
      Array.from({ length: 101 }, () => 'm5.large'),
    )
    expect((await call('DescribeInstanceTypes', types)).code).toBe('InvalidParameterValue')
  })

  test.each([
    ['20260101T001459Z', undefined],
    ['20251231T234501Z', undefined],
    ['20260101T001501Z', 'RequestExpired'],
    ['20251231T234459Z', 'RequestExpired'],
    ['nonsense', undefined],
  ])('signed at %s, a quarter of an hour from now at most: %s', async (date, code) => {
    const { send } = startSimulator({ settings: { maxClockSkewMs: 900_000 } })
    const headers = { ...SIGNED, 'x-amz-date': date }
    expect((await send('Action=DescribeVpcs&Version=2016-11-15', headers)).code).toBe(code)
  })

  test('by default the date of a signature does not count: virtual time is not the time of the signer', async () => {
    const { send } = startSimulator()
    const headers = { ...SIGNED, 'x-amz-date': '20200101T000000Z' }
    expect((await send('Action=DescribeVpcs&Version=2016-11-15', headers)).status).toBe(200)
  })
})

describe('addresses', () => {
  test('an interface that carries none gets no IPv6 address either', async () => {
    const { create, call } = startSimulator()
    const interfaceID = await create({ SubnetId: OTHER_ZONE, InterfaceType: 'efa-only' })
    const refused = await call('AssignIpv6Addresses', { NetworkInterfaceId: interfaceID, Ipv6PrefixCount: 1 })
    expect(refused.code).toBe('InvalidParameterValue')
  })

  test('an Elastic IP for an instance with several interfaces needs to be told which', async () => {
    const { launch, create, attach, call, ok } = startSimulator()
    const { instanceID } = launch()
    const allocated = await ok('AllocateAddress')
    const request = { AllocationId: allocated.one('allocationId'), InstanceId: instanceID }
    expect((await call('AssociateAddress', request)).status).toBe(200)
    await attach(await create(), instanceID, 1)
    const refused = await call('AssociateAddress', request)
    expect([refused.code, refused.message]).toEqual([
      'InvalidInstanceID',
      `There are multiple interfaces attached to instance '${instanceID}'. Please specify an interface ID for the operation instead.`,
    ])
  })

  test('two subnets never share a block of IPv6', async () => {
    const { call } = startSimulator()
    const request = { VpcId: VPC, CidrBlock: '10.0.9.0/24', Ipv6CidrBlock: '2600:1f13:a:b::/64' }
    expect((await call('CreateSubnet', request)).code).toBe('InvalidSubnet.Conflict')
  })
})

describe('security groups', () => {
  test.each([
    ['sg-mine', 'fine'],
    ['fine', 'not <fine>'],
    ['ünfein', 'fine'],
  ])('named %s and described %s are refused', async (GroupName, GroupDescription) => {
    const { call } = startSimulator()
    expect((await call('CreateSecurityGroup', { VpcId: VPC, GroupName, GroupDescription })).code).toBe(
      'InvalidParameterValue',
    )
  })
})

describe('instances', () => {
  test('stop for a while, and take no interface meanwhile', async () => {
    const { launch, create, call, ok, clock } = startSimulator({ settings: { stopMs: 30_000 } })
    const { instanceID } = launch()
    const stopping = await ok('StopInstances', { 'InstanceId.1': instanceID })
    expect(stopping.all('name')).toEqual(['running', 'stopping'])
    const attach = { NetworkInterfaceId: await create(), InstanceId: instanceID, DeviceIndex: 1 }
    expect((await call('AttachNetworkInterface', attach)).code).toBe('IncorrectState')
    await clock.advance(30_000)
    expect((await call('AttachNetworkInterface', attach)).status).toBe(200)
  })

  test('that were just launched may be unknown for a moment', async () => {
    const consistency = { launchedInstanceMs: 2000, notFoundProbability: 1 }
    const { ok, call, clock } = startSimulator({ settings: { consistency } })
    const run = { ImageId: 'ami-1', InstanceType: 'm5.large', MinCount: 1, MaxCount: 1, SubnetId: SUBNET }
    const instanceID = (await ok('RunInstances', run)).one('instanceId')
    const known = async () => [
      (await call('DescribeInstances', { 'InstanceId.1': instanceID })).code,
      (await call('StopInstances', { 'InstanceId.1': instanceID })).code,
      (await ok('DescribeInstances')).all('instanceId').length,
    ]
    expect(await known()).toEqual(['InvalidInstanceID.NotFound', 'InvalidInstanceID.NotFound', 0])
    await clock.advance(2000)
    expect(await known()).toEqual([undefined, undefined, 1])
  })

  test.each([
    [{ SubnetId: SUBNET }, 'what a new one is made of'],
    [{ DeleteOnTermination: true }, 'delete on termination'],
  ])('an interface that exists is launched with as it is, not with %j', async (more, text) => {
    const { create, call } = startSimulator()
    const given = { DeviceIndex: 0, NetworkInterfaceId: await create(), ...more }
    const named = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [`NetworkInterface.1.${name}`, value]),
    )
    const run = { ImageId: 'ami-1', InstanceType: 'm5.large', MinCount: 1, MaxCount: 1 }
    const refused = await call('RunInstances', { ...run, ...named })
    expect([refused.code, refused.message]).toEqual(['InvalidParameterCombination', expect.stringContaining(text)])
  })
})

describe('a settings file', () => {
  test('is read', () => {
    const file = {
      quotas: { interfaces: 9 },
      consistency: { addressesMs: 3000, notFoundProbability: 0.5 },
      attachMs: { min: 0, max: 10 },
      addressChoice: 'lowest',
      networkCardDefect: true,
    }
    expect(parseSettings(file)).toEqual(file)
    const { simulator } = startSimulator({ settings: parseSettings(file) })
    expect(simulator.cloud.settings).toMatchObject({ ...file, quotas: { interfaces: 9, elasticIPs: 5 } })
  })

  test.each([
    [{ quota: {} }, 'file.quota is not known'],
    [{ quotas: { interface: 1 } }, 'quotas.interface is not known'],
    [{ consistency: { notFoundProbability: 2 } }, 'consistency.notFoundProbability must be a number from 0 to 1'],
    [{ attachMs: { min: 5, max: 1 } }, 'attachMs.max must be a number of at least 5'],
    [{ accountID: '1' }, 'accountID must be twelve digits'],
    [{ shortPages: 'yes' }, 'shortPages must be true or false'],
  ])('%j is refused with its place', (file, fault) => {
    expect(() => parseSettings(file)).toThrow(InputError)
    expect(() => parseSettings(file)).toThrow(fault)
  })
})
