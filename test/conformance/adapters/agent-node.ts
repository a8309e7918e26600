import type { AgentProfile } from '../../../src/agent/configuration.ts'
import { AGENT_PROFILES } from '../../../src/agent/configuration.ts'
import { CRDAllocator } from '../../../src/agent/crd.ts'
import { familyDisabledError } from '../../../src/agent/errors.ts'
import type { Family } from '../../../src/agent/family.ts'
import { canonicalIP } from '../../../src/agent/family.ts'
import { decodeLocalNode } from '../../../src/agent/local-node.ts'
import { MultiPoolManager } from '../../../src/agent/multi-pool.ts'
import { NodeStore } from '../../../src/agent/node-store.ts'
import { POOL_DEFAULT } from '../../../src/agent/pool.ts'
import type { PoolsToWrite } from '../../../src/agent/pools-patch.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import type { Subject } from './agent-steps.ts'
import { subjectOf } from './agent-steps.ts'
import { agentWorld, configurationOf, fileResult } from './agent-world.ts'

interface NodeArguments {
  readonly node: JSONObject
  readonly ip: string
  readonly ips: readonly string[]
  readonly owner: string
  readonly ownerPrefix: string
  readonly pool: string
  readonly family: Family
  readonly count: number
  readonly seconds: number
  readonly allocated: JSONObject[]
}

/** The CRD allocators of a node. The check of ENI configurations is only of the later profile. */
export function crdAgentSubject(json: JSONObject, profileName: string): Subject {
  const setup = json as unknown as {
    readonly mode: string
    readonly families: readonly Family[]
    readonly healthChecking?: boolean
    readonly nativeRoutingCidr?: string
    readonly node?: JSONObject
  }
  const profile: AgentProfile = AGENT_PROFILES.find((name) => name === profileName) ?? 'v1.14'
  const world = agentWorld()
  const configuration = configurationOf({ ...setup, nativeRoutingCIDR: setup.nativeRoutingCidr })
  const store = new NodeStore({ ...world, nodeName: 'node1', configuration, profile, updateIntervalMs: 15_000 })
  const allocators = new Map(
    setup.families.map((family) => [family, new CRDAllocator(family, store, { ...world, cooldownMs: 0 })]),
  )
  const allocatorOf = (family: Family): CRDAllocator => {
    const allocator = allocators.get(family)
    if (allocator === undefined) throw familyDisabledError(family, {})
    return allocator
  }
  const allocatorFor = (ip: string): CRDAllocator => allocatorOf(canonicalIP(ip).family)
  if (setup.node !== undefined) store.update(decodeLocalNode(setup.node))
  // The results of this area carry no pool.
  const file = (result: Parameters<typeof fileResult>[0]): unknown => ({ ...fileResult(result), ipPoolName: undefined })
  return subjectOf({
    nodeUpdate: ({ node }: NodeArguments) => store.update(decodeLocalNode(node)),
    nodeDelete: () => store.onDelete({ metadata: { name: 'node1' } }),
    allocate: ({ ip, owner }: NodeArguments) =>
      file(allocatorFor(ip).allocate(canonicalIP(ip).ip, owner, POOL_DEFAULT)),
    allocateNext: ({ family, owner }: NodeArguments) => file(allocatorOf(family).allocateNext(owner, POOL_DEFAULT)),
    release: ({ ip }: NodeArguments) => allocatorFor(ip).release(canonicalIP(ip).ip, POOL_DEFAULT),
    dump: ({ family }: NodeArguments) => {
      const { allocated, status } = allocatorOf(family).dump()
      return { ips: [...(allocated?.get(POOL_DEFAULT) ?? [])].sort(), status }
    },
    statusToWrite: () => {
      const status = store.statusToWrite()
      return status === undefined ? null : { used: status.used, 'release-ips': status.releaseIPs }
    },
    minimumIps: () => store.minimumIPs(),
    vpcCidrs: () => store.vpcCIDRs(),
    restoreFinished: () => store.restoreFinished(),
  })
}

export function multiPoolAgentSubject(json: JSONObject): Subject {
  const setup = json as unknown as {
    readonly families: readonly Family[]
    readonly preAllocation?: Readonly<Record<string, number>>
  }
  const world = agentWorld()
  const manager = new MultiPoolManager({
    ...world,
    nodeName: 'node1',
    families: setup.families,
    preAllocation: new Map(Object.entries(setup.preAllocation ?? {})),
    range: { ...world, smallCIDR: 'usable', cooldownMs: 0 },
    updateIntervalMs: 15_000,
  })
  const needsSync = true
  return subjectOf({
    nodeUpdate: ({ allocated }: NodeArguments) =>
      manager.versions.update(
        decodeLocalNode({ metadata: { name: 'node1' }, spec: { ipam: { pools: { allocated } } } }),
      ),
    allocate: ({ ip, owner, pool, family }: NodeArguments) =>
      fileResult(manager.allocate(canonicalIP(ip).ip, owner, pool, family, { needsSync })),
    allocateNext: ({ owner, pool, family }: NodeArguments) =>
      fileResult(manager.allocateNext(owner, pool, family, { needsSync })),
    allocateMany: ({ ownerPrefix, pool, family, count }: NodeArguments) =>
      Array.from(
        { length: count },
        (_, index) => manager.allocateNext(`${ownerPrefix}-${index}`, pool, family, { needsSync }).ip,
      ),
    release: ({ ip, pool, family }: NodeArguments) =>
      manager.release(canonicalIP(ip).ip, pool, family ?? canonicalIP(ip).family),
    releaseMany: ({ ips, pool, family }: NodeArguments) => {
      for (const ip of ips) manager.release(canonicalIP(ip).ip, pool, family ?? canonicalIP(ip).family)
    },
    restoreFinished: ({ family }: NodeArguments) => manager.restoreFinished(family),
    advance: ({ seconds }: NodeArguments) => world.clock.advance(seconds * 1000),
    sync: () => filePools(manager.poolsToWrite()),
    dump: ({ family }: NodeArguments) => manager.dump(family).allocated,
  })
}

/** Zeros are written out. */
function filePools(pools: PoolsToWrite | undefined): unknown {
  return (
    pools && {
      requested: pools.requested.map(({ pool, ipv4Addrs, ipv6Addrs }) => ({
        pool,
        needed: { 'ipv4-addrs': ipv4Addrs, 'ipv6-addrs': ipv6Addrs },
      })),
      allocated: pools.allocated.map(({ pool, cidrs }) => ({ pool, cidrs })),
    }
  )
}
