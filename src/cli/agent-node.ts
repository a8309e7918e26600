import type { CiliumNodeSubscriber, K8sEventRegister, Owner } from '../agent/configuration.ts'
import type { Family } from '../agent/family.ts'
import type { NodeWriter } from '../agent/node-writer.ts'
import type { Logger } from '../ipam/contracts.ts'
import { formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import { startInformer } from '../kubernetes/informer.ts'
import { isObject } from '../kubernetes/json.ts'
import { CILIUM_NODES_PATH, ciliumNodePath, NODES_PATH } from '../kubernetes/paths.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'

export interface OwnNodeOptions {
  readonly name: string
  readonly client: KubernetesClient
  readonly events: Pick<K8sEventRegister, 'k8sEventReceived' | 'k8sEventProcessed'>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Called after subscribers were told of a change, in the same turn. */
  readonly onChange: () => void
  readonly signal: AbortSignal
}

export type PodCIDRs = Partial<Readonly<Record<Family, readonly string[]>>>

/**
 * The node's own resource: watched alone, by its name, and written by patches. What a subscriber that comes late has missed is told
 * to it at once.
 *
 * The resource is created by whoever knows the machine (Cilium's agent, or the operator of the pod-CIDR modes); this waits for it.
 */
export class OwnNode implements K8sEventRegister, Owner, NodeWriter {
  readonly #options: OwnNodeOptions
  readonly #subscribers: CiliumNodeSubscriber[] = []
  readonly #seen = Promise.withResolvers<void>()
  #resource: JSONObject | undefined
  #isListed = false

  constructor(options: OwnNodeOptions) {
    this.#options = options
  }

  /** What keeps the resource from being known; undefined when nothing does. */
  get waitsFor(): string | undefined {
    const { name, client } = this.#options
    if (this.#resource !== undefined) return undefined
    return this.#isListed ? `the CiliumNode ${name}, which does not exist yet` : `an answer of ${client.server}`
  }

  /** Starts to watch. @returns settles when the signal has ended the watch */
  watch(): Promise<void> {
    const { name, client, clock, random, log, signal } = this.#options
    const { stopped } = startInformer<JSONObject, JSONObject>({
      client,
      path: CILIUM_NODES_PATH,
      fieldSelector: `metadata.name=${name}`,
      decode: (json) => ({ kind: 'ok', object: json, digest: json }),
      handlers: {
        onUpsert: (resource) => this.#upsert(resource),
        onDelete: (last) => this.#delete(last),
        onListed: () => {
          this.#isListed = true
          if (this.#resource === undefined)
            log.info({ node: name }, 'Waiting for the own CiliumNode: nobody has created it yet')
        },
      },
      clock,
      random,
      log,
      signal,
    })
    return stopped
  }

  k8sEventReceived(...event: Parameters<K8sEventRegister['k8sEventReceived']>): void {
    this.#options.events.k8sEventReceived(...event)
  }

  k8sEventProcessed(...event: Parameters<K8sEventRegister['k8sEventProcessed']>): void {
    this.#options.events.k8sEventProcessed(...event)
  }

  registerCiliumNodeSubscriber(subscriber: CiliumNodeSubscriber): void {
    this.#subscribers.push(subscriber)
    if (this.#resource !== undefined) subscriber.onAdd(this.#resource)
  }

  async updateCiliumNodeResource(): Promise<void> {
    await untilAborted(this.#seen.promise, this.#options.signal)
  }

  /** Routes are the business of the plug-in that asks for addresses. */
  localAllocCIDRsUpdated(): void {}

  patchStatus(patch: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    const { client, name } = this.#options
    return client.mergePatch(`${ciliumNodePath(name)}/status`, patch, signal)
  }

  patchSpec(patch: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    const { client, name } = this.#options
    return client.mergePatch(ciliumNodePath(name), patch, signal)
  }

  #upsert(resource: JSONObject): void {
    const before = this.#resource
    this.#resource = resource
    for (const subscriber of this.#subscribers) {
      if (before === undefined) subscriber.onAdd(resource)
      else subscriber.onUpdate(before, resource)
    }
    this.#seen.resolve()
    this.#options.onChange()
  }

  #delete(last: JSONObject): void {
    this.#resource = undefined
    for (const subscriber of this.#subscribers) subscriber.onDelete(last)
    this.#options.onChange()
  }
}

/** Where the pod CIDRs of a node stand. @source cilium pkg/k8s/node.go, ParseNode; pkg/k8s/apis/cilium.io/v2, IPAMSpec.PodCIDRs */
const POD_CIDRS = {
  'cluster-pool': { path: CILIUM_NODES_PATH, list: (spec: JSONObject) => listOf(spec['ipam'], 'podCIDRs') },
  kubernetes: {
    path: NODES_PATH,
    list: (spec: JSONObject) => {
      const list = listOf(spec, 'podCIDRs')
      return list.length > 0 ? list : [spec['podCIDR']]
    },
  },
} as const

/**
 * Waits until the node has a pod CIDR of every family.
 *
 * @returns in the order of the resource. @throws the signal's reason
 */
export async function untilPodCIDRs(
  mode: keyof typeof POD_CIDRS,
  families: readonly Family[],
  options: Omit<OwnNodeOptions, 'events' | 'onChange'>,
): Promise<PodCIDRs> {
  const { name, client, clock, random, log, signal } = options
  const { path, list } = POD_CIDRS[mode]
  const found = Promise.withResolvers<PodCIDRs>()
  const enough = new AbortController()
  const onAbort = (): void => enough.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  startInformer<JSONObject, undefined>({
    client,
    path,
    fieldSelector: `metadata.name=${name}`,
    decode: (json) => ({ kind: 'ok', object: json, digest: undefined }),
    handlers: {
      onUpsert(resource) {
        const spec = isObject(resource['spec']) ? resource['spec'] : {}
        const cidrs = byFamily(list(spec))
        const missing = families.filter((family) => cidrs[family] === undefined)
        if (missing.length === 0) found.resolve(cidrs)
        else log.info({ node: name, missing }, 'Waiting for pod CIDRs of the node')
      },
      onDelete: () => undefined,
      onListed: () => undefined,
    },
    clock,
    random,
    log,
    signal: enough.signal,
  })
  try {
    return await untilAborted(found.promise, signal)
  } finally {
    signal.removeEventListener('abort', onAbort)
    enough.abort(new Error('the pod CIDRs are known'))
  }
}

function listOf(from: unknown, key: string): readonly unknown[] {
  const list = isObject(from) ? from[key] : undefined
  return Array.isArray(list) ? (list as readonly unknown[]) : []
}

/** The first one of each family counts. @source cilium pkg/k8s/node.go, ParseNode */
function byFamily(texts: readonly unknown[]): PodCIDRs {
  const cidrs: Partial<Record<Family, string[]>> = {}
  for (const text of texts) {
    const cidr = typeof text === 'string' ? parseCIDR(text) : undefined
    if (cidr !== undefined) cidrs[cidr.family] ??= [formatCIDR(cidr)]
  }
  return cidrs
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
