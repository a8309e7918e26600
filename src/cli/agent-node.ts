import type { CiliumNodeSubscriber, K8sEventRegister, Owner } from '../agent/configuration.ts'
import type { Family } from '../agent/family.ts'
import type { OwnNodeFacts } from '../agent/node-resource.ts'
import { nodeResource, nodeResourcePatch } from '../agent/node-resource.ts'
import type { NodeWriter } from '../agent/node-writer.ts'
import type { Logger } from '../ipam/contracts.ts'
import { formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import { KubernetesAPIError } from '../kubernetes/errors.ts'
import { startInformer } from '../kubernetes/informer.ts'
import { isObject } from '../kubernetes/json.ts'
import { CILIUM_NODES_PATH, ciliumNodePath, NODES_PATH } from '../kubernetes/paths.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { untilAborted } from '../runtime/until-aborted.ts'

export interface OwnNodeOptions {
  readonly name: string
  readonly client: KubernetesClient
  readonly events: Pick<K8sEventRegister, 'k8sEventReceived' | 'k8sEventProcessed'>
  /** What the resource is made of; absent: somebody else creates it, and it is waited for. Rejects when it is to be asked again. */
  readonly facts?: (signal: AbortSignal) => Promise<OwnNodeFacts>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Called after the subscriber was told of a change, in the same turn. */
  readonly onChange: () => void
  readonly signal: AbortSignal
}

export type PodCIDRs = Partial<Readonly<Record<Family, readonly string[]>>>

/** As the reference's `Owner` demands: the resource is there when this resolves. The pause after a failed try grows to the last of these (ms). */
const CREATE_PAUSES_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000]

/**
 * The node's own resource: created, or brought up to date, at the start, watched alone, by its name, and written by patches. What the
 * subscriber has missed before it subscribed is told to it at once.
 *
 * @source cilium pkg/nodediscovery/nodediscovery.go, UpdateCiliumNodeResource
 */
export class OwnNode implements K8sEventRegister, Owner, NodeWriter {
  readonly #options: OwnNodeOptions
  readonly #seen = Promise.withResolvers<void>()
  readonly #listed = Promise.withResolvers<void>()
  #subscriber: CiliumNodeSubscriber | undefined
  #exists = false
  #isListed = false
  /** The last version, while nobody else keeps what matters of it. */
  #unread: JSONObject | undefined

  constructor(options: OwnNodeOptions) {
    this.#options = options
  }

  /** What keeps the resource from being known; undefined when nothing does. */
  get waitsFor(): string | undefined {
    const { name, client } = this.#options
    if (this.#exists) return undefined
    return this.#isListed ? `the CiliumNode ${name}, which does not exist yet` : `an answer of ${client.server}`
  }

  /** Starts to watch. @returns settles when the signal has ended the watch */
  watch(): Promise<void> {
    const { name, client, clock, random, log, signal } = this.#options
    const { stopped } = startInformer<JSONObject, JSONObject>({
      client,
      path: CILIUM_NODES_PATH,
      fieldSelector: `metadata.name=${name}`,
      // The resource itself is not kept: an agent remembers what it needs of it.
      decode: (json) => ({ kind: 'ok', object: json, digest: { metadata: { name } } }),
      handlers: {
        onUpsert: (resource) => this.#upsert(resource),
        onDelete: (last) => this.#delete(last),
        onListed: () => {
          this.#isListed = true
          this.#listed.resolve()
          if (!this.#exists && this.#options.facts === undefined)
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

  /** One allocator follows the node, for both families. */
  registerCiliumNodeSubscriber(subscriber: CiliumNodeSubscriber): void {
    assert(this.#subscriber === undefined, 'the own CiliumNode has a subscriber already')
    this.#subscriber = subscriber
    if (this.#unread !== undefined) subscriber.onAdd(this.#unread)
    this.#unread = undefined
  }

  /** A resource that is there is enough to go on with: what it lacks is merged into it meanwhile. @throws the signal's reason */
  async updateCiliumNodeResource(): Promise<void> {
    const { facts, signal } = this.#options
    // Only the signal ends it early, and what waits here ends with that too.
    if (facts !== undefined) this.#makeSure(facts).catch(() => undefined)
    await untilAborted(this.#seen.promise, signal)
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

  /** Creates the resource, or merges into it what it lacks; tries again until that worked. */
  async #makeSure(facts: (signal: AbortSignal) => Promise<OwnNodeFacts>): Promise<void> {
    const { name, log, clock, signal } = this.#options
    await untilAborted(this.#listed.promise, signal)
    for (let attempt = 1; ; attempt++) {
      try {
        const known = await facts(signal)
        if (this.#exists) await this.#bringUpToDate(known)
        else await this.#create(known)
        return
      } catch (error) {
        signal.throwIfAborted()
        const delayMs = CREATE_PAUSES_MS[Math.min(attempt, CREATE_PAUSES_MS.length) - 1] ?? 0
        log.warn({ node: name, error, attempt, delayMs }, 'Unable to create or update the own CiliumNode')
        await clock.sleep(delayMs, signal)
      }
    }
  }

  async #create(facts: OwnNodeFacts): Promise<void> {
    const { client, name, log, signal } = this.#options
    try {
      await client.create(CILIUM_NODES_PATH, nodeResource(facts), signal)
      log.info({ node: name }, 'Created the own CiliumNode')
    } catch (error) {
      if (!(error instanceof KubernetesAPIError) || error.kind !== 'alreadyExists') throw error
      await this.#bringUpToDate(facts)
    }
  }

  async #bringUpToDate(facts: OwnNodeFacts): Promise<void> {
    const { client, name, log, signal } = this.#options
    const patch = nodeResourcePatch(await client.get(ciliumNodePath(name), { signal }), facts)
    if (patch === undefined) return
    await client.mergePatch(ciliumNodePath(name), patch, signal)
    log.info({ node: name }, 'Brought the own CiliumNode up to date')
  }

  #upsert(resource: JSONObject): void {
    const isNew = !this.#exists
    this.#exists = true
    if (this.#subscriber === undefined) this.#unread = resource
    else if (isNew) this.#subscriber.onAdd(resource)
    else this.#subscriber.onUpdate(undefined, resource)
    this.#seen.resolve()
    this.#options.onChange()
  }

  #delete(last: JSONObject): void {
    this.#exists = false
    this.#unread = undefined
    this.#subscriber?.onDelete(last)
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
