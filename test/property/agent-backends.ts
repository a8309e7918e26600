import type { Allocator } from '../../src/agent/allocator.ts'
import { CRDAllocator } from '../../src/agent/crd.ts'
import type { Family } from '../../src/agent/family.ts'
import { FAMILIES } from '../../src/agent/family.ts'
import { HostScopeAllocator } from '../../src/agent/host-scope.ts'
import { IPAM } from '../../src/agent/ipam.ts'
import { MultiPoolAllocator } from '../../src/agent/multi-pool-allocator.ts'
import { MultiPoolManager } from '../../src/agent/multi-pool.ts'
import { NodeStore } from '../../src/agent/node-store.ts'
import type { CIDR } from '../../src/ipam/ip-range.ts'
import { cidrSize, formatIPv4, formatIPv6, hostBits, parseCIDR } from '../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { configuration, FakeNodeServer, testWorld } from '../unit/agent/builders.ts'

/** Where a facade's addresses come from in a random run, and what the other side does to them. */
export interface Backend {
  readonly ipam: IPAM
  readonly clock: ReturnType<typeof testWorld>['clock']
  /** Addresses that may be handed out now, holders, exclusions and cooldown apart. Told without asking the code under test. */
  open(pool: string, family: Family): readonly string[]
  /** The other side changes what the node has. @param isHeld who holds what, by the model */
  change(choice: number, isHeld: (ip: string) => boolean): void
  /** Addresses that are remembered and forgotten together with this one, itself included. */
  neighbours(pool: string, ip: string): readonly string[]
  /** Changes with everything that the other side, or the agent itself, writes. */
  version(): string
  /** A new process: nothing in memory is left. Neither is anything restored yet. */
  restart(): Backend
  /** After a restart everything was registered again, and the first write has been made. */
  restored(): void
}

export const COOLDOWN_MS = 30_000

function versionOf(server: FakeNodeServer): string {
  return (server.node['metadata'] as JSONObject)['resourceVersion'] as string
}

type World = ReturnType<typeof testWorld>

function facadeOf(world: World, allocator: (family: Family) => Allocator): IPAM {
  return new IPAM({ ...world, ipv4Allocator: allocator('ipv4'), ipv6Allocator: allocator('ipv6') })
}

export function usableOf(text: string): readonly string[] {
  const cidr = parseCIDR(text)!
  const size = cidr.family === 'ipv4' ? cidrSize(cidr) : 2 ** hostBits(cidr)
  const all = Array.from({ length: size }, (_, offset) => addressOf(cidr, offset))
  return size > 2 ? all.slice(1, -1) : all
}

function addressOf(cidr: CIDR, offset: number): string {
  return cidr.family === 'ipv4' ? formatIPv4(cidr.network + offset) : formatIPv6(cidr.network + BigInt(offset))
}

const HOST_CIDRS: Readonly<Record<Family, readonly string[]>> = {
  ipv4: ['10.0.0.0/29', '10.0.1.0/31'],
  ipv6: ['fd00::/124'],
}

export function hostScopeBackend(world = testWorld(3)): Backend {
  const options = { ...world, smallCIDR: 'usable', cooldownMs: COOLDOWN_MS } as const
  return {
    ipam: facadeOf(world, (family) => new HostScopeAllocator(family, HOST_CIDRS[family], options)),
    clock: world.clock,
    open: (_, family) => HOST_CIDRS[family].flatMap(usableOf),
    change: () => undefined,
    neighbours: (_, ip) => [ip],
    version: () => '',
    restart: () => hostScopeBackend(world),
    restored: () => undefined,
  }
}

const CRD_ADDRESSES: Readonly<Record<Family, readonly string[]>> = {
  ipv4: Array.from({ length: 8 }, (_, index) => `10.0.0.${index + 1}`),
  ipv6: ['fd00::1', 'fd00::2', 'fd00::3'],
}
const ALL_CRD_ADDRESSES = FAMILIES.flatMap((family) => CRD_ADDRESSES[family])

/** The operator lists addresses, takes them away, and asks for them back. */
export function crdBackend(
  world = testWorld(4),
  server = new FakeNodeServer({
    metadata: { name: 'n1' },
    spec: { ipam: { pool: Object.fromEntries(ALL_CRD_ADDRESSES.slice(0, 7).map((ip) => [ip, {}])) } },
    status: { ipam: {} },
  }),
): Backend {
  const controller = new AbortController()
  const store = new NodeStore({
    ...world,
    nodeName: 'n1',
    configuration: configuration('crd', ['ipv4', 'ipv6']),
    events: { k8sEventReceived: () => undefined, k8sEventProcessed: () => undefined },
    writer: server,
    profile: 'later',
    updateIntervalMs: 15_000,
    signal: controller.signal,
  })
  const ipam = facadeOf(world, (family) => new CRDAllocator(family, store, { ...world, cooldownMs: COOLDOWN_MS }))
  const poolOf = (): JSONObject => ((server.node['spec'] as JSONObject)['ipam'] as JSONObject)['pool'] as JSONObject
  const statesOf = (): JSONObject =>
    (((server.node['status'] as JSONObject)['ipam'] as JSONObject)['release-ips'] ?? {}) as JSONObject
  /** Withheld as of the last delivered version: the model's own reading of the protocol. */
  let withheld: ReadonlySet<string> = new Set()
  const read = (isHeld: (ip: string) => boolean): void => {
    withheld = new Set(
      Object.entries(statesOf()).flatMap(([ip, state]) =>
        state === 'do-not-release' || (state === 'marked-for-release' && isHeld(ip)) ? [] : [ip],
      ),
    )
  }
  store.onAdd(server.node)
  read(() => false)
  return {
    ipam,
    clock: world.clock,
    open: (_, family) => CRD_ADDRESSES[family].filter((ip) => poolOf()[ip] !== undefined && !withheld.has(ip)),
    change(choice, isHeld) {
      const ip = ALL_CRD_ADDRESSES[choice % ALL_CRD_ADDRESSES.length]!
      const state = statesOf()[ip]
      const before = server.node
      const setState = (value: string | null): JSONObject => ({ status: { ipam: { 'release-ips': { [ip]: value } } } })
      if (poolOf()[ip] === undefined) {
        // A released address is offered again only once the agent has taken note.
        if (state === undefined) server.change({ spec: { ipam: { pool: { [ip]: {} } } } })
      } else if (state === undefined) server.change(setState('marked-for-release'))
      else if (state === 'do-not-release') server.change(setState(null))
      else if (state === 'ready-for-release' && choice % 2 === 0) server.change(setState(null))
      else if (state === 'ready-for-release') {
        server.change(setState('released'))
        server.change({ spec: { ipam: { pool: { [ip]: null } } } })
      }
      if (server.node === before) return
      read(isHeld)
      store.onUpdate(undefined, server.node)
    },
    neighbours: (_, ip) => [ip],
    version: () => versionOf(server),
    restored: () => read(() => false),
    restart() {
      controller.abort(new Error('killed'))
      store.stop()
      return crdBackend(world, server)
    },
  }
}

const POOL_CIDRS: Readonly<Record<string, readonly string[]>> = {
  default: ['10.0.0.0/29', '10.0.1.0/30', 'fd00::/125'],
  blue: ['10.1.0.0/30', 'fd01::/126', 'fd01::10/126'],
}
export const POOLS = Object.keys(POOL_CIDRS)

/** The operator gives CIDRs and takes them away; the agent gives back what it does not need. */
export function multiPoolBackend(
  world = testWorld(5),
  server = new FakeNodeServer({
    metadata: { name: 'n1' },
    spec: { ipam: { pools: { allocated: [{ pool: 'default', cidrs: ['10.0.0.0/29', 'fd00::/125'] }] } } },
  }),
): Backend {
  const controller = new AbortController()
  const manager = new MultiPoolManager({
    ...world,
    nodeName: 'n1',
    families: FAMILIES,
    preAllocation: new Map([['default', 4]]),
    writer: server,
    range: { ...world, smallCIDR: 'usable', cooldownMs: COOLDOWN_MS },
    updateIntervalMs: 15_000,
    signal: controller.signal,
  })
  const ipam = facadeOf(world, (family) => new MultiPoolAllocator(family, manager))
  const listed = (): { readonly pool: string; readonly cidrs: readonly string[] }[] =>
    (((server.node['spec'] as JSONObject)['ipam'] as JSONObject)['pools'] as JSONObject)['allocated'] as never
  manager.versions.onAdd(server.node)
  return {
    ipam,
    clock: world.clock,
    open: (pool, family) =>
      listed()
        .filter((entry) => entry.pool === pool)
        .flatMap(({ cidrs }) => cidrs)
        .filter((cidr) => cidr.includes(':') === (family === 'ipv6'))
        .flatMap(usableOf),
    change(choice) {
      const pool = POOLS[choice % POOLS.length]!
      const cidrs = POOL_CIDRS[pool]!
      const cidr = cidrs[(choice >> 1) % cidrs.length]!
      const before = listed().find((entry) => entry.pool === pool)?.cidrs ?? []
      const after = before.includes(cidr) ? before.filter((one) => one !== cidr) : [...before, cidr]
      const others = listed().filter((entry) => entry.pool !== pool)
      // A pool that is not listed at all is left alone by the agent: the entry stays, empty.
      const allocated = [...others, { pool, cidrs: after }]
      manager.versions.onUpdate(
        undefined,
        server.change({ spec: { ipam: { pools: { allocated: allocated as never } } } }),
      )
    },
    version: () => versionOf(server),
    restored: () => undefined,
    neighbours: (pool, ip) => POOL_CIDRS[pool]!.map(usableOf).find((addresses) => addresses.includes(ip))!,
    restart() {
      controller.abort(new Error('killed'))
      manager.stop()
      return multiPoolBackend(world, server)
    },
  }
}
