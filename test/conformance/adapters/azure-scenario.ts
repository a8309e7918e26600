import { createARMClient, createAzureProvider } from '../../../providers/azure/index.ts'
import { createAzureSimulator, inProcessHTTPClient, type AzureSimulator } from '../../../simulators/azure/index.ts'
import { NodeManager } from '../../../src/controller/node-manager.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { usedMap } from '../../support/builders.ts'
import { FakeAPIServer } from '../../support/fake-api-server.ts'
import { DEFAULT_CONFIG, recordingMetrics } from '../../support/fake-fleet.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { SILENT, UNLIMITED, UNMEASURED } from './aws-node.ts'
import { azureResourceOf, PLAIN_AZURE_CONFIG, RESOURCE_GROUP, SUBSCRIPTION_ID } from './azure-provider.ts'
import { adapt } from './core-arithmetic.ts'

interface ScenarioInput {
  readonly subnets: Readonly<Record<string, { readonly cidr: string; readonly free?: number }>>
  /** One node, whose interface has addresses; or so many, whose interfaces have none. */
  readonly instances?: Readonly<Record<string, { readonly addresses: readonly string[]; readonly subnet: string }>>
  readonly nodes?: number
  readonly node: { readonly preAllocate?: number; readonly minAllocate?: number; readonly maxAllocate?: number }
}

interface StepVector {
  readonly after?: string
  readonly set?: { readonly used?: number }
  readonly totals?: object
}

const SCALE_SET = 'vmss11'
/** Longest that a write and the reads around it take (ms). */
const STEP_MS = 120_000
const SAMPLE_MS = 1_000

function networkID(index: number): string {
  return `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.Network/virtualNetworks/net-${index}`
}

/** The subscription of a scenario. Each subnet has a network of its own: the files' ranges have nothing to do with each other. */
function simulatorOf(input: ScenarioInput, clock: ManualClock): { simulator: AzureSimulator; instanceIDs: string[] } {
  const subnets = Object.entries(input.subnets)
  const simulator = createAzureSimulator({
    clock,
    throttle: 'none',
    settings: { subscriptionID: SUBSCRIPTION_ID, resourceGroup: RESOURCE_GROUP },
    world: {
      version: 1,
      virtualNetworks: subnets.map(([name, { cidr }], index) => ({
        id: networkID(index),
        properties: {
          addressSpace: { addressPrefixes: [cidr] },
          subnets: [{ name, properties: { addressPrefix: cidr } }],
        },
      })),
    },
  })
  const subnetID = (name: string): string =>
    `${networkID(subnets.findIndex(([other]) => other === name))}/subnets/${name}`
  const wanted =
    input.instances === undefined
      ? Array.from({ length: input.nodes ?? 0 }, (_, index) => ({
          subnet: subnets[index % subnets.length]?.[0] ?? '',
          secondary: 0,
        }))
      : Object.values(input.instances).map(({ subnet, addresses }) => ({ subnet, secondary: addresses.length }))
  const instanceIDs = wanted.map(({ subnet, secondary }) => {
    const [made] = simulator.makeInstances({
      kind: 'uniform',
      scaleSet: SCALE_SET,
      count: 1,
      subnetId: subnetID(subnet),
      secondaryAddresses: secondary,
    }).instances
    return (made?.id ?? '').toLowerCase()
  })
  return { simulator, instanceIDs }
}

/** The whole controller with the provider on the simulator, and nodes that report what the steps say. */
async function runScenario(input: ScenarioInput, steps: readonly StepVector[]): Promise<unknown> {
  const clock = new ManualClock(1_000)
  const { simulator, instanceIDs } = simulatorOf(input, clock)
  const apiServer = new FakeAPIServer()
  const provider = createAzureProvider(PLAIN_AZURE_CONFIG, {
    client: createARMClient({
      endpoint: 'https://management.azure.com',
      credential: { getToken: () => Promise.resolve({ token: 'test', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) },
      httpClient: inProcessHTTPClient(simulator.router),
    }),
    budget: { ...UNLIMITED, observeRemaining() {} },
    clock,
    random: seededRandom(1),
    log: SILENT,
    metrics: UNMEASURED,
  })
  const manager = new NodeManager({
    implementation: provider,
    apiServer,
    metrics: recordingMetrics(),
    log: SILENT,
    clock,
    random: seededRandom(2),
    config: DEFAULT_CONFIG,
  })
  apiServer.onChange = (node) => manager.upsert(node)
  const advance = async (ms: number): Promise<void> => {
    for (let doneMs = 0; doneMs < ms; doneMs += SAMPLE_MS) {
      await settle(20)
      await clock.advance(SAMPLE_MS)
    }
    await settle(20)
  }
  const started = manager.start()
  await advance(STEP_MS)
  await started
  manager.listed()
  const names = instanceIDs.map((_, index) => `node-${index + 1}`)
  for (const [index, name] of names.entries()) {
    const resource = azureResourceOf({ name, instanceID: instanceIDs[index] ?? '' })
    apiServer.put({
      ...resource,
      spec: { ...resource.spec, ipam: { ...resource.spec.ipam, ...input.node } },
    })
  }
  // The files' subnets begin with a number of free addresses of their own.
  const atStart = new Map([...simulator.cloud.subnets.values()].map(({ key, space }) => [key, space.free]))
  const quotasOf = (): object => {
    const free = [...provider.getPoolQuota()].map(([id, { availableIPs }]) => {
      const name = id.slice(id.lastIndexOf('/') + 1)
      return [name, (input.subnets[name]?.free ?? 0) - ((atStart.get(id.toLowerCase()) ?? 0) - availableIPs)]
    })
    const quota = Object.fromEntries(free) as Readonly<Record<string, number>>
    return { quota, poolQuota: quota }
  }
  const seen: unknown[] = []
  for (const { after, set } of steps) {
    const used = set?.used
    if (used !== undefined)
      for (const name of names)
        apiServer.change(name, (node) => ({ ...node, status: { ...node.status, used: usedMap(used) } }))
    await advance(STEP_MS)
    seen.push({ after, set, ...statesOf(manager, names), ...quotasOf() })
  }
  await manager.stop(AbortSignal.abort())
  return { steps: seen }
}

function statesOf(manager: NodeManager, names: readonly string[]): object {
  const all = names.map((name) => manager.get(name)?.stats().ipv4)
  const each = (key: 'availableIPs' | 'usedIPs' | 'neededIPs'): unknown => {
    const values = [...new Set(all.map((one) => one?.[key]))]
    return values.length === 1 ? values[0] : values
  }
  const sum = (key: 'availableIPs' | 'usedIPs' | 'neededIPs'): number =>
    all.reduce((total, one) => total + (one?.[key] ?? 0), 0)
  return {
    available: each('availableIPs'),
    used: each('usedIPs'),
    needed: each('neededIPs'),
    eachAvailable: each('availableIPs'),
    eachUsed: each('usedIPs'),
    eachNeeded: each('neededIPs'),
    totals: {
      nodes: all.length,
      inDeficit: all.filter((one) => (one?.neededIPs ?? 0) > 0).length,
      atCapacity: all.filter((one) => one !== undefined && one.remainingInterfaces === 0).length,
      ipsAvailable: sum('availableIPs'),
      ipsNeeded: sum('neededIPs'),
      ipsUsed: sum('usedIPs'),
    },
  }
}

/** Scenarios end to end. */
export const azureScenarioAdapters: AdapterRegistry = {
  scenario: {
    comparison: { partial: ['steps.*', 'steps.*.totals'], ordered: ['steps'] },
    run: adapt<ScenarioInput>((input, { testCase }) =>
      runScenario(input, ((testCase.expect ?? {}) as { readonly steps?: readonly StepVector[] }).steps ?? []),
    ),
  },
}
