import { ARMCaller } from '../../../providers/azure/arm-caller.ts'
import { AzureAPI } from '../../../providers/azure/api.ts'
import { InstancesManager } from '../../../providers/azure/instances.ts'
import { instanceIDOf } from '../../../providers/azure/resource-id.ts'
import { SubnetCache } from '../../../providers/azure/subnet-cache.ts'
import type { IPAMProfile, JSONObject } from '../../../src/ipam/types.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven, SILENT, UNLIMITED, UNMEASURED } from './aws-node.ts'
import { errorVector, GROUP_PATH, RESOURCE_GROUP, SUBSCRIPTION_ID } from './azure-provider.ts'
import { nicsOf } from './azure-pure.ts'
import { textAt } from './azure-machine-script.ts'
import { isPath, ok, page, refusal, ScriptedARM } from './azure-scripted-arm.ts'
import type { ScriptedAnswer, ScriptedRequest } from './azure-scripted-arm.ts'
import { adapt } from './core-arithmetic.ts'

interface FaultVector {
  readonly status: number
  readonly error?: { readonly code?: string }
}

interface SubnetVector {
  readonly addressPrefix?: string
  readonly addressPrefixes?: readonly string[]
  readonly ipConfigurationCount?: number
}

/** What was known before: interface IDs by instance. */
interface CacheVector {
  readonly instances?: Readonly<Record<string, readonly string[]>>
}

interface CloudVector {
  readonly scaleSets?: readonly string[]
  readonly scaleSetCapacity?: Readonly<Record<string, number>>
  readonly scaleSetNics?: Readonly<Record<string, readonly JSONObject[] | FaultVector>>
  readonly nics?: readonly JSONObject[] | FaultVector
  readonly subnets?: Readonly<Record<string, SubnetVector | FaultVector>>
  readonly virtualNetworks?: readonly { readonly subnets: readonly (SubnetVector & { readonly id: string })[] }[]
}

const SCALE_SETS = `${GROUP_PATH}/Microsoft.Compute/virtualMachineScaleSets`
const NICS = `${GROUP_PATH}/Microsoft.Network/networkInterfaces`

function isFault(value: object): value is FaultVector {
  return 'status' in value
}

function listOf(value: readonly JSONObject[] | FaultVector | undefined): ScriptedAnswer {
  if (value === undefined) return page([])
  return isFault(value) ? refusal(value.status, value.error?.code ?? 'InternalServerError') : page(value)
}

function subnetAnswer(id: string, vector: SubnetVector | FaultVector | undefined): ScriptedAnswer | undefined {
  if (vector === undefined) return undefined
  if (isFault(vector)) return refusal(vector.status, vector.error?.code ?? 'InternalServerError')
  const { addressPrefix, addressPrefixes, ipConfigurationCount } = vector
  return ok({
    id,
    name: id.slice(id.lastIndexOf('/') + 1),
    properties: {
      ...(addressPrefix !== undefined && { addressPrefix }),
      ...(addressPrefixes !== undefined && { addressPrefixes }),
      ...(ipConfigurationCount !== undefined && {
        ipConfigurations: Array.from({ length: ipConfigurationCount }, (_, index) => ({
          id: `${NICS}/n/ipConfigurations/c${index}`,
        })),
      }),
    },
  })
}

/** The subnets of a cloud by ID, those of its virtual networks too. */
function subnetsOf(
  cloud: Pick<CloudVector, 'subnets' | 'virtualNetworks'>,
): ReadonlyMap<string, SubnetVector | FaultVector> {
  const inNetworks = (cloud.virtualNetworks ?? []).flatMap(({ subnets }) =>
    subnets.map((one) => [one.id, one] as const),
  )
  return new Map([...inNetworks, ...Object.entries(cloud.subnets ?? {})])
}

function answerOf(cloud: CloudVector, path: string): ScriptedAnswer | undefined {
  if (isPath(path, SCALE_SETS))
    return page(
      (cloud.scaleSets ?? []).map((name) => ({
        id: `${SCALE_SETS}/${name}`,
        name,
        ...(cloud.scaleSetCapacity?.[name] !== undefined && { sku: { capacity: cloud.scaleSetCapacity[name] } }),
      })),
    )
  const scaleSet = (cloud.scaleSets ?? []).find((name) => isPath(path, `${SCALE_SETS}/${name}/networkInterfaces`))
  if (scaleSet !== undefined) return listOf(cloud.scaleSetNics?.[scaleSet])
  if (isPath(path, NICS)) return listOf(cloud.nics)
  for (const [id, vector] of subnetsOf(cloud)) if (isPath(path, id)) return subnetAnswer(id, vector)
  return undefined
}

/** The inventory on a script, without a provider around it. */
function inventoryOn(arm: ScriptedARM, profile: IPAMProfile) {
  const clock = new ManualClock(1_000)
  const { signal } = new AbortController()
  const caller = new ARMCaller({
    client: arm.client,
    budget: { ...UNLIMITED, observeRemaining() {} },
    clock,
    random: seededRandom(1),
    log: SILENT,
    metrics: UNMEASURED,
  })
  const api = new AzureAPI(caller, { subscriptionID: SUBSCRIPTION_ID, resourceGroup: RESOURCE_GROUP })
  const subnets = new SubnetCache({ api, profile, subnetIDsFilter: [], clock, log: SILENT, signal })
  return { clock, subnets, instances: new InstancesManager({ api, subnets, clock, log: SILENT, signal }) }
}

/** Requests in order, without the repetitions that are our client's own. */
function requestVectors(requests: readonly ScriptedRequest[]): readonly { method: string; path: string }[] {
  return requests
    .map(({ method, path }) => ({ method, path }))
    .filter(({ path }, index, all) => index === 0 || path !== all[index - 1]?.path)
}

interface RequestsVector {
  readonly ordered?: readonly { readonly path: string }[]
  readonly thenUnordered?: readonly { readonly path: string }[]
  readonly none?: readonly { readonly path: string }[]
}

/** The requests in the parts of the file: those in order first, what follows in the order of the file, and what was not asked for. */
function arranged(requests: readonly ScriptedRequest[], expected: RequestsVector): unknown {
  const sent = requestVectors(requests)
  const orderedCount = expected.ordered?.length ?? sent.length
  const wasSent = (path: string): boolean => sent.some((one) => isPath(one.path, path))
  return {
    ordered: sent.slice(0, orderedCount),
    thenUnordered: sent.length === orderedCount ? expected.thenUnordered?.slice(0, 0) : sent.slice(orderedCount),
    none: expected.none?.filter(({ path }) => !wasSent(path)),
  }
}

/** The machine that an interface's document names; empty without one. */
function machineOf({ properties }: JSONObject): string {
  return instanceIDOf(textAt(properties, 'virtualMachine', 'id'))
}

/** What the cache holds of these machines: interface IDs by instance. */
function instancesIn(instances: InstancesManager, machines: readonly string[]): JSONObject {
  return Object.fromEntries(
    [...new Set(machines)].flatMap((id) => {
      const interfaces = id === '' ? undefined : instances.interfacesOf(id)
      return interfaces === undefined ? [] : [[id, [...interfaces.keys()]]]
    }),
  )
}

function documentsOf({ scaleSetNics = {}, nics = [] }: CloudVector): readonly JSONObject[] {
  const lists = [...Object.values(scaleSetNics), nics]
  return lists.flatMap((list) => (isFault(list) ? [] : list))
}

function quotaOf(subnets: SubnetCache): JSONObject {
  return Object.fromEntries([...subnets.poolQuota()].map(([id, { availableIPs }]) => [id, availableIPs]))
}

async function failureOf(work: Promise<unknown>, clock: ManualClock): Promise<Error | undefined> {
  try {
    await driven(work, clock)
    return undefined
  } catch (error) {
    return error as Error
  }
}

type Snapshot = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

interface ReleaseStep {
  readonly startFullResync?: string
  readonly startInstanceResync?: string
  readonly instance?: string
  readonly snapshot?: Snapshot
  readonly finish?: string
  readonly release?: { readonly instance: string; readonly interface: string; readonly addresses: readonly string[] }
}

/** The files name machines `vm-1`: what a scale set would call them. */
function machineID(name: string): string {
  return `${SCALE_SETS}/set/virtualMachines/${name}`.toLowerCase()
}

function nicDocuments(snapshot: Snapshot, instance?: string): readonly JSONObject[] {
  return Object.entries(snapshot)
    .filter(([name]) => instance === undefined || name === instance)
    .flatMap(([name, nics]) =>
      Object.entries(nics).map(([id, addresses]) => ({
        id,
        name: id,
        properties: {
          virtualMachine: { id: machineID(name) },
          ipConfigurations: addresses.map((privateIPAddress) => ({
            name: privateIPAddress,
            properties: { privateIPAddress, provisioningState: 'Succeeded' },
          })),
        },
      })),
    )
}

interface HangingRead {
  readonly gate: PromiseWithResolvers<void>
  readonly documents: readonly JSONObject[]
  done: Promise<unknown>
}

/** Reads of the cloud that hang at their first request until the steps let them end; each shows what its snapshot holds. */
class HangingReads {
  readonly arm: ScriptedARM
  readonly #reads = new Map<string, HangingRead>()
  /** Those whose first request is still to come: full ones, and of one machine. */
  readonly #full: HangingRead[] = []
  readonly #single: HangingRead[] = []
  #shown: readonly JSONObject[] = []

  constructor() {
    this.arm = new ScriptedARM(({ path }) => page(isPath(path, SCALE_SETS) ? [] : this.#shown))
    const { client } = this.arm
    const send = client.send.bind(client)
    Object.assign(client, {
      send: async (request: Parameters<typeof send>[0]) => {
        const { pathname } = new URL(request.url)
        const waiting = isPath(decodeURIComponent(pathname), SCALE_SETS) ? this.#full : this.#single
        const isFirst = waiting === this.#full || /\/virtualmachines\//i.test(pathname)
        const read = isFirst ? waiting.shift() : undefined
        await read?.gate.promise
        return send(request)
      },
    })
  }

  start(name: string, kind: 'full' | 'single', documents: readonly JSONObject[], begin: () => Promise<unknown>): void {
    const read: HangingRead = { gate: Promise.withResolvers<void>(), documents, done: Promise.resolve() }
    if (kind === 'full') this.#full.push(read)
    else this.#single.push(read)
    this.#reads.set(name, read)
    read.done = begin()
    read.done.catch(() => undefined)
  }

  async finish(name: string, clock: ManualClock): Promise<void> {
    const read = this.#reads.get(name)
    this.#shown = read?.documents ?? []
    read?.gate.resolve()
    await driven(read?.done ?? Promise.resolve(), clock)
  }
}

/** Kinds that read the cloud into the cache. */
export const azureResyncAdapters: AdapterRegistry = {
  'full-resync': {
    comparison: { partial: ['error'], ordered: ['requests.ordered'] },
    run: adapt<{ readonly cloud: CloudVector; readonly cache?: CacheVector }>(
      async ({ cloud, cache }, { profile, testCase }) => {
        const arm = new ScriptedARM(({ path }) => answerOf(cloud, path))
        const { clock, instances, subnets } = inventoryOn(arm, profile)
        const before = Object.entries(cache?.instances ?? {})
        for (const [id, nicIDs] of before)
          instances.restore(id, new Map(nicsOf(nicIDs.map((nicID) => ({ id: nicID }))).map((nic) => [nic.id, nic])))
        const held = (): JSONObject =>
          instancesIn(instances, [...documentsOf(cloud).map(machineOf), ...before.map(([id]) => id)])
        const heldBefore = JSON.stringify(held())
        const error = await failureOf(instances.resync(contextOf()), clock)
        const expect = testCase.expect as { readonly requests?: RequestsVector; readonly error?: unknown }
        return {
          requests: arranged(arm.requests, expect.requests ?? {}),
          cache: { instances: held(), subnets: quotaOf(subnets) },
          error: errorVector(error, expect.error),
          cacheUnchanged: JSON.stringify(held()) === heldBefore,
        }
      },
    ),
  },
  'instance-resync': {
    comparison: { partial: ['error'], ordered: ['requests.ordered'] },
    run: adapt<{
      readonly cacheSubnets?: Readonly<Record<string, number>>
      readonly instanceId: string
      readonly nics: readonly JSONObject[] | FaultVector
      readonly subnets?: Readonly<Record<string, SubnetVector | FaultVector>>
    }>(async (input, { profile, testCase }) => {
      const known = Object.entries(input.cacheSubnets ?? {})
      const cidr = '10.240.0.0/16'
      // What is known already: read before, with so many addresses left.
      const arm = new ScriptedARM(({ path }) => {
        const cached = known.find(([id]) => isPath(id, path))
        return cached === undefined
          ? undefined
          : subnetAnswer(path, { addressPrefix: cidr, ipConfigurationCount: 2 ** 16 - 5 - cached[1] })
      })
      const { clock, instances, subnets } = inventoryOn(arm, profile)
      await driven(
        subnets.readUsed(
          known.map(([id]) => id),
          contextOf(),
        ),
        clock,
      )
      // Long after: what is known of subnets is not taken for fresh.
      await clock.advance(3_600_000)
      arm.requests.length = 0
      arm.respond = ({ path }) => {
        if (isPath(path, `${input.instanceId}/networkInterfaces`)) return listOf(input.nics)
        return answerOf({ subnets: input.subnets ?? {} }, path)
      }
      const error = await failureOf(instances.instanceSync(input.instanceId, contextOf()), clock)
      const expect = testCase.expect as { readonly requests?: RequestsVector | 0; readonly error?: unknown }
      return {
        requests: expect.requests === 0 ? arm.requests.length : arranged(arm.requests, expect.requests ?? {}),
        cacheSubnets: quotaOf(subnets),
        cache: {
          instances: instancesIn(instances, isFault(input.nics) ? [] : input.nics.map(machineOf)),
          subnets: quotaOf(subnets),
        },
        error: errorVector(error, expect.error),
      }
    }),
  },
  'release-marker': adapt<{
    readonly cache: Snapshot
    readonly marker?: boolean
    readonly steps: readonly ReleaseStep[]
  }>(async ({ cache, marker = false, steps }) => {
    const reads = new HangingReads()
    const { clock, instances } = inventoryOn(reads.arm, 'latest')
    for (const [name, nics] of Object.entries(cache)) {
      const entries = Object.entries(nics).map(([id, ips]) => ({
        id,
        name: id,
        addresses: ips.map((ip) => ({ ip, state: 'succeeded' })),
      }))
      instances.restore(machineID(name), new Map(nicsOf(entries).map((nic) => [nic.id, nic])))
      instances.track(machineID(name))
      if (marker) instances.noteWrite(machineID(name))
    }
    for (const step of steps) {
      await clock.advance(1_000)
      const { snapshot = {}, startFullResync, startInstanceResync, instance, release, finish } = step
      if (startFullResync !== undefined)
        reads.start(startFullResync, 'full', nicDocuments(snapshot), () => instances.resync(contextOf()))
      if (startInstanceResync !== undefined) {
        const name = instance ?? Object.keys(snapshot)[0] ?? 'vm-1'
        const read = (): Promise<unknown> => instances.instanceSync(machineID(name), contextOf())
        reads.start(startInstanceResync, 'single', nicDocuments(snapshot, name), read)
      }
      if (release !== undefined)
        instances.recordReleased(machineID(release.instance), release.interface, new Set(release.addresses))
      if (finish !== undefined) await reads.finish(finish, clock)
    }
    const names = new Set([...Object.keys(cache), ...steps.flatMap(({ snapshot = {} }) => Object.keys(snapshot))])
    const known = [...names].flatMap((name) => {
      const interfaces = instances.interfacesOf(machineID(name))
      return interfaces === undefined ? [] : [[name, interfaces] as const]
    })
    return {
      cache: Object.fromEntries(
        known.map(([name, interfaces]) => [
          name,
          Object.fromEntries(
            [...interfaces.values()].map(({ id, configurations }) => [id, configurations.map(({ ip }) => ip)]),
          ),
        ]),
      ),
      marker: [...names].some((name) => instances.hasUnlistedWrite(machineID(name))),
    }
  }),
}
