import type { Configuration } from '../agent/configuration.ts'
import { createIPAM } from '../agent/create-ipam.ts'
import type { Family } from '../agent/family.ts'
import { FAMILIES } from '../agent/family.ts'
import type { IPAM } from '../agent/ipam.ts'
import type { Logger } from '../ipam/contracts.ts'
import { KubernetesClient } from '../kubernetes/client.ts'
import { RateLimiter } from '../kubernetes/rate-limiter.ts'
import type { KubernetesTransport } from '../kubernetes/transport.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { AgentMetrics } from './agent-metrics.ts'
import type { PodCIDRs } from './agent-node.ts'
import { ownNodeFacts } from './agent-machine.ts'
import { OwnNode, untilPodCIDRs } from './agent-node.ts'
import type { AgentSettings } from './agent-options.ts'
import type { MetadataReader } from './controller-metadata.ts'

export interface AgentAddressesOptions {
  readonly settings: AgentSettings
  /** Undefined only where `needsAPIServer` says no. */
  readonly transport: KubernetesTransport | undefined
  /** Of the machine; absent: the own CiliumNode of mode `eni` is somebody else's to create. */
  readonly readMetadata?: MetadataReader
  readonly metrics: AgentMetrics
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly random: Random
  readonly log: Logger
  /** The node's addresses may have changed. */
  readonly onChange: () => void
  readonly signal: AbortSignal
}

/** One node asks little; Cilium's agent has the same default. @source cilium pkg/defaults/defaults.go, K8sClientQPSLimit, K8sClientBurst */
const CLIENT_LIMIT = { qps: 10, burst: 20 }
const FIELD_MANAGER = 'berth-agent'

/** Whether the settings leave something to the API server. */
export function needsAPIServer(settings: AgentSettings): boolean {
  const { ipam } = settings
  if (ipam === 'delegated-plugin') return false
  if (ipam !== 'cluster-pool' && ipam !== 'kubernetes') return true
  return familiesOf(settings).some((family) => rangeOf(settings, family) === undefined)
}

/** Brings a node's facade into being, out of the settings and the node's resources. */
export class AgentAddresses {
  readonly #options: AgentAddressesOptions
  #node: OwnNode | undefined

  constructor(options: AgentAddressesOptions) {
    this.#options = options
  }

  /** While `open` has not resolved. */
  get waitsFor(): string {
    const { nodeName } = this.#options.settings
    return this.#node?.waitsFor ?? `addresses of the node ${nodeName}`
  }

  /**
   * Waits until the node has addresses, for as long as it takes.
   *
   * @throws IPAMError for what waiting does not cure; the signal's reason
   */
  async open(): Promise<IPAM> {
    const { settings, metrics, clock, timers, random, log, signal } = this.#options
    const { ipam } = settings
    const isHostScope = ipam === 'cluster-pool' || ipam === 'kubernetes'
    const node = this.#ownNode(signal)
    const allocationCIDRs = isHostScope ? await this.#allocationCIDRs(ipam) : {}
    if (!isHostScope && needsAPIServer(settings)) {
      this.#node = node
      void node.watch()
    }
    return createIPAM(
      {
        nodeName: settings.nodeName,
        configuration: configurationOf(settings),
        owner: node,
        events: node,
        writer: node,
        allocationCIDRs,
        preAllocation: settings.ipamMultiPoolPreAllocation,
        eniSource: settings.eniSource,
        clock,
        timers,
        random,
        log,
        metrics: metrics.events,
        updateIntervalMs: settings.ipamCiliumNodeUpdateRate.ms,
        cooldownMs: settings.cooldown.ms,
      },
      signal,
    )
  }

  /** What is configured, and for the rest what the node's resource says. */
  async #allocationCIDRs(mode: 'cluster-pool' | 'kubernetes'): Promise<PodCIDRs> {
    const { settings } = this.#options
    const families = familiesOf(settings)
    const missing = families.filter((family) => rangeOf(settings, family) === undefined)
    // The operator gives CIDRs to nodes that have a resource; Kubernetes needs none.
    if (missing.length > 0 && mode === 'cluster-pool') await this.#makeSureOfNode()
    const found = missing.length === 0 ? {} : await untilPodCIDRs(mode, missing, this.#nodeOptions())
    const configured = families.flatMap((family): [Family, readonly string[]][] => {
      const range = rangeOf(settings, family)
      return range === undefined ? [] : [[family, [range]]]
    })
    return { ...found, ...Object.fromEntries(configured) }
  }

  async #makeSureOfNode(): Promise<void> {
    const done = new AbortController()
    const node = this.#ownNode(AbortSignal.any([this.#options.signal, done.signal]))
    this.#node = node
    void node.watch()
    await node.updateCiliumNodeResource()
    this.#node = undefined
    done.abort(new Error('the own CiliumNode is there'))
  }

  #ownNode(signal: AbortSignal): OwnNode {
    const { settings, metrics, onChange, readMetadata } = this.#options
    const shared = this.#nodeOptions()
    const facts = ownNodeFacts({ settings, client: shared.client, ...(readMetadata !== undefined && { readMetadata }) })
    return new OwnNode({
      ...shared,
      events: metrics.k8sEvents,
      onChange,
      ...(facts !== undefined && { facts }),
      signal,
    })
  }

  #nodeOptions() {
    const { settings, clock, random, log, signal } = this.#options
    return { name: settings.nodeName, client: this.#client(), clock, random, log, signal }
  }

  #client(): KubernetesClient {
    const { transport = NO_TRANSPORT, clock, random } = this.#options
    const limiter = new RateLimiter({ clock, ...CLIENT_LIMIT })
    return new KubernetesClient({ transport, clock, random, limiter, fieldManager: FIELD_MANAGER })
  }
}

/** For an agent whose settings say all. */
const NO_TRANSPORT: KubernetesTransport = {
  server: 'none',
  request() {
    assert(false, 'an agent without API server makes no requests')
  },
  close() {},
}

function familiesOf({ enableIPv4, enableIPv6 }: AgentSettings): readonly Family[] {
  return FAMILIES.filter((family) => (family === 'ipv4' ? enableIPv4 : enableIPv6) === 'true')
}

function rangeOf({ ipv4Range, ipv6Range }: AgentSettings, family: Family): string | undefined {
  return family === 'ipv4' ? ipv4Range : ipv6Range
}

function configurationOf(settings: AgentSettings): Configuration {
  let nativeRoutingCIDR = settings.ipv4NativeRoutingCIDR
  return {
    ipv4Enabled: () => settings.enableIPv4 === 'true',
    ipv6Enabled: () => settings.enableIPv6 === 'true',
    ipamMode: () => settings.ipam,
    healthCheckingEnabled: () => settings.reserve.includes('health'),
    unreachableRoutesEnabled: () => false,
    setIPv4NativeRoutingCIDR(cidr) {
      nativeRoutingCIDR = cidr
    },
    getIPv4NativeRoutingCIDR: () => nativeRoutingCIDR,
  }
}
