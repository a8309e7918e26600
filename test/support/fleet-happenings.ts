import type { ThrottleChoice } from '../../simulators/aws/index.ts'
import { APIStatusError, CILIUM_NODES_PATH, NODES_PATH } from '../../simulators/kubernetes/index.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import type { Fleet, FleetNode } from './fleet.ts'
import type { FleetCloud } from './fleet-cloud.ts'
import { CLUSTER_AGENT, CONTROLLER_AGENT, EC2_FAULTS, KUBERNETES_FAULTS } from './fleet-faults.ts'
import type { FleetStep } from './fleet-steps.ts'

/** Until the next full sync has shown what others changed. @source src/controller/full-sync.ts, a minute and a tenth */
const FULL_SYNC_PAUSE_MS = 70_000
/** Pause of a watch that was dropped once, and the longest one of a watch that fails again and again (ms). */
const DROPPED_WATCH_MS = 10_000
const FAILING_WATCH_MS = 35_000
/** Faults that strike lists and watches: a stream that breaks is not seen from the outside. */
const STRIKES_WATCHES = /^(\*|watch|list)/
/** @source src/ipam/node-state.ts, LONGEST_MISSING_READ_MS, stretched by a quarter */
const MISSING_READ_PAUSE_MS = 75_000
const LEASE_PATH = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/berth-controller'

/** Makes things happen to a fleet, and ends them when their time is over. */
export class Happenings {
  readonly #fleet: Fleet
  /** What holds while nothing out of the ordinary does. */
  readonly #usual: { readonly throttle: ThrottleChoice; readonly consistency: ReturnType<FleetCloud['consistency']> }
  #throttledUntilMs = 0
  #staleUntilMs = 0

  constructor(fleet: Fleet, throttle: ThrottleChoice) {
    this.#fleet = fleet
    this.#usual = { throttle, consistency: fleet.cloud.consistency() }
  }

  /** Carries one step out; it takes no time by itself. */
  async apply(step: FleetStep): Promise<void> {
    const nowMs = this.#fleet.clock.now()
    switch (step.kind) {
      case 'podBurst': {
        const node = this.#fleet.node(step.node)
        if (node !== undefined) this.#fleet.startPods(node, step.count)
        break
      }
      case 'podsGone':
        for (let gone = 0; gone < step.count; gone++) void this.#fleet.pods.stopPod()
        break
      case 'nodeJoins':
        this.#fleet.join(step.spec)
        break
      case 'nodeLeaves': {
        const node = this.#fleet.node(step.node)
        if (node !== undefined && this.#fleet.nodes.size > 1) this.leave(node, step.order, step.gapMs)
        break
      }
      case 'instanceStops': {
        const node = this.#fleet.node(step.node)
        if (node !== undefined) this.#powerCycle(node, step.forMs)
        break
      }
      case 'throttle':
        this.#throttledUntilMs = nowMs + step.forMs
        this.#fleet.cloud.ec2.setThrottle({
          refill: 'stepwise',
          neighbours: [],
          rules: [{ bucket: '*', size: step.size, refillPerSecond: step.refillPerSecond }],
        })
        break
      case 'ec2Fault':
        this.#ec2Fault(step, nowMs + step.forMs)
        break
      case 'kubernetesFault': {
        const { fault, probability, count, strikesAgents, forMs } = step
        const rule = KUBERNETES_FAULTS[fault]
        if (STRIKES_WATCHES.test(String(rule?.['action']))) this.#fleet.watch.everybodyWaits(forMs + FAILING_WATCH_MS)
        for (const userAgent of [CONTROLLER_AGENT, ...(strikesAgents ? [CLUSTER_AGENT] : [])])
          this.#fleet.kubernetesFaults.add({ ...rule, match: { userAgent } }, { probability, count }, nowMs + forMs)
        break
      }
      case 'staleReads':
        this.#staleUntilMs = nowMs + step.forMs
        this.#fleet.watch.staleReadsBegan()
        // A machine that the listings do not show is asked for again after a minute at the latest.
        this.#fleet.watch.everybodyWaits(step.forMs + step.delayMs + MISSING_READ_PAUSE_MS)
        this.#fleet.cloud.setConsistency({
          createdInterfaceMs: step.delayMs,
          launchedInstanceMs: step.delayMs,
          deletedInterfaceMs: step.delayMs,
          addressesMs: step.delayMs,
          availableCountMs: step.delayMs,
          notFoundProbability: 0.3,
        })
        break
      case 'subnetFull':
        this.#fleet.cloud.occupy(
          this.#fleet.cloud.subnet(step.subnet).id,
          { leaveFree: step.leaveFree },
          nowMs + step.forMs,
        )
        break
      case 'subnetFragmented':
        this.#fleet.cloud.occupy(this.#fleet.cloud.subnet(step.subnet).id, { fragment: true }, nowMs + step.forMs)
        break
      case 'controllerKilled':
        this.#fleet.kill()
        break
      case 'controllerTerminated':
        for (const process of this.#fleet.processes) process.terminate()
        break
      case 'leaseStolen':
        await this.#stealLease()
        break
      case 'watchesDropped':
        this.#fleet.kubernetes.dropWatches(undefined, step.how)
        this.#fleet.watch.everybodyWaits(DROPPED_WATCH_MS)
        break
      case 'historyForgotten':
        this.#fleet.kubernetes.compact()
        this.#fleet.kubernetes.dropWatches(undefined, 'expired')
        this.#fleet.watch.everybodyWaits(DROPPED_WATCH_MS)
        break
      case 'foreignEdit': {
        const node = this.#fleet.node(step.node)
        if (node !== undefined) void this.#edit(node, step.value)
        break
      }
      case 'timePasses':
        break
      default:
        step satisfies never
    }
    await this.#fleet.clock.settle()
  }

  /** Everything that is out of the ordinary ends: faults, throttling, stale reads, others' addresses, stopped machines. */
  heal(): void {
    this.#fleet.ec2Faults.clear()
    this.#fleet.kubernetesFaults.clear()
    this.#throttledUntilMs = this.#staleUntilMs = this.#fleet.clock.now()
    this.#fleet.cloud.freeOccupied(Number.POSITIVE_INFINITY)
    this.expire()
    for (const node of this.#fleet.nodes.values()) if (node.isStopped) this.#powerOn(node)
  }

  /** Ends what is over. */
  expire(): void {
    const nowMs = this.#fleet.clock.now()
    this.#fleet.ec2Faults.expire(nowMs)
    this.#fleet.kubernetesFaults.expire(nowMs)
    if (this.#fleet.cloud.freeOccupied(nowMs)) this.#fleet.watch.everybodyWaits(FULL_SYNC_PAUSE_MS)
    if (this.#throttledUntilMs > 0 && this.#throttledUntilMs <= nowMs) {
      this.#throttledUntilMs = 0
      this.#fleet.cloud.ec2.setThrottle(this.#usual.throttle)
    }
    if (this.#staleUntilMs > 0 && this.#staleUntilMs <= nowMs) {
      this.#staleUntilMs = 0
      this.#fleet.cloud.setConsistency(this.#usual.consistency)
    }
  }

  /** @param order which of machine (I), Node (N) and CiliumNode (C) goes when; what is not named stays */
  leave(node: FleetNode, order: string, gapMs: number): void {
    void this.#leave(node, order, gapMs)
  }

  async #leave(node: FleetNode, order: string, gapMs: number): Promise<void> {
    const { name, instanceID } = node.facts
    for (const part of order) {
      if (part === 'I') {
        // The machine is gone, and with it its pods: the API server learns of that later.
        this.#fleet.nodes.delete(name)
        node.agent.agent.stop()
        void this.#fleet.pods.removeNode(name)
        this.#fleet.cloud.terminate(instanceID)
      } else await this.#delete(`${part === 'N' ? NODES_PATH : CILIUM_NODES_PATH}/${name}`)
      await this.#fleet.clock.sleep(gapMs, this.#fleet.closing).catch(() => undefined)
    }
  }

  async #delete(path: string): Promise<void> {
    await this.#insist(() => this.#fleet.cluster.request('DELETE', path, {}, this.#fleet.closing))
  }

  /** As somebody does who tries until it works. @returns undefined when the object is gone */
  async #insist(call: () => Promise<JSONObject>): Promise<JSONObject | undefined> {
    while (!this.#fleet.closing.aborted) {
      try {
        return await call()
      } catch (error) {
        if (error instanceof APIStatusError && error.status === 404) return undefined
        await this.#fleet.clock.sleep(1_000, this.#fleet.closing).catch(() => undefined)
      }
    }
    return undefined
  }

  #powerCycle(node: FleetNode, forMs: number): void {
    if (node.isStopped || !this.#fleet.cloud.isRunning(node.facts.instanceID)) return
    node.isStopped = true
    node.agent.agent.stop()
    void this.#fleet.pods.removeNode(node.facts.name)
    this.#fleet.cloud.stop(node.facts.instanceID)
    void this.#fleet.clock.sleep(forMs, this.#fleet.closing).then(
      () => this.#powerOn(node),
      () => undefined,
    )
  }

  #powerOn(node: FleetNode): void {
    if (!node.isStopped || this.#fleet.nodes.get(node.facts.name) !== node) return
    node.isStopped = false
    this.#fleet.cloud.start(node.facts.instanceID)
    this.#fleet.boot(node)
  }

  #ec2Fault(step: FleetStep & { readonly kind: 'ec2Fault' }, untilMs: number): void {
    const { fault, probability, count } = step
    const rule = EC2_FAULTS[fault]
    const node = step.node === undefined ? undefined : this.#fleet.node(step.node)
    if (node === undefined) return this.#fleet.ec2Faults.add(rule!, { probability, count }, untilMs)
    const { instanceID } = node.facts
    const own = this.#fleet.cloud.interfaces().filter((iface) => iface.instanceID === instanceID)
    const matches = [
      { InstanceId: instanceID },
      { Description: `*${instanceID}*` },
      ...own.map(({ id }) => ({ NetworkInterfaceId: id })),
    ]
    for (const match of matches) this.#fleet.ec2Faults.add({ ...rule, match }, { probability, count }, untilMs)
  }

  /** Another process writes its own name into the lease, and never renews it. */
  async #stealLease(): Promise<void> {
    const lease = await this.#fleet.observer.request('GET', LEASE_PATH, {}, this.#fleet.closing).catch(() => undefined)
    if (lease === undefined) return
    const body = { spec: { holderIdentity: `thief-${this.#fleet.clock.now()}` } }
    const contentType = 'application/merge-patch+json'
    await this.#fleet.observer.request('PATCH', LEASE_PATH, { body, contentType }, this.#fleet.closing)
  }

  async #edit(node: FleetNode, value: number): Promise<void> {
    const body = {
      metadata: {
        annotations: { 'tool.example.com/value': String(value) },
        labels: { 'tool.example.com/value': String(value) },
      },
      spec: { encryption: { key: value % 255 }, health: { ipv4: `192.0.2.${value % 255}` } },
    }
    const path = `${CILIUM_NODES_PATH}/${node.facts.name}`
    const contentType = 'application/merge-patch+json'
    if (node.isBeingEdited) return
    // Until the answer is there, either value may be seen.
    node.edit = undefined
    node.isBeingEdited = true
    const answer = await this.#insist(() =>
      this.#fleet.cluster.request('PATCH', path, { body, contentType }, this.#fleet.closing),
    )
    node.isBeingEdited = false
    if (answer === undefined) return
    const { uid } = answer['metadata'] as { readonly uid: string }
    node.edit = { value, uid }
  }
}
