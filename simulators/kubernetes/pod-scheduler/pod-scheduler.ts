import type { Clock } from '../../kit/clock.ts'
import type { Random } from '../../kit/random.ts'
import { APIStatusError } from '../cilium-agent/api-client.ts'
import type { APIClient } from '../cilium-agent/api-client.ts'
import { backoffMs } from '../cilium-agent/backoff.ts'
import type { Holding } from '../cilium-agent/ipam.ts'
import type { JSONObject } from '../json.ts'
import { PodRegistry } from './pod-registry.ts'
import type { Pod } from './pod-registry.ts'
import { RecentLongest, WaitTimes } from './wait-times.ts'
import type { WaitSummary } from './wait-times.ts'

/** Who gives addresses to the pods of one node: its agent. */
export interface AddressSource {
  request(owner: string, onAddress: (holding: Holding) => void): void
  release(owner: string): void
}

export interface PodNode {
  readonly name: string
  readonly agent: AddressSource
  /** Pods that the node takes at most (count). */
  readonly maxPods: number
}

export interface PodSchedulerOptions {
  readonly client: APIClient
  readonly clock: Clock
  readonly random: Random
  /** Pods that come, and as many that go, in a second over the whole cluster (count, may be a fraction). */
  readonly podsPerSecond: number
  readonly namespace?: string
}

export interface PodReport {
  /** Pods bound to nodes (count). */
  readonly pods: number
  /** Of them those without address (count). */
  readonly waiting: number
  /** How long the one that waits longest has waited (ms); 0 when none waits. */
  readonly longestWaitMs: number
  /** Pods bound since the start (count). */
  readonly started: number
  /** From binding to address, of all pods that got one. */
  readonly waits: WaitSummary
  /** The longest such wait of the last minute or so, of pods that still wait too (ms). */
  readonly longestRecentWaitMs: number
  /** Calls to the API server that were retried (count). */
  readonly retries: number
}

const PODS = 'pods'
/** How far `longestRecentWaitMs` looks back at least (ms). */
const RECENT_WINDOW_MS = 60_000
/** Tries of one call to the API server before the pod is left as it is (count). */
const MAX_TRIES = 5

/**
 * Scheduler, kubelet and workload in one: it binds pods to nodes, asks the node's agent for their addresses, sets them running,
 * and lets pods come and go at a steady rate.
 *
 * A pod leaves the API server before its address is free again, so that no two running pods ever show the same address.
 */
export class PodScheduler {
  readonly #client: APIClient
  readonly #clock: Clock
  readonly #random: Random
  readonly #podsPerSecond: number
  readonly #namespace: string
  readonly #registry: PodRegistry
  readonly #agents = new Map<string, AddressSource>()
  readonly #waits = new WaitTimes()
  readonly #recent = new RecentLongest(RECENT_WINDOW_MS)
  readonly #stopping = new AbortController()
  #churn: AbortController | undefined
  #started = 0
  #retries = 0

  constructor(options: PodSchedulerOptions) {
    this.#client = options.client
    this.#clock = options.clock
    this.#random = options.random
    this.#podsPerSecond = options.podsPerSecond
    this.#namespace = options.namespace ?? 'default'
    this.#registry = new PodRegistry(options.random)
  }

  addNode({ name, agent, maxPods }: PodNode): void {
    this.#agents.set(name, agent)
    this.#registry.addNode(name, maxPods)
  }

  /** Takes a node out with all its pods, as when its machine is gone: nobody asks its agent any more. */
  async removeNode(name: string): Promise<void> {
    const pods = this.#registry.removeNode(name)
    const agent = this.#agents.get(name)
    this.#agents.delete(name)
    await Promise.all(pods.map((pod) => this.#delete(pod)))
    for (const pod of pods) agent?.release(pod.owner)
  }

  podCount(nodeName: string): number {
    return this.#registry.podCount(nodeName)
  }

  podsOn(nodeName: string): Iterable<Pod> {
    return this.#registry.podsOn(nodeName)
  }

  /** Binds up to `count` new pods to a node, as many as it takes. @returns how many */
  async startPods(nodeName: string, count: number): Promise<number> {
    const pods: Pod[] = []
    while (pods.length < count && this.#registry.room(nodeName) > 0) pods.push(this.#bind(nodeName))
    await Promise.all(pods.map((pod) => this.#start(pod)))
    return pods.length
  }

  /** Deletes one pod chosen by chance. @returns false when there is none */
  async stopPod(): Promise<boolean> {
    const pod = this.#registry.pickPod()
    if (pod === undefined) return false
    this.#registry.remove(pod)
    await this.#delete(pod)
    this.#agents.get(pod.nodeName)?.release(pod.owner)
    return true
  }

  /**
   * Replaces pods at the given rate, with the gaps of a Poisson process, until `stopChurn` or `stop`. Each step takes one pod away
   * and binds one to a node with room. Steps do not wait for each other's calls.
   *
   * @param podsPerSecond that of the options by default (count)
   */
  async runChurn(podsPerSecond = this.#podsPerSecond): Promise<void> {
    if (podsPerSecond <= 0 || this.#churn !== undefined) return
    const churn = new AbortController()
    this.#churn = churn
    const signal = AbortSignal.any([churn.signal, this.#stopping.signal])
    let dueMs = this.#clock.now()
    while (!signal.aborted) {
      dueMs += (-Math.log(1 - this.#random.next()) / podsPerSecond) * 1000
      try {
        await this.#clock.sleep(dueMs - this.#clock.now(), signal)
      } catch {
        return // only an abort ends a sleep
      }
      void this.#replaceOne()
    }
  }

  stopChurn(): void {
    this.#churn?.abort(new Error('churn stopped'))
    this.#churn = undefined
  }

  /** Ends churn and all calls. */
  stop(): void {
    this.#stopping.abort(new Error('pod scheduler stopped'))
  }

  report(): PodReport {
    const nowMs = this.#clock.now()
    const oldest = this.#registry.oldestWaiting
    const longestWaitMs = oldest === undefined ? 0 : nowMs - oldest.createdMs
    return {
      pods: this.#registry.size,
      waiting: this.#registry.waitingCount,
      longestWaitMs,
      longestRecentWaitMs: Math.max(longestWaitMs, this.#recent.read(nowMs)),
      started: this.#started,
      waits: this.#waits.summary(),
      retries: this.#retries,
    }
  }

  async #replaceOne(): Promise<void> {
    await this.stopPod()
    const nodeName = this.#registry.pickNodeWithRoom()
    if (nodeName !== undefined) await this.startPods(nodeName, 1)
  }

  #bind(nodeName: string): Pod {
    const name = `pod-${++this.#started}`
    const createdMs = this.#clock.now()
    const pod: Pod = { owner: `${this.#namespace}/${name}`, name, nodeName, createdMs, address: undefined }
    this.#registry.add(pod)
    return pod
  }

  /** Creates the pod's object, then asks for its address. */
  async #start(pod: Pod): Promise<void> {
    const isCreated = await this.#retried('POST', this.#path(), podManifest(pod.name, this.#namespace, pod.nodeName))
    if (!isCreated) {
      this.#registry.remove(pod)
      return
    }
    if (!this.#registry.has(pod)) {
      await this.#delete(pod) // taken away while it was being created: its own deletion may have come too early
      return
    }
    this.#agents.get(pod.nodeName)?.request(pod.owner, (holding) => {
      if (!this.#registry.setAddress(pod, holding.address)) return
      const nowMs = this.#clock.now()
      this.#waits.record(nowMs - pod.createdMs)
      this.#recent.record(nowMs - pod.createdMs, nowMs)
      void this.#retried('PATCH', `${this.#path()}/${pod.name}/status`, runningStatus(holding.address))
    })
  }

  async #delete(pod: Pod): Promise<void> {
    await this.#retried('DELETE', `${this.#path()}/${pod.name}`, undefined, { gracePeriodSeconds: '0' })
  }

  #path(): string {
    return `/api/v1/namespaces/${this.#namespace}/${PODS}`
  }

  /** @returns whether the server has done it; what it refuses for good counts as not done. Never rejects */
  async #retried(
    method: string,
    path: string,
    body: JSONObject | undefined,
    query: Readonly<Record<string, string>> = {},
  ): Promise<boolean> {
    const { signal } = this.#stopping
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    for (let failures = 1; failures <= MAX_TRIES; failures++) {
      try {
        await this.#client.request(
          method,
          path,
          { query, contentType, ...(body === undefined ? {} : { body }) },
          signal,
        )
        return true
      } catch (error) {
        if (signal.aborted) return false
        // A create whose answer was lost has been done; a delete or patch of a pod that is gone has nothing left to do.
        if (error instanceof APIStatusError && error.reason === 'AlreadyExists') return true
        if (error instanceof APIStatusError && error.status === 404) return method !== 'POST'
        this.#retries++
        await this.#clock.sleep(backoffMs(failures, this.#random), signal).catch(() => undefined)
      }
    }
    return false
  }
}

function podManifest(name: string, namespace: string, nodeName: string): JSONObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels: { app: 'workload' } },
    spec: { nodeName, containers: [{ name: 'main', image: 'registry.k8s.io/pause:3.10' }] },
    status: { phase: 'Pending' },
  }
}

function runningStatus(address: string): JSONObject {
  return {
    status: {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  }
}
