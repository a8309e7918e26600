import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { socketClient } from '../../src/agent/api-client.ts'
import type { IPAMResponse, IPAMStatus } from '../../src/agent/api-shapes.ts'
import { runPlugin } from '../../src/agent/cni-plugin.ts'
import { until } from '../unit/cli/controller-world.ts'
import { AgentWorld } from './agent-harness.ts'

let world: AgentWorld
beforeEach(() => {
  world = new AgentWorld()
})
afterEach(() => world.close())

const HOST_SCOPE = ['--ipv4-range', '10.1.0.0/29']
const put = async (id: string): Promise<IPAMResponse> =>
  (await world.client('PUT', `/v1/attachment/net/${id}/eth0?owner=default%2F${id}`)).value as IPAMResponse
const allocations = async (): Promise<Record<string, string>> =>
  ((await world.client('GET', '/v1/ipam')).value as IPAMStatus).allocations
const usedIPs = async (): Promise<string[]> => Object.keys((await world.ipamStatus()).used ?? {}).sort()

describe('an agent of mode eni', () => {
  test('waits for its node, gives its addresses with their interface, and reports them', async () => {
    const agent = await world.start('--ipam', 'eni')
    expect((await world.client('PUT', '/v1/attachment/net/c1/eth0')).status).toBe(503)
    expect(await world.client('GET', '/healthz')).toMatchObject({ status: 503, value: { ok: false } })
    world.kubernetes.load([world.node(['10.0.0.10', '10.0.0.11'])])
    await agent.opened
    const { ipv4 } = await put('c1')
    expect(ipv4).toEqual({
      ip: '10.0.0.10',
      cidrs: ['10.0.0.0/16'],
      gateway: '10.0.0.1',
      'master-mac': '02:00:00:00:00:01',
      'interface-number': '1',
    })
    await until(async () => (await usedIPs()).length === 1)
    expect((await world.ipamStatus()).used).toEqual({ '10.0.0.10': { owner: 'default/c1', resource: 'eni-1' } })
    const { status } = await world.client('GET', '/healthz')
    expect(status).toBe(200)
  })

  test('tells the API server after a restart what its pods hold, and never that they hold nothing', async () => {
    world.kubernetes.load([world.node(['10.0.0.10', '10.0.0.11', '10.0.0.12'])])
    const first = await world.start('--ipam', 'eni')
    await first.opened
    await put('c1')
    await put('c2')
    await until(async () => (await usedIPs()).length === 2)
    await first.stop()
    const seen: number[] = []
    const second = await world.start('--ipam', 'eni')
    await second.opened
    for (let look = 0; look < 20; look++) {
      seen.push((await usedIPs()).length)
      await new Promise((resolve) => void setImmediate(resolve))
    }
    await world.client('DELETE', '/v1/attachment/net/c2/eth0')
    await until(async () => (await usedIPs()).length === 1)
    expect(new Set(seen)).toEqual(new Set([2]))
    expect(await usedIPs()).toEqual(['10.0.0.10'])
  })

  test('gives an address up only when no pod holds it', async () => {
    world.kubernetes.load([world.node(['10.0.0.10', '10.0.0.11'])])
    const agent = await world.start('--ipam', 'eni')
    await agent.opened
    await put('c1')
    const marks = { '10.0.0.10': 'marked-for-release', '10.0.0.11': 'marked-for-release' }
    await world.patchNode({ status: { ipam: { 'release-ips': marks } } }, '/status')
    const answers = { '10.0.0.10': 'do-not-release', '10.0.0.11': 'ready-for-release' }
    await until(async () => JSON.stringify((await world.ipamStatus())['release-ips']) === JSON.stringify(answers))
    const answer = await world.client('PUT', '/v1/attachment/net/c2/eth0?owner=default%2Fc2')
    expect(answer).toMatchObject({ status: 502, code: 'NO_MORE_IPS' })
  })

  test('gives a pod that waits the address that the operator adds', async () => {
    world.kubernetes.load([world.node(['10.0.0.10'])])
    const agent = await world.start('--ipam', 'eni')
    await agent.opened
    await put('c1')
    const waiting = world.client('PUT', '/v1/attachment/net/c2/eth0?owner=default%2Fc2&wait-ms=10000')
    const grown = world.node(['10.0.0.10', '10.0.0.11'])
    await world.patchNode({ status: grown['status'] }, '/status')
    await world.patchNode({ spec: grown['spec'] })
    expect(await waiting).toMatchObject({ status: 201, value: { ipv4: { ip: '10.0.0.11' } } })
  })

  test('keeps a pod whose address left the pool while the agent was away, and gives it to nobody', async () => {
    world.kubernetes.load([world.node(['10.0.0.10', '10.0.0.11'])])
    const first = await world.start('--ipam', 'eni')
    await first.opened
    await put('c1')
    await first.stop()
    const ENI = (world.node(['10.0.0.11'])['status'] as { readonly eni: object }).eni
    await world.patchNode({ spec: { ipam: { pool: { '10.0.0.10': null } } } })
    await world.patchNode({ status: { eni: ENI as never } }, '/status')
    const second = await world.start('--ipam', 'eni')
    await second.opened
    expect((await world.client('GET', '/healthz')).value).toEqual({
      ok: true,
      reasons: ["1 held addresses are not in the node's pool"],
    })
    expect((await put('c2')).ipv4?.ip).toBe('10.0.0.11')
    expect(await allocations()).toEqual({ '10.0.0.10': 'default/c1', '10.0.0.11': 'default/c2' })
    const again = world.node(['10.0.0.10', '10.0.0.11'])
    await world.patchNode({ status: again['status'] }, '/status')
    await world.patchNode({ spec: again['spec'] })
    await until(async () => ((await world.client('GET', '/healthz')).value as { reasons: [] }).reasons.length === 0)
    expect((await allocations())['10.0.0.10']).toBe('default/c1')
  })

  test.each([
    { name: 'a pool that is a text', patch: { spec: { ipam: { pool: 'none' } } } },
    { name: 'addresses that are none', patch: { spec: { ipam: { pool: { nowhere: {}, '10.0.0': 7 } } } } },
    {
      name: 'an unknown state of the handshake',
      patch: { status: { ipam: { 'release-ips': { '10.0.0.11': 'maybe' } } } },
    },
    { name: 'an interface without network', patch: { status: { eni: { enis: { 'eni-1': { vpc: null } } } } } },
    { name: 'no spec at all', patch: { spec: null } },
  ])('goes on serving when the resource shows $name, and takes up the next good version', async ({ patch }) => {
    await world.close()
    world = new AgentWorld({ hasSchema: false })
    world.kubernetes.load([world.node(['10.0.0.10'])])
    const agent = await world.start('--ipam', 'eni')
    await agent.opened
    const first = await put('c1')
    const isStatus = 'status' in patch
    await world.patchNode(patch, isStatus ? '/status' : '')
    await until(() => world.kubernetes.calls.report().attempts > 3)
    expect((await put('c1')).address).toEqual(first.address)
    const good = world.node(['10.0.0.10', '10.0.0.11'])
    await world.patchNode({ status: { ...(good['status'] as object), ipam: null } }, '/status')
    await world.patchNode({ spec: { ipam: null } })
    await world.patchNode({ spec: good['spec'] })
    const { value } = await world.client('PUT', '/v1/attachment/net/c2/eth0?owner=default%2Fc2&wait-ms=5000')
    expect((value as IPAMResponse).address.ipv4).toBe('10.0.0.11')
    expect((await world.client('DELETE', '/v1/attachment/net/c1/eth0')).status).toBe(200)
  })

  test('ends with one clear line when the native routing CIDR cannot be right', async () => {
    world.kubernetes.load([world.node(['10.0.0.10'])])
    const agent = await world.start('--ipam', 'eni', '--ipv4-native-routing-cidr', '192.168.0.0/16')
    expect((await agent.ended).message).toMatch(/192\.168\.0\.0\/16 overlaps none of the VPC's CIDRs 10\.0\.0\.0\/16/)
  })
})

test('an agent stops in order while it waits, and says for what', async () => {
  const { router } = world.kubernetes
  Object.assign(world.kubernetes, { router: () => new Promise(() => undefined) })
  const unanswered = await world.start('--ipam', 'eni')
  const answer = await world.client('PUT', '/v1/attachment/net/c1/eth0')
  expect(answer).toMatchObject({
    status: 503,
    code: 'NOT_READY',
    value: expect.stringContaining('https://api.test:6443'),
  })
  await unanswered.stop()
  Object.assign(world.kubernetes, { router })
  const missing = await world.start('--ipam', 'eni')
  await until(async () => JSON.stringify((await world.client('GET', '/healthz')).value).includes('does not exist yet'))
  await missing.stop()
  expect(existsSync(world.socket)).toBe(false)
})

describe('an agent of the pod CIDR modes', () => {
  test('cluster-pool takes the first CIDR of each family of its CiliumNode', async () => {
    const agent = await world.start('--enable-ipv6', 'true')
    world.kubernetes.load([
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNode',
        metadata: { name: 'node-a' },
        spec: { ipam: { podCIDRs: ['10.2.0.0/24', 'fd00:2::/112', '10.3.0.0/24'] } },
      },
    ])
    await agent.opened
    const { address } = await put('c1')
    expect(address.ipv4).toMatch(/^10\.2\.0\./)
    expect(address.ipv6).toMatch(/^fd00:2::/)
  })

  test('kubernetes takes the CIDR of its Node', async () => {
    world.kubernetes.load([
      { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-a' }, spec: { podCIDR: '10.4.0.0/24' } },
    ])
    const agent = await world.start('--ipam', 'kubernetes')
    await agent.opened
    expect((await put('c1')).address.ipv4).toMatch(/^10\.4\.0\./)
  })

  test('multi-pool gives the addresses of its pools, asks for more, and takes them up', async () => {
    const allocated = [{ pool: 'default', cidrs: ['10.5.0.0/29'] }]
    world.kubernetes.load([
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNode',
        metadata: { name: 'node-a' },
        spec: { ipam: { pools: { allocated } } },
      },
    ])
    const agent = await world.start('--ipam', 'multi-pool', '--ipam-multi-pool-pre-allocation', 'default=4')
    const requested = async (): Promise<unknown> => {
      const { spec } = await world.request('GET', '/apis/cilium.io/v2/ciliumnodes/node-a')
      return (spec as { readonly ipam: { readonly pools?: { readonly requested?: unknown } } }).ipam.pools?.requested
    }
    const asks = (count: number) => async (): Promise<boolean> =>
      JSON.stringify(await requested()) === JSON.stringify([{ pool: 'default', needed: { 'ipv4-addrs': count } }])
    await agent.opened
    await until(asks(4))
    const { address } = await put('c1')
    expect(address).toMatchObject({ ipv4: expect.stringMatching(/^10\.5\.0\./), 'ipv4-pool-name': 'default' })
    await until(asks(8))
    for (const id of ['c2', 'c3', 'c4', 'c5', 'c6']) await put(id)
    const waiting = world.client('PUT', '/v1/attachment/net/c7/eth0?owner=default%2Fc7&wait-ms=5000')
    await until(asks(12))
    const more = [{ pool: 'default', cidrs: ['10.5.0.0/29', '10.6.0.0/29'] }]
    await world.patchNode({ spec: { ipam: { pools: { allocated: more } } } })
    expect(((await waiting).value as IPAMResponse).address.ipv4).toMatch(/^10\.6\.0\./)
  })
})

describe('an agent whose options say all', () => {
  test('needs no API server, and excludes and reserves what it is told', async () => {
    const agent = await world.start(...HOST_SCOPE, '--exclude', '10.1.0.1 10.1.0.2', '--reserve', 'router,health')
    await agent.opened
    expect(world.kubernetes.calls.report().attempts).toBe(0)
    expect(Object.values(await allocations()).sort()).toEqual(['health', 'router'])
    const responses = [await put('c1'), await put('c2')]
    const router = Object.entries(await allocations()).find(([, owner]) => owner === 'router')?.[0]
    for (const response of responses) {
      expect(response['host-addressing'].ipv4).toEqual({ enabled: true, ip: router })
      expect(['10.1.0.1', '10.1.0.2']).not.toContain(response.address.ipv4)
    }
    expect(await world.client('PUT', '/v1/attachment/net/c3/eth0')).toMatchObject({ status: 502, code: 'RANGE_FULL' })
  })

  test('serves loopback HTTP and metrics beside its socket', async () => {
    const free = '127.0.0.1:0'
    const agent = await world.start(...HOST_SCOPE, '--api-address', free, '--prometheus-serve-addr', free)
    await agent.opened
    const [, url] = agent.addresses
    const answer = await fetch(`${url}/v1/ipam?owner=default%2Fa`, { method: 'POST', headers: { expiration: 'true' } })
    expect(answer.status).toBe(201)
    const text = await (await fetch(`${agent.telemetryURL}/metrics`)).text()
    expect(text).toContain('cilium_ipam_events_total{action="allocate",family="ipv4"} 1')
    expect(text).toContain('cilium_ipam_capacity{family="ipv4"} 6')
    expect(text).toContain('berth_agent_addresses{family="ipv4",pool="default",state="allocated"} 1')
    expect((await fetch(`${agent.telemetryURL}/readyz`)).status).toBe(200)
    expect((await world.client('GET', '/metrics')).status).toBe(200)
  })

  test('serves the CNI plug-in over its socket', async () => {
    const agent = await world.start(...HOST_SCOPE)
    await agent.opened
    const run = (command: string, id: string) =>
      runPlugin({
        environment: { CNI_COMMAND: command, CNI_CONTAINERID: id, CNI_NETNS: '/n', CNI_IFNAME: 'eth0' },
        read: () =>
          Promise.resolve(JSON.stringify({ cniVersion: '1.1.0', name: 'net', ipam: { socket: world.socket } })),
        connect: (socket) => socketClient(socket, 5_000),
      })
    const added = await Promise.all(['c1', 'c2', 'c3'].map((id) => run('ADD', id)))
    expect(new Set(added.map(({ output }) => output)).size).toBe(3)
    for (const id of ['c1', 'c2', 'c3']) expect((await run('DEL', id)).exitCode).toBe(0)
    expect(await allocations()).toEqual({})
  })

  test('stops in order: no socket is left, and what was held is held at the next start', async () => {
    const first = await world.start(...HOST_SCOPE)
    await first.opened
    const before = await put('c1')
    await first.stop()
    expect(existsSync(world.socket)).toBe(false)
    expect(readdirSync(join(world.folder, 'state'))).toEqual(['leases'])
    const second = await world.start(...HOST_SCOPE)
    await second.opened
    expect(await put('c1')).toEqual(before)
  })
})

describe('a start that cannot succeed', () => {
  const failure = async (...flags: readonly string[]): Promise<Error> =>
    world.start(...HOST_SCOPE, ...flags).then(
      () => new Error('it started'),
      (error: unknown) => error as Error,
    )

  test('because the socket is in use names it, and leaves the other process alone', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => void other.listen(world.socket, resolve))
    expect(await failure()).toMatchObject({ name: 'EndpointError', message: expect.stringContaining(world.socket) })
    expect(existsSync(world.socket)).toBe(true)
    await new Promise((resolve) => void other.close(resolve))
  })

  test('because another agent works on the state folder', async () => {
    const agent = await world.start(...HOST_SCOPE)
    await agent.opened
    const refusal = await failure('--socket', join(world.folder, 'other.sock'))
    expect(refusal).toMatchObject({ name: 'StateFileError', kind: 'in-use' })
    expect((await put('c1')).address.ipv4).toBeDefined()
  })

  test('because the state is damaged names the file and what to do, and changes nothing', async () => {
    const agent = await world.start(...HOST_SCOPE)
    await agent.opened
    await put('c1')
    await agent.stop()
    const content = readFileSync(world.stateFile)
    content[40]! ^= 4
    writeFileSync(world.stateFile, content)
    const refusal = await failure()
    expect(refusal).toMatchObject({ name: 'StateFileError', kind: 'damaged', file: world.stateFile })
    expect(refusal.message).toMatch(/drain the node, then move the file away/)
    expect(readFileSync(world.stateFile)).toEqual(content)
    expect(existsSync(world.socket)).toBe(false)
  })

  test('because the state is of another node', async () => {
    const agent = await world.start(...HOST_SCOPE)
    await agent.opened
    await agent.stop()
    expect(await failure('--node-name', 'node-b')).toMatchObject({ kind: 'other-node' })
  })

  test('because the state folder cannot be made', async () => {
    writeFileSync(join(world.folder, 'file'), '')
    const refusal = await failure('--state-dir', join(world.folder, 'file', 'state'))
    expect(refusal).toMatchObject({ name: 'StateFileError', kind: 'unreadable' })
  })
})
