import { createARMClient, createAzureProvider, AZURE_BUCKETS, isThrottled } from '../../providers/azure/index.ts'
import type { AzureProvider, AzureProviderConfig } from '../../providers/azure/index.ts'
import { objectAt, objectsAt, textAt } from '../../providers/azure/json.ts'
import { createAzureSimulator, inProcessHTTPClient } from '../../simulators/azure/index.ts'
import type { AzureSimulator, AzureSimulatorOptions } from '../../simulators/azure/index.ts'
import { occupyAddresses } from '../../simulators/azure/occupy.ts'
import { saveWorld, type World } from '../../simulators/azure/world.ts'
import type { FaultRule } from '../../simulators/kit/faults.ts'
import { createAPIBudget, type AdaptiveAPIBudget } from '../../src/budget/api-budget.ts'
import type { CiliumNode } from '../../src/ipam/cilium-node.ts'
import type { Logger } from '../../src/ipam/contracts.ts'
import type { DestructionGuard } from '../../src/ipam/destruction.ts'
import { addressesOfPrefix } from '../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { assertNever } from '../../src/runtime/assert.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { SILENT, UNMEASURED } from '../conformance/adapters/aws-node.ts'
import { azureResourceOf, PLAIN_AZURE_CONFIG } from '../conformance/adapters/azure-provider.ts'
import { directHolder } from '../support/direct-holder.ts'
import { ManualClock } from '../support/manual-clock.ts'
import type { CallName, CloudInterface, ContractWorld, Failure } from './provider.contract.ts'

export type MachineKind = 'uniform' | 'flexible' | 'standalone'

/** What each call is in Azure. Machines get no further interface while they run: there is nothing to create or attach. */
const ACTIONS: Readonly<Record<CallName, (kind: MachineKind) => readonly string[]>> = {
  create: () => [],
  attach: () => [],
  assign: (kind) => [writeActionOf(kind)],
  unassign: (kind) => [writeActionOf(kind)],
  listInterfaces: () => ['Interfaces.List*', 'Interfaces.Get', 'VirtualMachines.Get'],
  listSubnets: () => ['Subnets.Get'],
}

export function writeActionOf(kind: MachineKind): string {
  return kind === 'uniform' ? 'VirtualMachineScaleSetVMs.Update' : 'Interfaces.CreateOrUpdate'
}

export interface AzureWorldOptions {
  readonly kind?: MachineKind
  readonly config?: Partial<AzureProviderConfig>
  readonly settings?: NonNullable<AzureSimulatorOptions['settings']>
  readonly throttle?: NonNullable<AzureSimulatorOptions['throttle']>
  readonly subnetCIDR?: string
  readonly interfaceName?: string
  /** Configurations that machines come with beside the primary one (count). */
  readonly secondaryAddresses?: number
  /** Public prefixes by name. */
  readonly publicPrefixes?: Readonly<Record<string, { readonly cidr: string; readonly tags: Record<string, string> }>>
  readonly log?: Logger
  readonly guard?: DestructionGuard
}

export interface AzureWorld extends ContractWorld {
  readonly simulator: AzureSimulator
  readonly budget: AdaptiveAPIBudget
  readonly subnetID: string
  /** Calls of one action so far (count). */
  callsOf(action: string): number
  /** A second controller on the same subscription, with buckets of its own. */
  otherProvider(): AzureProvider
  /** The whole subscription as it is now. */
  account(): World
  setFaults(rules: readonly FaultRule[]): void
}

/** The simulator of Resource Manager with an Azure provider on it, over its wire in process. */
export async function makeAzureWorld(options: AzureWorldOptions = {}): Promise<AzureWorld> {
  const clock = new ManualClock()
  const kind = options.kind ?? 'uniform'
  const { subscriptionID, resourceGroup } = PLAIN_AZURE_CONFIG
  const group = `/subscriptions/${subscriptionID}/resourceGroups/${resourceGroup}/providers/Microsoft.Network`
  const subnetID = `${group}/virtualNetworks/vnet/subnets/nodes`
  const simulator = createAzureSimulator({
    clock,
    throttle: options.throttle ?? 'none',
    settings: { subscriptionID, resourceGroup, ...options.settings },
    world: {
      version: 1,
      virtualNetworks: [
        {
          id: `${group}/virtualNetworks/vnet`,
          properties: {
            addressSpace: { addressPrefixes: ['10.0.0.0/8'] },
            subnets: [{ name: 'nodes', properties: { addressPrefix: options.subnetCIDR ?? '10.0.0.0/22' } }],
          },
        },
      ],
      publicIPPrefixes: Object.entries(options.publicPrefixes ?? {}).map(([name, { cidr, tags }]) => ({
        id: `${group}/publicIPPrefixes/${name}`,
        tags,
        properties: { ipPrefix: cidr },
      })),
    },
  })
  const credential = {
    getToken: () => Promise.resolve({ token: 'tester', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }),
  }
  const client = createARMClient({
    endpoint: 'https://management.azure.com',
    credential,
    httpClient: inProcessHTTPClient(simulator.router),
  })
  const newBudget = (): AdaptiveAPIBudget =>
    createAPIBudget({ table: AZURE_BUCKETS, clock, random: seededRandom(7), isThrottled, holder: directHolder })
  const budget = newBudget()
  let seed = 10
  let process = new AbortController()
  const providerWith = (budgetOf: AdaptiveAPIBudget): AzureProvider =>
    createAzureProvider(
      { ...PLAIN_AZURE_CONFIG, ...options.config },
      {
        client,
        budget: budgetOf,
        clock,
        random: seededRandom((seed += 1)),
        log: options.log ?? SILENT,
        metrics: UNMEASURED,
        signal: process.signal,
        ...(options.guard !== undefined && { guard: options.guard }),
      },
    )
  const newProvider = (): AzureProvider => {
    process.abort(new Error('the process ended'))
    process = new AbortController()
    return providerWith(budget)
  }
  const context = { priority: 'watermark', reason: 'prepare', signal: new AbortController().signal } as const
  let provider = newProvider()
  await provider.prepare(context)
  let nodeCount = 0

  return {
    simulator,
    budget,
    subnetID,
    clock,
    get provider() {
      return provider
    },
    async restart() {
      provider = newProvider()
      await provider.prepare(context)
      return provider
    },
    addInstance(): CiliumNode {
      const { instances } = simulator.makeInstances({
        kind,
        count: 1,
        subnetId: subnetID,
        secondaryAddresses: options.secondaryAddresses ?? 0,
      })
      nodeCount += 1
      return azureResourceOf({
        name: `node-${nodeCount}`,
        instanceID: (instances[0]?.id ?? '').toLowerCase(),
        ...(options.interfaceName !== undefined && { interfaceName: options.interfaceName }),
      })
    },
    interfaces: () =>
      saveWorld(simulator.cloud)
        .networkInterfaces.map((document) => cloudInterface(document as JSONObject))
        .filter(({ id }) => !id.includes('/occupied-')),
    violations: () => simulator.check().map(({ rule, detail }) => `${rule}: ${detail}`),
    fail(call, failure, times) {
      simulator.faults.set(times === 0 ? [] : ACTIONS[call](kind).map((action) => ruleOf(action, failure, times)))
    },
    setFaults: (rules) => simulator.faults.set(rules),
    interfaceReads: () =>
      countCalls(
        simulator,
        (action) => /^(Interfaces|VirtualMachines)\./.test(action) && action !== 'Interfaces.CreateOrUpdate',
      ),
    calls: () => countCalls(simulator, () => true),
    callsOf: (wanted) => countCalls(simulator, (action) => action === wanted),
    refused: () => simulator.calls.report().refused,
    leaveAddresses(count) {
      occupyAddresses(simulator.cloud, { subnetId: subnetID, leaveFree: count })
    },
    removeInstance: (instanceID) => simulator.deleteInstances({ ids: [instanceID] }),
    throttle: () => simulator.setThrottle('documented'),
    otherProvider: () => providerWith(newBudget()),
    account: () => saveWorld(simulator.cloud),
  }
}

function cloudInterface(document: JSONObject): CloudInterface {
  const properties = objectAt(document, 'properties')
  const instanceID = textAt(objectAt(properties, 'virtualMachine'), 'id').toLowerCase()
  const others = (objectsAt(properties, 'ipConfigurations') ?? [])
    .map((one) => objectAt(one, 'properties'))
    .filter((one) => one?.['primary'] !== true)
    .map((one) => textAt(one, 'privateIPAddress'))
  const prefixes = others.filter((address) => address.includes('/'))
  return {
    id: textAt(document, 'id'),
    instanceID: instanceID === '' ? undefined : instanceID,
    podAddresses: others.flatMap((address) => (address.includes('/') ? addressesOfPrefix(address) : [address])),
    prefixes,
  }
}

function countCalls(simulator: AzureSimulator, isCounted: (action: string) => boolean): number {
  return Object.entries(simulator.calls.report().actions)
    .filter(([action]) => isCounted(action))
    .reduce((sum, [, { attempts }]) => sum + attempts, 0)
}

export function ruleOf(action: string, failure: Failure, times: number): FaultRule {
  const always = { action, probability: 1, count: times, fromCall: 1, untilCall: Number.POSITIVE_INFINITY }
  switch (failure) {
    case 'refused':
      return {
        ...always,
        where: 'before-effect',
        effect: { kind: 'error', code: 'AuthorizationFailed', status: 403, message: 'does not have authorization' },
      }
    case 'serverError':
      return {
        ...always,
        where: 'before-effect',
        effect: { kind: 'error', code: 'InternalServerError', status: 500, message: 'An internal error has occurred' },
      }
    case 'dropped':
      return { ...always, where: 'before-effect', effect: { kind: 'drop' } }
    case 'lost':
      return { ...always, where: 'after-effect', effect: { kind: 'drop' } }
    case 'cut':
      return { ...always, where: 'after-effect', effect: { kind: 'truncate' } }
    default:
      return assertNever(failure)
  }
}
