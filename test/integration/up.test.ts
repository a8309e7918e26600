import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'

const PROGRAM = fileURLToPath(new URL('../../bin/berth.mjs', import.meta.url))
const TIMEOUT_MS = 60_000

interface Run {
  readonly child: ChildProcess
  out: string
  err: string
  readonly exit: Promise<number | null>
}

const runs: Run[] = []
afterEach(() => {
  for (const { child } of runs.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
})

function up(...args: string[]): Run {
  const child = spawn(process.execPath, [PROGRAM, 'up', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  const run: Run = { child, out: '', err: '', exit }
  child.stdout.on('data', (chunk) => (run.out += String(chunk)))
  child.stderr.on('data', (chunk) => (run.err += String(chunk)))
  runs.push(run)
  return run
}

/** Waits until the simulated world can be reached, and says how. */
async function reachable(run: Run): Promise<{ readonly ec2URL: string; readonly kubeconfig: string }> {
  return vi.waitFor(
    () => {
      const [, ec2URL = ''] = /AWS_ENDPOINT_URL_EC2=(\S+)/.exec(run.out + run.err) ?? []
      const [, kubeconfig = ''] = /KUBECONFIG=(\S+)/.exec(run.out + run.err) ?? []
      if (ec2URL === '' || kubeconfig === '') throw new Error(`not up yet: ${run.err}`)
      return { ec2URL, kubeconfig }
    },
    { timeout: TIMEOUT_MS, interval: 50 },
  )
}

async function isGone(url: string): Promise<void> {
  await vi.waitFor(() => expect(fetch(`${url}/_berth/health`)).rejects.toThrow(), { timeout: 10_000, interval: 100 })
}

describe('berth up', () => {
  test.each([
    { generation: 'pool', args: [] },
    { generation: 'multi-pool', args: [] },
    { generation: 'mixed', args: ['--prefix-delegation'] },
  ])(
    'agents of generation $generation, $args: the fleet gets what it needs, and standard output is the summary alone',
    async ({ generation, args }) => {
      const nodes = 4
      const run = up('--nodes', String(nodes), '--until-converged', '--json', '--agent-generation', generation, ...args)
      expect(await run.exit, run.err).toBe(0)
      expect(run.out.trimEnd()).not.toContain('\n')
      const summary = JSON.parse(run.out) as Record<string, number> & { calls: Record<string, number> }
      expect(Object.keys(summary)).toEqual(
        'cloud nodes nodesConverged pods podsWaiting addressesAvailable addressesUsed interfaces calls throttled errors virtual wallSeconds seed'.split(
          ' ',
        ),
      )
      expect(summary).toMatchObject({
        cloud: 'aws',
        nodes,
        nodesConverged: nodes,
        pods: nodes * 10,
        podsWaiting: 0,
        addressesUsed: nodes * 10,
        throttled: 0,
        errors: 0,
        virtual: false,
        seed: 1,
      })
      // 10 pods and a buffer of 8 on each node; prefixes bring 16 addresses at a time, on the interface that is there.
      expect(summary['addressesAvailable']).toBeGreaterThanOrEqual(nodes * 18)
      expect(summary.calls['AssignPrivateIpAddresses']).toBeGreaterThanOrEqual(nodes)
      if (args.length > 0) expect(summary['interfaces']).toBe(nodes)
      else expect(summary['interfaces']).toBeGreaterThanOrEqual(nodes * 2)
    },
    TIMEOUT_MS,
  )

  test('Ctrl-C ends it in order: summary, exit code 0, nothing left behind', async () => {
    const run = up('--nodes', '3')
    const { ec2URL, kubeconfig } = await reachable(run)
    expect(readFileSync(kubeconfig, 'utf8')).toContain('http://127.0.0.1:')
    await vi.waitFor(() => expect(run.out).toMatch(/nodes \d\/3/), { timeout: TIMEOUT_MS })
    run.child.kill('SIGINT')
    expect(await run.exit).toBe(0)
    expect(run.out).toMatch(
      /\d of 3 nodes have the addresses they need[^\n]*\n\d+ pods,[^\n]*\n\d+ cloud calls,[^\n]*\n$/,
    )
    expect(existsSync(dirname(kubeconfig))).toBe(false)
    await isGone(ec2URL)
  }, 60_000)

  test('gives up after --timeout with exit code 1, and says so', async () => {
    const run = up('--nodes', '50', '--until-converged', '--timeout', '1', '--json')
    expect(await run.exit).toBe(1)
    expect(run.err).toContain('berth up: not converged after 1 s\n')
  }, 60_000)

  test('a world that ends ends the run with exit code 1', async () => {
    const run = up('--nodes', '2')
    await vi.waitFor(() => expect(run.out).toMatch(/nodes \d\/2/), { timeout: TIMEOUT_MS })
    const { pid } = run.child
    const [world] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
    process.kill(world!, 'SIGKILL')
    expect(await run.exit).toBe(1)
    expect(run.err).toContain('berth up: the process of the simulated world ended (SIGKILL)\n')
  }, 60_000)

  test('a run that is killed takes its world along', async () => {
    const run = up('--nodes', '2')
    const { ec2URL } = await reachable(run)
    expect((await fetch(`${ec2URL}/_berth/health`)).status).toBe(200)
    run.child.kill('SIGKILL')
    await run.exit
    await isGone(ec2URL)
  }, 60_000)

  test.each([
    { args: ['--node', '3'], message: 'unknown option --node; did you mean --nodes?' },
    { args: ['--cloud', 'alibabacloud'], message: '--cloud alibabacloud: not built yet; built are aws, azure' },
    { args: ['--instance-type', 'm5.huge'], message: 'instance type m5.huge is not known to the EC2 simulator' },
    { args: ['--pods-per-node', '28'], message: '28 pods per node: an instance of type m5.large takes 27' },
  ])(
    '$args is one line on standard error, and exit code 2',
    async ({ args, message }) => {
      const run = up(...args, '--json')
      expect(await run.exit).toBe(2)
      expect(run.err).toBe(`berth up: ${message}\n`)
      expect(run.out).toBe('')
    },
    60_000,
  )
})
