import type { PoolAllocation } from '../../../src/ipam/cilium-node.ts'
import { formatCIDR } from '../../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import type { Family } from '../../../src/pools/cidr-set.ts'
import { CIDRSet, newCIDRSets, parsePoolCIDR } from '../../../src/pools/cidr-set.ts'
import { MultiPoolAllocator } from '../../../src/pools/multi-pool-allocator.ts'
import { NodesPodCIDRManager } from '../../../src/pools/pod-cidr-manager.ts'
import { parsePoolSpec } from '../../../src/pools/pool-spec.ts'
import type { CallResult, PendingWrite, PodCIDRNodeAPI } from '../../../src/pools/write-queue.ts'
import { syncNode } from '../../../src/pools/write-queue.ts'
import type { Subject } from './agent-steps.ts'
import { subjectOf } from './agent-steps.ts'

interface OperatorArguments {
  readonly text: string
  readonly family: Family
  readonly cidr: string
  readonly cidrs: readonly string[]
  readonly maskSize: number
  readonly count: number
  readonly index: number
  readonly ip: string
  readonly name: string
  readonly queue: Readonly<Record<string, Partial<PendingWrite> & Pick<PendingWrite, 'op'>>>
  readonly api: readonly { readonly verb: string; readonly result: string }[]
}

/** The operator side's pure operations. */
export const OPERATOR_PURE_OPERATIONS: Readonly<Record<string, (args: OperatorArguments) => unknown>> = {
  parsePoolSpec: ({ text }) => parsePoolSpec(text),
  newCidrSets: ({ family, cidrs, maskSize }) => {
    newCIDRSets(family, cidrs, maskSize)
  },
  syncQueueOnce: async ({ queue, api }) => {
    const writes = new Map(
      Object.entries(queue).map(([name, write]): [string, PendingWrite] => [
        name,
        { podCIDRs: [], error: '', ...write },
      ]),
    )
    const server = scriptedAPI(api)
    let failed = false
    const names = [...writes.keys()]
    for (const name of names) failed = (await syncNode(writes, name, server)) || failed
    return {
      failed,
      calls: server.calls,
      queue: Object.fromEntries([...writes].map(([name, { op }]) => [name, op])),
    }
  },
}

/** Answers in the order of the calls; one that no answer is left for, or that the script does not expect, fails. */
function scriptedAPI(script: OperatorArguments['api']): PodCIDRNodeAPI & { readonly calls: readonly string[] } {
  const calls: string[] = []
  const answer = (verb: string): Promise<CallResult> => {
    const next = script[calls.length]
    calls.push(verb)
    if (next === undefined || next.verb !== verb) return Promise.resolve('failed')
    const known = (['ok', 'AlreadyExists', 'Conflict', 'NotFound'] as const).find((one) => one === next.result)
    return Promise.resolve(known ?? 'failed')
  }
  return {
    calls,
    create: () => answer('create'),
    update: () => answer('update'),
    updateStatus: () => answer('updateStatus'),
    get: () => answer('get'),
  }
}

export function cidrSetSubject(json: JSONObject): Subject {
  const { cidr, maskSize } = json as unknown as { readonly cidr: string; readonly maskSize: number }
  const set = new CIDRSet(parsePoolCIDR(cidr), maskSize)
  const next = (): string => formatCIDR(set.allocateNext())
  return subjectOf({
    allocateNext: next,
    allocateMany: ({ count }: OperatorArguments) => Array.from({ length: count }, next),
    occupy: (args: OperatorArguments) => set.occupy(parsePoolCIDR(args.cidr)),
    release: (args: OperatorArguments) => set.release(parsePoolCIDR(args.cidr)),
    isAllocated: (args: OperatorArguments) => set.isAllocated(parsePoolCIDR(args.cidr)),
    inRange: (args: OperatorArguments) => set.inRange(parsePoolCIDR(args.cidr)),
    isFull: () => set.isFull,
    blockAt: ({ index }: OperatorArguments) => formatCIDR(set.blockAt(index)),
    indexOf: ({ ip }: OperatorArguments) => set.indexOf(ip),
    usedCount: () => set.usedCount,
    usedIndexRange: () => {
      const indices = [...set.usedIndices()]
      const [first] = indices
      const last = indices.at(-1)
      if (first === undefined || last === undefined) return null
      return { first, last, contiguous: last - first + 1 === indices.length }
    },
  })
}

interface SetsSetup {
  readonly cidrs: readonly string[]
  readonly maskSize: number
}

export function podCIDROperatorSubject(json: JSONObject): Subject {
  const setup = json as unknown as Readonly<Partial<Record<Family, SetsSetup>>>
  const setsOf = (family: Family): readonly CIDRSet[] => {
    const sets = setup[family]
    return sets === undefined ? [] : newCIDRSets(family, sets.cidrs, sets.maskSize)
  }
  const manager = new NodesPodCIDRManager({ ipv4: setsOf('ipv4'), ipv6: setsOf('ipv6') })
  interface NodeArguments {
    readonly name: string
    readonly node: {
      readonly name: string
      readonly podCIDRs?: readonly string[]
      readonly error?: string
      readonly resourceVersion?: string
    }
  }
  return subjectOf({
    upsert: ({ node }: NodeArguments) => manager.upsert({ podCIDRs: [], error: '', resourceVersion: '', ...node }),
    delete: ({ name }: NodeArguments) => manager.delete(name),
    resync: () => manager.resync(),
    nodes: () => manager.nodes(),
    waiting: () => manager.waiting(),
    queue: () => manager.queue,
    flush: () => manager.queue.clear(),
  })
}

interface PoolArguments {
  readonly name: string
  readonly ipv4Cidrs?: readonly string[]
  readonly ipv4MaskSize?: number
  readonly ipv6Cidrs?: readonly string[]
  readonly ipv6MaskSize?: number
  readonly node: string
  readonly requested?: readonly { readonly pool: string; readonly needed?: Readonly<Record<string, number>> }[]
  readonly allocated?: readonly PoolAllocation[]
}

export function multiPoolOperatorSubject(json: JSONObject): Subject {
  const { families = ['ipv4', 'ipv6'], orphans = false } = json as unknown as {
    readonly families?: readonly Family[]
    readonly orphans?: boolean
  }
  const allocator = new MultiPoolAllocator(families, { keepsOrphans: orphans })
  return subjectOf({
    upsertPool: ({ name, ipv4Cidrs, ipv4MaskSize = 0, ipv6Cidrs, ipv6MaskSize = 0 }: PoolArguments) =>
      allocator.upsertPool(name, {
        ...(ipv4Cidrs !== undefined && { ipv4: { cidrs: ipv4Cidrs, maskSize: ipv4MaskSize } }),
        ...(ipv6Cidrs !== undefined && { ipv6: { cidrs: ipv6Cidrs, maskSize: ipv6MaskSize } }),
      }),
    deletePool: ({ name }: PoolArguments) => allocator.deletePool(name),
    restoreFinished: () => allocator.restoreFinished(),
    allocateToNode: ({ node, requested = [], allocated = [] }: PoolArguments) =>
      allocator.allocateToNode(
        node,
        requested.map(({ pool, needed }) => ({
          pool,
          ipv4Addrs: needed?.['ipv4-addrs'] ?? 0,
          ipv6Addrs: needed?.['ipv6-addrs'] ?? 0,
        })),
        allocated,
      ),
    allocatedPools: ({ node }: PoolArguments) => allocator.allocatedPools(node),
    releaseNode: ({ node }: PoolArguments) => allocator.releaseNode(node),
  })
}
