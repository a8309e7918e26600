import { Counter, Gauge, Registry } from 'prom-client'
import type { DaemonCore } from '../agent/daemon-core.ts'
import type { K8sEventRegister } from '../agent/configuration.ts'
import type { IPAMEventMetrics } from '../agent/event-metrics.ts'
import type { IPAM } from '../agent/ipam.ts'

/** The node's metrics. What has a current value is read when it is scraped. */
export interface AgentMetrics {
  readonly registry: Registry
  readonly events: IPAMEventMetrics
  readonly k8sEvents: Pick<K8sEventRegister, 'k8sEventReceived' | 'k8sEventProcessed'>
  /** From now on the gauges tell of these. */
  watch(ipam: IPAM, core: DaemonCore): void
}

/**
 * Cilium's names for what it counts, `berth_agent_` for the rest.
 *
 * @source cilium pkg/metrics/metrics.go, IPAMEvent, IPAMCapacity, KubernetesEventReceived, KubernetesEventProcessed
 */
export function createAgentMetrics(): AgentMetrics {
  const registry = new Registry()
  const registers = [registry]
  let watched: { readonly ipam: IPAM; readonly core: DaemonCore } | undefined
  const events = new Counter({
    name: 'cilium_ipam_events_total',
    help: 'allocations and releases of addresses',
    labelNames: ['action', 'family'],
    registers,
  })
  const capacity = new Gauge({
    name: 'cilium_ipam_capacity',
    help: 'addresses of all pools of the family',
    labelNames: ['family'],
    registers,
  })
  const received = new Counter({
    name: 'cilium_kubernetes_events_received_total',
    help: 'events of the API server',
    labelNames: ['scope', 'action', 'valid', 'equal'],
    registers,
  })
  const processed = new Counter({
    name: 'cilium_kubernetes_events_total',
    help: 'events of the API server that were worked on',
    labelNames: ['scope', 'action', 'status'],
    registers,
  })
  const gauge = (name: string, help: string, read: (core: DaemonCore) => number): void => {
    void new Gauge({
      name,
      help,
      registers,
      collect() {
        if (watched !== undefined) this.set(read(watched.core))
      },
    })
  }
  void new Gauge({
    name: 'berth_agent_addresses',
    help: 'addresses of the node by family, pool and state: capacity, allocated, cooling (held back after a release), pending (asked for in vain)',
    labelNames: ['family', 'pool', 'state'],
    registers,
    collect() {
      this.reset()
      for (const { family, pool, ...usage } of watched?.ipam.usage() ?? []) {
        this.set({ family, pool, state: 'capacity' }, Number(usage.capacity))
        this.set({ family, pool, state: 'allocated' }, usage.allocated)
        this.set({ family, pool, state: 'cooling' }, usage.cooling)
        this.set({ family, pool, state: 'pending' }, usage.pending)
      }
    },
  })
  gauge('berth_agent_leases', 'addresses held by pods and by the agent itself', (core) => core.leaseCount)
  gauge('berth_agent_unbacked_leases', "held addresses that are not in the node's pool", (core) => core.unbackedCount)
  gauge('berth_agent_waiting_requests', 'requests that wait for an address', (core) => core.waitingCount)
  gauge('berth_agent_open', '1 while requests are served', (core) => (core.isOpen ? 1 : 0))
  return {
    registry,
    events: {
      countEvent: (action, family) => events.inc({ action, family }),
      setCapacity: (family, addresses) => capacity.set({ family }, Number(addresses)),
    },
    k8sEvents: {
      k8sEventReceived: (_group, scope, action, valid, equal) =>
        received.inc({ scope, action, valid: String(valid), equal: String(equal) }),
      k8sEventProcessed: (scope, action, ok) => processed.inc({ scope, action, status: ok ? 'success' : 'failed' }),
    },
    watch(ipam, core) {
      watched = { ipam, core }
    },
  }
}
