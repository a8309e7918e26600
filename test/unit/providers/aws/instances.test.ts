import { describe, expect, test } from 'vitest'
import { EC2API } from '../../../../providers/aws/api.ts'
import { InfrastructureCache } from '../../../../providers/aws/infrastructure.ts'
import { InstancesManager } from '../../../../providers/aws/instances.ts'
import type { AWSProviderConfig } from '../../../../providers/aws/types.ts'
import { contextOf, PLAIN_CONFIG, UNLIMITED, UNMEASURED } from '../../../conformance/adapters/aws-node.ts'
import { ec2Error, ScriptedEC2, type ScriptedCall } from '../../../conformance/adapters/aws-scripted-ec2.ts'
import { RecordingLog } from '../../../support/fake-fleet.ts'
import { ManualClock } from '../../../support/manual-clock.ts'
import { eni } from './builders.ts'

interface Wire {
  readonly id: string
  readonly instanceID: string
  readonly number?: number
  readonly subnetID?: string
  addresses: string[]
}

/** A scripted account: interfaces that listings show, by instance and subnet filters. */
function world(config: Partial<AWSProviderConfig> = {}) {
  const account: Wire[] = []
  const clock = new ManualClock()
  const log = new RecordingLog()
  const hooks: {
    /** After the picture was taken. */
    onList?: (call: ScriptedCall) => Error | undefined
    /** Interfaces that a listing does not show. */
    isHidden?: (wire: Wire, call: ScriptedCall) => boolean
    /** Holds back the answer of a full listing. */
    delayFullListing?: () => Promise<void>
  } = {}
  const ec2 = new ScriptedEC2((call) => {
    if (call.action === 'DescribeSubnets')
      return {
        Subnets: [
          {
            SubnetId: 's-1',
            CidrBlock: '10.0.0.0/24',
            VpcId: 'vpc-1',
            AvailabilityZone: 'a',
            AvailableIpAddressCount: 100,
          },
        ],
      }
    if (call.action === 'DescribeVpcs') return { Vpcs: [{ VpcId: 'vpc-1', CidrBlock: '10.0.0.0/16' }] }
    if (call.action !== 'DescribeNetworkInterfaces') return undefined
    const shown = account.filter((wire) => matches(wire, call) && hooks.isHidden?.(wire, call) !== true).map(wireForm)
    const fault = hooks.onList?.(call)
    return fault ?? { NetworkInterfaces: shown }
  })
  const { client } = ec2
  const send = async (command: object): Promise<object> => {
    const answer = await (client.send as (command: object) => Promise<object>)(command)
    const call = ec2.calls.at(-1)
    if (call?.action === 'DescribeNetworkInterfaces' && !isByInstance(call)) await hooks.delayFullListing?.()
    return answer
  }
  const deps = { client: { send } as typeof client, budget: UNLIMITED, clock, log, metrics: UNMEASURED }
  const full = { ...PLAIN_CONFIG, ...config }
  const { listings } = new EC2API(deps, 150)
  const infrastructure = new InfrastructureCache(listings, full, clock)
  const signal = new AbortController().signal
  const instances = new InstancesManager(full, { listings, infrastructure, clock, log, signal })
  const addressesOf = (instanceID: string, interfaceID: string) =>
    instances.interfacesOf(instanceID)?.get(interfaceID)?.addresses
  return { account, clock, log, hooks, ec2, infrastructure, instances, addressesOf }
}

function isByInstance({ input }: ScriptedCall): boolean {
  return ((input['Filters'] ?? []) as { Name: string }[]).some(({ Name }) => Name === 'attachment.instance-id')
}

function matches(wire: Wire, { input }: ScriptedCall): boolean {
  const filters = (input['Filters'] ?? []) as { Name: string; Values: string[] }[]
  return filters.every(({ Name, Values }) => {
    if (Name === 'attachment.instance-id') return Values.includes(wire.instanceID)
    if (Name === 'subnet-id') return Values.includes(wire.subnetID ?? 's-1')
    return true
  })
}

function wireForm({ id, instanceID, number = 0, subnetID = 's-1', addresses }: Wire): object {
  return {
    NetworkInterfaceId: id,
    PrivateIpAddress: addresses[0],
    PrivateIpAddresses: addresses.map((PrivateIpAddress) => ({ PrivateIpAddress })),
    SubnetId: subnetID,
    VpcId: 'vpc-1',
    Attachment: { InstanceId: instanceID, DeviceIndex: number, AttachmentId: `attach-${id}` },
  }
}

const CONTEXT = contextOf()

describe('full sync', () => {
  test('groups interfaces by instance, with the CIDRs of their subnet and VPC; unattached ones are left out', async () => {
    const { account, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    account.push({ id: 'eni-2', instanceID: '', addresses: ['10.0.0.9'] })
    expect(await instances.resync(CONTEXT)).toEqual({ startedAtMs: 0, changedInstanceIDs: ['i-1'] })
    expect(instances.interfacesOf('i-1')?.get('eni-1')).toMatchObject({
      subnet: { id: 's-1', cidr: '10.0.0.0/24' },
      vpc: { id: 'vpc-1', primaryCIDR: '10.0.0.0/16' },
    })
  })

  test('tells only what changed, and keeps the very same record where nothing did', async () => {
    const { account, clock, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4', '10.0.0.5', '10.0.0.6'] })
    account.push({ id: 'eni-2', instanceID: 'i-2', addresses: ['10.0.1.4'] })
    await instances.resync(CONTEXT)
    const before = instances.interfacesOf('i-1')
    account[1]!.addresses.push('10.0.1.5')
    // EC2 promises no order.
    account[0]!.addresses = ['10.0.0.4', '10.0.0.6', '10.0.0.5']
    await clock.advance(60_000)
    expect((await instances.resync(CONTEXT)).changedInstanceIDs).toEqual(['i-2'])
    expect(instances.interfacesOf('i-1')).toBe(before)
    expect(instances.syncedAtMs('i-1')).toBe(60_000)
  })

  test('that fails leaves the inventory as it was, and the infrastructure fresh', async () => {
    const { account, hooks, infrastructure, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    await instances.resync(CONTEXT)
    hooks.onList = () => ec2Error('InternalError', 'x', 500)
    account.length = 0
    infrastructure.adjustFreeAddresses('s-1', -40)
    await expect(instances.resync(CONTEXT)).rejects.toMatchObject({ kind: 'unavailable' })
    expect(instances.hasInstance('i-1')).toBe(true)
    expect(infrastructure.current.subnets.get('s-1')?.availableAddresses).toBe(100)
  })

  test.each<{ name: string; change: (parts: ReturnType<typeof world>) => void; expected: readonly string[] }>([
    {
      name: 'an address given back',
      change: ({ instances }) =>
        instances.recordChange('i-1', 'eni-1', { kind: 'unassigned', addresses: ['10.0.0.5'], prefixes: [] }),
      expected: ['10.0.0.4'],
    },
    {
      name: 'an address taken',
      change: ({ instances }) =>
        instances.recordChange('i-1', 'eni-1', {
          kind: 'assigned',
          addresses: ['10.0.0.6'],
          prefixes: [],
          ipv6Prefixes: [],
        }),
      expected: ['10.0.0.4', '10.0.0.5', '10.0.0.6'],
    },
  ])('$name after the listing was taken stays so', async ({ change, expected }) => {
    const parts = world()
    const { account, clock, hooks, instances, addressesOf } = parts
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4', '10.0.0.5'] })
    await instances.resync(CONTEXT)
    await clock.advance(60_000)
    hooks.onList = () => {
      change(parts)
      return undefined
    }
    const { changedInstanceIDs } = await instances.resync(CONTEXT)
    expect(addressesOf('i-1', 'eni-1')).toEqual(expected)
    // The change is ours: whoever made it knows of it already.
    expect(changedInstanceIDs).toEqual([])
  })

  test('an interface created after the listing was taken stays', async () => {
    const { account, clock, hooks, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    await instances.resync(CONTEXT)
    await clock.advance(60_000)
    const created = eni({ id: 'eni-2', number: 1, ip: '10.0.0.7', addresses: ['10.0.0.7'] })
    hooks.onList = () => {
      instances.recordChange('i-1', 'eni-2', { kind: 'attached', eni: created })
      return undefined
    }
    await instances.resync(CONTEXT)
    expect([...(instances.interfacesOf('i-1')?.keys() ?? [])]).toEqual(['eni-1', 'eni-2'])
  })

  test('an instance that was read while the listing was under way keeps what that read showed', async () => {
    const { account, clock, hooks, instances, addressesOf } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    // The listing has its picture. Before its answer arrives, the account changes and the instance is read.
    hooks.delayFullListing = async () => {
      await clock.advance(1)
      account[0]!.addresses = ['10.0.0.4', '10.0.0.8']
      await instances.instanceSync('i-1', CONTEXT)
    }
    await instances.resync(CONTEXT)
    expect(addressesOf('i-1', 'eni-1')).toEqual(['10.0.0.4', '10.0.0.8'])
    expect(instances.syncedAtMs('i-1')).toBe(1)
  })
})

describe('live nodes', () => {
  test('one that the listing misses is asked for by its ID, kept, and counted', async () => {
    const { account, ec2, hooks, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    instances.track('i-1', 'm5.large')
    await instances.resync(CONTEXT)
    expect(instances.missingInstanceCount).toBe(0)
    hooks.isHidden = (wire, call) => !isByInstance(call) && wire.instanceID === 'i-1'
    const calls = ec2.callsOf('DescribeNetworkInterfaces').length
    expect((await instances.resync(CONTEXT)).changedInstanceIDs).toEqual([])
    expect(instances.hasInstance('i-1')).toBe(true)
    expect(instances.missingInstanceCount).toBe(1)
    expect(ec2.callsOf('DescribeNetworkInterfaces')).toHaveLength(calls + 2)
  })

  test('one that is gone by its ID too is forgotten', async () => {
    const { account, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    instances.track('i-1', 'm5.large')
    await instances.resync(CONTEXT)
    account.length = 0
    expect((await instances.resync(CONTEXT)).changedInstanceIDs).toEqual(['i-1'])
    expect(instances.hasInstance('i-1')).toBe(false)
  })

  test('when it cannot be asked for, what is known is kept, what was listed is added, and it counts as unread', async () => {
    const { account, clock, hooks, instances, log } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    instances.track('i-1', 'm5.large')
    await instances.resync(CONTEXT)
    await clock.advance(60_000)
    account.push({ id: 'eni-2', instanceID: 'i-1', number: 1, addresses: ['10.0.0.7'] })
    hooks.isHidden = ({ id }) => id === 'eni-1'
    hooks.onList = (call) => (isByInstance(call) ? ec2Error('RequestLimitExceeded', 'x') : undefined)
    expect((await instances.resync(CONTEXT)).changedInstanceIDs).toEqual(['i-1'])
    expect([...(instances.interfacesOf('i-1')?.keys() ?? [])]).toEqual(['eni-1', 'eni-2'])
    expect(instances.syncedAtMs('i-1')).toBe(0)
    expect(log.count('Cannot confirm instances, keeping what is known')).toBe(1)
  })

  test('a subnet filter does not take an interface elsewhere from a node; it is read by the instance, and fresh', async () => {
    const { account, clock, instances } = world({ subnetIDsFilter: ['s-1'] })
    account.push({ id: 'eni-1', instanceID: 'i-1', subnetID: 's-hidden', addresses: ['10.9.0.4'] })
    account.push({ id: 'eni-2', instanceID: 'i-1', number: 1, addresses: ['10.0.0.7'] })
    instances.track('i-1', 'm5.large')
    await clock.advance(1000)
    await instances.resync(CONTEXT)
    expect([...(instances.interfacesOf('i-1')?.keys() ?? [])]).toEqual(['eni-1', 'eni-2'])
    expect(instances.syncedAtMs('i-1')).toBe(1000)
  })

  test('an instance without a node is dropped without asking', async () => {
    const { account, ec2, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    await instances.resync(CONTEXT)
    account.length = 0
    await instances.resync(CONTEXT)
    expect(instances.hasInstance('i-1')).toBe(false)
    expect(ec2.callsOf('DescribeNetworkInterfaces')).toHaveLength(2)
  })
})

describe('what a status tells', () => {
  const restored = new Map([['eni-1', eni({ id: 'eni-1', addresses: ['10.0.0.4', '10.0.0.5'] })]])

  test('is taken where nothing better is known, and stays unverified', async () => {
    const { account, instances } = world()
    instances.restore('i-1', restored)
    expect(instances.hasInstance('i-1')).toBe(true)
    expect(instances.syncedAtMs('i-1')).toBeUndefined()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    await instances.resync(CONTEXT)
    expect(instances.syncedAtMs('i-1')).toBe(0)
    instances.restore('i-1', restored)
    expect(instances.interfacesOf('i-1')?.get('eni-1')?.addresses).toEqual(['10.0.0.4'])
  })

  test('an empty instance ID and an empty status restore nothing', () => {
    const { instances } = world()
    instances.restore('', restored)
    instances.restore('i-2', new Map())
    expect(instances.hasInstance('')).toBe(false)
    expect(instances.hasInstance('i-2')).toBe(false)
  })
})

describe('a deleted node', () => {
  test('leaves nothing of its instance', async () => {
    const { account, instances } = world()
    account.push({ id: 'eni-1', instanceID: 'i-1', addresses: ['10.0.0.4'] })
    instances.track('i-1', 'm5.large')
    await instances.resync(CONTEXT)
    instances.deleteInstance('i-1')
    expect(instances.hasInstance('i-1')).toBe(false)
    expect(instances.syncedAtMs('i-1')).toBeUndefined()
    expect(instances.instanceTypeOf('i-1')).toBe('')
  })

  test('a change of an interface that is not known is said and ignored', () => {
    const { instances, log } = world()
    instances.recordChange('i-1', 'eni-1', { kind: 'unassigned', addresses: ['10.0.0.5'], prefixes: [] })
    expect(instances.hasInstance('i-1')).toBe(false)
    expect(log.lines).toHaveLength(1)
  })
})
