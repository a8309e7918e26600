import { describe, expect, test } from 'vitest'
import type { Configuration } from '../../../src/agent/configuration.ts'
import { createIPAM } from '../../../src/agent/create-ipam.ts'
import type { CiliumNodeSubscriber } from '../../../src/agent/configuration.ts'
import type { IPAM } from '../../../src/agent/ipam.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { settle } from '../../support/manual-clock.ts'
import { codeOf, FakeNodeServer, testWorld } from './builders.ts'

const CONFIGURATION: Configuration = {
  ipv4Enabled: () => true,
  ipv6Enabled: () => false,
  ipamMode: () => 'eni',
  healthCheckingEnabled: () => false,
  unreachableRoutesEnabled: () => false,
  setIPv4NativeRoutingCIDR: () => undefined,
  getIPv4NativeRoutingCIDR: () => undefined,
}

/** An ENI as the operator writes it. */
const eni = (number: number, addresses: readonly string[], prefixes: readonly string[] = []): JSONObject => ({
  id: `eni-${number}`,
  number,
  mac: `02:00:00:00:00:0${number}`,
  ip: `10.0.${number}.4`,
  addresses: [`10.0.${number}.4`, ...addresses],
  prefixes: [...prefixes],
  subnet: { cidr: `10.0.${number}.0/24` },
  vpc: { 'primary-cidr': '10.0.0.0/16' },
})

const enis = (...list: readonly JSONObject[]): JSONObject => ({
  status: { eni: { enis: Object.fromEntries(list.map((one) => [one['id'] as string, one])) } },
})

/** An agent of mode `eni` that goes by the ENI status; the operator is the test. */
async function agent(
  options: { readonly node?: JSONObject; readonly preAllocate?: number; readonly refusals?: number } = {},
) {
  const { node = {}, preAllocate = 1, refusals = 0 } = options
  const world = testWorld()
  const server = new FakeNodeServer({
    metadata: { name: 'n1' },
    spec: { eni: { 'first-interface-index': 1 } },
    ...node,
  })
  server.outcomes.push(...Array.from({ length: refusals }, () => 'refused' as const))
  let subscriber: CiliumNodeSubscriber | undefined
  const creating = createIPAM(
    {
      ...world,
      nodeName: 'n1',
      configuration: CONFIGURATION,
      owner: { updateCiliumNodeResource: () => Promise.resolve(), localAllocCIDRsUpdated: () => undefined },
      events: {
        k8sEventReceived: () => undefined,
        k8sEventProcessed: () => undefined,
        registerCiliumNodeSubscriber: (one) => {
          subscriber = one
          one.onAdd(server.node)
        },
      },
      writer: server,
      eniSource: 'status',
      preAllocation: new Map([['default', preAllocate]]),
      updateIntervalMs: 1_000,
    },
    new AbortController().signal,
  )
  await settle()
  /** The operator writes; the watch delivers. */
  const change = async (patch: JSONObject): Promise<void> => {
    subscriber!.onUpdate(undefined, server.change(patch))
    await world.clock.advance(1_000)
  }
  const pools = (): JSONObject =>
    ((server.node['spec'] as JSONObject)['ipam'] as JSONObject | undefined)?.['pools'] as JSONObject
  const open = async (): Promise<IPAM> => {
    const ipam = await creating
    ipam.restoreFinished()
    await world.clock.advance(1_000)
    return ipam
  }
  return { ...world, server, change, pools, open }
}

const next = (ipam: IPAM, owner: string) => ipam.allocateNextFamily({ family: 'ipv4', owner })

describe('an agent that makes its pool of the ENI status', () => {
  test('takes prefixes whole and other addresses singly, but for primary ones and interfaces that are not its own', async () => {
    const at = await agent({ preAllocate: 30 })
    await at.change(enis(eni(0, ['10.0.0.9'], ['10.0.0.32/28']), eni(1, ['10.0.1.9'], ['10.0.1.32/28'])))
    const ipam = await at.open()
    expect(at.pools()).toEqual({
      requested: [{ pool: 'default', needed: { 'ipv4-addrs': 30 } }],
      allocated: [{ pool: 'default', cidrs: ['10.0.1.32/28', '10.0.1.9/32'] }],
    })
    const given = Array.from({ length: 17 }, (_, index) => next(ipam, `pod-${index}`))
    expect(new Set(given.map(({ ip }) => ip)).size).toBe(17)
    expect(given.map(({ ip }) => ip)).toEqual(expect.arrayContaining(['10.0.1.32', '10.0.1.47', '10.0.1.9']))
    expect(given[0]).toMatchObject({
      primaryMAC: '02:00:00:00:00:01',
      interfaceNumber: '1',
      gatewayIP: '10.0.1.1',
      cidrs: ['10.0.0.0/16'],
      ipPoolName: 'default',
    })
    expect(codeOf(() => next(ipam, 'one too many'))).toBe('POD_CIDRS_EXHAUSTED')
    await at.clock.advance(1_000)
    expect(at.pools()['requested']).toEqual([{ pool: 'default', needed: { 'ipv4-addrs': 60 } }])
    expect(ipam.getVPCCIDRs()).toEqual(['10.0.0.0/16'])
  })

  test('says nothing of edges, which definitions up to 1.20 do not have', async () => {
    const at = await agent()
    await at.change(enis(eni(1, [], ['10.0.1.32/28'])))
    await at.open()
    expect(JSON.stringify(at.pools())).not.toContain('allowFirstIP')
    const writes = at.server.patches.length
    await at.clock.advance(120_000)
    expect(at.server.patches).toHaveLength(writes)
  })

  /** Three addresses attached, one in use: two go back, and stay listed until the operator has noticed. */
  async function withGivenUp() {
    const at = await agent({ preAllocate: 1 })
    await at.change(enis(eni(1, ['10.0.1.10', '10.0.1.11', '10.0.1.12'])))
    const ipam = await at.open()
    const cidrs = (): readonly string[] =>
      ((at.pools()['allocated'] as readonly { readonly cidrs: readonly string[] }[])[0] ?? { cidrs: [] }).cidrs
    expect(cidrs()).toEqual(['10.0.1.10/32'])
    return { ...at, ipam, cidrs }
  }

  test('asks for a CIDR that it gave up, and uses it once the resource says so', async () => {
    const at = await withGivenUp()
    expect(next(at.ipam, 'first').ip).toBe('10.0.1.10')
    expect(codeOf(() => next(at.ipam, 'second'))).toBe('POD_CIDRS_EXHAUSTED')
    await at.clock.advance(1_000)
    expect(at.cidrs()).toEqual(['10.0.1.10/32', '10.0.1.11/32', '10.0.1.12/32'])
    expect(next(at.ipam, 'second').ip).toBe('10.0.1.11')
  })

  test('a CIDR that it asks for and that goes before the answer is never used', async () => {
    const at = await withGivenUp()
    next(at.ipam, 'first')
    // The operator takes the address out of the status at the same moment: the agent's write is for an older version.
    at.server.change(enis(eni(1, ['10.0.1.10', '10.0.1.12'])))
    expect(codeOf(() => next(at.ipam, 'second'))).toBe('POD_CIDRS_EXHAUSTED')
    await at.clock.advance(500)
    expect(codeOf(() => next(at.ipam, 'second'))).toBe('POD_CIDRS_EXHAUSTED')
    await at.change({})
    await at.clock.advance(5_000)
    expect(at.cidrs()).toEqual(['10.0.1.10/32', '10.0.1.12/32'])
    expect(next(at.ipam, 'second').ip).toBe('10.0.1.12')
  })

  test('after a restart uses what it had taken over, and the rest once it is asked for', async () => {
    const pools = { requested: [], allocated: [{ pool: 'default', cidrs: ['10.0.1.10/32'] }] }
    const node = {
      spec: { eni: { 'first-interface-index': 1 }, ipam: { pools } },
      ...enis(eni(1, ['10.0.1.9', '10.0.1.10'])),
    }
    const at = await agent({ node, preAllocate: 2, refusals: 2 })
    const ipam = await at.open()
    expect(next(ipam, 'first').ip).toBe('10.0.1.10')
    expect(codeOf(() => next(ipam, 'second'))).toBe('POD_CIDRS_EXHAUSTED')
    await at.clock.advance(5_000)
    expect(next(ipam, 'second').ip).toBe('10.0.1.9')
  })
})
