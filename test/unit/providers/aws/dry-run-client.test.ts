import {
  AssignIpv6AddressesCommand,
  AssignPrivateIpAddressesCommand,
  AttachNetworkInterfaceCommand,
  CreateNetworkInterfaceCommand,
  DeleteNetworkInterfaceCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
  ModifyNetworkInterfaceAttributeCommand,
  TerminateInstancesCommand,
  UnassignPrivateIpAddressesCommand,
} from '@aws-sdk/client-ec2'
import type { EC2Client, NetworkInterface } from '@aws-sdk/client-ec2'
import { describe, expect, test } from 'vitest'
import { dryRunClient } from '../../../../providers/aws/dry-run-client.ts'
import { ImaginarySpace } from '../../../../src/ipam/imaginary-space.ts'

const SUBNET = 'subnet-1'

/** An account of one instance; what is sent to it is recorded. */
function account(cidr = '10.0.0.0/24') {
  const real: NetworkInterface[] = [eni('eni-1', 'i-1', ['10.0.0.10', '10.0.0.11'])]
  const sent: string[] = []
  const planned: (readonly [action: string, instanceID: string, tally: object])[] = []
  const observed: unknown[] = []
  const client = {
    send(command: object): Promise<object> {
      sent.push(command.constructor.name)
      if (command instanceof DescribeSubnetsCommand)
        return Promise.resolve({ Subnets: [{ SubnetId: SUBNET, CidrBlock: cidr }] })
      return Promise.resolve({ NetworkInterfaces: structuredClone(real) })
    },
  } as unknown as Pick<EC2Client, 'send'>
  const dry = dryRunClient(client, {
    planned: (action, instanceID, tally) => planned.push([action, instanceID, tally]),
    observed: (instanceID, tally) => observed.push([instanceID, tally]),
  })
  return { real, sent, planned, observed, dry }
}

function eni(
  id: string,
  instanceID: string,
  addresses: readonly string[],
  prefixes: readonly string[] = [],
): NetworkInterface {
  return {
    NetworkInterfaceId: id,
    SubnetId: SUBNET,
    PrivateIpAddress: addresses[0],
    PrivateIpAddresses: addresses.map((PrivateIpAddress, index) => ({ PrivateIpAddress, Primary: index === 0 })),
    Ipv4Prefixes: prefixes.map((Ipv4Prefix) => ({ Ipv4Prefix })),
    ...(instanceID !== '' && { Attachment: { InstanceId: instanceID, DeviceIndex: 0 } }),
  }
}

async function learned(cidr?: string) {
  const at = account(cidr)
  await at.dry.send(new DescribeSubnetsCommand({}))
  await at.dry.send(new DescribeNetworkInterfacesCommand({}))
  at.sent.length = 0
  return at
}

const list = async (dry: Pick<EC2Client, 'send'>, input = {}): Promise<Record<string, string[]>> => {
  const { NetworkInterfaces = [] } = await dry.send(new DescribeNetworkInterfacesCommand(input))
  return Object.fromEntries(
    NetworkInterfaces.map((iface) => [
      iface.NetworkInterfaceId,
      [
        ...(iface.PrivateIpAddresses ?? []).flatMap(({ PrivateIpAddress }) => PrivateIpAddress ?? []),
        ...(iface.Ipv4Prefixes ?? []).flatMap(({ Ipv4Prefix }) => Ipv4Prefix ?? []),
      ],
    ]),
  )
}

const assign = (count: number): AssignPrivateIpAddressesCommand =>
  new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-1', SecondaryPrivateIpAddressCount: count })

describe('a changing call of a dry run', () => {
  test('is answered as if it had been made, shows in listings, and is not sent', async () => {
    const { dry, sent, planned } = await learned()
    const answer = await dry.send(assign(2))
    const given = (answer.AssignedPrivateIpAddresses ?? []).map(({ PrivateIpAddress }) => PrivateIpAddress)
    expect(given).toEqual(['10.0.0.254', '10.0.0.253'])
    expect(await list(dry)).toEqual({ 'eni-1': ['10.0.0.10', '10.0.0.11', ...given] })
    await dry.send(
      new UnassignPrivateIpAddressesCommand({
        NetworkInterfaceId: 'eni-1',
        PrivateIpAddresses: ['10.0.0.11', '10.0.0.254'],
      }),
    )
    expect(await list(dry)).toEqual({ 'eni-1': ['10.0.0.10', '10.0.0.253'] })
    expect(planned).toEqual([
      ['AssignPrivateIpAddresses', 'i-1', { interfaces: 0, addresses: 2, released: 0 }],
      ['UnassignPrivateIpAddresses', 'i-1', { interfaces: 0, addresses: 0, released: 2 }],
    ])
    expect(new Set(sent)).toEqual(new Set(['DescribeNetworkInterfacesCommand']))
  })

  test('makes interfaces that listings show once they are attached, where their filters would', async () => {
    const { dry, planned } = await learned()
    const { NetworkInterface: made } = await dry.send(
      new CreateNetworkInterfaceCommand({ SubnetId: SUBNET, Ipv4PrefixCount: 1 }),
    )
    const id = made?.NetworkInterfaceId ?? ''
    expect(Object.keys(await list(dry))).toEqual(['eni-1'])
    await dry.send(new AttachNetworkInterfaceCommand({ NetworkInterfaceId: id, InstanceId: 'i-1', DeviceIndex: 1 }))
    await dry.send(new ModifyNetworkInterfaceAttributeCommand({ NetworkInterfaceId: id }))
    const filter = (Name: string, ...Values: string[]): object => ({ Filters: [{ Name, Values }] })
    expect((await list(dry))[id]).toEqual(['10.0.0.254', '10.0.0.224/28'])
    expect(Object.keys(await list(dry, filter('attachment.instance-id', 'i-1')))).toContain(id)
    expect(Object.keys(await list(dry, filter('attachment.instance-id', 'i-2')))).not.toContain(id)
    expect(Object.keys(await list(dry, filter('subnet-id', 'subnet-2')))).not.toContain(id)
    expect(Object.keys(await list(dry, filter('status', 'available')))).not.toContain(id)
    // Asked for by the IDs of an instance's interfaces, it comes with the first one.
    expect(Object.keys(await list(dry, { NetworkInterfaceIds: ['eni-1'] }))).toContain(id)
    expect(planned.map(([action]) => action)).toEqual([
      'CreateNetworkInterface',
      'AttachNetworkInterface',
      'ModifyNetworkInterfaceAttribute',
    ])
    expect(planned[1]).toEqual(['AttachNetworkInterface', 'i-1', { interfaces: 1, addresses: 16, released: 0 }])
  })

  test('hides an interface that it would have deleted', async () => {
    const { dry, real } = await learned()
    real.push(eni('eni-loose', '', ['10.0.0.99']))
    await dry.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: 'eni-loose' }))
    expect(Object.keys(await list(dry))).toEqual(['eni-1'])
  })

  test('is refused as EC2 would refuse it where the subnet has no room', async () => {
    const { dry, planned } = await learned('10.0.0.0/28')
    await expect(dry.send(assign(20))).rejects.toMatchObject({
      name: 'InsufficientFreeAddressesInSubnet',
      $fault: 'client',
    })
    const block = new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-1', Ipv4PrefixCount: 1 })
    await expect(dry.send(block)).rejects.toMatchObject({ name: 'InsufficientCidrBlocks' })
    expect(planned).toEqual([])
  })

  test('that it does not know is not sent either', async () => {
    const { dry, sent } = await learned()
    await expect(dry.send(new TerminateInstancesCommand({ InstanceIds: ['i-1'] }))).rejects.toThrow(
      'TerminateInstancesCommand is not known to the dry run: nothing was sent',
    )
    expect(sent).toEqual([])
  })

  test('for IPv6 gives each interface a prefix of its own', async () => {
    const { dry } = await learned()
    const ask = new AssignIpv6AddressesCommand({ NetworkInterfaceId: 'eni-1', Ipv6PrefixCount: 1 })
    const [first, second] = [await dry.send(ask), await dry.send(ask)]
    expect(first.AssignedIpv6Prefixes).not.toEqual(second.AssignedIpv6Prefixes)
  })
})

describe('what somebody else does meanwhile', () => {
  test('to an interface ends what is pretended of it, and is told', async () => {
    const { dry, real, observed } = await learned()
    await dry.send(assign(2))
    real[0] = eni('eni-1', 'i-1', ['10.0.0.10', '10.0.0.12', '10.0.0.13'])
    expect(await list(dry)).toEqual({ 'eni-1': ['10.0.0.10', '10.0.0.12', '10.0.0.13'] })
    expect(observed).toEqual([['i-1', { interfaces: 0, addresses: 2, released: 1 }]])
  })

  test('in the shape of a new interface takes the place of the imagined one', async () => {
    const { dry, real, observed } = await learned()
    const { NetworkInterface: made } = await dry.send(
      new CreateNetworkInterfaceCommand({ SubnetId: SUBNET, SecondaryPrivateIpAddressCount: 3 }),
    )
    const attach = { NetworkInterfaceId: made?.NetworkInterfaceId, InstanceId: 'i-1', DeviceIndex: 1 }
    await dry.send(new AttachNetworkInterfaceCommand(attach))
    real.push({
      ...eni('eni-2', 'i-1', ['10.0.0.20', '10.0.0.21'], ['10.0.0.64/28']),
      Attachment: { InstanceId: 'i-1', DeviceIndex: 1 },
    })
    expect(Object.keys(await list(dry))).toEqual(['eni-1', 'eni-2'])
    expect(observed).toEqual([['i-1', { interfaces: 1, addresses: 17, released: 0 }]])
  })

  test('before the first look is nobody’s doing, and neither is an instance that joins', async () => {
    const { dry, real, observed } = account()
    real.push(eni('eni-2', 'i-1', ['10.0.0.20']))
    await list(dry)
    real.push(eni('eni-3', 'i-2', ['10.0.0.30']), eni('eni-4', 'i-2', ['10.0.0.31']))
    await list(dry)
    expect(observed).toEqual([])
  })

  test('a pretence about an interface that no listing has shown yet holds until one shows a change', async () => {
    const { dry, real } = account()
    await dry.send(new DescribeSubnetsCommand({}))
    await dry.send(
      new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: 'eni-1', PrivateIpAddresses: ['10.0.0.200'] }),
    )
    expect((await list(dry))['eni-1']).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.200'])
    real[0] = eni('eni-1', 'i-1', ['10.0.0.10'])
    expect((await list(dry))['eni-1']).toEqual(['10.0.0.10'])
  })
})

describe('the space of a subnet', () => {
  test('gives neither reserved addresses nor those that are taken, and whole blocks only', () => {
    const space = new ImaginarySpace()
    space.learn(SUBNET, '10.0.0.0/27')
    space.take(SUBNET, '10.0.0.29')
    expect(space.addresses(SUBNET, 3)).toEqual(['10.0.0.30', '10.0.0.28', '10.0.0.27'])
    // The first block has the reserved addresses, the second one those that are taken.
    expect(space.blocks(SUBNET, 1)).toBeUndefined()
    expect(space.addresses(SUBNET, 24)).toBeUndefined()
    expect(space.addresses(SUBNET, 23)).toHaveLength(23)
    space.free(SUBNET, '10.0.0.28')
    expect(space.addresses(SUBNET, 1)).toEqual(['10.0.0.28'])
    expect(space.addresses('subnet-unknown', 1)).toBeUndefined()
  })

  test('takes and frees blocks as a whole', () => {
    const space = new ImaginarySpace()
    space.learn(SUBNET, '10.0.0.0/26')
    expect(space.blocks(SUBNET, 2)).toEqual(['10.0.0.32/28', '10.0.0.16/28'])
    expect(space.blocks(SUBNET, 1)).toBeUndefined()
    space.freeBlock(SUBNET, '10.0.0.16/28')
    expect(space.blocks(SUBNET, 1)).toEqual(['10.0.0.16/28'])
  })
})
