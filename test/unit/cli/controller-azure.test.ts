import { execFile } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createAzureSimulator, inProcessHTTPClient } from '../../../simulators/azure/index.ts'
import type { AzureSimulator, AzureSimulatorOptions } from '../../../simulators/azure/index.ts'
import { openAzure } from '../../../src/cli/controller-azure.ts'
import type { AzureAccess } from '../../../src/cli/controller-azure.ts'
import { azureMetadata } from '../../../src/cli/controller-metadata.ts'
import type { FetchLike } from '../../../src/cli/controller-metadata.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/ipam/errors.ts'
import { UNMEASURED } from '../../conformance/adapters/aws-node.ts'
import { RecordingLog } from '../../support/fake-fleet.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { ControllerWorld } from './controller-world.ts'

const credential = { getToken: () => Promise.resolve({ token: 'berth', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) }

/** Requests to the metadata service of a simulator, without a socket. */
function fetchFrom(simulator: AzureSimulator): FetchLike {
  return async (url, { method, headers, signal }) => {
    const { pathname, searchParams } = new URL(url)
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    const request = { method, path: pathname, query: searchParams, headers: lower, body: '' }
    const { status, body } = await simulator.router(request, signal)
    return { ok: status < 300, status, text: () => Promise.resolve(body as string) }
  }
}

function metadataOf(simulator: AzureSimulator) {
  return azureMetadata({ clock: new ManualClock(), endpoint: '', fetch: fetchFrom(simulator) })
}

async function open(flags: readonly string[], access: AzureAccess) {
  const log = new RecordingLog()
  const { signal } = new AbortController()
  const cloud = await openAzure({
    config: loadConfig(['--ipam=azure', ...flags], {}).config,
    access: { credential, ...access },
    clock: new ManualClock(),
    random: { next: () => 0.5 },
    log,
    metrics: UNMEASURED,
    signal,
  })
  return { cloud, log, signal }
}

async function faultsOf(flags: readonly string[], access: AzureAccess): Promise<readonly string[]> {
  const error: unknown = await open(flags, access).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConfigError)
  return (error as ConfigError).faults
}

describe('the Azure subscription of a controller', () => {
  test('cloud, subscription and group are asked of the metadata service', async () => {
    const settings = { environment: 'AzureUSGovernmentCloud', subscriptionID: 'abc', resourceGroup: 'nodes' } as const
    const simulator = createAzureSimulator({ throttle: 'none', settings })
    simulator.makeInstances({ count: 1 })
    const hosts = new Set<string>()
    const wire = inProcessHTTPClient(simulator.router)
    const httpClient: NonNullable<AzureAccess['httpClient']> = {
      sendRequest: async (request) => {
        hosts.add(new URL(request.url).host)
        return wire.sendRequest(request)
      },
    }
    const { cloud, signal } = await open([], { metadata: metadataOf(simulator), httpClient })
    const context = { priority: 'background', reason: 'test', signal } as const
    const { changedInstanceIDs } = await cloud.createProvider(signal).resync(context)
    expect([...hosts]).toEqual(['management.usgovcloudapi.net'])
    expect(changedInstanceIDs).toEqual([
      '/subscriptions/abc/resourcegroups/nodes/providers/microsoft.compute/virtualmachinescalesets/np1/virtualmachines/0',
    ])
  })

  test('what is configured is not asked for', async () => {
    const simulator = createAzureSimulator()
    const flags = ['--azure-environment=AzurePublicCloud', '--azure-subscription-id=a', '--azure-resource-group=b']
    await open(flags, { metadata: metadataOf(simulator) })
    await open(['--azure-resource-manager-endpoint=http://127.0.0.1:4567', ...flags.slice(1)], {})
    expect(simulator.calls.report().attempts).toBe(0)
  })

  test('without a metadata service all that is missing is said at once', async () => {
    expect(await faultsOf(['--azure-subscription-id=a'], {})).toEqual([
      'the Azure cloud is not known: set --azure-environment (the metadata service was asked: there is none)',
      'the Azure resource group is not known: set --azure-resource-group (the metadata service was asked: there is none)',
    ])
  })

  test('an error of the metadata service is no value', async () => {
    const fetch: FetchLike = () =>
      Promise.resolve({ ok: false, status: 404, text: () => Promise.resolve('{"error":"Not found"}') })
    const metadata = azureMetadata({ clock: new ManualClock(), endpoint: 'http://10.0.0.1/', fetch })
    const [fault] = await faultsOf(['--azure-environment=AzureChinaCloud', '--azure-resource-group=b'], { metadata })
    expect(fault).toContain('http://10.0.0.1/metadata/instance/compute/subscriptionId')
    expect(fault).toContain('status 404')
  })

  test('a silent metadata service is not waited for for ever', async () => {
    const clock = new ManualClock()
    const silent: FetchLike = (_url, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    const metadata = azureMetadata({ clock, endpoint: '', fetch: silent })
    const asked = metadata.environment(new AbortController().signal)
    const outcome = asked.catch((error: unknown) => String(error))
    await clock.advance(10_000)
    expect(await outcome).toContain('no answer within 10 s')
  })

  test.each([
    ['--azure-environment=AzurePublicClod', 'did you mean AzurePublicCloud?'],
    [
      '--azure-resource-manager-endpoint=http://10.0.0.1:4567',
      'neither https nor a plain HTTP address of this machine',
    ],
  ])('%s is refused', async (flag, message) => {
    const [fault] = await faultsOf([flag, '--azure-subscription-id=a', '--azure-resource-group=b'], {})
    expect(fault).toContain(message)
  })

  test('filters that Azure does not have are said to have no effect', async () => {
    const flags = ['--azure-environment=AzurePublicCloud', '--azure-subscription-id=a', '--azure-resource-group=b']
    const { log } = await open([...flags, '--subnet-tags-filter=a=b'], {})
    const warnings = log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields)
    expect(warnings).toEqual([{ option: '--subnet-tags-filter' }])
  })

  test('the options of Azure reach the controller and its nodes', async () => {
    const flags = ['--azure-environment=AzurePublicCloud', '--azure-subscription-id=a', '--azure-resource-group=b']
    const { cloud } = await open([...flags, '--azure-release-excess-ips', '--azure-enable-prefixes'], {})
    expect(cloud.nodeSettings).toEqual({ releaseExcessIPs: true, prefixDelegation: true })
    expect(() => cloud.setBudgetTable({ 'subscription-write': { size: 1, refillPerSecond: 1 } })).toThrow(
      'did you mean subscription-writes?',
    )
  })
})

describe('a controller on Azure', () => {
  let world: ControllerWorld | undefined
  afterEach(() => world?.close())

  const FLAGS = ['--ipam=azure', '--azure-environment=AzurePublicCloud']
  function start(options: AzureSimulatorOptions) {
    const simulator = createAzureSimulator({ throttle: 'none', ...options })
    const { subscriptionID, resourceGroup } = simulator.settings
    world = new ControllerWorld()
    const flags = [...FLAGS, `--azure-subscription-id=${subscriptionID}`, `--azure-resource-group=${resourceGroup}`]
    const azure = { credential, httpClient: inProcessHTTPClient(simulator.router) }
    return { simulator, started: world.startController(flags, { azure }) }
  }

  test('leads, and is ready', async () => {
    const { simulator, started } = start({})
    const controller = await started
    await vi.waitFor(() => expect(controller.manager?.instancesAPIIsReady()).toBe(true))
    expect(Object.keys(simulator.calls.report().callers)).toEqual(['berth'])
    const metrics = await (await fetch(`${controller.telemetryURL}/metrics`)).text()
    expect(metrics).toContain('cilium_operator_azure_api_duration_seconds')
  })

  test.each(['AuthorizationFailed', 'InvalidAuthenticationToken'] as const)(
    'whose identity is refused (%s) ends, and says what to look at',
    async (kind) => {
      const { started } = start({ denied: { berth: kind } })
      const end = await (await started).ended
      expect(end.message).toContain(kind)
      expect(end.message).toContain('Check the identity')
      expect(end.message).toContain('deploy/azure')
    },
  )

  test('whose group does not exist says so, and tries again', async () => {
    world = new ControllerWorld()
    const simulator = createAzureSimulator({ throttle: 'none' })
    const { subscriptionID } = simulator.settings
    const flags = [...FLAGS, `--azure-subscription-id=${subscriptionID}`, '--azure-resource-group=nodse']
    const azure = { credential, httpClient: inProcessHTTPClient(simulator.router) }
    await world.startController(flags, { azure })
    await vi.waitFor(() => {
      const line = world?.logged.find(({ message }) => message.includes('trying again'))
      expect(String(line?.fields['error'])).toContain('ResourceGroupNotFound')
      expect(String(line?.fields['error'])).toContain('nodse')
    })
  })
})

/** Who calls, with the SDK of identities as it is, over TLS: in a process of its own, as it reads the environment. */
test.each([
  { kind: 'workload', caller: 'workload', token: 'OAuth2.Token' },
  { kind: 'service-principal', caller: 'principal', token: 'OAuth2.Token' },
  { kind: 'user-assigned', caller: 'assigned', token: 'Metadata.Token' },
  { kind: 'system-assigned', caller: '00000000-0000-0000-0000-0000000000cc', token: 'Metadata.Token' },
])('a $kind identity calls in its own name', { timeout: 60_000 }, async ({ kind, caller, token }) => {
  const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
  const { PATH = '' } = process.env
  const env = { PATH, NODE_EXTRA_CA_CERTS: file('../kubernetes/tls/ca.pem') }
  const { stdout } = await promisify(execFile)(process.execPath, [file('azure-identity-process.ts'), kind], { env })
  const { actions, callers } = JSON.parse(stdout) as { actions: string[]; callers: Record<string, number> }
  expect(Object.keys(callers)).toEqual([caller])
  expect(actions).toContain(token)
})
