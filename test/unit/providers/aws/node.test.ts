import { describe, expect, test } from 'vitest'
import { createAWSProvider } from '../../../../providers/aws/index.ts'
import { InstanceNotFoundError, LimitsNotFoundError } from '../../../../src/ipam/errors.ts'
import { addressesOfPrefix } from '../../../../src/ipam/ip-range.ts'
import type { AllocationAction, ReleaseAction } from '../../../../src/ipam/types.ts'
import { seededRandom } from '../../../../src/runtime/random.ts'
import {
  contextOf,
  driven,
  instanceTypeOf,
  PLAIN_CONFIG,
  resourceOf,
  scriptedNode,
  SILENT,
  UNLIMITED,
  UNMEASURED,
  type ScriptedNode,
  type ScriptedWorld,
} from '../../../conformance/adapters/aws-node.ts'
import { ec2Error, ScriptedEC2 } from '../../../conformance/adapters/aws-scripted-ec2.ts'
import { ManualClock, settle } from '../../../support/manual-clock.ts'

const LIMITS = { instanceType: 'm5.large', adapters: 3, ipv4: 10, ipv6: 10, hypervisor: 'nitro', bareMetal: false }

function world(parts: Partial<ScriptedWorld> = {}): Promise<ScriptedNode> {
  return scriptedNode({
    instanceID: 'i-1',
    eni: { 'first-interface-index': 0 },
    limits: LIMITS,
    enis: [{ id: 'eni-0', number: 0, ip: '10.0.0.4', subnet: 'subnet-1', addresses: ['10.0.0.5'] }],
    subnets: [{ id: 'subnet-1', vpc: 'vpc-1', az: 'a', available: 100 }],
    ...parts,
  })
}

function allocating(count: number, ipv6Prefixes = 0): AllocationAction {
  return {
    interfaceID: 'eni-0',
    poolID: 'subnet-1',
    ipv4: { availableForAllocation: count, maxIPsToAllocate: count, interfaceCandidates: 1 },
    ipv6: { maxPrefixesToAllocate: ipv6Prefixes },
    emptyInterfaceSlots: 2,
  }
}

function releasing(parts: Partial<ReleaseAction>): ReleaseAction {
  return { interfaceID: 'eni-0', poolID: '', ipsToRelease: [], ipPrefixesToRelease: [], cidrsToRelease: [], ...parts }
}

function free(scripted: ScriptedNode): number | undefined {
  return scripted.provider.getPoolQuota().get('subnet-1')?.availableIPs
}

describe('the view of a node', () => {
  test('an instance that is not known is told by its own error, and has no status', async () => {
    const { node } = await world({ enis: [] })
    expect(() => node.resyncInterfacesAndIPs()).toThrow(InstanceNotFoundError)
    expect(node.populateStatusFields()).toBeUndefined()
  })

  test('unknown limits come first, and the ceiling and floor have their fall-backs', async () => {
    const { node } = await world({ limits: null, enis: [] })
    expect(() => node.resyncInterfacesAndIPs()).toThrow(LimitsNotFoundError)
    expect(() => node.prepareIPAllocation()).toThrow(LimitsNotFoundError)
    expect(node.getMaximumAllocatableIPv4()).toBe(0)
    expect(node.getMinimumAllocatableIPv4()).toBe(8)
    expect(node.isPrefixDelegated()).toBe(false)
  })

  test('follows the resource: pods may use the primary address from one version to the next', async () => {
    const { node } = await world()
    expect([...node.resyncInterfacesAndIPs().available.keys()]).toEqual(['10.0.0.5'])
    const eni = { 'instance-type': 'm5.large', 'use-primary-address': true }
    node.updatedNode(resourceOf({ instanceID: 'i-1', eni }))
    expect([...node.resyncInterfacesAndIPs().available.keys()]).toEqual(['10.0.0.4', '10.0.0.5'])
  })

  test('the operator-wide switch opens primary addresses on every node', async () => {
    const { node } = await world({ config: { usePrimaryAddress: true } })
    expect(node.resyncInterfacesAndIPs().available.has('10.0.0.4')).toBe(true)
    expect(node.resyncInterfacesAndIPs().stats.nodeCapacity).toBe(30)
  })

  test('a node that turns to another instance leaves the old one', async () => {
    const { node, provider } = await world()
    node.updatedNode(resourceOf({ instanceID: 'i-2', eni: { 'instance-type': 'm5.large' } }))
    expect(provider.hasInstance('i-1')).toBe(false)
    expect(() => node.resyncInterfacesAndIPs()).toThrow(InstanceNotFoundError)
  })

  test('a resource without an instance ID harms nobody', async () => {
    const { provider } = await world()
    const node = provider.createNode(
      resourceOf({ name: 'node2', instanceID: '', eni: { 'instance-type': 'm5.large' } }),
    )
    expect(() => node.resyncInterfacesAndIPs()).toThrow(InstanceNotFoundError)
    expect(node.prepareIPRelease(5).interfaceID).toBe('')
    expect(node.cidrs?.getAttachedCIDRs()).toEqual([])
    provider.deleteInstance('')
    expect(provider.hasInstance('i-1')).toBe(true)
  })
})

describe('allocation', () => {
  test('what the answer has is counted and known, more or less than asked', async () => {
    const scripted = await world()
    scripted.ec2.respond = () => ({
      AssignedPrivateIpAddresses: ['10.0.0.5', '10.0.0.6', '10.0.0.7', undefined].map((PrivateIpAddress) => ({
        PrivateIpAddress,
      })),
    })
    expect(await scripted.node.allocateIPs(allocating(8), contextOf())).toEqual({ kind: 'allocated', addressCount: 2 })
    expect(scripted.addressesOf('eni-0')).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.7'])
    expect(free(scripted)).toBe(98)
  })

  test('an IPv6 prefix alone is one call, and known', async () => {
    const scripted = await world()
    expect(await scripted.node.allocateIPs(allocating(0, 1), contextOf())).toEqual({
      kind: 'allocated',
      addressCount: 0,
    })
    expect(scripted.ec2.actions).toEqual(['AssignIpv6Addresses'])
    expect(scripted.node.resyncInterfacesAndIPs().stats.nodeIPv6Prefixes).toBe(1)
  })

  test('a stopped instance is told', async () => {
    const scripted = await world()
    scripted.ec2.respond = () => ec2Error('IncorrectInstanceState', "Instance 'i-1' is not 'running'")
    const outcome = await scripted.node.allocateIPs(allocating(2), contextOf())
    expect(outcome).toMatchObject({ kind: 'failed', isInstanceRunning: false })
  })

  test('a throttled call changes nothing and says so', async () => {
    const scripted = await world()
    scripted.ec2.respond = () => ec2Error('RequestLimitExceeded', 'Request limit exceeded.')
    expect(await scripted.node.allocateIPs(allocating(2), contextOf())).toMatchObject({ error: { kind: 'throttled' } })
    expect(scripted.addressesOf('eni-0')).toEqual(['10.0.0.5'])
    expect(free(scripted)).toBe(100)
  })

  test('prefixes count by their addresses, also against the subnet', async () => {
    const scripted = await world({
      config: { prefixDelegation: true },
      enis: [{ id: 'eni-0', ip: '10.0.0.4', subnet: 'subnet-1' }],
    })
    expect(await scripted.node.allocateIPs(allocating(20), contextOf())).toEqual({
      kind: 'allocated',
      addressCount: 32,
    })
    expect(free(scripted)).toBe(100 - 32)
  })
})

describe('release', () => {
  const WITH_PREFIX: Partial<ScriptedWorld> = {
    enis: [
      {
        id: 'eni-0',
        ip: '10.0.0.4',
        subnet: 'subnet-1',
        addresses: ['10.0.0.5', ...addressesOfPrefix('10.0.0.16/28')],
        prefixes: ['10.0.0.16/28'],
      },
    ],
  }

  test('of prefixes and addresses gives the subnet its room back', async () => {
    const scripted = await world(WITH_PREFIX)
    const action = releasing({
      ipsToRelease: ['10.0.0.5', ...addressesOfPrefix('10.0.0.16/28')],
      ipPrefixesToRelease: ['10.0.0.16/28'],
    })
    await scripted.node.prefixes?.releaseIPPrefixes(action, contextOf())
    await scripted.node.releaseIPs(action, contextOf())
    expect(scripted.ec2.calls.map(({ input }) => input['Ipv4Prefixes'] ?? input['PrivateIpAddresses'])).toEqual([
      ['10.0.0.16/28'],
      ['10.0.0.5'],
    ])
    expect(scripted.addressesOf('eni-0')).toEqual([])
    expect(free(scripted)).toBe(117)
  })

  test('of nothing makes no call', async () => {
    const { node, ec2 } = await world(WITH_PREFIX)
    await node.prefixes?.releaseIPPrefixes(releasing({}), contextOf())
    await node.releaseIPs(
      releasing({ ipsToRelease: ['10.0.0.20'], ipPrefixesToRelease: ['10.0.0.16/28'] }),
      contextOf(),
    )
    expect(ec2.calls).toEqual([])
  })

  test('that fails throws, and what is known stays', async () => {
    const scripted = await world()
    scripted.ec2.respond = () =>
      ec2Error('InvalidParameterValue', 'Some of [10.0.0.5] are not assigned to interface eni-0')
    const released = scripted.node.releaseIPs(releasing({ ipsToRelease: ['10.0.0.5'] }), contextOf())
    await expect(released).rejects.toMatchObject({ kind: 'stale' })
    expect(scripted.addressesOf('eni-0')).toEqual(['10.0.0.5'])
  })

  test('counts touched prefixes whole, as profiles up to 1.18 do', async () => {
    const { node } = await world(WITH_PREFIX)
    const used = new Map([
      ['10.0.0.17', { resource: 'eni-0' }],
      ['10.0.0.18', { resource: 'eni-0' }],
      ['10.0.0.5', { resource: 'eni-0' }],
      ['10.0.0.6', { resource: 'eni-9' }],
    ])
    expect(node.prefixes?.getUsedIPWithPrefixes(used)).toBe(17)
  })
})

describe('a static public address', () => {
  test('is associated with the first interface, even one that is not managed, and known at once', async () => {
    const { node, ec2 } = await world({ eni: { 'first-interface-index': 1 } })
    ec2.respond = ({ action }) =>
      action === 'DescribeAddresses'
        ? {
            Addresses: [
              { AllocationId: 'a-1', AssociationId: 'taken', PublicIp: '203.0.113.1' },
              { AllocationId: 'a-2', PublicIp: '203.0.113.2' },
            ],
          }
        : undefined
    expect(await node.staticIP?.allocateStaticIP({ pool: 'p' }, contextOf())).toBe('203.0.113.2')
    expect(ec2.calls[1]?.input).toEqual({ AllocationId: 'a-2', NetworkInterfaceId: 'eni-0', AllowReassociation: false })
    expect(node.resyncInterfacesAndIPs().stats.assignedStaticIP).toBe('203.0.113.2')
    // Asked for again, it is the one that is there.
    expect(await node.staticIP?.allocateStaticIP({ pool: 'p' }, contextOf())).toBe('203.0.113.2')
    expect(ec2.calls).toHaveLength(2)
  })

  test('needs a free address, and a first interface', async () => {
    const { node } = await world()
    await expect(node.staticIP?.allocateStaticIP({ pool: 'p' }, contextOf())).rejects.toThrow(
      'no unassociated EIPs found',
    )
    const { node: unknown } = await world({ enis: [] })
    await expect(unknown.staticIP?.allocateStaticIP({ pool: 'p' }, contextOf())).rejects.toThrow('no primary ENI found')
  })
})

describe('an instance type that nobody knows yet', () => {
  test('is read once, with the first read of its instance, and its node is told', async () => {
    const clock = new ManualClock()
    const types: object[] = []
    const ec2 = new ScriptedEC2(({ action }) =>
      action === 'DescribeInstanceTypes' ? { InstanceTypes: types } : undefined,
    )
    const provider = createAWSProvider(PLAIN_CONFIG, {
      client: ec2.client,
      budget: UNLIMITED,
      clock,
      random: seededRandom(1),
      log: SILENT,
      metrics: UNMEASURED,
    })
    await provider.prepare(contextOf())
    await clock.advance(60_000)
    types.push(instanceTypeOf({ ...LIMITS, instanceType: 'new.large' }))
    const statusENIs = { 'eni-0': { ip: '10.0.0.4', subnet: { id: 's-1' } } }
    const node = provider.createNode(
      resourceOf({ instanceID: 'i-1', eni: { 'instance-type': 'new.large' }, statusENIs }),
    )
    expect(() => node.resyncInterfacesAndIPs()).toThrow(LimitsNotFoundError)
    const { changedInstanceIDs } = await driven(provider.instanceSync('i-1', contextOf()), clock)
    expect(changedInstanceIDs).toEqual(['i-1'])
    await settle()
    expect(node.getMaximumAllocatableIPv4()).toBe(0)
    expect(ec2.callsOf('DescribeInstanceTypes')).toHaveLength(2)
    expect(() => node.prepareIPAllocation()).not.toThrow()
  })
})
