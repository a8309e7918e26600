import { afterEach, describe, expect, test } from 'vitest'
import { makeInterface } from '../../simulators/aws/cloud/interfaces.ts'
import type { EC2SimulatorOptions } from '../../simulators/aws/index.ts'
import { attachInterface } from '../../simulators/aws/cloud/attachments.ts'
import type { InterfaceType } from '../../simulators/aws/cloud/types.ts'
import { occupyAddresses } from '../../simulators/aws/occupy.ts'
import { saveWorld, type WorldInterface } from '../../simulators/aws/world.ts'
import { addressesOfPrefix } from '../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import { ControllerWorld, until } from '../unit/cli/controller-world.ts'

/**
 * Each feature of the AWS provider switched on in the composed controller, through its own flags and wires: what EC2 and the CiliumNode
 * then hold.
 */

const VPC = 'vpc-0000000000000001a'
const NODES = 'subnet-0000000000000001a'
const PODS = 'subnet-0000000000000001b'
const ROUTED = 'subnet-0000000000000001c'
const DUAL = 'subnet-0000000000000001d'
const NODE_GROUP = 'sg-0000000000000001a'
const POD_GROUP = 'sg-0000000000000001b'
const GC_TAGS = { 'io.cilium/cilium-managed': 'true', 'io.cilium/cluster-name': 'test' }

const subnet = (subnetId: string, third: number, parts: object = {}): object => ({
  subnetId,
  vpcId: VPC,
  cidrBlock: `10.0.${third}.0/20`,
  availabilityZone: 'us-east-1a',
  ...parts,
})
const WORLD = {
  version: 1,
  vpcs: [{ vpcId: VPC, cidrBlock: '10.0.0.0/16' }],
  securityGroups: [
    { groupId: NODE_GROUP, vpcId: VPC, groupName: 'nodes' },
    { groupId: POD_GROUP, vpcId: VPC, groupName: 'pods', tags: { use: 'pods' } },
  ],
  subnets: [
    subnet(NODES, 0),
    subnet(PODS, 16, { tags: { use: 'pods' } }),
    subnet(ROUTED, 32),
    subnet(DUAL, 48, { ipv6CidrBlock: '2600:1f14:1:2::/64' }),
  ],
  routeTables: [{ routeTableId: 'rtb-0000000000000001a', vpcId: VPC, subnetIds: [NODES, ROUTED] }],
  elasticIps: [{ publicIp: '198.51.100.7', tags: { pool: 'web' } }],
}

let world: ControllerWorld
afterEach(() => world.close())

function start(ec2: Partial<EC2SimulatorOptions> = {}): ControllerWorld {
  world = new ControllerWorld({ ec2: { world: WORLD, ...ec2 } })
  return world
}

interface NodeView {
  readonly spec: {
    readonly 'instance-id': string
    readonly ipam?: { readonly pool?: Record<string, { resource: string }> }
  }
  readonly status?: {
    readonly eni?: { readonly enis?: Record<string, JSONObject> }
    readonly ipam?: JSONObject
  }
}

async function view(name: string): Promise<NodeView> {
  return (await world.request('GET', `/apis/cilium.io/v2/ciliumnodes/${name}`)) as unknown as NodeView
}

/** The node's interfaces in EC2, by device index. */
async function interfaces(name: string): Promise<readonly WorldInterface[]> {
  const instanceID = (await view(name)).spec['instance-id']
  return saveWorld(world.ec2.cloud)
    .networkInterfaces.filter(({ attachment }) => attachment?.instanceId === instanceID)
    .sort((a, b) => a.attachment!.deviceIndex - b.attachment!.deviceIndex)
}

async function served(name: string, count = 8): Promise<void> {
  await until(async () => (await world.poolSize(name)) >= count)
}

/** What the node waits for, as its resource says; empty when it waits for nothing. */
async function operatorStatus(name: string): Promise<string> {
  const { ipam } = (await view(name)).status ?? {}
  return ((ipam?.['operator-status'] as { readonly error?: string } | undefined) ?? {}).error ?? ''
}

/** The addresses that the resource offers, with the interfaces they are on. */
async function pool(name: string): Promise<Record<string, { readonly resource: string }>> {
  return (await view(name)).spec.ipam?.pool ?? {}
}

/** Every address that the resource offers is on the interface that it says. */
async function expectTrue(name: string): Promise<void> {
  const held = new Map(
    (await interfaces(name)).flatMap((iface) =>
      [...iface.privateIpAddresses, ...iface.ipv4Prefixes.flatMap((prefix) => addressesOfPrefix(prefix))].map(
        (address) => [address, iface.networkInterfaceId] as const,
      ),
    ),
  )
  for (const [address, { resource }] of Object.entries(await pool(name))) expect(held.get(address)).toBe(resource)
  expect(world.ec2.check()).toEqual([])
}

/** An interface that somebody else put on the node's instance. */
async function attachForeign(
  name: string,
  deviceIndex: number,
  tags: Readonly<Record<string, string>>,
  {
    interfaceType = 'interface',
    networkCardIndex = 0,
  }: { interfaceType?: InterfaceType; networkCardIndex?: number } = {},
): Promise<string> {
  const { cloud } = world.ec2
  const instance = cloud.instance((await view(name)).spec['instance-id'])
  const iface = makeInterface(cloud, {
    subnet: instance.subnet,
    interfaceType,
    description: 'not ours',
    groups: [],
    tags: new Map(Object.entries(tags)),
    primary: undefined,
    ipv4: { addresses: [], addressCount: 2, prefixes: [], prefixCount: 0 },
    ipv6: { addressCount: 0, prefixCount: 0 },
  })
  attachInterface(cloud, { iface, instance, deviceIndex, networkCardIndex })
  return iface.id
}

describe('which interfaces are ours', () => {
  test('an interface with the exclusion tags is left alone, and its addresses are not offered', async () => {
    start().addNode('a', {}, { eni: { 'exclude-interface-tags': { owner: 'mesh' } } })
    const foreign = await attachForeign('a', 1, { owner: 'mesh' })
    await world.startController()
    await served('a')
    const offered = new Set(Object.values(await pool('a')).map(({ resource }) => resource))
    expect(offered).not.toContain(foreign)
    expect(
      (await interfaces('a')).find(({ networkInterfaceId }) => networkInterfaceId === foreign)?.privateIpAddresses,
    ).toHaveLength(3)
    expect(Object.keys((await view('a')).status?.eni?.enis ?? {})).toContain(foreign)
    await expectTrue('a')
  })

  test.each<{ flag: string; instanceType: string; deviceIndex: number; parts: Parameters<typeof attachForeign>[3] }>([
    {
      flag: '--aws-exclude-interface-types=efa,trunk',
      instanceType: 'm5.large',
      deviceIndex: 1,
      parts: { interfaceType: 'efa' },
    },
    {
      flag: '--aws-first-network-card-only',
      instanceType: 'c6in.32xlarge',
      deviceIndex: 1,
      parts: { networkCardIndex: 1 },
    },
  ])('with $flag an interface is left alone, and no agent is told of it', async (given) => {
    const { flag, instanceType, deviceIndex, parts } = given
    start().addNode('a', { 'min-allocate': 16 }, { instanceType })
    const foreign = await attachForeign('a', deviceIndex, {}, parts)
    await world.startController([flag])
    await served('a', 16)
    const offered = new Set(Object.values(await pool('a')).map(({ resource }) => resource))
    expect(offered).not.toContain(foreign)
    expect(Object.keys((await view('a')).status?.eni?.enis ?? {})).not.toContain(foreign)
    const found = (await interfaces('a')).find(({ networkInterfaceId }) => networkInterfaceId === foreign)
    expect(found?.privateIpAddresses).toHaveLength(3)
    await expectTrue('a')
  })

  test('slots that are left to volumes are not filled: the node ends where they begin, and waits for nothing', async () => {
    start().addNode('a', { 'min-allocate': 27 })
    await world.startController(['--aws-reserved-attachment-slots=1'])
    await served('a', 18)
    expect(await operatorStatus('a')).toBe('')
    expect((await interfaces('a')).map(({ privateIpAddresses }) => privateIpAddresses.length)).toEqual([10, 10])
    expect(await world.poolSize('a')).toBe(18)
    await expectTrue('a')
  })

  test('a first interface in a subnet that the filter hides is no room that the node waits for', async () => {
    start().addNode('a', { 'min-allocate': 27 })
    await world.startController([`--subnet-ids-filter=${PODS}`])
    await until(async () => (await operatorStatus('a')).startsWith('at capacity'))
    expect((await interfaces('a')).map(({ subnetId }) => subnetId)).toEqual([NODES, PODS, PODS])
    expect(await world.poolSize('a')).toBe(18)
    await expectTrue('a')
  })

  test('instances without the wanted tags are not listed, and their nodes are served all the same', async () => {
    start().addNode('a')
    const [tagged] = world.ec2.makeInstances({
      instanceType: 'm5.large',
      subnetId: NODES,
      count: 1,
      tags: { team: 'net' },
    }).instances
    await world.startController(['--instance-tags-filter=team=net'])
    await served('a')
    const { actions } = world.ec2.calls.report()
    expect(actions['DescribeInstances']?.ok).toBeGreaterThan(0)
    const others = saveWorld(world.ec2.cloud).networkInterfaces.filter(
      ({ attachment }) => attachment?.instanceId === tagged?.instanceId,
    )
    expect(others.map(({ privateIpAddresses }) => privateIpAddresses.length)).toEqual([1])
    await expectTrue('a')
  })

  test('interfaces below the first index are left alone', async () => {
    start().addNode('a', {}, { eni: { 'first-interface-index': 1 } })
    await world.startController()
    await served('a')
    const [first, second] = await interfaces('a')
    expect(first?.privateIpAddresses).toHaveLength(1)
    expect(second?.attachment?.deviceIndex).toBe(1)
    expect(second?.privateIpAddresses.length).toBeGreaterThanOrEqual(9)
    await expectTrue('a')
  })

  test.each([
    { flags: [], eni: {}, isOffered: false },
    { flags: [], eni: { 'use-primary-address': true }, isOffered: true },
    { flags: ['--aws-use-primary-address'], eni: {}, isOffered: true },
  ])('the primary address with $flags and $eni is offered: $isOffered', async ({ flags, eni, isOffered }) => {
    start().addNode('a', {}, { eni })
    await world.startController(flags)
    await served('a')
    const [first] = await interfaces('a')
    expect(Object.keys(await pool('a')).includes(first!.privateIpAddresses[0]!)).toBe(isOffered)
    await expectTrue('a')
  })
})

describe('where a new interface goes', () => {
  test.each([
    { name: 'the listed subnets', eni: { 'subnet-ids': [PODS] }, subnetID: PODS },
    { name: 'the subnets with tags', eni: { 'subnet-tags': { use: 'pods' } }, subnetID: PODS },
    { name: "the node's own subnet", eni: {}, subnetID: NODES },
  ])('$name', async ({ eni, subnetID }) => {
    start().addNode('a', {}, { eni: { 'first-interface-index': 1, ...eni } })
    await world.startController()
    await served('a')
    expect((await interfaces('a'))[1]).toMatchObject({ subnetId: subnetID })
    await expectTrue('a')
  })

  test("a subnet on the node's route table, when its own is full", async () => {
    start().addNode('a', {}, { eni: { 'first-interface-index': 1 } })
    occupyAddresses(world.ec2.cloud, { subnetId: NODES, leaveFree: 5 })
    await world.startController()
    await served('a')
    expect((await interfaces('a'))[1]).toMatchObject({ subnetId: ROUTED })
    await expectTrue('a')
  })

  test.each([
    { name: 'the listed groups', eni: { 'security-groups': [POD_GROUP] }, groupIDs: [POD_GROUP] },
    { name: 'the groups with tags', eni: { 'security-group-tags': { use: 'pods' } }, groupIDs: [POD_GROUP] },
    { name: 'those of the first interface', eni: {}, groupIDs: [NODE_GROUP] },
    {
      name: 'those of the first interface, when no group has the tags',
      eni: { 'security-group-tags': { use: 'x' } },
      groupIDs: [NODE_GROUP],
    },
  ])('with $name', async ({ eni, groupIDs }) => {
    start().addNode('a', {}, { groupIDs: [NODE_GROUP], eni: { 'first-interface-index': 1, ...eni } })
    await world.startController()
    await served('a')
    const created = (await interfaces('a'))[1]
    expect(created?.groupIds).toEqual(groupIDs)
    const status = (await view('a')).status?.eni?.enis?.[created!.networkInterfaceId]
    expect(status).toMatchObject({ 'security-groups': groupIDs, number: 1 })
  })

  test('with its tags, and to go with its instance', async () => {
    start().addNode('a', {}, { eni: { 'first-interface-index': 1 } })
    await world.startController(['--eni-tags=team=net', '--cluster-name=test'])
    await served('a')
    expect((await interfaces('a'))[1]?.tags).toMatchObject({ team: 'net', ...GC_TAGS })
    await until(async () => (await interfaces('a'))[1]?.attachment?.deleteOnTermination === true)
  })
})

describe('prefixes', () => {
  test('a node has its addresses as /28 blocks; one that opted out, or is not of Nitro, has single ones', async () => {
    start().addNode('a')
    world.addNode('b', {}, { eni: { 'disable-prefix-delegation': true } })
    world.addNode('c', {}, { instanceType: 'm4.large' })
    await world.startController(['--aws-enable-prefix-delegation'])
    await Promise.all([served('a', 16), served('b'), served('c')])
    const prefixCounts = async (name: string) => (await interfaces(name)).map(({ ipv4Prefixes }) => ipv4Prefixes.length)
    expect([await prefixCounts('a'), await prefixCounts('b'), await prefixCounts('c')]).toEqual([[1], [0], [0]])
    for (const name of ['a', 'b', 'c']) await expectTrue(name)
  })

  test('where the own subnet has no free block, a sibling on its route table is asked before single addresses', async () => {
    start().addNode('a', {}, { eni: { 'first-interface-index': 1 } })
    occupyAddresses(world.ec2.cloud, { subnetId: NODES, fragment: true })
    await world.startController(['--aws-enable-prefix-delegation', '--aws-prefix-sibling-subnets'])
    await served('a', 16)
    expect((await interfaces('a'))[1]).toMatchObject({ subnetId: ROUTED, ipv4Prefixes: [expect.any(String)] })
    await expectTrue('a')
  })

  test('an agent that asks for IPv6 gets one /80 prefix, in the status and in EC2', async () => {
    const requested = [{ pool: 'default', needed: { 'ipv4-addrs': 4, 'ipv6-addrs': 4 } }]
    start().addNode('a', { pools: { requested } }, { subnetID: DUAL })
    await world.startController()
    await until(async () => (await interfaces('a')).some(({ ipv6Prefixes }) => ipv6Prefixes.length > 0))
    const [first] = await interfaces('a')
    await until(async () =>
      JSON.stringify((await view('a')).status?.eni?.enis?.[first!.networkInterfaceId]).includes('ipv6-prefixes'),
    )
    expect(first?.ipv6Prefixes).toEqual([expect.stringMatching(/\/80$/)])
    expect((await view('a')).status?.eni?.enis?.[first!.networkInterfaceId]?.['ipv6-prefixes']).toEqual(
      first?.ipv6Prefixes,
    )
  })
})

describe('what EC2 refuses', () => {
  const fault = (action: string, code: string, parts: object = {}): object => ({
    action,
    kind: 'error',
    code,
    status: 400,
    message: code,
    ...parts,
  })
  const NOT_RUNNING = "Instance 'i-0' is not 'running' or 'stopped'."

  test.each<{ name: string; rule: object; interfaceCount: number; indexes?: readonly number[] }>([
    {
      name: 'throttled calls are made again',
      rule: fault('AssignPrivateIpAddresses', 'RequestLimitExceeded', { status: 503, count: 2 }),
      interfaceCount: 1,
    },
    {
      name: 'a full interface that was not known to be full is read again',
      rule: fault('AssignPrivateIpAddresses', 'PrivateIpAddressLimitExceeded', { count: 1 }),
      interfaceCount: 1,
    },
    {
      name: 'trouble on the side of EC2 is waited out',
      rule: fault('AssignPrivateIpAddresses', 'InternalError', { status: 500, count: 1 }),
      interfaceCount: 1,
    },
    {
      name: 'an index that is taken is passed over',
      rule: fault('AttachNetworkInterface', 'InvalidParameterValue', {
        message: "Instance 'i-0' already has an interface attached at device index '1'.",
        count: 1,
      }),
      interfaceCount: 2,
      indexes: [0, 2],
    },
    {
      name: 'a new interface that EC2 does not show yet is attached a moment later',
      rule: fault('AttachNetworkInterface', 'InvalidNetworkInterfaceID.NotFound', { count: 1 }),
      interfaceCount: 2,
    },
    {
      name: 'an instance that is called stopped once is asked again',
      rule: fault('AttachNetworkInterface', 'IncorrectState', { message: NOT_RUNNING, count: 1 }),
      interfaceCount: 2,
    },
  ])('$name: the node is served, once', async ({ rule, interfaceCount, indexes }) => {
    start({ faults: { rules: [rule] } }).addNode('a', {}, { eni: { 'first-interface-index': interfaceCount - 1 } })
    await world.startController()
    await served('a')
    await until(async () => (await operatorStatus('a')) === '')
    const attached = await interfaces('a')
    expect(attached).toHaveLength(interfaceCount)
    if (indexes !== undefined) expect(attached.map(({ attachment }) => attachment?.deviceIndex)).toEqual(indexes)
    await until(() => saveWorld(world.ec2.cloud).networkInterfaces.every(({ attachment }) => attachment !== undefined))
    await expectTrue('a')
  })

  test('a lost answer is not repeated while the listings do not show what it did', async () => {
    const rule = { action: 'AssignPrivateIpAddresses', kind: 'drop', where: 'after-effect', count: 1 }
    start({ faults: { rules: [rule] }, settings: { consistency: { addressesMs: 2_500 } } }).addNode('a')
    await world.startController()
    await served('a')
    expect(world.ec2.calls.counts('AssignPrivateIpAddresses').attempts).toBe(1)
    expect((await interfaces('a')).map(({ privateIpAddresses }) => privateIpAddresses.length)).toEqual([9])
    await expectTrue('a')
  })

  test.each<{ name: string; rules: readonly object[]; leaveFree?: number; status: string }>([
    {
      name: 'a missing permission',
      rules: [fault('AssignPrivateIpAddresses', 'UnauthorizedOperation', { status: 403 })],
      status: 'AssignPrivateIpAddresses: UnauthorizedOperation',
    },
    {
      name: 'a wrong request',
      rules: [
        fault('*NetworkInterface', 'InvalidParameterCombination'),
        fault('Assign*', 'InvalidParameterCombination'),
      ],
      status: 'InvalidParameterCombination',
    },
    {
      name: 'an account without room for interfaces',
      rules: [
        fault('CreateNetworkInterface', 'NetworkInterfaceLimitExceeded'),
        fault('Assign*', 'InsufficientFreeAddressesInSubnet'),
      ],
      status: 'NetworkInterfaceLimitExceeded',
    },
    { name: 'subnets without a free address', rules: [], leaveFree: 0, status: 'no free address' },
  ])('$name is said in the resource, and nothing is left behind', async ({ rules, leaveFree, status }) => {
    start({ faults: { rules } }).addNode('a')
    if (leaveFree !== undefined) {
      for (const subnetId of [NODES, PODS, ROUTED, DUAL]) occupyAddresses(world.ec2.cloud, { subnetId, leaveFree })
    }
    const before = world.ec2.cloud.interfaces.count
    await world.startController()
    await until(async () => (await operatorStatus('a')).includes(status))
    expect(world.ec2.cloud.interfaces.count).toBe(before)
    expect((await interfaces('a')).map(({ privateIpAddresses }) => privateIpAddresses.length)).toEqual([1])
    expect(world.ec2.check()).toEqual([])
  })
})

describe('the rest', () => {
  test('a node is given the public address with its tags', async () => {
    start().addNode('a', { 'static-ip-tags': { pool: 'web' } })
    await world.startController()
    await until(async () => (await view('a')).status?.ipam?.['assigned-static-ip'] === '198.51.100.7')
    const [first] = await interfaces('a')
    expect(saveWorld(world.ec2.cloud).elasticIps[0]?.association?.networkInterfaceId).toBe(first?.networkInterfaceId)
  })

  test('agents of both generations are served at once, each in its own way', async () => {
    start().addNode('pool')
    world.addNode('pools', { pools: { requested: [{ pool: 'default', needed: { 'ipv4-addrs': 6 } }] } })
    await world.startController()
    await served('pool')
    const held = async (): Promise<readonly string[]> => {
      const enis = (await view('pools')).status?.eni?.enis ?? {}
      return Object.values(enis).flatMap((eni) => (eni['addresses'] as readonly string[] | undefined) ?? [])
    }
    await until(async () => (await held()).length >= 6)
    expect(await pool('pools')).toEqual({})
    await expectTrue('pool')
    expect(
      (await interfaces('pools')).flatMap(({ privateIpAddresses }) => privateIpAddresses.slice(1)).toSorted(),
    ).toEqual((await held()).toSorted())
  })

  /** An interface that hangs on nothing. @returns its ID */
  const leave = (tags: Readonly<Record<string, string>>): string =>
    makeInterface(world.ec2.cloud, {
      subnet: world.ec2.cloud.subnet(NODES),
      interfaceType: 'interface',
      description: 'left',
      groups: [],
      tags: new Map(Object.entries(tags)),
      primary: undefined,
      ipv4: { addresses: [], addressCount: 0, prefixes: [], prefixCount: 0 },
      ipv6: { addressCount: 0, prefixCount: 0 },
    }).id

  test('a leftover interface is found and deleted; others stay', async () => {
    start().addNode('a')
    const ours = leave(GC_TAGS)
    const others = leave({ ...GC_TAGS, 'io.cilium/cluster-name': 'other' })
    await world.startController(['--cluster-name=test', '--eni-gc-interval=200ms'])
    await until(() => world.ec2.cloud.interfaces.get(ours) === undefined)
    expect(world.ec2.cloud.interfaces.get(others)).toBeDefined()
    await served('a')
  })

  test('beside another controller leftover interfaces stay: they may be its own', async () => {
    start().addNode('a')
    const controller = await world.startController(['--cluster-name=test', '--eni-gc-interval=200ms'])
    await served('a')
    for (let last = 1; controller.manager?.readiness().ok === true; last++) {
      const pool = { [`10.0.15.${last}`]: { resource: 'eni-other' } }
      await world.request('PATCH', '/apis/cilium.io/v2/ciliumnodes/a', { spec: { ipam: { pool } } })
      await served('a', 1)
      if (last > 100) throw new Error('the other controller was not noticed')
    }
    const leftover = leave(GC_TAGS)
    const listings = (): number => world.ec2.calls.counts('DescribeNetworkInterfaces').attempts
    const before = listings()
    await until(() => listings() >= before + 4)
    expect(world.ec2.cloud.interfaces.get(leftover)).toBeDefined()
  })

  test('region and VPC come from the metadata service where they are not configured', async () => {
    start().addNode('a')
    const asked: string[] = []
    await world.startController(['--aws-region=', '--cluster-name=test'], {
      metadata: {
        region: () => Promise.resolve((asked.push('region'), 'us-east-1')),
        vpcID: () => Promise.resolve((asked.push('vpc'), VPC)),
        instanceID: () => Promise.resolve((asked.push('instance'), '')),
      },
    })
    await served('a')
    expect(asked.toSorted()).toEqual(['region', 'vpc'])
  })

  test('mapped limits hold, and limits are built in where EC2 does not tell', async () => {
    const faults = {
      rules: [{ action: 'DescribeInstanceTypes', kind: 'error', code: 'UnauthorizedOperation', status: 403 }],
    }
    start({ faults }).addNode('a')
    world.addNode('b', {}, { instanceType: 'm4.large' })
    await world.startController(['--aws-instance-limit-mapping=m4.large=2,4,4'])
    await Promise.all([served('a'), served('b', 6)])
    expect((await interfaces('a'))[0]?.privateIpAddresses.length).toBeGreaterThanOrEqual(9)
    const ofB = await interfaces('b')
    expect(ofB.map(({ privateIpAddresses }) => privateIpAddresses.length)).toEqual([4, 4])
  })

  test.each([
    { flags: [], refusals: 0 },
    { flags: ['--aws-max-results-per-call=0'], refusals: 1 },
  ])('a large account is listed in pages, with $flags after $refusals refusals', async ({ flags, refusals }) => {
    start({ settings: { unpagedInterfaceLimit: 100 } })
    world.ec2.makeInstances({ instanceType: 'm5.large', subnetId: PODS, count: 110 })
    world.addNode('a')
    await world.startController(flags)
    await served('a')
    const listings = () => world.ec2.calls.report().actions['DescribeNetworkInterfaces']
    await until(() => (listings()?.ok ?? 0) > 0)
    expect(listings()).toMatchObject({ failed: refusals })
  })

  test('each call is measured by its action and answer', async () => {
    const faults = {
      rules: [{ action: 'AssignPrivateIpAddresses', kind: 'error', code: 'InternalError', status: 500, count: 1 }],
    }
    start({ faults }).addNode('a')
    const controller = await world.startController()
    await served('a')
    const text = await (await fetch(`${controller.telemetryURL}/metrics`)).text()
    const line = (action: string, code: string): RegExp =>
      new RegExp(
        `cilium_operator_ec2_api_duration_seconds_count\\{[^}]*operation="${action}"[^}]*response_code="${code}"`,
      )
    expect(text).toMatch(line('AssignPrivateIpAddresses', '500 Internal Server Error'))
    for (const action of [
      'DescribeSubnets',
      'DescribeVpcs',
      'GetSecurityGroupsForVpc',
      'DescribeRouteTables',
      'DescribeInstanceTypes',
      'DescribeNetworkInterfaces',
    ])
      expect(text).toMatch(line(action, 'OK'))
  })
})
