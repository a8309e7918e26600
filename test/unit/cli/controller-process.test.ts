import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import type { Server } from '../../../simulators/kit/http.ts'
import { ControllerWorld, LEASE_PATH, until } from './controller-world.ts'

/** The program as a user starts it, over HTTP, with signals and exit codes. */

const program = fileURLToPath(new URL('../../../bin/berth.mjs', import.meta.url))
const cleanUps: (() => Promise<unknown> | void)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

interface Running {
  readonly child: ChildProcess
  readonly output: () => string
  readonly exit: Promise<number | string | null>
}

function run(args: readonly string[]): Running {
  const child = spawn(process.execPath, [program, 'controller', ...args], {
    env: { PATH: process.env['PATH'], HOME: '/nowhere', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const add = (piece: Buffer): void => {
    output += piece.toString()
  }
  child.stdout.on('data', add)
  child.stderr.on('data', add)
  const exit = new Promise<number | string | null>((resolve) =>
    child.on('exit', (code, signal) => resolve(code ?? signal)),
  )
  cleanUps.push(() => {
    child.kill('SIGKILL')
    return exit
  })
  return { child, output: () => output, exit }
}

async function clusterOverHTTP(): Promise<{ readonly at: ControllerWorld; readonly flags: readonly string[] }> {
  const at = new ControllerWorld()
  const folder = mkdtempSync(join(tmpdir(), 'berth-process-'))
  const servers: Server[] = [
    await at.kubernetes.listen({ host: '127.0.0.1', port: 0 }),
    await at.ec2.listen({ host: '127.0.0.1', port: 0 }),
  ]
  cleanUps.push(async () => {
    await at.close()
    for (const server of servers) await server.close()
    rmSync(folder, { recursive: true })
  })
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(kubeconfig, at.kubernetes.kubeconfig(servers[0]!.url))
  return {
    at,
    flags: [
      `--kubeconfig=${kubeconfig}`,
      '--k8s-namespace=kube-system',
      `--ec2-api-endpoint=${servers[1]!.url}`,
      '--aws-region=us-east-1',
      '--aws-vpc-id=vpc-0000000000000001a',
      '--operator-prometheus-serve-addr=127.0.0.1:0',
    ],
  }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends it in order: the lease is released and the exit code is 0',
  async (signal) => {
    const { at, flags } = await clusterOverHTTP()
    at.addNode('node-a')
    const running = run(flags)
    await until(async () => (await at.poolSize('node-a')) >= 8)
    running.child.kill(signal)
    expect(await running.exit).toBe(0)
    expect((await at.request('GET', LEASE_PATH))['spec']).toMatchObject({ holderIdentity: '' })
    const lines = running.output().trim().split('\n')
    expect(lines.every((line) => JSON.parse(line))).toBe(true)
    expect(lines.at(-1)).toContain('"msg":"Stopped"')
  },
)

test('losing the lease ends the process with 1 and the reason', async () => {
  const { at, flags } = await clusterOverHTTP()
  const running = run([...flags, '--leader-election-retry-period=100ms'])
  await until(() => running.output().includes('"msg":"Leading"'))
  await at.request('PATCH', LEASE_PATH, { spec: { holderIdentity: 'somebody-else' } })
  expect(await running.exit).toBe(1)
  expect(running.output()).toContain("berth controller: 'somebody-else' has taken the lease\n")
})

test('an API server that is not there ends it with 1 and one clear line', async () => {
  const { flags } = await clusterOverHTTP()
  const running = run([...flags, '--k8s-api-server=http://127.0.0.1:1'])
  expect(await running.exit).toBe(1)
  const last = running.output().trim().split('\n').at(-1)
  expect(last).toContain('berth controller: Cannot reach the Kubernetes API server http://127.0.0.1:1')
})

test.each([
  [
    'a kubeconfig that is not there',
    ['--kubeconfig=/nowhere/config'],
    'berth controller: kubeconfig /nowhere/config: ENOENT',
  ],
  ['no kubeconfig at all', [], 'berth controller: no way to a Kubernetes API server'],
])('%s ends it with 2', async (_, args, message) => {
  const running = run(args)
  expect(await running.exit).toBe(2)
  expect(running.output()).toContain(message)
})
