import { describe, expect, test } from 'vitest'
import { createARMClient, createAzureProvider } from '../../providers/azure/index.ts'
import { occupyAddresses } from '../../simulators/azure/occupy.ts'
import type { FaultRule } from '../../simulators/kit/faults.ts'
import type { DestructionResult, DestructiveCall } from '../../src/ipam/destruction.ts'
import { CloudAPIError } from '../../src/ipam/errors.ts'
import { addressesOfPrefix } from '../../src/ipam/ip-range.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { SILENT, UNLIMITED, UNMEASURED } from '../conformance/adapters/aws-node.ts'
import { PLAIN_AZURE_CONFIG } from '../conformance/adapters/azure-provider.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { makeAzureWorld, writeActionOf, type AzureWorld, type MachineKind } from './azure-world.ts'
import { CONTEXT, drive, expectOrder, join, knownAddresses, wanting, type Joined } from './provider.contract.ts'

/** How a machine's addresses are written: through its scale set, or through its interface. */
const KINDS: readonly MachineKind[] = ['uniform', 'standalone']

function fault(
  action: string,
  status: number,
  code: string,
  count = 1,
  match?: Readonly<Record<string, string>>,
): FaultRule {
  return {
    action,
    where: 'before-effect',
    effect: { kind: 'error', code, status, message: `${code} by script` },
    probability: 1,
    count,
    fromCall: 1,
    untilCall: Number.POSITIVE_INFINITY,
    ...(match && { match }),
  }
}

const ofCloud = (world: AzureWorld, { instanceID }: Joined): readonly string[] =>
  world
    .interfaces()
    .filter((iface) => iface.instanceID === instanceID)
    .flatMap(({ podAddresses }) => podAddresses)
    .toSorted()

const prefixesOf = (world: AzureWorld, { instanceID }: Joined): readonly string[] =>
  world.interfaces().flatMap((iface) => (iface.instanceID === instanceID ? iface.prefixes : []))

describe.each(KINDS)('each class of error: %s', (kind) => {
  const write = writeActionOf(kind)

  test('a write that is refused for the rate is made again when Azure asks, and costs nobody else', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    world.setFaults([fault(write, 429, 'SubscriptionRequestsThrottled', 2)])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))).toEqual({
      kind: 'allocated',
      addressCount: 5,
    })
    expect(world.refused()).toBe(2)
    await expectOrder(world, joined)
  })

  test('a write that meets another one is made again from what is there then', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    world.setFaults([fault(write, 409, 'AnotherOperationInProgress', 2), fault(write, 429, 'RetryableError', 1)])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))).toMatchObject({
      addressCount: 5,
    })
    await expectOrder(world, joined)
  })

  test.each([
    { code: 'InternalExecutionError', is: 'unavailable' },
    { code: 'SubnetIsFull', is: 'exhausted' },
    { code: 'SomethingNew', is: 'unknown' },
  ])(
    'an operation that fails with $code is a failure of its kind, although its write was accepted',
    async ({ code, is }) => {
      const world = await makeAzureWorld({ kind })
      const joined = await join(world)
      world.setFaults([fault(`complete ${write}`, 400, code, 10)])
      const outcome = await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
      expect(outcome).toMatchObject({ kind: 'failed', isInstanceRunning: true, error: { kind: is, code } })
    },
  )

  test('an operation that was superseded by another writer is made again', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    world.setFaults([fault(`complete ${write}`, 400, 'CanceledAndSupersededDueToAnotherOperation', 1)])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))).toMatchObject({
      kind: 'allocated',
    })
    expect(ofCloud(world, joined)).toHaveLength(5)
  })

  test('looks that are lost do not lose the operation', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    const rule = fault('Operations.Get*', 500, 'InternalServerError', 4)
    world.setFaults([rule])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))).toMatchObject({
      addressCount: 5,
    })
    await expectOrder(world, joined)
  })

  test('without the right to look at operations the document tells', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    world.setFaults([fault('Operations.Get*', 403, 'AuthorizationFailed', 1000)])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))).toMatchObject({
      addressCount: 5,
    })
    await expectOrder(world, joined)
  })

  test('a permission that is missing is told at once', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    world.setFaults([fault(write, 403, 'LinkedAuthorizationFailed', 10)])
    const outcome = await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
    expect(outcome).toMatchObject({ kind: 'failed', error: { kind: 'denied', code: 'LinkedAuthorizationFailed' } })
    expect(world.callsOf(write)).toBe(1)
  })

  test('a document that somebody changed since it was read is not written over', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    const other = world.otherProvider()
    const second = { ...joined, node: other.createNode(joined.resource) }
    await drive(world, other.instanceSync(joined.instanceID, CONTEXT))
    // Our write is on its way for two minutes: the other one begins and ends in between.
    world.setFaults([{ ...fault(write, 0, ''), effect: { kind: 'latency', latencyMs: 120_000 } }])
    const slow = joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT)
    slow.catch(() => undefined)
    await world.clock.advance(1000)
    expect(await drive(world, second.node.allocateIPs(wanting(second.node, 4), CONTEXT))).toMatchObject({
      addressCount: 4,
    })
    expect(await drive(world, slow)).toMatchObject({ addressCount: 4 })
    expect(new Set(ofCloud(world, joined)).size).toBe(8)
  })

  test('two controllers on one machine lose nothing of each other', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    const other = world.otherProvider()
    const second = { ...joined, node: other.createNode(joined.resource) }
    await drive(world, other.instanceSync(joined.instanceID, CONTEXT))
    const outcomes = await drive(
      world,
      Promise.all([joined, second].map(({ node }) => node.allocateIPs(wanting(node, 4), CONTEXT))),
    )
    expect(outcomes).toEqual([
      { kind: 'allocated', addressCount: 4 },
      { kind: 'allocated', addressCount: 4 },
    ])
    expect(new Set(ofCloud(world, joined)).size).toBe(8)
    await expectOrder(world, joined)
  })
})

test('an identity that nobody vouches for is refused at the start', async () => {
  const cause = new Error('no managed identity endpoint found')
  cause.name = 'CredentialUnavailableError'
  const provider = createAzureProvider(PLAIN_AZURE_CONFIG, {
    client: createARMClient({
      endpoint: 'https://management.azure.com',
      credential: { getToken: () => Promise.reject(cause) },
    }),
    budget: { ...UNLIMITED, observeRemaining() {} },
    clock: new ManualClock(),
    random: seededRandom(1),
    log: SILENT,
    metrics: UNMEASURED,
  })
  await expect(provider.prepare(CONTEXT)).rejects.toMatchObject({ kind: 'denied' })
  await expect(provider.prepare(CONTEXT)).rejects.toBeInstanceOf(CloudAPIError)
})

describe('machines of a flexible scale set', () => {
  test('are served as those that stand alone', async () => {
    const world = await makeAzureWorld({ kind: 'flexible' })
    const joined = await join(world)
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))).toMatchObject({
      addressCount: 5,
    })
    await drive(world, world.provider.resync(CONTEXT))
    await expectOrder(world, joined)
    await drive(world, joined.node.releaseIPs(joined.node.prepareIPRelease(2), CONTEXT))
    expect(ofCloud(world, joined)).toHaveLength(3)
  })
})

describe('looks at a write', () => {
  test('are as few as Azure asks for', async () => {
    const world = await makeAzureWorld({ settings: { computeOperationMs: { min: 25_000, max: 25_000 } } })
    const joined = await join(world)
    const startedAtMs = world.clock.now()
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
    expect(world.callsOf('Operations.GetCompute')).toBe(3)
    expect(world.clock.now() - startedAtMs).toBeLessThanOrEqual(31_000)
  })
})

describe('options', () => {
  test('primary addresses are open to pods where that is wanted, and never given back', async () => {
    const world = await makeAzureWorld({ config: { usePrimaryAddress: true } })
    const joined = await join(world)
    expect(knownAddresses(joined.node)).toHaveLength(1)
    expect(joined.node.prepareIPRelease(5).ipsToRelease).toEqual([])
    expect(joined.node.resyncInterfacesAndIPs().stats.nodeCapacity).toBe(256)
  })

  test('an interface that the node does not name gets nothing', async () => {
    const world = await makeAzureWorld({ interfaceName: 'eth9' })
    const { node } = await join(world)
    expect(node.prepareIPAllocation()).toMatchObject({ interfaceID: '', ipv4: { interfaceCandidates: 0 } })
  })

  test('a subnet outside of the filter gives no addresses', async () => {
    const world = await makeAzureWorld({ config: { subnetIDsFilter: ['/subscriptions/s/other'] } })
    const { node } = await join(world)
    expect(node.prepareIPAllocation()).toMatchObject({ interfaceID: '', ipv4: { interfaceCandidates: 1 } })
  })

  test('without the switch nothing is given back, planned or called', async () => {
    const world = await makeAzureWorld({ config: { releaseExcessIPs: false } })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
    expect(joined.node.prepareIPRelease(5).ipsToRelease).toEqual([])
    expect(joined.node.cidrs).toBeUndefined()
    const [address = ''] = knownAddresses(joined.node)
    const action = { ...joined.node.prepareIPRelease(1), ipsToRelease: [address] }
    await expect(joined.node.releaseIPs(action, CONTEXT)).rejects.toMatchObject({ code: 'ReleaseIsOff' })
    expect(ofCloud(world, joined)).toHaveLength(5)
  })
})

describe('a cluster that is taken over', () => {
  test.each(KINDS)('keeps the addresses that its machines have: %s', async (kind) => {
    const world = await makeAzureWorld({ kind, secondaryAddresses: 30 })
    const joined = await join(world)
    expect(knownAddresses(joined.node)).toEqual(ofCloud(world, joined))
    expect(knownAddresses(joined.node)).toHaveLength(30)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 2), CONTEXT))
    expect(ofCloud(world, joined)).toHaveLength(32)
    await expectOrder(world, joined)
  })
})

describe('subnets', () => {
  test('whose list is left out are known by the usages of their network', async () => {
    const world = await makeAzureWorld({ settings: { listedConfigurations: 3 }, secondaryAddresses: 9 })
    await join(world)
    expect([...world.provider.getPoolQuota().values()].map(({ availableIPs }) => availableIPs)).toEqual([1024 - 5 - 10])
    expect(world.callsOf('VirtualNetworks.ListUsage')).toBe(1)
  })

  test('a full subnet is named with what was asked of it', async () => {
    const world = await makeAzureWorld()
    const { node } = await join(world)
    const action = wanting(node, 8)
    world.leaveAddresses(0)
    const outcome = await drive(world, node.allocateIPs(action, CONTEXT))
    expect(outcome).toMatchObject({
      kind: 'failed',
      error: {
        message:
          'VirtualMachineScaleSetVMs.Update: SubnetIsFull: Subnet nodes with address prefix 10.0.0.0/22 does not have enough capacity for 1 IP addresses.',
      },
    })
    expect(node.prepareIPAllocation().ipv4).toMatchObject({ availableForAllocation: 0, interfaceCandidates: 1 })
  })

  test('hold what other nodes see after one of them was read', async () => {
    const world = await makeAzureWorld()
    const [first, second] = [await join(world), await join(world)]
    await drive(world, world.provider.instanceSync(first.instanceID, CONTEXT))
    expect(second.node.prepareIPAllocation().ipv4.availableForAllocation).toBeGreaterThan(0)
  })
})

describe.each(KINDS)('prefixes: %s', (kind) => {
  const config = { prefixes: true }

  test('come as whole blocks, known at once, and count sixteen', async () => {
    const world = await makeAzureWorld({ kind, config })
    const joined = await join(world)
    const free = (): number =>
      [...world.provider.getPoolQuota().values()].reduce((sum, pool) => sum + pool.availableIPs, 0)
    const before = free()
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 20), CONTEXT))).toEqual({
      kind: 'allocated',
      addressCount: 32,
    })
    expect(prefixesOf(world, joined)).toHaveLength(2)
    expect(knownAddresses(joined.node)).toHaveLength(32)
    expect(free()).toBe(before - 32)
    await expectOrder(world, joined)
  })

  test('give way to single addresses in a fragmented subnet, and are not asked for again at once', async () => {
    const world = await makeAzureWorld({ kind, config })
    const joined = await join(world)
    occupyAddresses(world.simulator.cloud, { subnetId: world.subnetID, fragment: true })
    const writes = (): number => world.callsOf(writeActionOf(kind))
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))).toMatchObject({
      addressCount: 4,
    })
    expect(writes()).toBe(2)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
    expect([writes(), prefixesOf(world, joined).length, knownAddresses(joined.node).length]).toEqual([3, 0, 8])
  })

  test('give way to single addresses where the subscription has none', async () => {
    const world = await makeAzureWorld({ kind, config })
    const joined = await join(world)
    world.setFaults([fault(writeActionOf(kind), 409, 'SubscriptionNotRegisteredForFeature', 1)])
    expect(await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))).toMatchObject({
      addressCount: 4,
    })
  })

  test('go back whole, the one in use stays', async () => {
    const world = await makeAzureWorld({ kind, config })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 48), CONTEXT))
    const [, usedPrefix = ''] = prefixesOf(world, joined)
    const used = addressesOfPrefix(usedPrefix)[5] ?? ''
    joined.node.updatedNode({ ...joined.resource, status: { ...joined.resource.status, used: new Map([[used, {}]]) } })
    const action = joined.node.prepareIPRelease(40)
    expect(action.ipPrefixesToRelease).toHaveLength(2)
    await drive(
      world,
      joined.node.prefixes!.releaseIPPrefixes({ ...action, ipsToRelease: action.ipsToRelease }, CONTEXT),
    )
    expect(prefixesOf(world, joined)).toEqual([usedPrefix])
    expect(knownAddresses(joined.node)).toEqual(addressesOfPrefix(usedPrefix).toSorted())
    await expectOrder(world, joined)
  })

  test('of a multi-pool node go back once all of a block was given up', async () => {
    const world = await makeAzureWorld({ kind, config })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 32), CONTEXT))
    const [prefix = ''] = prefixesOf(world, joined)
    const cidrs = addressesOfPrefix(prefix).map((address) => `${address}/32`)
    const operations = joined.node.cidrs!
    expect(operations.prepareCIDRRelease(cidrs.slice(1))).toEqual([])
    const [action] = operations.prepareCIDRRelease(cidrs)
    const part = await drive(world, operations.releaseCIDRs({ ...action!, cidrsToRelease: cidrs.slice(1) }, CONTEXT))
    expect(part).toMatchObject({ released: [], error: { code: 'PartOfPrefix' } })
    expect(prefixesOf(world, joined)).toHaveLength(2)
    expect(await drive(world, operations.releaseCIDRs(action!, CONTEXT))).toEqual({ released: cidrs })
    expect(prefixesOf(world, joined)).toHaveLength(1)
    await expectOrder(world, joined)
  })
})

describe.each(KINDS)('a release: %s', (kind) => {
  test('hides what is about to go, and lets nothing else go', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 3), CONTEXT))
    const [first = '', ...others] = joined.node.cidrs!.getAttachedCIDRs()
    const status = JSON.stringify(joined.node.populateStatusFields([first])?.value)
    expect(status).not.toContain(`"${first.slice(0, -3)}"`)
    for (const other of others) expect(status).toContain(`"${other.slice(0, -3)}"`)
    expect(knownAddresses(joined.node)).toHaveLength(3)
  })

  test('that fails leaves the inventory alone', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 3), CONTEXT))
    world.setFaults([fault(writeActionOf(kind), 400, 'InvalidParameter', 10)])
    const [action] = joined.node.cidrs!.prepareCIDRRelease(joined.node.cidrs!.getAttachedCIDRs())
    expect(await drive(world, joined.node.cidrs!.releaseCIDRs(action!, CONTEXT))).toMatchObject({
      released: [],
      error: { kind: 'invalid' },
    })
    expect(knownAddresses(joined.node)).toHaveLength(3)
  })

  test('of an interface that is not known reads first', async () => {
    const world = await makeAzureWorld({ kind })
    const joined = await join(world)
    const action = { ...joined.node.prepareIPRelease(1), interfaceID: '/nics/other', ipsToRelease: ['10.0.0.9'] }
    await expect(joined.node.releaseIPs(action, CONTEXT)).rejects.toMatchObject({ kind: 'stale' })
  })

  test('passes the guard with its proof, and is told its end', async () => {
    const calls: DestructiveCall[] = []
    const ends: DestructionResult['kind'][] = []
    let isPaused = false
    const guard = {
      began(call: DestructiveCall) {
        if (isPaused) throw new CloudAPIError('paused', { kind: 'denied', code: 'Paused', action: call.action })
        calls.push(call)
        return ({ kind: end }: DestructionResult) => void ends.push(end)
      },
    }
    const world = await makeAzureWorld({ kind, guard })
    const joined = await join(world)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 4), CONTEXT))
    expect(calls).toEqual([])
    const proof = { basis: 'agent-gave-up', readStartedAtMs: 2, sinceMs: 1, seen: {} } as const
    const action = joined.node.prepareIPRelease(2)
    await drive(world, joined.node.releaseIPs(action, { ...CONTEXT, proof }))
    expect(calls).toMatchObject([
      {
        action: writeActionOf(kind),
        proof,
        subject: { instanceID: joined.instanceID, addresses: action.ipsToRelease },
      },
    ])
    expect(ends).toEqual(['done'])
    await expect(joined.node.releaseIPs(joined.node.prepareIPRelease(1), CONTEXT)).rejects.toThrow('without proof')
    isPaused = true
    const paused = joined.node.releaseIPs(joined.node.prepareIPRelease(1), { ...CONTEXT, proof })
    await expect(drive(world, paused)).rejects.toMatchObject({ code: 'Paused' })
    expect(ofCloud(world, joined)).toHaveLength(2)
  })
})

describe.each(KINDS)('a public address: %s', (kind) => {
  const publicPrefixes = {
    other: { cidr: '20.0.0.0/30', tags: { pool: 'other' } },
    nodes: { cidr: '20.0.1.0/31', tags: { pool: 'nodes', env: 'prod' } },
  }
  const tags = { pool: 'nodes' }
  const allocate = (world: AzureWorld, { node }: Joined) => drive(world, node.staticIP!.allocateStaticIP(tags, CONTEXT))

  test('comes from the prefix with the tags, and is not asked for twice', async () => {
    const world = await makeAzureWorld({ kind, publicPrefixes })
    const joined = await join(world)
    const address = await allocate(world, joined)
    expect(address).toMatch(/^20\.0\.1\.[01]$/)
    const writes = world.callsOf(writeActionOf(kind))
    expect(await allocate(world, joined)).toBe(address)
    expect(world.callsOf(writeActionOf(kind))).toBe(writes)
  })

  test('stays when private addresses come and go', async () => {
    const world = await makeAzureWorld({ kind, publicPrefixes })
    const joined = await join(world)
    const address = await allocate(world, joined)
    await drive(world, joined.node.allocateIPs(wanting(joined.node, 5), CONTEXT))
    await drive(world, joined.node.releaseIPs(joined.node.prepareIPRelease(3), CONTEXT))
    expect(await allocate(world, joined)).toBe(address)
    await expectOrder(world, joined)
  })

  test('that no prefix has is said with its tags', async () => {
    const world = await makeAzureWorld({ kind, publicPrefixes: { other: publicPrefixes.other } })
    const joined = await join(world)
    await expect(allocate(world, joined)).rejects.toThrow('no public IP prefix with room and tags pool=nodes in MC_')
    expect(world.callsOf(writeActionOf(kind))).toBe(0)
  })

  test('of a prefix that is used up is not taken', async () => {
    const world = await makeAzureWorld({ kind, publicPrefixes })
    const joined = [await join(world), await join(world), await join(world)]
    const addresses = [await allocate(world, joined[0]!), await allocate(world, joined[1]!)]
    expect(new Set(addresses).size).toBe(2)
    await expect(allocate(world, joined[2]!)).rejects.toThrow('no public IP prefix')
  })
})

test('a machine whose public prefix ran out in its write is repaired, and gets its address from another one (43598)', async () => {
  const prefix = (cidr: string) => ({ cidr, tags: { pool: 'nodes' } })
  const world = await makeAzureWorld({ publicPrefixes: { a: prefix('20.0.1.0/31'), b: prefix('20.0.2.0/31') } })
  const nodes = [await join(world), await join(world), await join(world)]
  const allocate = ({ node }: Joined) => drive(world, node.staticIP!.allocateStaticIP({ pool: 'nodes' }, CONTEXT))
  // All three choose the first prefix, which has room for two: the list of prefixes does not tell of writes under way.
  const results = await Promise.allSettled(
    nodes.map(({ node }) => drive(world, node.staticIP!.allocateStaticIP({ pool: 'nodes' }, CONTEXT))),
  )
  const failed = nodes.filter((_, at) => results[at]?.status === 'rejected')
  expect(failed).toHaveLength(1)
  expect(await allocate(failed[0]!)).toMatch(/^20\.0\.2\./)
  const addresses = await Promise.all(nodes.map(allocate))
  expect(new Set(addresses).size).toBe(3)
  for (const joined of nodes) await expectOrder(world, joined)
})
