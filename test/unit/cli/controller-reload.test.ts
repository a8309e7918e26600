import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { ControllerWorld, until } from './controller-world.ts'

/** Options read again, the audit log and a dry run, in the program as a user starts it. */

const program = fileURLToPath(new URL('../../../bin/berth.mjs', import.meta.url))
const cleanUps: (() => Promise<unknown> | void)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function startedIn(flags: readonly string[]) {
  const at = new ControllerWorld()
  const folder = mkdtempSync(join(tmpdir(), 'berth-reload-'))
  const kubernetes = await at.kubernetes.listen({ host: '127.0.0.1', port: 0 })
  const ec2 = await at.ec2.listen({ host: '127.0.0.1', port: 0 })
  writeFileSync(join(folder, 'kubeconfig'), at.kubernetes.kubeconfig(kubernetes.url))
  const address = 'http://127.0.0.1'
  const args = [
    `--kubeconfig=${join(folder, 'kubeconfig')}`,
    `--ec2-api-endpoint=${ec2.url}`,
    '--aws-region=us-east-1',
    '--aws-vpc-id=vpc-0000000000000001a',
    '--cluster-name=test',
    '--operator-prometheus-serve-addr=127.0.0.1:0',
    ...flags.map((flag) => flag.replace('FOLDER', folder)),
  ]
  const child = spawn(process.execPath, [program, 'controller', ...args], {
    env: { PATH: process.env['PATH'], HOME: '/nowhere', AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written = { out: '', error: '' }
  child.stdout.on('data', (piece: Buffer) => (written.out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (written.error += piece.toString()))
  const exit = new Promise<number | string | null>((resolve) =>
    child.on('exit', (code, signal) => resolve(code ?? signal)),
  )
  cleanUps.push(async () => {
    child.kill('SIGKILL')
    await exit
    await at.close()
    await kubernetes.close()
    await ec2.close()
    rmSync(folder, { recursive: true })
  })
  const url = (): string => `${address}:${/"address":"http:\/\/127\.0\.0\.1:(\d+)"/.exec(written.error)?.[1]}`
  const says = (message: string): Promise<void> => until(() => written.error.includes(`"msg":"${message}"`))
  return { at, child, folder, written, exit, url, says }
}

test('a switch in a file is on after SIGHUP: the metric, the log and the options in effect say so', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-options-'))
  const file = join(folder, 'berth.yaml')
  writeFileSync(file, 'log-level: info\n')
  const running = await startedIn([`--config=${file}`, '--audit-log=FOLDER/audit.jsonl'])
  await running.says('Leading')
  writeFileSync(file, 'log-level: debug\npause-destructive: true\n')
  running.child.kill('SIGHUP')
  await running.says('Read the options again')
  expect(running.written.error).toContain('Nothing is released, detached or deleted from now on')
  const metrics = await (await fetch(`${running.url()}/metrics`)).text()
  expect(metrics).toContain('berth_destructive_paused 1')
  const config: unknown = await (await fetch(`${running.url()}/v1/config`)).json()
  expect(config).toMatchObject({ pauseDestructive: true, telemetry: { logLevel: 'debug' }, budget: { table: {} } })
  // A rotation: the log goes on in a new file.
  renameSync(join(running.folder, 'audit.jsonl'), join(running.folder, 'audit.1'))
  writeFileSync(file, 'log-level: info\npause-destructive: maybe\n')
  running.child.kill('SIGHUP')
  await running.says('The options are wrong, those in effect stay')
  expect(readFileSync(join(running.folder, 'audit.jsonl'), 'utf8')).toBe('')
  expect(await (await fetch(`${running.url()}/metrics`)).text()).toContain('berth_destructive_paused 1')
  running.child.kill('SIGTERM')
  expect(await running.exit).toBe(0)
})

test('a dry run prints its report at the end, and serves it before', async () => {
  const running = await startedIn(['--dry-run'])
  running.at.addNode('node-a')
  const report = async (): Promise<{ calls?: object }> =>
    (await (await fetch(`${running.url()}/v1/dry-run`)).json()) as { calls?: object }
  await running.says('Every CiliumNode is known')
  await until(async () => Object.keys((await report()).calls ?? {}).length > 0)
  running.child.kill('SIGTERM')
  expect(await running.exit).toBe(0)
  const printed = JSON.parse(running.written.out) as object
  expect(printed).toMatchObject({
    mode: 'dry-run',
    calls: { AssignPrivateIpAddresses: 1 },
    resources: { status: 1, spec: 1 },
  })
  expect(await running.at.poolSize('node-a')).toBe(0)
})

test('an audit log that cannot be written is a mistake of the configuration', async () => {
  const running = await startedIn(['--audit-log=/nonexistent/audit.jsonl'])
  expect(await running.exit).toBe(2)
  expect(running.written.error).toContain('--audit-log /nonexistent/audit.jsonl: cannot be written')
})
