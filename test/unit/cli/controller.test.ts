import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/ipam/errors.ts'
import { StartError } from '../../../src/cli/controller-start-error.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import type { RequestHandler } from '../../../src/kubernetes/transport.ts'
import { ListenError } from '../../../src/telemetry/server.ts'
import { ControllerWorld, LEASE_PATH, until } from './controller-world.ts'

const worlds: ControllerWorld[] = []

function world(...options: ConstructorParameters<typeof ControllerWorld>): ControllerWorld {
  const made = new ControllerWorld(...options)
  worlds.push(made)
  return made
}

afterEach(async () => {
  for (const one of worlds.splice(0)) await one.close()
})

async function failure(work: Promise<unknown>): Promise<Error> {
  const error: unknown = await work.then(
    () => new Error('it started'),
    (reason: unknown) => reason,
  )
  return error as Error
}

const holder = async (at: ControllerWorld): Promise<unknown> =>
  ((await at.request('GET', LEASE_PATH))['spec'] as { holderIdentity?: string } | undefined)?.holderIdentity

describe('a controller', () => {
  test('leads, serves the nodes, says so, and releases the lease when it stops', async () => {
    const at = world()
    at.addNode('node-a')
    const controller = await at.startController()
    await until(async () => (await at.poolSize('node-a')) >= 8)
    expect(controller.isLeader).toBe(true)
    const readiness = await fetch(`${controller.telemetryURL}/readyz`)
    expect(readiness.status).toBe(200)
    const metrics = await (await fetch(`${controller.telemetryURL}/metrics`)).text()
    expect(metrics).toContain('berth_leader 1')
    expect(metrics).toMatch(/cilium_operator_ipam_ip_allocation_ops\{subnet_id="subnet-0000000000000001a"\} [1-9]/)
    expect(await holder(at)).toBe('replica-0')
    await controller.stop()
    expect(await holder(at)).toBe('')
    await expect(fetch(`${controller.telemetryURL}/readyz`)).rejects.toThrow()
  })

  test('that stands by is ready, and takes over when the leader stops', async () => {
    const at = world()
    const first = await at.startController()
    await until(() => first.isLeader)
    const second = await at.startController()
    await until(async () => (await (await fetch(`${second.telemetryURL}/readyz`)).text()).includes('standing by'))
    expect((await fetch(`${second.telemetryURL}/readyz`)).status).toBe(200)
    expect(second.isLeader).toBe(false)
    await first.stop()
    await until(() => second.isLeader)
    at.addNode('node-a')
    await until(async () => (await at.poolSize('node-a')) >= 8)
  })

  test('that loses the lease ends, and writes nothing any more', async () => {
    const at = world()
    const controller = await at.startController()
    await until(() => controller.isLeader)
    await at.request('PATCH', LEASE_PATH, { spec: { holderIdentity: 'somebody-else' } })
    expect((await controller.ended).message).toBe("'somebody-else' has taken the lease")
    expect(await holder(at)).toBe('somebody-else')
    at.addNode('node-a')
    const before = at.kubernetes.calls.report().attempts
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(at.kubernetes.calls.report().attempts).toBe(before)
    expect(await at.poolSize('node-a')).toBe(0)
  })

  test('marks a malformed resource with its error, and serves the others', async () => {
    const at = world()
    at.addNode('good')
    at.addNode('bad', { pool: { 'not-an-address': {} } })
    await at.startController()
    await until(async () => (await at.poolSize('good')) >= 8)
    await until(async () =>
      JSON.stringify(await at.request('GET', '/apis/cilium.io/v2/ciliumnodes/bad')).includes('cannot be managed'),
    )
    const bad = await at.request('GET', '/apis/cilium.io/v2/ciliumnodes/bad')
    expect(bad['spec']).toMatchObject({ ipam: { pool: { 'not-an-address': {} } } })
    expect(bad['status']).toEqual({
      ipam: {
        'operator-status': {
          error: "this resource cannot be managed: spec.ipam.pool['not-an-address']: the key is not an IP address",
        },
      },
    })
    await at.request('PATCH', '/apis/cilium.io/v2/ciliumnodes/bad', { spec: { ipam: { pool: null } } })
    await until(async () => (await at.poolSize('bad')) >= 8)
    await until(
      async () =>
        !JSON.stringify(await at.request('GET', '/apis/cilium.io/v2/ciliumnodes/bad')).includes('cannot be managed'),
    )
  })

  test('collects no CiliumNode while garbage collection is off, and asks for no nodes then', async () => {
    const at = world()
    const controller = await at.startController(['--nodes-gc-interval=0'])
    await until(() => controller.isLeader && controller.manager?.readiness().ok === true)
    expect(at.kubernetes.calls.report().actions['watch nodes']).toBeUndefined()
    expect(at.kubernetes.calls.report().actions['watch pods']?.attempts).toBe(1)
  })

  test('that has stopped calls the cloud no more, whatever clean-up it had left', async () => {
    const refused = { kind: 'error', code: 'OperationNotPermitted', status: 400, message: 'Not now.' }
    const unanswered = { kind: 'error', code: 'InternalError', status: 500 }
    const at = world({
      ec2: {
        faults: {
          rules: [
            { action: 'AttachNetworkInterface', ...refused },
            { action: 'DeleteNetworkInterface', ...unanswered },
          ],
        },
      },
    })
    at.addNode('node-a', { 'min-allocate': 12 })
    const controller = await at.startController()
    const deletions = (): number => at.ec2.calls.report().actions['DeleteNetworkInterface']?.attempts ?? 0
    await until(() => deletions() > 0)
    await controller.stop()
    const before = at.ec2.calls.report().attempts
    await until(() => at.logged.some(({ message }) => message === 'Work in the background ended before it was done'))
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(at.ec2.calls.report().attempts).toBe(before)
  })

  test('stops when it is told while it stands by', async () => {
    const at = world()
    await at.startController()
    const second = await at.startController()
    await second.stop()
    await second.stop()
    expect(await holder(at)).toBe('replica-0')
  })

  test('whose credentials for the cloud are refused ends with what to do', async () => {
    const at = world({ ec2: { denied: { test: 'AuthFailure' } } })
    const controller = await at.startController()
    const { message } = await controller.ended
    expect(message).toContain('The cloud API cannot be used')
    expect(message).toContain('Check the credentials')
    expect(await holder(at)).toBe('')
  })
})

describe('a start that cannot succeed says what and what to do', () => {
  const answering =
    (status: number, reason: string, message: string): RequestHandler =>
    () =>
      Promise.resolve({ status, headers: {}, body: JSON.stringify({ kind: 'Status', reason, message }) })

  test.each<[string, RequestHandler, readonly string[]]>([
    [
      'nobody listens',
      () => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1:6443')),
      [
        'Cannot reach the Kubernetes API server https://api.test:6443 (kubeconfig of the test)',
        'connect ECONNREFUSED',
        '--kubeconfig',
      ],
    ],
    [
      'the certificate is not trusted',
      () => Promise.reject(new Error('self-signed certificate')),
      ['Cannot reach', 'self-signed certificate'],
    ],
    [
      'wrong credentials',
      answering(401, 'Unauthorized', 'Unauthorized'),
      ['does not accept the credentials', 'kubeconfig'],
    ],
    [
      'no permission',
      answering(403, 'Forbidden', 'ciliumnodes is forbidden'),
      ['does not allow listing CiliumNodes', 'deploy/kubernetes/rbac.yaml'],
    ],
    [
      'no definition of CiliumNode',
      () => Promise.resolve({ status: 404, headers: {}, body: '404 page not found' }),
      ['knows no CiliumNodes', 'deploy/crds'],
    ],
    [
      'no API server at all',
      () => Promise.resolve({ status: 200, headers: {}, body: '<html>router</html>' }),
      ['does not answer like a Kubernetes API server'],
    ],
    ['a broken server', answering(500, 'InternalError', 'etcd is down'), ['cannot serve requests', 'etcd is down']],
  ])('%s', async (_, handler, parts) => {
    const error = await failure(
      world().startController([], { transport: inProcessTransport(handler, 'https://api.test:6443') }),
    )
    expect(error).toBeInstanceOf(StartError)
    for (const part of parts) expect(error.message).toContain(part)
    expect(error.message).not.toContain('\n')
  })

  test('a permission that is missing for pods alone', async () => {
    const at = world()
    const handler: RequestHandler = (request, signal) =>
      request.path === '/api/v1/pods'
        ? answering(403, 'Forbidden', 'pods is forbidden')(request, signal)
        : at.kubernetes.router(request, signal)
    const error = await failure(at.startController([], { transport: inProcessTransport(handler) }))
    expect(error.message).toContain('does not allow listing pods')
  })

  test('a taken port, and nothing is left running', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const at = world()
    const error = await failure(at.startController([`--operator-prometheus-serve-addr=127.0.0.1:${port}`]))
    expect(error).toBeInstanceOf(ListenError)
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(error.message).toContain('--operator-prometheus-serve-addr')
    expect(at.kubernetes.calls.report().attempts).toBe(0)
    await new Promise((resolve) => server.close(resolve))
  })

  test('an unknown region', async () => {
    const error = await failure(world().startController(['--aws-region='], { aws: {} }))
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.message).toContain('set --aws-region or AWS_REGION')
  })

  test.each([
    { flags: ['--ipam=alibabacloud'], message: '--ipam alibabacloud is not served by this build' },
    {
      flags: ['--dry-run', '--ipam=kubernetes'],
      message: '--dry-run is not served with --ipam kubernetes by this build; it is with: eni, azure',
    },
  ])('an option that this build does not serve: $flags', async ({ flags, message }) => {
    const error = await failure(world().startController(flags))
    expect(error).toBeInstanceOf(ConfigError)
    expect(error.message).toContain(message)
  })
})

test('a Redis that is not there is said, and does not keep the controller from its work', async () => {
  const at = world()
  at.addNode('node-1')
  await at.startController(['--budget-redis=redis://:hunter2@127.0.0.1:1'])
  await until(async () => (await at.poolSize('node-1')) > 0)
  const warnings = at.logged.filter(({ fields }) => fields['option'] === '--budget-redis')
  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining('credentials do not name their account'),
    expect.stringContaining('Redis of the API budget cannot be used'),
  ])
  expect(JSON.stringify(at.logged)).not.toContain('hunter2')
})

test('a VPC that is not known is a warning: everything of the region is read', async () => {
  const at = world()
  at.addNode('node-a')
  await at.startController([], {
    metadata: {
      region: () => Promise.reject(new Error('none')),
      vpcID: () => Promise.reject(new Error('no answer')),
      instanceID: () => Promise.reject(new Error('none')),
    },
  })
  await until(async () => (await at.poolSize('node-a')) >= 8)
  expect(at.logged.filter(({ message }) => message.startsWith('The VPC is not known'))).toHaveLength(1)
})
