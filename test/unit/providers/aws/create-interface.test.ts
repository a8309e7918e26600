import { describe, expect, test } from 'vitest'
import type { CreateInterfaceOutcome } from '../../../../src/ipam/contracts.ts'
import type { AllocationAction } from '../../../../src/ipam/types.ts'
import {
  contextOf,
  driven,
  scriptedNode,
  type ScriptedNode,
  type ScriptedWorld,
} from '../../../conformance/adapters/aws-node.ts'
import { ec2Error, lostAnswer, type Responder } from '../../../conformance/adapters/aws-scripted-ec2.ts'

const M5_LARGE = { instanceType: 'm5.large', adapters: 3, ipv4: 10, ipv6: 10, hypervisor: 'nitro', bareMetal: false }
const ENI = {
  'vpc-id': 'vpc-1',
  'availability-zone': 'a',
  'first-interface-index': 0,
  'security-groups': ['sg-1'],
  'subnet-ids': ['subnet-1'],
}
const IN_USE = ec2Error('InvalidParameterValue', "Network interface 'eni-new-2' is currently in use.")

function world(parts: Partial<ScriptedWorld> = {}): Promise<ScriptedNode> {
  return scriptedNode({
    instanceID: 'i-1',
    eni: ENI,
    limits: M5_LARGE,
    enis: [{ id: 'eni-0', number: 0, ip: '10.0.0.4', subnet: 'subnet-1', securityGroups: ['sg-1'] }],
    subnets: [{ id: 'subnet-1', vpc: 'vpc-1', az: 'a', available: 100 }],
    ...parts,
  })
}

function wanting(count: number, ipv6Prefixes = 0): AllocationAction {
  return {
    interfaceID: '',
    poolID: '',
    ipv4: { availableForAllocation: 0, maxIPsToAllocate: count, interfaceCandidates: 0 },
    ipv6: { maxPrefixesToAllocate: ipv6Prefixes },
    emptyInterfaceSlots: 2,
  }
}

async function create(scripted: ScriptedNode, count = 4): Promise<CreateInterfaceOutcome> {
  return driven(scripted.node.createInterface!(wanting(count), contextOf()), scripted.clock)
}

/** Each answer once, for calls of its action, in order. */
function inOrder(...answers: readonly (readonly [action: string, answer: object])[]): Responder {
  const left = [...answers]
  return ({ action }) => {
    const index = left.findIndex(([wanted]) => wanted === action)
    return index < 0 ? undefined : left.splice(index, 1)[0]?.[1]
  }
}

describe('a created interface', () => {
  test('carries tags, groups and description in the one call that creates it', async () => {
    const scripted = await world({ config: { eniTags: { team: 'pods', 'io.cilium/cilium-managed': 'true' } } })
    await create(scripted)
    expect(scripted.ec2.callsOf('CreateNetworkInterface')[0]?.input).toMatchObject({
      Description: 'Cilium-CNI (i-1)',
      Groups: ['sg-1'],
      TagSpecifications: [
        {
          ResourceType: 'network-interface',
          Tags: [
            { Key: 'team', Value: 'pods' },
            { Key: 'io.cilium/cilium-managed', Value: 'true' },
          ],
        },
      ],
    })
  })

  test('names no tag specification when there are no tags: EC2 refuses an empty one', async () => {
    const scripted = await world()
    await create(scripted)
    expect(scripted.ec2.callsOf('CreateNetworkInterface')[0]?.input).not.toHaveProperty('TagSpecifications')
  })

  test('is usable before it is marked for deletion with its instance', async () => {
    const scripted = await world()
    expect(await create(scripted)).toMatchObject({ kind: 'created', addressCount: 4, poolID: 'subnet-1' })
    await scripted.settle()
    expect(scripted.ec2.actions).toEqual([
      'CreateNetworkInterface',
      'AttachNetworkInterface',
      'ModifyNetworkInterfaceAttribute',
    ])
  })

  test('may come for its IPv6 prefix alone', async () => {
    const scripted = await world()
    await driven(scripted.node.createInterface!(wanting(0, 1), contextOf()), scripted.clock)
    expect(scripted.ec2.callsOf('CreateNetworkInterface')[0]?.input).toMatchObject({
      SecondaryPrivateIpAddressCount: 0,
      Ipv6PrefixCount: 1,
    })
  })

  test('without usable details is read before success is told', async () => {
    const scripted = await world()
    scripted.ec2.respond = ({ action }) => {
      if (action === 'CreateNetworkInterface') return { NetworkInterface: { NetworkInterfaceId: 'eni-9' } }
      if (action !== 'DescribeNetworkInterfaces') return undefined
      const attached = { InstanceId: 'i-1', AttachmentId: 'a' }
      return {
        NetworkInterfaces: [
          { NetworkInterfaceId: 'eni-0', PrivateIpAddress: '10.0.0.4', Attachment: { ...attached, DeviceIndex: 0 } },
          {
            NetworkInterfaceId: 'eni-9',
            PrivateIpAddress: '10.0.0.8',
            PrivateIpAddresses: [{ PrivateIpAddress: '10.0.0.8' }, { PrivateIpAddress: '10.0.0.9' }],
            Attachment: { ...attached, DeviceIndex: 1 },
          },
        ],
      }
    }
    expect(await create(scripted, 1)).toMatchObject({ kind: 'created', interfaceID: 'eni-9', addressCount: 1 })
    expect(scripted.addressesOf('eni-9')).toEqual(['10.0.0.9'])
  })
})

describe('a lost answer', () => {
  test('of the creation: the same token and parameters again, another token for another creation', async () => {
    const scripted = await world()
    scripted.ec2.respond = inOrder(['CreateNetworkInterface', lostAnswer()], ['CreateNetworkInterface', lostAnswer()])
    expect((await create(scripted)).kind).toBe('created')
    await create(scripted)
    const inputs = scripted.ec2.callsOf('CreateNetworkInterface').map(({ input }) => input)
    expect(inputs).toHaveLength(4)
    expect(inputs[1]).toEqual(inputs[0])
    expect(inputs[2]).toEqual(inputs[0])
    expect(inputs[3]?.['ClientToken']).not.toBe(inputs[0]?.['ClientToken'])
    expect(String(inputs[0]?.['ClientToken'])).toMatch(/^[\x21-\x7e]{1,64}$/)
  })

  test('of the creation, three times: failure at once, and what was created is found by its token and deleted', async () => {
    const scripted = await world()
    scripted.ec2.respond = inOrder(
      ...Array.from({ length: 5 }, () => ['CreateNetworkInterface', lostAnswer()] as const),
    )
    expect(await create(scripted)).toMatchObject({ kind: 'failed', condition: 'unableToCreateENI' })
    await scripted.settle()
    const tokens = scripted.ec2.callsOf('CreateNetworkInterface').map(({ input }) => input['ClientToken'])
    expect(tokens).toHaveLength(6)
    expect(new Set(tokens).size).toBe(1)
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(1)
    expect(scripted.ec2.callsOf('AttachNetworkInterface')).toHaveLength(0)
  })

  test('of the creation, then a refusal: there is nothing to undo', async () => {
    const scripted = await world()
    const refusal = ec2Error('InsufficientFreeAddressesInSubnet', 'x')
    scripted.ec2.respond = inOrder(['CreateNetworkInterface', lostAnswer()], ['CreateNetworkInterface', refusal])
    expect((await create(scripted)).kind).toBe('failed')
    await scripted.settle()
    expect(scripted.ec2.actions).toEqual(['CreateNetworkInterface', 'CreateNetworkInterface'])
  })

  test('of the attachment that took place: success, and the attachment is looked up to mark it', async () => {
    const scripted = await world()
    const attachment = { InstanceId: 'i-1', AttachmentId: 'eni-attach-7', DeviceIndex: 1 }
    scripted.ec2.respond = inOrder(
      ['AttachNetworkInterface', lostAnswer()],
      ['DeleteNetworkInterface', IN_USE],
      [
        'DescribeNetworkInterfaces',
        {
          NetworkInterfaces: [
            { NetworkInterfaceId: 'eni-new-2', PrivateIpAddress: '10.0.0.8', Attachment: attachment },
          ],
        },
      ],
    )
    expect(await create(scripted)).toMatchObject({ kind: 'created', addressCount: 4 })
    await scripted.settle()
    expect(scripted.ec2.callsOf('ModifyNetworkInterfaceAttribute')[0]?.input).toMatchObject({
      Attachment: { AttachmentId: 'eni-attach-7', DeleteOnTermination: true },
    })
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(1)
  })

  test('of the attachment that did not take place: failure, deleted once', async () => {
    const scripted = await world()
    scripted.ec2.respond = inOrder(['AttachNetworkInterface', lostAnswer()])
    expect(await create(scripted)).toMatchObject({ kind: 'failed', condition: 'unableToAttachENI' })
    await scripted.settle()
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(1)
  })
})

test('an attachment in doubt that cannot be settled at once fails, and is undone in the background', async () => {
  const scripted = await world()
  const trouble = ec2Error('InternalError', 'x', 500)
  scripted.ec2.respond = inOrder(['AttachNetworkInterface', lostAnswer()], ['DeleteNetworkInterface', trouble])
  expect(await create(scripted)).toMatchObject({
    kind: 'failed',
    condition: 'unableToAttachENI',
    error: { kind: 'unavailable' },
  })
  await scripted.settle()
  expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(2)
})

test('a new interface with unusable details that cannot be read either is left to the next sync', async () => {
  const scripted = await world()
  const trouble = ec2Error('InternalError', 'x', 500)
  scripted.ec2.respond = ({ action }) => {
    if (action === 'CreateNetworkInterface') return { NetworkInterface: { NetworkInterfaceId: 'eni-9' } }
    return action === 'DescribeNetworkInterfaces' ? trouble : undefined
  }
  expect(await create(scripted)).toMatchObject({ kind: 'created', interfaceID: 'eni-9', addressCount: 4 })
})

describe('an undo', () => {
  const LIMIT = ec2Error('AttachmentLimitExceeded', 'Interface count 4 exceeds the limit for m5.large')

  test('that fails is repeated until the interface is gone', async () => {
    const scripted = await world()
    const trouble = ec2Error('InternalError', 'x', 500)
    scripted.ec2.respond = inOrder(
      ['AttachNetworkInterface', LIMIT],
      ['DeleteNetworkInterface', trouble],
      ['DeleteNetworkInterface', lostAnswer()],
    )
    expect(await create(scripted)).toMatchObject({ kind: 'failed', error: { kind: 'limit' } })
    await scripted.settle()
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(3)
  })

  test('believes that the interface is gone only when EC2 says so twice', async () => {
    const scripted = await world()
    const unknown = ec2Error('InvalidNetworkInterfaceID.NotFound', 'x')
    scripted.ec2.respond = inOrder(
      ['AttachNetworkInterface', LIMIT],
      ['DeleteNetworkInterface', unknown],
      ['DeleteNetworkInterface', unknown],
      ['DeleteNetworkInterface', unknown],
    )
    await create(scripted)
    await scripted.settle()
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(2)
  })

  test('leaves an interface alone that is in use after all', async () => {
    const scripted = await world()
    scripted.ec2.respond = inOrder(['AttachNetworkInterface', LIMIT], ['DeleteNetworkInterface', IN_USE])
    await create(scripted)
    await scripted.settle()
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(1)
  })
})

describe('a node deleted meanwhile', () => {
  test.each<{ name: string; respond: Responder; creates: number }>([
    {
      name: 'before EC2 shows the new interface',
      respond: ({ action }) =>
        action === 'AttachNetworkInterface' ? ec2Error('InvalidNetworkInterfaceID.NotFound', 'x') : undefined,
      creates: 1,
    },
    {
      name: 'while a lost creation is waited for',
      respond: inOrder(['CreateNetworkInterface', lostAnswer()]),
      creates: 2,
    },
  ])('$name: its interface is deleted', async ({ respond, creates }) => {
    const scripted = await world()
    scripted.ec2.respond = respond
    const deleted = new AbortController()
    const creation = scripted.node.createInterface!(wanting(4), contextOf(deleted.signal))
    creation.catch(() => undefined)
    await scripted.clock.advance(100)
    deleted.abort(new Error('node deleted'))
    await expect(creation).rejects.toThrow('node deleted')
    await scripted.settle()
    expect(scripted.ec2.callsOf('CreateNetworkInterface')).toHaveLength(creates)
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(1)
    expect(scripted.ec2.actions.at(-1)).toBe('DeleteNetworkInterface')
  })
})

describe('a failure tells', () => {
  test.each<{ name: string; parts: Partial<ScriptedWorld>; respond?: Responder; expected: object }>([
    {
      name: 'unknown limits, without a call',
      parts: { limits: null },
      expected: { condition: 'unableToDetermineLimits', poolID: '' },
    },
    {
      name: 'no subnet, without a call',
      parts: { subnets: [] },
      expected: { condition: 'unableToFindSubnet', poolID: '' },
    },
    {
      name: 'no groups, without a call, but the subnet',
      parts: { enis: [], eni: { ...ENI, 'security-groups': [] } },
      expected: { condition: 'unableToGetSecurityGroups', poolID: 'subnet-1' },
    },
    {
      name: 'a refused creation',
      parts: {},
      respond: inOrder(['CreateNetworkInterface', ec2Error('NetworkInterfaceLimitExceeded', 'x')]),
      expected: {
        condition: 'unableToCreateENI',
        poolID: 'subnet-1',
        error: { kind: 'limit' },
        isInstanceRunning: true,
      },
    },
    {
      name: 'an instance that is not running',
      parts: {},
      respond: inOrder([
        'AttachNetworkInterface',
        ec2Error('IncorrectState', "Instance 'i-1' is not 'running' or 'stopped'."),
      ]),
      expected: { condition: 'unableToAttachENI', isInstanceRunning: false },
    },
    {
      name: 'an instance that EC2 does not know',
      parts: {},
      respond: inOrder(['AttachNetworkInterface', ec2Error('InvalidInstanceID.NotFound', 'x')]),
      expected: { condition: 'unableToAttachENI', isInstanceRunning: false },
    },
  ])('$name', async ({ parts, respond, expected }) => {
    const scripted = await world(parts)
    if (respond !== undefined) scripted.ec2.respond = respond
    expect(await create(scripted)).toMatchObject({ kind: 'failed', ...expected })
    if (respond === undefined) expect(scripted.ec2.calls).toEqual([])
  })

  test('five taken indexes: that it gave up, and where it would have gone on', async () => {
    const scripted = await world()
    const taken = ec2Error(
      'InvalidParameterValue',
      "Instance 'i-1' already has an interface attached at device index '1'.",
    )
    scripted.ec2.respond = ({ action }) => (action === 'AttachNetworkInterface' ? taken : undefined)
    const outcome = await create(scripted)
    expect(outcome).toMatchObject({ kind: 'failed', condition: 'unableToAttachENI' })
    expect(outcome.kind === 'failed' && outcome.error.message).toMatch(/^unable to attach ENI at index 6: /)
    expect(scripted.ec2.callsOf('AttachNetworkInterface').map(({ input }) => input['DeviceIndex'])).toEqual([
      1, 2, 3, 4, 5,
    ])
    await scripted.settle()
    expect(scripted.ec2.callsOf('DeleteNetworkInterface')).toHaveLength(1)
  })

  test('a subnet that refused is not the first choice the next time', async () => {
    const scripted = await world({
      eni: { ...ENI, 'subnet-ids': ['subnet-1', 'subnet-2'] },
      subnets: [
        { id: 'subnet-1', vpc: 'vpc-1', az: 'a', available: 100 },
        { id: 'subnet-2', vpc: 'vpc-1', az: 'a', available: 50 },
      ],
    })
    scripted.ec2.respond = inOrder(['CreateNetworkInterface', ec2Error('InsufficientFreeAddressesInSubnet', 'x')])
    expect(await create(scripted)).toMatchObject({ kind: 'failed', poolID: 'subnet-1', error: { kind: 'exhausted' } })
    expect(await create(scripted)).toMatchObject({ kind: 'created', poolID: 'subnet-2' })
  })
})
