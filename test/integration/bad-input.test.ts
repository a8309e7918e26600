import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { parseFaults } from '../../simulators/kit/faults.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import { ControllerWorld, LEASE_PATH, until } from '../unit/cli/controller-world.ts'

/** What a person who gets something wrong is told, and that nothing is lost by it: one clear message for each mistake. */

const PROGRAM = fileURLToPath(new URL('../../bin/berth.mjs', import.meta.url))
const NODE_PATH = '/apis/cilium.io/v2/ciliumnodes/node-a'
const cleanUps: (() => Promise<unknown> | void)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

function world(...options: ConstructorParameters<typeof ControllerWorld>): ControllerWorld {
  const made = new ControllerWorld(...options)
  cleanUps.push(() => made.close())
  return made
}

/** Runs the program to its end. */
function berth(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | string | null; readonly out: string; readonly said: readonly string[] }> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { PATH: process.env['PATH'], HOME: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (piece: Buffer) => (out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (err += piece.toString()))
  cleanUps.push(() => void child.kill('SIGKILL'))
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const lines = err.split('\n').filter((line) => line !== '')
      // Records of the log are JSON; what is left is what the program says to a person.
      resolve({ code: code ?? signal, out, said: lines.filter((line) => !line.startsWith('{')) })
    })
  })
}

async function httpServer(listener: RequestListener): Promise<{ readonly url: string; readonly port: number }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port }
}

function file(name: string, content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bad-input-'))
  cleanUps.push(() => rmSync(folder, { recursive: true }))
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** A cluster with one node and its account over HTTP, and the flags of a controller for it. */
async function served(ec2Options: ConstructorParameters<typeof ControllerWorld>[0] = {}) {
  const at = world(ec2Options)
  at.addNode('node-a')
  const kubernetes = await at.kubernetes.listen({ host: '127.0.0.1', port: 0 })
  const ec2 = await at.ec2.listen({ host: '127.0.0.1', port: 0 })
  cleanUps.push(
    () => kubernetes.close(),
    () => ec2.close(),
  )
  const flags = [
    `--k8s-api-server=${kubernetes.url}`,
    `--ec2-api-endpoint=${ec2.url}`,
    '--aws-region=us-east-1',
    '--aws-vpc-id=vpc-0000000000000001a',
    '--operator-prometheus-serve-addr=127.0.0.1:0',
  ]
  return { at, flags, ec2URL: ec2.url, kubernetesURL: kubernetes.url }
}

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIABAD', AWS_SECRET_ACCESS_KEY: 'secret' }

describe('berth controller', () => {
  test.each([
    {
      mistake: 'an unknown option',
      args: ['--aws-regoin=eu-west-1'],
      code: 2,
      says: ['unknown option --aws-regoin; did you mean --aws-region?'],
    },
    {
      mistake: 'two wrong values',
      args: ['--parallel-alloc-workers=many', '--excess-ip-release-delay=-1'],
      code: 2,
      says: [
        "--parallel-alloc-workers: expected a whole number of at least 1, found 'many'",
        '--excess-ip-release-delay: ',
      ],
    },
  ])('$mistake: one line each, and exit code 2', async ({ args, code, says }) => {
    const end = await berth(['controller', ...args])
    expect(end.code).toBe(code)
    expect(end.said).toHaveLength(says.length)
    says.forEach((text, index) => expect(end.said[index]).toContain(`berth controller: ${text}`))
  })

  test('a taken port is named with its option, and nothing was done', async () => {
    const { at, flags } = await served()
    const { port } = await httpServer(() => undefined)
    const end = await berth(['controller', ...flags, `--operator-prometheus-serve-addr=127.0.0.1:${port}`], KEYS)
    expect(end.code).toBe(1)
    expect(end.said).toEqual([
      `berth controller: Cannot listen on 127.0.0.1:${port}: the port is taken. Stop the process that has it, or choose another one with --operator-prometheus-serve-addr`,
    ])
    expect(at.kubernetes.calls.report().attempts + at.ec2.calls.report().attempts).toBe(0)
  })

  test.each([
    { status: 401, says: ['does not accept the credentials', '401', '--kubeconfig'] },
    { status: 403, says: ['does not allow listing CiliumNodes', '403', 'deploy/kubernetes/rbac.yaml'] },
  ])('an API server that answers $status with a page of its own: one line', async ({ status, says }) => {
    const { flags } = await served()
    const { url } = await httpServer((_, response) => {
      response.writeHead(status, { 'content-type': 'text/html' })
      response.end('<html>\n  <body>\n    Who are you?\n  </body>\n</html>\n')
    })
    const end = await berth(['controller', ...flags, `--k8s-api-server=${url}`], KEYS)
    expect(end.code).toBe(1)
    expect(end.said).toHaveLength(1)
    for (const text of [url, 'Who are you?', ...says]) expect(end.said[0]).toContain(text)
  })

  test('an API server without TLS whose address lacks http:// says just that', async () => {
    const { flags, kubernetesURL } = await served()
    const bare = kubernetesURL.replace('http://', '')
    const end = await berth(['controller', ...flags, `--k8s-api-server=${bare}`], KEYS)
    expect(end.code).toBe(1)
    expect(end.said).toHaveLength(1)
    expect(end.said[0]).toContain(`Cannot reach the Kubernetes API server https://${bare}`)
    expect(end.said[0]).toContain('http://')
  })

  test.each([
    { kind: 'AuthFailure', environment: KEYS, says: 'AuthFailure' },
    { kind: 'UnauthorizedOperation', environment: KEYS, says: 'UnauthorizedOperation' },
    { kind: 'AuthFailure', environment: {}, says: 'Could not load credentials' },
  ] as const)('credentials of EC2 that are refused ($says): what to check, and the lease is free', async (parts) => {
    const { at, flags } = await served({ ec2: { denied: { AKIABAD: parts.kind } } })
    const before = JSON.stringify(await at.request('GET', NODE_PATH))
    const end = await berth(['controller', ...flags], parts.environment)
    expect(end.code).toBe(1)
    expect(end.said).toHaveLength(1)
    for (const text of [
      'berth controller: The cloud API cannot be used: ',
      parts.says,
      'AWS_ACCESS_KEY_ID',
      'deploy/aws',
    ])
      expect(end.said[0]).toContain(text)
    expect((await at.request('GET', LEASE_PATH))['spec']).toMatchObject({ holderIdentity: '' })
    expect(JSON.stringify(await at.request('GET', NODE_PATH))).toBe(before)
  })
})

describe('berth simulators', () => {
  test.each([
    {
      mistake: 'an unknown option',
      args: ['--ec2-prot=1'],
      says: 'unknown option --ec2-prot; did you mean --ec2-port?',
    },
    {
      mistake: 'a wrong value',
      args: ['--ec2-port=http'],
      says: '--ec2-port http: must be a whole number from 0 to 65535',
    },
  ])('$mistake: one line, and exit code 2', async ({ args, says }) => {
    expect(await berth(['simulators', ...args])).toEqual({ code: 2, out: '', said: [`berth simulators: ${says}`] })
  })

  test('a taken port is named, and the exit code is 1', async () => {
    const { port } = await httpServer(() => undefined)
    const end = await berth(['simulators', `--ec2-port=${port}`, '--kubernetes-port=0'])
    expect(end).toMatchObject({ code: 1, out: '' })
    expect(end.said).toEqual([
      `berth simulators: Cannot listen on 127.0.0.1:${port}: the port is taken; choose another one, or 0 for a free one`,
    ])
  })

  test('a world file cut in half is named', async () => {
    const path = file('world.json', '{"vpcs": [{"VpcId": "vpc-1", "Cid')
    const end = await berth(['simulators', `--world=${path}`])
    expect(end).toMatchObject({ code: 2, out: '' })
    expect(end.said).toHaveLength(1)
    expect(end.said[0]).toContain(`berth simulators: --world ${path}: `)
  })
})

describe('berth up', () => {
  test('a throttle file cut in half is named before anything starts', async () => {
    const path = file('throttle.json', '{"buckets": {')
    const end = await berth(['up', `--throttle=${path}`, '--json'])
    expect(end).toMatchObject({ code: 2, out: '' })
    expect(end.said).toHaveLength(1)
    expect(end.said[0]).toContain(`berth up: --throttle ${path}: `)
  })
})

describe('a controller at work', () => {
  const errorOf = async (at: ControllerWorld): Promise<string> => {
    const { status } = (await at.request('GET', NODE_PATH)) as { readonly status?: JSONObject }
    const ipam = (status?.['ipam'] ?? {}) as { readonly 'operator-status'?: { readonly error?: string } }
    return ipam['operator-status']?.error ?? ''
  }
  test('is told by the resource which permission of EC2 is missing, and goes on once it is granted', async () => {
    const at = world()
    at.ec2.faults.set(
      parseFaults({
        rules: [
          {
            action: 'AssignPrivateIpAddresses',
            kind: 'error',
            code: 'UnauthorizedOperation',
            status: 403,
            message: 'You are not authorized to perform this operation',
          },
        ],
      }),
    )
    at.addNode('node-a')
    await at.startController()
    await until(async () => (await errorOf(at)) !== '')
    expect(await errorOf(at)).toContain('AssignPrivateIpAddresses: UnauthorizedOperation: You are not authorized')
    // No way round a permission: nothing was created in place of it.
    expect(at.ec2.calls.report().actions['CreateNetworkInterface']).toBeUndefined()
    at.ec2.faults.clear()
    await until(async () => (await at.poolSize('node-a')) >= 8)
    await until(async () => (await errorOf(at)) === '')
  })

  test.each(['truncate', 'cut'])('loses no address when an answer of EC2 is spoilt: %s', async (kind) => {
    const at = world()
    at.ec2.faults.set(parseFaults({ rules: [{ action: 'AssignPrivateIpAddresses', kind, count: 1 }] }))
    at.addNode('node-a')
    await at.startController()
    await until(async () => (await at.poolSize('node-a')) >= 8)
    const warnings = at.logged.filter(({ message }) => message === 'A maintenance step failed')
    expect(warnings).toHaveLength(1)
    expect((warnings[0]!.fields['error'] as Error).message).toMatch(/^AssignPrivateIpAddresses: /)
    // What the spoilt call had attached was found, not asked for again.
    expect(at.ec2.calls.report().actions['AssignPrivateIpAddresses']?.attempts).toBe(1)
    expect(await at.poolSize('node-a')).toBe(8)
    expect(at.ec2.check()).toEqual([])
  })

  test('says when it may not write, and loses nothing that it had attached', async () => {
    const at = world()
    at.kubernetes.faults.set(
      parseFaults({
        rules: [
          {
            action: 'patch ciliumnodes*',
            kind: 'error',
            code: 'Forbidden',
            status: 403,
            message: 'may not patch',
            count: 2,
          },
        ],
      }),
    )
    at.addNode('node-a')
    await at.startController()
    await until(async () => (await at.poolSize('node-a')) >= 8)
    const said = at.logged.filter(({ message }) => message === 'Unable to write a CiliumNode')
    expect(said.length).toBeGreaterThanOrEqual(1)
    expect(said[0]!.fields).toMatchObject({ node: 'node-a', error: { kind: 'denied' } })
    expect((said[0]!.fields['error'] as Error).message).toContain('may not patch')
    expect(at.ec2.calls.report().actions['AssignPrivateIpAddresses']?.attempts).toBe(1)
  })

  test('stops writing when somebody else writes the same fields, and says so wherever one looks', async () => {
    const at = world()
    at.addNode('node-a')
    const controller = await at.startController()
    await until(async () => (await at.poolSize('node-a')) >= 8)
    const metric = async (): Promise<string> => (await fetch(`${controller.telemetryURL}/metrics`)).text()
    expect(await metric()).toContain('berth_second_writer 0')
    const overwrite = (address: string): Promise<JSONObject> =>
      at.request('PATCH', NODE_PATH, { spec: { ipam: { pool: { [address]: { resource: 'eni-other' } } } } })
    const isTold = (): boolean => at.logged.some(({ message }) => message.startsWith('Another controller writes'))
    for (let round = 1; !isTold() && round < 20; round++) {
      await overwrite(`192.0.2.${round}`)
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    const said = at.logged.filter(({ message }) => message.startsWith('Another controller writes'))
    expect(said).toHaveLength(1)
    expect(said[0]!.message).toContain('stop its IPAM, then restart this one')
    expect(said[0]!.fields).toEqual({ node: 'node-a', field: 'spec.ipam.pool' })
    expect(await metric()).toContain('berth_second_writer 1')
    const readiness = await fetch(`${controller.telemetryURL}/readyz`)
    expect(readiness.status).toBe(503)
    expect(await readiness.text()).toContain('another controller writes spec.ipam.pool of CiliumNode node-a')
    await overwrite('192.0.2.99')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(JSON.stringify(await at.request('GET', NODE_PATH))).toContain('192.0.2.99')
  })
})
