import { describe, expect, test } from 'vitest'
import { createEC2Simulator } from '../../../../simulators/aws/index.ts'
import { GROUP, SUBNET, TINY, VPC, WORLD, filters, startSimulator } from './support.ts'

describe('the control door', () => {
  test('health tells the region, the quotas and what there is', async () => {
    const { control, launch } = startSimulator({ settings: { quotas: { interfaces: 7 } } })
    launch()
    expect((await control('GET', '/_berth/health')).body).toMatchObject({
      status: 'ok',
      simulator: 'ec2',
      region: 'us-east-1',
      quotas: { interfaces: 7 },
      resources: { vpcs: 1, subnets: 3, instances: 1, networkInterfaces: 1 },
    })
  })

  test('a saved account is loaded as it was', async () => {
    const { control, launch, create, attach, ok, free, simulator } = startSimulator()
    const { instanceID, interfaceID } = launch()
    const second = await create({ Ipv4PrefixCount: 1, Description: 'second', 'SecurityGroupId.1': GROUP })
    await attach(second, instanceID, 1)
    const allocation = (await ok('AllocateAddress')).one('allocationId')
    await ok('AssociateAddress', { AllocationId: allocation, NetworkInterfaceId: interfaceID })
    await ok('CreateTags', { 'ResourceId.1': instanceID, 'Tag.1.Key': 'a', 'Tag.1.Value': '' })
    const before = await free()
    const { body: saved } = await control('GET', '/_berth/state')
    await ok('TerminateInstances', { 'InstanceId.1': instanceID })
    expect((await control('PUT', '/_berth/state', saved)).status).toBe(200)
    expect((await control('GET', '/_berth/state')).body).toEqual(saved)
    expect(await free()).toBe(before)
    const listed = await ok('DescribeNetworkInterfaces', filters({ 'attachment.instance-id': instanceID }))
    expect(listed.all('networkInterfaceId')).toEqual([interfaceID, second])
    expect(simulator.check()).toEqual([])
  })

  test('reset goes back to the start, with empty calls and full buckets', async () => {
    const { control, create, call, simulator } = startSimulator({ throttle: 'documented' })
    for (let index = 0; index < 100; index++) await create()
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET })).status).toBe(503)
    await control('POST', '/_berth/reset')
    expect(simulator.cloud.interfaces.count).toBe(0)
    expect((await control('GET', '/_berth/calls')).body.attempts).toBe(0)
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET })).status).toBe(200)
  })

  test('after a reset the same calls are answered the same', async () => {
    const { control, ok } = startSimulator()
    const run = async () => (await ok('CreateNetworkInterface', { SubnetId: SUBNET })).xml
    const first = await run()
    expect(await run()).not.toBe(first)
    await control('POST', '/_berth/reset')
    expect(await run()).toBe(first)
  })

  test('control requests are neither counted nor throttled', async () => {
    const { control } = startSimulator({
      throttle: { refill: 'stepwise', neighbours: [], rules: [{ bucket: '*', size: 0, refillPerSecond: 0 }] },
    })
    await control('GET', '/_berth/health')
    expect((await control('GET', '/_berth/calls')).body.attempts).toBe(0)
  })
})

describe('many instances at once', () => {
  test('are made with their primary interfaces and told, without a call and past the quota', async () => {
    const { control, simulator, ok } = startSimulator({ settings: { quotas: { interfaces: 5 } } })
    const { status, body } = await control('POST', '/_berth/state/instances', {
      instanceType: 'm5.large',
      subnetId: SUBNET,
      count: 200,
      tags: { role: 'node' },
      groupIds: [GROUP],
    })
    expect(status).toBe(200)
    expect(new Set(body.instances.map((one: { privateIpAddress: string }) => one.privateIpAddress)).size).toBe(200)
    expect(body.instances[0]).toMatchObject({
      instanceId: expect.stringMatching(/^i-[0-9a-f]{17}$/),
      instanceType: 'm5.large',
      vpcId: VPC,
      subnetId: SUBNET,
      availabilityZone: 'us-east-1a',
      networkInterfaceId: expect.stringMatching(/^eni-/),
      macAddress: expect.stringMatching(/^0a:/),
    })
    expect(simulator.calls.report().attempts).toBe(0)
    expect(simulator.check()).toEqual([])
    const listed = await ok('DescribeInstances', filters({ 'tag:role': 'node', 'instance-state-name': 'running' }))
    expect(listed.all('instanceId')).toHaveLength(200)
  })

  test('take the ids that are given', async () => {
    const { control, simulator } = startSimulator()
    const ids = ['i-00000000000000001', 'i-00000000000000002']
    await control('POST', '/_berth/state/instances', { instanceType: 'm5.large', subnetId: SUBNET, ids })
    expect([...simulator.cloud.instances].map((one) => one.id)).toEqual(ids)
  })

  test.each([
    ['a type that is not known', { instanceType: 'm5.huge' }, /m5\.huge is not known/],
    ['an unknown subnet', { subnetId: 'subnet-0000000000000dead' }, /does not exist/],
    ['a subnet too small', { subnetId: TINY, count: 12 }, /enough free addresses/],
    ['no count', { count: undefined }, /count must be a number/],
    ['an id of wrong form', { ids: ['i-1'] }, /i-1 is not an instance id/],
    ['one id twice', { ids: ['i-00000000000000001', 'i-00000000000000001'] }, /must differ/],
    ['a misspelt key', { subnetID: SUBNET }, /subnetID is not known/],
  ])('are refused whole with %s', async (_, change, message) => {
    const { control, simulator, free } = startSimulator()
    const answer = await control('POST', '/_berth/state/instances', {
      instanceType: 'm5.large',
      subnetId: SUBNET,
      count: 3,
      ...change,
    })
    expect(answer.status).toBe(400)
    expect(answer.body.error).toMatch(message)
    expect(simulator.cloud.instances.size).toBe(0)
    expect(simulator.cloud.interfaces.count).toBe(0)
    expect(await free(TINY)).toBe(11)
  })
})

describe('a subnet filled by others', () => {
  test('is fragmented: no prefix is found although most addresses are free, until the others go', async () => {
    const { control, call, ok, simulator } = startSimulator()
    const { body } = await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, fragment: true })
    expect(body).toMatchObject({ availableIpAddressCount: 237, freePrefixCount: 0 })
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })).code).toBe(
      'InsufficientCidrBlocks',
    )
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: body.networkInterfaceId })
    await ok('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })
    expect(simulator.check()).toEqual([])
  })

  test('is exhausted but for what is to be left', async () => {
    const { control, call, create, free, simulator } = startSimulator()
    await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, leaveFree: 1 })
    expect(await free()).toBe(1)
    await create()
    expect((await call('CreateNetworkInterface', { SubnetId: SUBNET })).code).toBe('InsufficientFreeAddressesInSubnet')
    expect(simulator.check()).toEqual([])
  })

  test.each([
    ['neither', {}, /either leaveFree or fragment/],
    ['both', { leaveFree: 1, fragment: true }, /either leaveFree or fragment/],
    ['an unknown subnet', { subnetId: 'subnet-0000000000000dead', leaveFree: 1 }, /does not exist/],
    ['more to be left than there is', { leaveFree: 251 }, /nothing to take/],
  ])('%s is refused', async (_, change, message) => {
    const answer = await startSimulator().control('POST', '/_berth/state/occupy', { subnetId: SUBNET, ...change })
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringMatching(message)])
  })
})

describe('world files', () => {
  test('written by hand, an instance needs its type and subnet only', async () => {
    const { ok, simulator } = startSimulator({
      world: {
        ...WORLD,
        instances: [{ instanceId: 'i-00000000000000001', instanceType: 'm5.large', subnetId: SUBNET }],
      },
    })
    const listed = await ok('DescribeNetworkInterfaces', filters({ 'attachment.instance-id': 'i-00000000000000001' }))
    expect([listed.all('deviceIndex'), listed.all('deleteOnTermination'), listed.all('groupName')]).toEqual([
      ['0'],
      ['true'],
      ['default'],
    ])
    expect(simulator.check()).toEqual([])
  })

  test('the default world is a new account', async () => {
    const { ok } = startSimulator({ world: 'default', settings: { region: 'eu-central-1' } })
    expect((await ok('DescribeVpcs', filters({ 'is-default': 'true' }))).all('vpcId')).toHaveLength(1)
    const subnets = await ok('DescribeSubnets')
    expect(subnets.all('availabilityZone')).toEqual(['eu-central-1a', 'eu-central-1b', 'eu-central-1c'])
  })

  test.each([
    ['a wrong type', [], /file must be an object/],
    ['an unknown part', { vpc: [] }, /file\.vpc is not known/],
    ['a VPC without block', { vpcs: [{ vpcId: VPC }] }, /vpcs\[0\]\.cidrBlock must be/],
    ['a VPC id of wrong form', { vpcs: [{ vpcId: 'vpc-1', cidrBlock: '10.0.0.0/16' }] }, /vpc-1 is not an id/],
    ['one id twice', { vpcs: [WORLD.vpcs[0], WORLD.vpcs[0]] }, /vpc-00000000000000001 is there twice/],
    ['a subnet of no VPC', { subnets: WORLD.subnets }, /subnets\[0\] The vpc ID .* does not exist/],
    [
      'an unknown instance type',
      { ...WORLD, instances: [{ instanceType: 'm5.huge', subnetId: SUBNET }] },
      /instances\[0\]\.instanceType m5\.huge is not known/,
    ],
    [
      'one address twice',
      {
        ...WORLD,
        networkInterfaces: [
          { subnetId: SUBNET, privateIpAddresses: ['10.0.0.9'] },
          { subnetId: SUBNET, privateIpAddresses: ['10.0.0.9'] },
        ],
      },
      /networkInterfaces\[1\] .*10\.0\.0\.9 is already in use/,
    ],
    [
      'more interfaces than the type takes',
      {
        ...WORLD,
        instances: [{ instanceId: 'i-00000000000000001', instanceType: 't2.micro', subnetId: SUBNET }],
        networkInterfaces: [0, 1, 2].map((deviceIndex) => ({
          subnetId: SUBNET,
          attachment: { instanceId: 'i-00000000000000001', deviceIndex },
        })),
      },
      /instance-adapters/,
    ],
    [
      'no address',
      { ...WORLD, networkInterfaces: [{ subnetId: SUBNET, privateIpAddresses: ['10.0.0'] }] },
      /10\.0\.0 is not understood/,
    ],
  ])('with %s are refused with the reason', (_, world, message) => {
    expect(() => createEC2Simulator({ world })).toThrow(message)
  })

  test('a world that is refused leaves the old one in place', async () => {
    const { control, simulator, launch } = startSimulator()
    launch()
    expect((await control('PUT', '/_berth/state', { vpcs: 7 })).status).toBe(400)
    expect(simulator.cloud.instances.size).toBe(1)
  })
})
