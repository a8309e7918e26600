import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { socketClient } from '../../src/agent/api-client.ts'
import { AgentProcess, localFlags } from './agent-process.ts'

let folder = ''
const running: AgentProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-agent-'))
})
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const socket = (): string => join(folder, 'agent.sock')
function run(...args: readonly string[]): AgentProcess {
  const agent = new AgentProcess(args)
  running.push(agent)
  return agent
}
const local = (...more: readonly string[]): AgentProcess => run(...localFlags(folder, '10.0.0.0/24'), ...more)

async function plugin(
  command: string,
  config: object,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const program = new URL('../../bin/berth-ipam.mjs', import.meta.url).pathname
  const environment = {
    ...process.env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/var/run/netns/c1',
    CNI_IFNAME: 'eth0',
    CNI_ARGS: 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0',
  }
  const child = spawn(process.execPath, [program], { env: environment, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(config))
  const output = await text(child.stdout)
  if (child.exitCode === null) await once(child, 'exit')
  return { exitCode: child.exitCode ?? -1, output }
}

describe('berth agent as a program', () => {
  test('serves the plug-in until SIGTERM, ends with 0, and knows its leases again', async () => {
    const config = { cniVersion: '1.0.0', name: 'net', type: 'ptp', ipam: { type: 'berth-ipam', socket: socket() } }
    const first = local()
    await first.untilOpen(socket())
    const added = await plugin('ADD', config)
    expect(added.exitCode).toBe(0)
    expect(await first.kill('SIGTERM')).toBe(0)
    expect(existsSync(socket())).toBe(false)
    const away = await plugin('DEL', config)
    expect(away.exitCode).toBe(1)
    expect(JSON.parse(away.output)).toMatchObject({ code: 11, cniVersion: '1.0.0' })
    const second = local()
    await second.untilOpen(socket())
    expect(await plugin('ADD', config)).toEqual(added)
    expect(await plugin('CHECK', { ...config, prevResult: JSON.parse(added.output) as object })).toEqual({
      exitCode: 0,
      output: '',
    })
    expect(await plugin('DEL', config)).toEqual({ exitCode: 0, output: '' })
    expect(await socketClient(socket(), 1_000)('GET', '/v1/ipam')).toMatchObject({ value: { allocations: {} } })
  })

  test('lets a request that runs end before it ends itself', async () => {
    const agent = run(...localFlags(folder, '10.0.0.0/32'))
    await agent.untilOpen(socket())
    const client = socketClient(socket(), 10_000)
    await client('POST', '/v1/ipam?owner=default%2Fa')
    const waiting = client('PUT', '/v1/attachment/net/c1/eth0?wait-ms=30000')
    await new Promise((resolve) => void setTimeout(resolve, 100))
    expect(await agent.kill('SIGTERM')).toBe(0)
    expect(await waiting).toMatchObject({ status: 503, code: 'STOPPING' })
  })

  test.each([
    { args: ['--socket'], line: 'berth agent: --socket needs a value: --socket PATH\n' },
    { args: ['--sockett=/x'], line: 'berth agent: unknown option --sockett; did you mean --socket?\n' },
    { args: ['--ipam', 'eni', '--kubeconfig', '/none'], line: /^berth agent: kubeconfig \/none: .*\n$/ },
  ])('refuses $args in one line, with exit code 2', async ({ args, line }) => {
    const agent = run(...args)
    expect(await agent.exit()).toBe(2)
    const said = agent.stderr
      .split('\n')
      .filter((one) => !one.startsWith('{'))
      .join('\n')
    if (typeof line === 'string') expect(said).toBe(line)
    else expect(said).toMatch(line)
  })

  test('--help shows the options', async () => {
    const agent = run('--help')
    expect(await agent.exit()).toBe(0)
    expect(agent.stdout).toMatch(/--state-dir DIR .*\(\/var\/run\/berth\/agent\)/)
  })

  test('ends with 1 and one line when its socket is in use', async () => {
    const first = local()
    await first.untilOpen(socket())
    const second = local('--state-dir', join(folder, 'other'))
    expect(await second.exit()).toBe(1)
    expect(second.stderr).toBe(
      `berth agent: Cannot listen on ${socket()}: another process listens there. Stop it, or choose another --socket\n`,
    )
  })

  test('ends with 1 and one line when its state is damaged', async () => {
    const first = local()
    await first.untilOpen(socket())
    await first.kill('SIGKILL')
    const file = join(folder, 'state', 'leases')
    const damaged = Buffer.concat([Buffer.from('x'), readFileSync(file)])
    writeFileSync(file, damaged)
    const second = local()
    expect(await second.exit()).toBe(1)
    expect(second.stderr).toMatch(
      new RegExp(`^berth agent: The state file ${file} is damaged at line 1.*drain the node.*\\n$`),
    )
    expect(readFileSync(file)).toEqual(damaged)
  })

  test('takes over from one that was killed', async () => {
    const first = local()
    await first.untilOpen(socket())
    const client = socketClient(socket(), 2_000)
    const { value } = await client('PUT', '/v1/attachment/net/c1/eth0?owner=default%2Fa')
    await first.kill('SIGKILL')
    expect(existsSync(socket())).toBe(true)
    const second = local()
    await second.untilOpen(socket())
    expect((await client('GET', '/v1/attachment/net/c1/eth0')).value).toEqual(value)
  })
})

describe('berth-ipam as a program', () => {
  test.each([
    { args: ['--help'], exitCode: 0 },
    { args: ['ADD'], exitCode: 2 },
    { args: [], exitCode: 2 },
  ])('run by hand with $args ends with $exitCode', async ({ args, exitCode }) => {
    const program = new URL('../../bin/berth-ipam.mjs', import.meta.url).pathname
    const child = spawn(process.execPath, [program, ...args], { stdio: 'pipe' })
    const said = (await text(child.stdout)) + (await text(child.stderr))
    if (child.exitCode === null) await once(child, 'exit')
    expect(child.exitCode).toBe(exitCode)
    expect(said).toContain('berth-ipam: ')
  })
})
