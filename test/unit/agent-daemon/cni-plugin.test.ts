import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import type { APIClient } from '../../../src/agent/api-client.ts'
import { AgentUnreachableError } from '../../../src/agent/api-client.ts'
import { createRouter } from '../../../src/agent/api-router.ts'
import { runPlugin } from '../../../src/agent/cni-plugin.ts'
import type { AgentLife, AgentOptions } from './builders.ts'
import { openAgent, restoredAgent } from './builders.ts'
import { ERROR_SCHEMA, successSchema, VERSION_SCHEMA } from './cni-schemas.ts'
import { FakePoolAllocator } from './fake-pool-allocator.ts'

const ajv = new Ajv({ allErrors: true })
const VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
const DUAL: AgentOptions = { ipv4: '10.0.0.0/29', ipv6: 'fd00::/125' }

const ENVIRONMENT = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/var/run/netns/c1',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0',
}
const CONFIG = { cniVersion: '1.1.0', name: 'net', type: 'ptp', ipam: { type: 'berth-ipam' } }

function expectValid(schema: object, value: unknown): void {
  const validate = ajv.compile(schema)
  expect(validate(value), JSON.stringify(validate.errors)).toBe(true)
}

/** An agent's router as the plug-in's client sees it. */
function clientOf(life: AgentLife): APIClient {
  const quiet = (): void => undefined
  const router = createRouter({
    core: () => life.core,
    expirationMs: 0,
    health: () => ({ ok: life.core.isOpen, reasons: life.core.isOpen ? [] : ['starting'] }),
    hostAddressing: () => ({ ipv4: { enabled: true, ip: '10.0.0.6' } }),
    metrics: () => Promise.resolve({ text: '', contentType: '' }),
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  })
  return async (method, target, content) => {
    const body = content === undefined ? '' : JSON.stringify(content)
    const answer = await router({ method, target, headers: {}, body, signal: new AbortController().signal })
    return {
      status: answer.status,
      code: answer.headers['x-berth-error-code'] ?? '',
      value: answer.body === '' ? undefined : JSON.parse(answer.body),
    }
  }
}

const unreachable: APIClient = () => Promise.reject(new AgentUnreachableError('berth agent on /x: ECONNREFUSED'))

function pluginOf(client: APIClient) {
  return async (command: string, { config = {}, environment = {} }: { config?: object; environment?: object } = {}) => {
    const { output, exitCode } = await runPlugin({
      environment: { CNI_COMMAND: command, ...ENVIRONMENT, ...environment },
      read: () => Promise.resolve(JSON.stringify({ ...CONFIG, ...config })),
      connect: () => client,
    })
    const value = (output === '' ? undefined : JSON.parse(output)) as Record<string, unknown> & {
      readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly version?: string }[]
      readonly code?: number
      readonly msg?: string
    }
    if (exitCode !== 0) expectValid(ERROR_SCHEMA, value)
    return { exitCode, value }
  }
}

const start = async (options: AgentOptions = DUAL) => {
  const life = await openAgent(options)
  return { ...life, run: pluginOf(clientOf(life)) }
}

describe('ADD', () => {
  test.each(VERSIONS)('prints a result of version %s', async (cniVersion) => {
    const { run } = await start()
    const { exitCode, value } = await run('ADD', { config: { cniVersion } })
    expect(exitCode).toBe(0)
    expectValid(successSchema(cniVersion), value)
    expect(value['cniVersion']).toBe(cniVersion)
    expect(value.ips!.map(({ address }) => address.split('/')[1])).toEqual(['32', '128'])
  })

  test('holds the address for the pod, and gets it again when it is repeated', async () => {
    const { run, core } = await start()
    const first = await run('ADD')
    expect(await run('ADD')).toEqual(first)
    expect([...core.dump().ipv4!.values()]).toEqual(['default/web-0'])
  })

  test('takes family, pool, prefix and routes of the configuration', async () => {
    const ipv4Allocator = new FakePoolAllocator({ red: ['10.1.0.7'] })
    const { run } = await start({ ipv4Allocator, ipv6: 'fd00::/125' })
    const ipam = {
      type: 'berth-ipam',
      family: 'ipv4',
      pool: 'red',
      prefixLengths: { ipv4: 24 },
      routes: [{ dst: '0.0.0.0/0' }, { dst: '10.0.0.0/8', gw: '10.1.0.1' }],
    }
    const { value } = await run('ADD', { config: { ipam } })
    expectValid(successSchema('1.1.0'), value)
    expect(value).toEqual({
      cniVersion: '1.1.0',
      ips: [{ address: '10.1.0.7/24', gateway: '10.0.0.1' }],
      routes: ipam.routes,
    })
  })

  test("has the agent's own address for a gateway where the interface has none", async () => {
    const { run } = await start({ ipv4: '10.0.0.0/29' })
    expect((await run('ADD')).value.ips![0]!.gateway).toBe('10.0.0.6')
  })

  test('without the name of a pod holds it for the container', async () => {
    const { run, core } = await start()
    await run('ADD', { environment: { CNI_ARGS: '' } })
    expect([...core.dump().ipv4!.values()]).toEqual(['c1'])
  })

  test('asks to be tried again when there is no address, saying for whom', async () => {
    const { run, clock } = await start({ ipv4Allocator: new FakePoolAllocator({ default: [] }) })
    const answer = run('ADD')
    await clock.advance(10_000)
    expect(await answer).toMatchObject({
      exitCode: 1,
      value: { code: 11, msg: expect.stringContaining('default/web-0') },
    })
  })

  test('fails for good when the agent does not serve the family', async () => {
    const { run } = await start({ ipv4: '10.0.0.0/29' })
    const { value } = await run('ADD', { config: { ipam: { family: 'ipv6' } } })
    expect(value).toMatchObject({ code: 100, details: 'ALLOCATOR_UNAVAILABLE' })
  })
})

describe('DEL', () => {
  test('gives the addresses back, prints nothing, and may be repeated', async () => {
    const { run, core } = await start()
    await run('ADD')
    for (let time = 0; time < 2; time++) expect(await run('DEL')).toEqual({ exitCode: 0, value: undefined })
    expect(core.leaseCount).toBe(0)
  })

  test('needs neither a network namespace nor a previous result', async () => {
    const { run, core } = await start()
    await run('ADD')
    expect((await run('DEL', { environment: { CNI_NETNS: undefined } })).exitCode).toBe(0)
    expect(core.leaseCount).toBe(0)
  })

  test('leaves other interfaces and networks alone', async () => {
    const { run, core } = await start()
    await run('ADD')
    await run('DEL', { environment: { CNI_IFNAME: 'eth1' } })
    await run('DEL', { config: { name: 'other' } })
    expect(core.leaseCount).toBe(2)
  })

  test('is tried again when no agent answers: the address would stay held', async () => {
    const { exitCode, value } = await pluginOf(unreachable)('DEL')
    expect({ exitCode, code: value.code }).toEqual({ exitCode: 1, code: 11 })
  })

  test('is tried again while the agent starts', async () => {
    const run = pluginOf(clientOf(await restoredAgent(DUAL)))
    expect((await run('DEL')).value.code).toBe(11)
  })
})

describe('CHECK', () => {
  test('is content with the result of ADD, to which other plug-ins have added', async () => {
    const { run } = await start()
    const { value } = await run('ADD')
    const prevResult = { ...value, interfaces: [{ name: 'eth0' }], ips: [...value.ips!, { address: '192.0.2.1/24' }] }
    expect(await run('CHECK', { config: { prevResult } })).toEqual({ exitCode: 0, value: undefined })
  })

  test.each([
    { name: 'nothing is held', isAdded: false, prevResult: { ips: [{ address: '10.0.0.1/32' }] }, code: 3 },
    { name: 'another address is held', isAdded: true, prevResult: { ips: [{ address: '192.0.2.9/32' }] }, code: 101 },
    { name: 'prevResult is missing', isAdded: true, prevResult: undefined, code: 7 },
    { name: 'prevResult is none', isAdded: true, prevResult: { ips: [{}] }, code: 7 },
  ])('fails when $name', async ({ isAdded, prevResult, code }) => {
    const { run } = await start()
    if (isAdded) await run('ADD')
    expect((await run('CHECK', { config: { prevResult } })).value.code).toBe(code)
  })

  test('came with 0.4.0', async () => {
    const { run } = await start()
    expect((await run('CHECK', { config: { cniVersion: '0.3.1' } })).value).toMatchObject({
      code: 1,
      cniVersion: '0.3.1',
    })
  })
})

describe('GC', () => {
  const attachments = [{ containerID: 'c2', ifname: 'eth0' }]

  test.each(['cni.dev/valid-attachments', 'cni.dev/attachments'])('ends what %s does not have', async (key) => {
    const { run, core } = await start()
    await run('ADD')
    await run('ADD', { environment: { CNI_CONTAINERID: 'c2' } })
    expect(await run('GC', { config: { [key]: attachments } })).toEqual({ exitCode: 0, value: undefined })
    expect(core.leaseCount).toBe(2)
    await expect(core.attachment('net/c2/eth0')).resolves.toBeDefined()
  })

  test.each([
    { name: 'without a list', list: undefined },
    { name: 'with a broken list', list: [{ containerID: 'c2' }] },
  ])('$name ends nothing', async ({ list }) => {
    const { run, core } = await start()
    await run('ADD')
    expect((await run('GC', { config: { 'cni.dev/valid-attachments': list } })).value.code).toBe(7)
    expect(core.leaseCount).toBe(2)
  })

  test('came with 1.1.0', async () => {
    const { run } = await start()
    expect((await run('GC', { config: { cniVersion: '1.0.0' } })).value.code).toBe(1)
  })
})

describe('STATUS', () => {
  test('says nothing when ADD can be served', async () => {
    const { run } = await start()
    expect(await run('STATUS')).toEqual({ exitCode: 0, value: undefined })
  })

  test('is 50 while the agent starts, and when there is none', async () => {
    const run = pluginOf(clientOf(await restoredAgent(DUAL)))
    expect((await run('STATUS')).value).toMatchObject({ code: 50, msg: expect.stringContaining('starting') })
    expect((await pluginOf(unreachable)('STATUS')).value.code).toBe(50)
  })
})

describe('VERSION', () => {
  test.each([
    { input: '{"cniVersion": "0.4.0"}', cniVersion: '0.4.0' },
    { input: '', cniVersion: '1.1.0' },
  ])('answers $input', async ({ input, cniVersion }) => {
    const { output, exitCode } = await runPlugin({
      environment: { CNI_COMMAND: 'VERSION' },
      read: () => Promise.resolve(input),
      connect: () => unreachable,
    })
    expect(exitCode).toBe(0)
    expectValid(VERSION_SCHEMA, JSON.parse(output))
    expect(JSON.parse(output)).toEqual({ cniVersion, supportedVersions: VERSIONS })
  })
})

describe('bad input', () => {
  test.each([
    { name: 'an unknown command', environment: { CNI_COMMAND: 'ADDD' }, code: 4, text: 'CNI_COMMAND' },
    { name: 'no container', environment: { CNI_CONTAINERID: '' }, code: 4, text: 'CNI_CONTAINERID' },
    { name: 'a container like a path', environment: { CNI_CONTAINERID: '../x' }, code: 4, text: '../x' },
    { name: 'no namespace', environment: { CNI_NETNS: '' }, code: 4, text: 'CNI_NETNS' },
    { name: 'a long interface', environment: { CNI_IFNAME: 'e'.repeat(16) }, code: 4, text: 'CNI_IFNAME' },
    { name: 'an interface with a slash', environment: { CNI_IFNAME: 'a/b' }, code: 4, text: 'a/b' },
    { name: 'broken arguments', environment: { CNI_ARGS: 'K8S_POD_NAME' }, code: 4, text: 'CNI_ARGS' },
    { name: 'an old version', config: { cniVersion: '0.2.0' }, code: 1, text: '0.2.0' },
    { name: 'a newer version', config: { cniVersion: '2.0.0' }, code: 1, text: '2.0.0' },
    { name: 'no version', config: { cniVersion: undefined }, code: 1, text: '0.1.0' },
    { name: 'no name', config: { name: undefined }, code: 7, text: 'name' },
    { name: 'a name like a path', config: { name: 'a/b' }, code: 7, text: 'a/b' },
    { name: 'an unknown family', config: { ipam: { family: 'ipx' } }, code: 7, text: 'ipam.family' },
    { name: 'a typo', config: { ipam: { sockt: '/x' } }, code: 7, text: 'ipam.sockt' },
    { name: 'a prefix too long', config: { ipam: { prefixLengths: { ipv4: 33 } } }, code: 7, text: '33' },
    { name: 'a route without destination', config: { ipam: { routes: [{}] } }, code: 7, text: 'routes[0].dst' },
    { name: 'a socket that is no text', config: { ipam: { socket: 7 } }, code: 7, text: 'ipam.socket' },
  ])('$name is code $code, and holds nothing', async ({ code, text, ...input }) => {
    const { run, core } = await start()
    const { exitCode, value } = await run('ADD', input)
    expect(exitCode).toBe(1)
    expect(value).toMatchObject({ code, msg: expect.stringContaining(text) })
    expect(core.leaseCount).toBe(0)
  })

  test.each([
    { name: 'text', read: () => Promise.resolve('hello'), code: 6 },
    { name: 'a list', read: () => Promise.resolve('[]'), code: 6 },
    { name: 'nothing', read: () => Promise.resolve(''), code: 6 },
    { name: 'an input that breaks', read: () => Promise.reject(new Error('EIO')), code: 5 },
  ])('$name on standard input is code $code', async ({ read, code }) => {
    const { output, exitCode } = await runPlugin({
      environment: { CNI_COMMAND: 'ADD', ...ENVIRONMENT },
      read,
      connect: () => unreachable,
    })
    expectValid(ERROR_SCHEMA, JSON.parse(output))
    expect({ exitCode, code: (JSON.parse(output) as { code: number }).code }).toEqual({ exitCode: 1, code })
  })
})

test('the schemas refuse what the specification refuses', () => {
  const refused = (schema: object, value: unknown): boolean => !ajv.compile(schema)(value)
  expect(
    refused(successSchema('1.0.0'), { cniVersion: '1.0.0', ips: [{ version: '4', address: '10.0.0.1/32' }] }),
  ).toBe(true)
  expect(refused(successSchema('0.4.0'), { cniVersion: '0.4.0', ips: [{ address: '10.0.0.1/32' }] })).toBe(true)
  expect(refused(successSchema('1.0.0'), { cniVersion: '1.0.0', ips: [{ address: '10.0.0.1' }] })).toBe(true)
  expect(refused(successSchema('1.0.0'), { cniVersion: '1.0.0', ips: [], interfaces: [] })).toBe(true)
  expect(refused(ERROR_SCHEMA, { cniVersion: '1.0.0', code: 42, msg: 'x' })).toBe(true)
})
