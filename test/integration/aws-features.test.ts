import { afterEach, describe, expect, test } from 'vitest'
import { makeInterface } from '../../simulators/aws/cloud/interfaces.ts'
import type { EC2SimulatorOptions } from '../../simulators/aws/index.ts'
import { attachInterface } from '../../simulators/aws/cloud/attachments.ts'
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
): Promise<string> {
  const { cloud } = world.ec2
  const instance = cloud.instance((await view(name)).spec['instance-id'])
  const iface = makeInterface(cloud, {
    subnet: instance.subnet,
    interfaceType: 'interface',
    description: 'not ours',
    groups: [],
    tags: new Map(Object.entries(tags)),
    primary: undefined,
    ipv4: { addresses: [], addressCount: 2, prefixes: [], prefixCount: 0 },
    ipv6: { addressCount: 0, prefixCount: 0 },
  })
  attachInterface(cloud, { iface, instance, deviceIndex, networkCardIndex: 0 })
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
    expect((await interfaces('a'))[1]?.tags).toEqual({ team: 'net', ...GC_TAGS })
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
