import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { AddressRangeOptions } from './address-range.ts'
import type { Allocator } from './allocator.ts'
import type {
  AgentProfile,
  CiliumNodeSubscriber,
  Configuration,
  K8sEventRegister,
  LocalRouteReader,
  MTUConfiguration,
  Owner,
} from './configuration.ts'
import { CRDAllocator } from './crd.ts'
import { DelegatedAllocator } from './delegated.ts'
import type { LinkInterface } from './eni-devices.ts'
import { ENIDevices } from './eni-devices.ts'
import { IPAMError } from './errors.ts'
import type { IPAMEventMetrics } from './event-metrics.ts'
import type { Family } from './family.ts'
import { FAMILIES } from './family.ts'
import { HostScopeAllocator } from './host-scope.ts'
import { IPAM } from './ipam.ts'
import { MultiPoolAllocator } from './multi-pool-allocator.ts'
import { MultiPoolManager } from './multi-pool.ts'
import { NodeStore } from './node-store.ts'
import type { NodeWriter, UnreachableRoutes } from './node-writer.ts'
import { PodCIDRAllocator } from './pod-cidr-allocator.ts'
import { PodCIDRWatcher } from './pod-cidr-watcher.ts'
import type { PreAllocation } from './pool-demand.ts'
import { DEFAULT_PRE_ALLOCATION } from './pool-demand.ts'
import { deriveVPCCIDRs, listVPCCIDRs } from './vpc-cidrs.ts'

/** Between two writes of the own node (ms). Cilium pkg/defaults/defaults.go, ipam-cilium-node-update-rate. */
export const DEFAULT_UPDATE_INTERVAL_MS = 15_000

export interface CreateIPAMOptions {
  readonly nodeName: string
  readonly configuration: Configuration
  readonly owner: Owner
  readonly events: K8sEventRegister
  /** MTU and device set-up of new ENIs; without links there is none. */
  readonly mtu?: MTUConfiguration
  readonly links?: LinkInterface
  /** Modes that write the own node. */
  readonly writer: NodeWriter
  /** Modes `kubernetes` and `cluster-pool`: the node's own CIDRs by family, in order of use. */
  readonly allocationCIDRs?: Partial<Readonly<Record<Family, readonly string[]>>>
  /**
   * Mode `eni`: addresses come from `spec.ipam.pool`, as for agents up to 1.19 (absent), or from the ENI status, as from 1.20 on, and
   * the pools of the resource are the agent's word on them.
   */
  readonly eniSource?: 'pool' | 'status'
  /** Mode `multi-pool`, and `eni` from the status; default `default=8`. */
  readonly preAllocation?: PreAllocation
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly random: Random
  readonly log: Logger
  readonly metrics?: IPAMEventMetrics
  /** `later` when absent. */
  readonly profile?: AgentProfile
  /** 15 s when absent (ms). */
  readonly updateIntervalMs?: number
  /** How long a released address is held back from other pods (ms); 0, as in the reference, when absent. */
  readonly cooldownMs?: number
  /** For `reserveLocalRoutes`. */
  readonly routes?: LocalRouteReader
  readonly unreachableRoutes?: UnreachableRoutes
}

/** Allocators of the enabled families, and what the facade asks besides. */
interface Source {
  readonly allocators: Partial<Readonly<Record<Family, Allocator>>>
  readonly vpcCIDRs?: () => readonly string[] | null
}

/**
 * The facade of a node, with the allocators of its mode. Where addresses are given to the node through its CiliumNode this waits
 * until the first are there, for as long as it takes.
 *
 * @param signal ends the wait, and later every write
 * @throws IPAMError UNKNOWN_MODE, CIDR_PARSE, NATIVE_ROUTING_CIDR_MISMATCH; the signal's reason
 * @source cilium pkg/ipam/ipam.go, NewIPAM and ConfigureAllocator
 */
export async function createIPAM(options: CreateIPAMOptions, signal: AbortSignal): Promise<IPAM> {
  const { configuration, clock, timers, random, log, metrics, profile = 'later', routes } = options
  const families = FAMILIES.filter((family) =>
    family === 'ipv4' ? configuration.ipv4Enabled() : configuration.ipv6Enabled(),
  )
  const { allocators, vpcCIDRs } = await createSource(options, families, signal)
  return new IPAM({
    ipv4Allocator: allocators.ipv4,
    ipv6Allocator: allocators.ipv6,
    clock,
    timers,
    random,
    log,
    profile,
    routes,
    ...(metrics !== undefined && { metrics }),
    ...(vpcCIDRs !== undefined && { vpcCIDRs }),
  })
}

function createSource(options: CreateIPAMOptions, families: readonly Family[], signal: AbortSignal): Promise<Source> {
  const mode = options.configuration.ipamMode()
  switch (mode) {
    // Until 1.6 the mode is empty.
    case '':
    case 'kubernetes':
    case 'cluster-pool':
      return Promise.resolve({
        allocators: byFamily(
          families,
          (family) => new HostScopeAllocator(family, options.allocationCIDRs?.[family] ?? [], rangeOptions(options)),
        ),
      })
    case 'delegated-plugin':
      return Promise.resolve({ allocators: byFamily(families, (family) => new DelegatedAllocator(family)) })
    case 'cluster-pool-v2beta':
      return createPodCIDRSource(options, families, signal)
    case 'multi-pool':
      return createMultiPoolSource(options, families, signal)
    case 'eni':
      return options.eniSource === 'status'
        ? createMultiPoolSource(options, families, signal, 'eni')
        : createCRDSource(options, families, signal)
    case 'crd':
    case 'azure':
    case 'alibabacloud':
      return createCRDSource(options, families, signal)
    default:
      return Promise.reject(new IPAMError('UNKNOWN_MODE', `unknown IPAM mode ${JSON.stringify(mode)}`))
  }
}

async function createCRDSource(
  options: CreateIPAMOptions,
  families: readonly Family[],
  signal: AbortSignal,
): Promise<Source> {
  const { clock, log, links, mtu, profile = 'later', updateIntervalMs = DEFAULT_UPDATE_INTERVAL_MS } = options
  const devices =
    links === undefined || mtu === undefined ? undefined : new ENIDevices({ links, mtu, clock, log, signal })
  const store = new NodeStore({
    ...options,
    profile,
    updateIntervalMs,
    signal,
    ...(devices !== undefined && {
      onInterfaces: (interfaces, eniSpec) => devices.update(interfaces, eniSpec),
    }),
  })
  const cooldown = { clock, cooldownMs: options.cooldownMs ?? 0 }
  const allocators = byFamily(families, (family) => new CRDAllocator(family, store, cooldown))
  await subscribe(options, store, store, signal)
  await store.waitForMinimum(signal)
  return { allocators, vpcCIDRs: () => store.vpcCIDRs() }
}

async function createMultiPoolSource(
  options: CreateIPAMOptions,
  families: readonly Family[],
  signal: AbortSignal,
  source?: 'eni',
): Promise<Source> {
  const { preAllocation = DEFAULT_PRE_ALLOCATION, updateIntervalMs = DEFAULT_UPDATE_INTERVAL_MS } = options
  const range = rangeOptions(options)
  const manager = new MultiPoolManager({
    ...options,
    ...(source !== undefined && { source }),
    nativeRoutingCIDR: () => options.configuration.getIPv4NativeRoutingCIDR(),
    families,
    preAllocation,
    range,
    updateIntervalMs,
    signal,
  })
  await subscribe(options, manager.versions, manager, signal)
  await manager.waitUntilReady(signal)
  const allocators = byFamily(families, (family) => new MultiPoolAllocator(family, manager))
  if (source === undefined) return { allocators }
  return {
    allocators,
    vpcCIDRs: () => (manager.versions.node === undefined ? null : listVPCCIDRs(deriveVPCCIDRs(manager.versions.node))),
  }
}

async function createPodCIDRSource(
  options: CreateIPAMOptions,
  families: readonly Family[],
  signal: AbortSignal,
): Promise<Source> {
  const { updateIntervalMs = DEFAULT_UPDATE_INTERVAL_MS } = options
  const watcher = new PodCIDRWatcher({ ...options, families, range: rangeOptions(options), updateIntervalMs, signal })
  await subscribe(options, watcher.versions, watcher, signal)
  await watcher.waitUntilReady(signal)
  return { allocators: byFamily(families, (family) => new PodCIDRAllocator(family, watcher, watcher.pool(family))) }
}

/** Listens before the resource is made sure of, so that no version of it is missed. */
async function subscribe(
  { events, owner }: CreateIPAMOptions,
  subscriber: CiliumNodeSubscriber,
  writer: { stop(): void },
  signal: AbortSignal,
): Promise<void> {
  signal.addEventListener('abort', () => writer.stop(), { once: true })
  events.registerCiliumNodeSubscriber(subscriber)
  await owner.updateCiliumNodeResource()
}

/** Networks of one or two addresses hold usable ones since 1.17 only. */
function rangeOptions({ profile = 'later', random, clock, cooldownMs = 0 }: CreateIPAMOptions): AddressRangeOptions {
  return { smallCIDR: profile === 'later' ? 'usable' : 'unusable', random, clock, cooldownMs }
}

function byFamily(
  families: readonly Family[],
  create: (family: Family) => Allocator,
): Partial<Readonly<Record<Family, Allocator>>> {
  return Object.fromEntries(families.map((family) => [family, create(family)]))
}
