import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import {
  AssignPrivateIpAddressesCommand,
  AttachNetworkInterfaceCommand,
  CreateNetworkInterfaceCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  DeleteNetworkInterfaceCommand,
  DescribeInstanceTypesCommand,
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcsCommand,
  EC2Client,
  GetSecurityGroupsForVpcCommand,
  ModifyNetworkInterfaceAttributeCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
  UnassignPrivateIpAddressesCommand,
  paginateDescribeNetworkInterfaces,
} from '@aws-sdk/client-ec2'
import type { EC2ClientConfig } from '@aws-sdk/client-ec2'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createEC2Simulator, inProcessHandler, parseLatency } from '../../simulators/aws/index.ts'
import type { EC2Simulator, EC2SimulatorOptions } from '../../simulators/aws/index.ts'
import { ManualClock } from '../../simulators/kit/manual-clock.ts'

const CREDENTIALS = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' }
const closers: (() => Promise<void> | void)[] = []

afterEach(async () => {
  vi.unstubAllEnvs()
  for (const close of closers.splice(0).reverse()) await close()
})

interface Started {
  readonly simulator: EC2Simulator
  readonly client: EC2Client
}

/** The wires: an SDK client that is told nothing but the endpoint, and one that answers in process. */
const WIRES: Record<string, (options: EC2SimulatorOptions, config?: EC2ClientConfig) => Promise<Started>> = {
  async 'over HTTP, by AWS_ENDPOINT_URL_EC2'(options, config) {
    const simulator = createEC2Simulator(options)
    const server = await simulator.listen({ host: '127.0.0.1', port: 0 })
    closers.push(() => server.close())
    vi.stubEnv('AWS_ENDPOINT_URL_EC2', server.url)
    const client = new EC2Client({ region: 'us-east-1', credentials: CREDENTIALS, maxAttempts: 1, ...config })
    closers.push(() => client.destroy())
    return { simulator, client }
  },
  async 'in process'(options, config) {
    const simulator = createEC2Simulator(options)
    const client = new EC2Client({
      region: 'us-east-1',
      credentials: CREDENTIALS,
      maxAttempts: 1,
      requestHandler: inProcessHandler(simulator.router),
      ...config,
    })
    closers.push(() => client.destroy())
    return { simulator, client }
  },
}

const SUBNET = 'subnet-0000000000000001a'
const settings = { attachMs: { min: 0, max: 0 }, detachMs: { min: 0, max: 0 } }

describe.each(Object.entries(WIRES))('the unmodified SDK %s', (_, start) => {
  test('sets a world up and reads it back', async () => {
    const { client } = await start({ world: 'empty' })
    const { Vpc: vpc } = await client.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }))
    const VpcId = vpc!.VpcId!
    const { Subnet: subnet } = await client.send(
      new CreateSubnetCommand({
        VpcId,
        CidrBlock: '10.0.0.0/24',
        AvailabilityZone: 'us-east-1a',
        TagSpecifications: [{ ResourceType: 'subnet', Tags: [{ Key: 'pods', Value: 'yes' }] }],
      }),
    )
    const { GroupId } = await client.send(
      new CreateSecurityGroupCommand({ VpcId, GroupName: 'nodes', Description: 'nodes & [pods]' }),
    )
    const { Vpcs } = await client.send(new DescribeVpcsCommand({ VpcIds: [VpcId] }))
    expect(Vpcs?.[0]?.CidrBlockAssociationSet?.[0]).toMatchObject({ CidrBlock: '10.0.0.0/16' })
    const { Subnets } = await client.send(
      new DescribeSubnetsCommand({ Filters: [{ Name: 'tag:pods', Values: ['yes'] }] }),
    )
    expect(Subnets).toMatchObject([
      { SubnetId: subnet!.SubnetId, AvailableIpAddressCount: 251, Tags: [{ Key: 'pods', Value: 'yes' }] },
    ])
    const { SecurityGroupForVpcs } = await client.send(new GetSecurityGroupsForVpcCommand({ VpcId }))
    expect(SecurityGroupForVpcs?.map((group) => [group.GroupName, group.Description])).toEqual([
      ['default', 'default VPC security group'],
      ['nodes', 'nodes & [pods]'],
    ])
    expect(SecurityGroupForVpcs?.[1]?.GroupId).toBe(GroupId)
    const { RouteTables } = await client.send(new DescribeRouteTablesCommand({}))
    expect(RouteTables?.[0]?.Associations?.[0]).toMatchObject({ Main: true, AssociationState: { State: 'associated' } })
  })

  test('does what an allocator does with interfaces', async () => {
    const { client, simulator } = await start({ settings })
    const launched = await client.send(
      new RunInstancesCommand({
        ImageId: 'ami-1',
        InstanceType: 'm5.large',
        MinCount: 1,
        MaxCount: 1,
        SubnetId: SUBNET,
      }),
    )
    const InstanceId = launched.Instances![0]!.InstanceId!
    const { NetworkInterface: made } = await client.send(
      new CreateNetworkInterfaceCommand({
        SubnetId: SUBNET,
        Description: `Cilium-CNI (${InstanceId})`,
        Ipv4PrefixCount: 1,
        TagSpecifications: [
          { ResourceType: 'network-interface', Tags: [{ Key: 'io.cilium/cilium-managed', Value: 'true' }] },
        ],
      }),
    )
    const NetworkInterfaceId = made!.NetworkInterfaceId!
    expect(made).toMatchObject({ Status: 'pending', Ipv4Prefixes: [{ Ipv4Prefix: expect.stringMatching(/\/28$/) }] })
    const { AttachmentId } = await client.send(
      new AttachNetworkInterfaceCommand({ NetworkInterfaceId, InstanceId, DeviceIndex: 1, NetworkCardIndex: 0 }),
    )
    await client.send(
      new ModifyNetworkInterfaceAttributeCommand({
        NetworkInterfaceId,
        Attachment: { AttachmentId, DeleteOnTermination: true },
      }),
    )
    const assigned = await client.send(
      new AssignPrivateIpAddressesCommand({ NetworkInterfaceId, SecondaryPrivateIpAddressCount: 2 }),
    )
    await client.send(
      new UnassignPrivateIpAddressesCommand({
        NetworkInterfaceId,
        PrivateIpAddresses: [assigned.AssignedPrivateIpAddresses![0]!.PrivateIpAddress!],
      }),
    )
    const { NetworkInterfaces } = await client.send(
      new DescribeNetworkInterfacesCommand({ Filters: [{ Name: 'attachment.instance-id', Values: [InstanceId] }] }),
    )
    expect(NetworkInterfaces).toHaveLength(2)
    expect(NetworkInterfaces?.[1]).toMatchObject({
      NetworkInterfaceId,
      Status: 'in-use',
      Attachment: { AttachmentId, DeviceIndex: 1, NetworkCardIndex: 0, DeleteOnTermination: true, Status: 'attached' },
      PrivateIpAddresses: [{ Primary: true }, { Primary: false }],
      TagSet: [{ Key: 'io.cilium/cilium-managed', Value: 'true' }],
    })
    expect(NetworkInterfaces?.[1]?.Attachment?.AttachTime).toBeInstanceOf(Date)
    const { Reservations } = await client.send(new DescribeInstancesCommand({ InstanceIds: [InstanceId] }))
    expect(Reservations?.[0]?.Instances?.[0]?.NetworkInterfaces).toHaveLength(2)
    const inUse = client.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId }))
    await expect(inUse).rejects.toMatchObject({
      name: 'InvalidParameterValue',
      message: `Network interface '${NetworkInterfaceId}' is currently in use.`,
      $fault: 'client',
      $metadata: { httpStatusCode: 400, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    })
    await client.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }))
    expect(simulator.cloud.interfaces.count).toBe(0)
    expect(simulator.check()).toEqual([])
    expect(simulator.calls.report().callers).toEqual({ AKIATEST: 10 })
  })

  test('pages through interfaces and instance types', async () => {
    const { client, simulator } = await start({})
    simulator.makeInstances({ instanceType: 'm5.large', subnetId: SUBNET, count: 25 })
    const sizes: number[] = []
    const Filters = [{ Name: 'private-ip-address', Values: ['*'] }]
    for await (const page of paginateDescribeNetworkInterfaces({ client, pageSize: 10 }, { Filters })) {
      sizes.push(page.NetworkInterfaces!.length)
    }
    expect(sizes).toEqual([10, 10, 5])
    const { InstanceTypes, NextToken } = await client.send(new DescribeInstanceTypesCommand({}))
    expect(InstanceTypes).toHaveLength(100)
    expect(NextToken).toBeTypeOf('string')
    expect(InstanceTypes?.find((type) => type.InstanceType === 'c5.large')).toMatchObject({
      Hypervisor: 'nitro',
      BareMetal: false,
      NetworkInfo: { MaximumNetworkInterfaces: 3, Ipv4AddressesPerInterface: 10, Ipv6Supported: true },
    })
  })

  test('sees throttling as the SDK knows it', async () => {
    const rules = [{ bucket: 'CreateNetworkInterface', size: 3, refillPerSecond: 0 }]
    const { client, simulator } = await start({ throttle: { refill: 'stepwise', neighbours: [], rules } })
    const answers = await Promise.allSettled(
      Array.from({ length: 5 }, () => client.send(new CreateNetworkInterfaceCommand({ SubnetId: SUBNET }))),
    )
    const refused = answers.filter((answer) => answer.status === 'rejected')
    expect(refused.map((answer) => answer.reason)).toMatchObject(
      [1, 2].map(() => ({
        name: 'RequestLimitExceeded',
        message: 'Request limit exceeded.',
        $fault: 'server',
        $metadata: { httpStatusCode: 503 },
      })),
    )
    expect(simulator.cloud.interfaces.count).toBe(3)
  })

  test('a retry of a created interface, its answer lost, makes no second one', async () => {
    const faults = { rules: [{ action: 'CreateNetworkInterface', kind: 'drop', where: 'after-effect', count: 1 }] }
    const { client, simulator } = await start({ faults }, { maxAttempts: 2 })
    const { NetworkInterface: made } = await client.send(new CreateNetworkInterfaceCommand({ SubnetId: SUBNET }))
    expect([...simulator.cloud.interfaces.existing()].map((iface) => iface.id)).toEqual([made!.NetworkInterfaceId])
    expect(simulator.calls.counts('CreateNetworkInterface').attempts).toBe(2)
  })

  test.each(['drop', 'truncate', 'cut'])('an answer spoilt by %s fails that call only', async (kind) => {
    const faults = { rules: [{ action: 'DescribeVpcs', kind, where: 'after-effect', count: 1 }] }
    const { client } = await start({ faults })
    await expect(client.send(new DescribeVpcsCommand({}))).rejects.toBeInstanceOf(Error)
    expect((await client.send(new DescribeVpcsCommand({}))).Vpcs).toHaveLength(1)
  })

  test('wrong credentials, missing permission and what is not built are told', async () => {
    const { client } = await start({ denied: { AKIATEST: 'AuthFailure' } })
    await expect(client.send(new DescribeVpcsCommand({}))).rejects.toMatchObject({
      name: 'AuthFailure',
      message: 'AWS was not able to validate the provided access credentials',
    })
    const { client: poor } = await start({ denied: { AKIATEST: 'UnauthorizedOperation' } })
    await expect(poor.send(new DescribeVpcsCommand({}))).rejects.toMatchObject({ name: 'UnauthorizedOperation' })
    const { client: rich } = await start({})
    await expect(rich.send(new DescribeVolumesCommand({}))).rejects.toMatchObject({
      name: 'NotImplemented',
      message: 'The action DescribeVolumes is not implemented by this simulator.',
      $metadata: { httpStatusCode: 501 },
    })
  })

  test('a call that is given up has no effect', async () => {
    const clock = new ManualClock()
    const { client, simulator } = await start({ clock, latency: parseLatency('100') })
    const abort = new AbortController()
    const calling = client.send(new CreateNetworkInterfaceCommand({ SubnetId: SUBNET }), { abortSignal: abort.signal })
    const outcome = expect(calling).rejects.toMatchObject({ name: 'AbortError' })
    await vi.waitFor(() => expect(clock.sleeping).toBe(1))
    abort.abort()
    await outcome
    // The simulator has noticed that its client is gone, and lets the call go.
    await vi.waitFor(() => expect(clock.sleeping).toBe(0))
    await clock.advance(100)
    expect(simulator.cloud.interfaces.count).toBe(0)
  })
})

describe('the process', () => {
  const main = join(import.meta.dirname, '../../simulators/aws/main.ts')

  function run(...parameters: string[]) {
    const child = spawn(process.execPath, [main, ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] })
    closers.push(() => {
      child.kill('SIGKILL')
    })
    const output = { stdout: '', stderr: '' }
    child.stdout.on('data', (data: Buffer) => (output.stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => (output.stderr += data.toString()))
    const exit = once(child, 'exit').then(([code]) => code as number | null)
    const url = async (): Promise<string> => {
      await vi.waitFor(() => expect(output.stdout).toContain('AWS_ENDPOINT_URL_EC2='), { timeout: 20_000 })
      return /AWS_ENDPOINT_URL_EC2=(\S+)/.exec(output.stdout)?.[1] ?? ''
    }
    return { child, output, exit, url }
  }

  test('serves, prints how to use it, and ends well on SIGTERM', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ec2-simulator-'))
    closers.push(() => rm(folder, { recursive: true }))
    const faults = join(folder, 'faults.json')
    await writeFile(faults, JSON.stringify({ rules: [{ action: 'X', kind: 'drop' }] }))
    const { child, exit, url } = run('--port', '0', '--latency', 'none', '--faults', faults, '--region', 'eu-west-1')
    const endpoint = await url()
    const health = await (await fetch(`${endpoint}/_berth/health`)).json()
    expect(health).toMatchObject({ status: 'ok', region: 'eu-west-1', resources: { subnets: 3 } })
    expect(await (await fetch(`${endpoint}/_berth/faults`)).json()).toMatchObject({ rules: [{ action: 'X' }] })
    const second = run('--port', new URL(endpoint).port)
    expect(await second.exit).toBe(1)
    expect(second.output.stderr).toMatch(/Cannot listen on 127\.0\.0\.1:\d+: the port is taken/)
    child.kill('SIGTERM')
    expect(await exit).toBe(0)
  })

  test.each([
    ['an unknown option', ['--prot', '1'], /Unknown option '--prot'/],
    ['a wrong latency', ['--latency', 'fast'], /latency: must be usual, none/],
    ['a file that is not there', ['--world', '/nowhere/world.json'], /--world: cannot read \/nowhere\/world\.json/],
    ['a port that is none', ['--port', 'http'], /--port: must be a whole number/],
  ])('%s is one line on stderr and exit status 2', async (_, parameters, message) => {
    const { exit, output } = run(...parameters)
    expect(await exit).toBe(2)
    expect(output.stderr).toMatch(message)
    expect(output.stderr.trim().split('\n')).toHaveLength(1)
  })
})
