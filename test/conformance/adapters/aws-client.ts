import type { NetworkInterface } from '@aws-sdk/client-ec2'
import { EC2API } from '../../../providers/aws/api.ts'
import { subnetFilters, tagFilters } from '../../../providers/aws/filters.ts'
import { InfrastructureCache } from '../../../providers/aws/infrastructure.ts'
import { InstancesManager } from '../../../providers/aws/instances.ts'
import type { InterfaceChange } from '../../../providers/aws/interface-change.ts'
import { LimitsTable } from '../../../providers/aws/limits.ts'
import { parseInterface } from '../../../providers/aws/parse-interface.ts'
import type { EC2Filter } from '../../../providers/aws/types.ts'
import { EC2_BUCKETS } from '../../../providers/aws/index.ts'
import { createAPIBudget } from '../../../src/budget/api-budget.ts'
import type { JSONObject, Tags } from '../../../src/ipam/types.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { directHolder } from '../../support/direct-holder.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { callVector } from './aws-calls.ts'
import { adapt } from './core-arithmetic.ts'
import {
  contextOf,
  eniOf,
  errorMembers,
  limitsOf,
  PLAIN_CONFIG,
  scriptOf,
  SILENT,
  UNLIMITED,
  UNMEASURED,
  type ErrorVector,
  type LimitsVector,
  type ResponseVector,
} from './aws-node.ts'
import { ec2Error, ScriptedEC2, type Responder } from './aws-scripted-ec2.ts'

function clientOf(respond: Responder, pageSize: number) {
  const ec2 = new ScriptedEC2(respond)
  const clock = new ManualClock()
  const deps = { client: ec2.client, budget: UNLIMITED, clock, log: SILENT, metrics: UNMEASURED }
  return { ec2, clock, api: new EC2API(deps, pageSize) }
}

async function failureOf(work: Promise<unknown>): Promise<Error | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return error as Error
  }
}

/** One page of a listing, or the refusal of it. */
interface PageVector {
  readonly error?: ErrorVector
  readonly interfaces?: number | readonly string[]
  readonly ids?: readonly string[]
  readonly interfaceIds?: readonly string[]
  readonly nextToken?: string | null
}

let interfaceNumber = 0

/** Interfaces of a page: named, or so many that are sound. */
function interfacesOf({ interfaces = [], ids }: PageVector): NetworkInterface[] {
  const names =
    ids ?? (typeof interfaces === 'number' ? Array.from({ length: interfaces }, () => undefined) : interfaces)
  return names.map((name) => ({
    NetworkInterfaceId: name ?? `eni-page-${++interfaceNumber}`,
    PrivateIpAddress: '10.0.0.1',
    Attachment: { InstanceId: 'i-1', DeviceIndex: 0 },
  }))
}

function pagesOf(responses: readonly PageVector[]): Responder {
  const left = [...responses]
  return ({ action }) => {
    const page = left.shift()
    if (page === undefined) return undefined
    if (page.error !== undefined) return ec2Error(page.error.code, page.error.message ?? '')
    const next = page.nextToken === undefined || page.nextToken === null ? {} : { NextToken: page.nextToken }
    if (action === 'DescribeInstances') {
      const interfaceIDs = page.interfaceIds ?? page.ids ?? []
      const NetworkInterfaces = interfaceIDs.map((NetworkInterfaceId) => ({ NetworkInterfaceId }))
      return { Reservations: [{ Instances: [{ NetworkInterfaces }] }], ...next }
    }
    return { NetworkInterfaces: interfacesOf(page), ...next }
  }
}

const REQUESTS_ONLY_AS_NAMED = { partial: ['requests.*'], unordered: ['requests.*.filters'] }

export const awsClientAdapters: AdapterRegistry = {
  'client.parseEni': adapt<{ readonly networkInterface: NetworkInterface }>(({ networkInterface }, { testCase }) => {
    const parsed = parseInterface(networkInterface)
    if (parsed.kind === 'malformed') return errorMembers(new Error(parsed.fault), testCase.expect)
    const { eni, instanceID } = parsed.listed
    const expected = testCase.expect as { readonly subnet?: unknown; readonly vpc?: unknown }
    return {
      id: eni.id,
      ip: eni.ip,
      ipv6: eni.ipv6,
      mac: eni.mac,
      description: eni.description,
      number: eni.number,
      subnet: typeof expected.subnet === 'string' ? eni.subnet.id : eni.subnet,
      vpc: typeof expected.vpc === 'string' ? eni.vpc.id : { id: eni.vpc.id },
      addresses: eni.addresses,
      addressesWithoutPrimary: eni.addresses.filter((address) => address !== eni.ip),
      prefixes: eni.prefixes,
      'ipv6-prefixes': eni.ipv6Prefixes,
      'security-groups': eni.securityGroups,
      tags: eni.tags,
      'public-ip': eni.publicIP,
      instanceId: instanceID,
      error: null,
    }
  }),
  'client.subnetFilters': {
    comparison: { unordered: ['filters'] },
    run: adapt<{ readonly tags: Tags; readonly ids: readonly string[] }>(({ tags, ids }) => ({
      filters: subnetFilters(tags, ids),
    })),
  },
  'client.instanceFilters': {
    comparison: { unordered: ['filters'] },
    run: adapt<{ readonly tags: Tags }>(({ tags }) => ({ filters: tagFilters(tags) })),
  },
  'client.describeInterfaces': {
    comparison: REQUESTS_ONLY_AS_NAMED,
    run: adapt<{
      readonly maxResultsPerCall?: number
      readonly subnetFilters?: readonly EC2Filter[]
      readonly instanceFilters?: readonly EC2Filter[]
      readonly cachedSubnets?: readonly string[]
      readonly responses: readonly PageVector[]
    }>(async (input, { testCase }) => {
      const { api, ec2 } = clientOf(pagesOf(input.responses), input.maxResultsPerCall ?? 0)
      const subnetIDs = (input.subnetFilters ?? []).length > 0 ? (input.cachedSubnets ?? []) : undefined
      let interfaces: number | undefined
      const scope = { subnetIDs, instanceFilters: input.instanceFilters ?? [] }
      const error = await failureOf(
        api.listings.describeInterfaces(scope, contextOf()).then((listed) => {
          interfaces = listed.length
        }),
      )
      return {
        requests: ec2.calls.map(callVector),
        interfaces,
        maxResultsPerCallAfter: api.pageSize,
        ...errorMembers(error, testCase.expect),
      }
    }),
  },
  'client.detachedInterfaces': {
    comparison: REQUESTS_ONLY_AS_NAMED,
    run: adapt<{
      readonly limit: number
      readonly maxResultsPerCall?: number
      readonly tags: Tags
      readonly subnetFilters?: readonly EC2Filter[]
      readonly responses: readonly PageVector[]
    }>(async (input, { testCase }) => {
      const { api, ec2 } = clientOf(pagesOf(input.responses), input.maxResultsPerCall ?? 0)
      let ids: readonly string[] = []
      const scope = { tags: input.tags, subnetFilters: input.subnetFilters ?? [] }
      const error = await failureOf(
        api.listings.describeDetachedInterfaces(scope, input.limit, contextOf()).then((found) => {
          ids = found
        }),
      )
      return {
        requests: ec2.calls.map(callVector),
        ids,
        maxResultsPerCallAfter: api.pageSize,
        ...errorMembers(error, testCase.expect),
      }
    }),
  },
  'client.securityGroups': adapt<{
    readonly vpc: string
    readonly maxResultsPerCall?: number
    readonly responses: readonly (ResponseVector | null)[]
  }>(async (input, { testCase }) => {
    const { api, ec2 } = clientOf(scriptOf(input.responses), input.maxResultsPerCall ?? 0)
    const error = await failureOf(api.listings.describeSecurityGroups(input.vpc, contextOf()))
    return {
      actions: ec2.actions,
      remembered: api.listings.isGroupListingForVPCDenied,
      ...errorMembers(error, testCase.expect),
    }
  }),
  'client.associateEip': {
    comparison: { partial: ['actions.*'], unordered: ['actions.*.filters'] },
    run: adapt<{
      readonly tags: Tags
      readonly interfaceId: string
      readonly addresses: readonly JSONObject[]
      readonly responses?: readonly (ResponseVector | null)[]
    }>(async (input, { testCase }) => {
      const script = scriptOf(input.responses ?? [])
      const { api, ec2 } = clientOf((call) => {
        const scripted = script(call)
        return scripted ?? (call.action === 'DescribeAddresses' ? { Addresses: input.addresses } : undefined)
      }, 0)
      let publicIp: string | undefined
      const error = await failureOf(
        api.associateElasticIP(input.interfaceId, input.tags, contextOf()).then((address) => {
          publicIp = address
        }),
      )
      return { actions: ec2.calls.map(callVector), publicIp, ...errorMembers(error, testCase.expect) }
    }),
  },
  'client.limiter': {
    comparison: { tolerance: { absolute: 5 } },
    run: adapt<{ readonly qps: number; readonly burst: number; readonly callsAtTimeZero: number }>(
      async ({ qps, burst, callsAtTimeZero }) => {
        const clock = new ManualClock()
        const budget = createAPIBudget({
          table: { ...EC2_BUCKETS, buckets: {}, families: {}, fallback: { size: 1e6, refillPerSecond: 1e6 } },
          clock,
          random: seededRandom(1),
          isThrottled: () => undefined,
          globalLimit: { qps, burst },
          holder: directHolder,
        })
        const delaysMs: number[] = []
        const request = { ...contextOf(), action: 'DescribeSubnets', buckets: [{ bucket: 'DescribeSubnets', cost: 1 }] }
        for (let call = 0; call < callsAtTimeZero; call++)
          void budget.run(request, () => Promise.resolve(delaysMs.push(clock.now())))
        for (let waitedMs = 0; delaysMs.length < callsAtTimeZero && waitedMs < 60_000; waitedMs++)
          await clock.advance(1)
        return { delaysMs }
      },
    ),
  },
  'limits.lookup': adapt<{
    readonly initialTypes: readonly LimitsVector[]
    readonly minIntervalMs: number
    readonly timeoutMs: number
    readonly steps: readonly { readonly atMs: number; readonly lookup: string }[]
  }>(async (input) => {
    const clock = new ManualClock()
    let describeCalls = 0
    const table = new LimitsTable({
      read: async () => {
        describeCalls += 1
        await Promise.resolve()
        return new Map(
          input.initialTypes.flatMap((type) => [[type.instanceType, limitsOf(type)] as const]).filter(isKnown),
        )
      },
      clock,
      log: SILENT,
      signal: new AbortController().signal,
      minIntervalMs: input.minIntervalMs,
      timeoutMs: input.timeoutMs,
    })
    await table.prepare(contextOf())
    const results: unknown[] = []
    for (const { atMs, lookup } of input.steps) {
      await clock.advance(Math.max(atMs - clock.now(), 0))
      const limits = await table.lookup(lookup, new AbortController().signal)
      results.push(
        limits && {
          adapters: limits.adapters,
          ipv4: limits.ipv4,
          ipv6: limits.ipv6,
          hypervisor: limits.hypervisorType,
          bareMetal: limits.isBareMetal,
        },
      )
    }
    return { results, describeCalls }
  }),
  'manager.resyncRace': adapt<{
    readonly cache: { readonly instance: string; readonly eni: string; readonly addresses: readonly string[] }
    readonly duringFetch: {
      readonly op: string
      readonly address?: string
      readonly addresses?: readonly string[]
      readonly eni?: string
    }
  }>(({ cache, duringFetch }) => resyncRace(cache, duringFetch)),
}

function isKnown<V>(entry: readonly [string, V | undefined]): entry is readonly [string, V] {
  return entry[1] !== undefined
}

async function resyncRace(
  cache: { readonly instance: string; readonly eni: string; readonly addresses: readonly string[] },
  during: {
    readonly op: string
    readonly address?: string
    readonly addresses?: readonly string[]
    readonly eni?: string
  },
): Promise<unknown> {
  const { ec2, api, clock } = clientOf(() => undefined, 0)
  const infrastructure = new InfrastructureCache(api.listings, PLAIN_CONFIG, clock)
  const signal = new AbortController().signal
  const instances = new InstancesManager(PLAIN_CONFIG, {
    listings: api.listings,
    infrastructure,
    clock,
    log: SILENT,
    signal,
  })
  let change = (): void => undefined
  ec2.respond = ({ action }) => {
    if (action !== 'DescribeNetworkInterfaces') return undefined
    // The listing was taken; what happens now it cannot show.
    change()
    const [primary = ''] = cache.addresses
    return {
      NetworkInterfaces: [
        {
          NetworkInterfaceId: cache.eni,
          PrivateIpAddress: '10.0.0.4',
          PrivateIpAddresses: [primary, ...cache.addresses.slice(1)].map((PrivateIpAddress) => ({ PrivateIpAddress })),
          Attachment: { InstanceId: cache.instance, DeviceIndex: 0 },
        },
      ],
    }
  }
  await instances.resync(contextOf())
  await clock.advance(60_000)
  const addresses = during.addresses ?? (during.address === undefined ? [] : [during.address])
  const changes: Readonly<Record<string, InterfaceChange>> = {
    removeAddress: { kind: 'unassigned', addresses, prefixes: [] },
    addAddress: { kind: 'assigned', addresses, prefixes: [], ipv6Prefixes: [] },
    addInterface: {
      kind: 'attached',
      eni: eniOf({ id: during.eni ?? 'eni-new', number: 1, ip: '10.0.0.99', addresses }),
    },
  }
  const wanted = Object.entries(changes).find(([op]) => during.op.toLowerCase().startsWith(op.toLowerCase()))?.[1]
  if (wanted === undefined) throw new Error(`unknown change '${during.op}'`)
  const interfaceID = wanted.kind === 'attached' ? wanted.eni.id : cache.eni
  change = () => instances.recordChange(cache.instance, interfaceID, wanted)
  await instances.resync(contextOf())
  const after = instances.interfacesOf(cache.instance)
  return { addresses: after?.get(cache.eni)?.addresses, interfaces: [...(after?.keys() ?? [])] }
}
