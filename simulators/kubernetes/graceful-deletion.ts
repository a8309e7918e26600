import type { Clock } from '../kit/clock.ts'
import { keyOf } from './collection.ts'
import { markedForDeletion } from './composition.ts'
import { timestamp } from './json.ts'
import type { KubernetesObject } from './json.ts'
import type { DeleteOptions, Objects } from './objects.ts'
import type { Registry, Resource } from './registry.ts'
import { resourceKey } from './resources/definition.ts'
import { gracePeriodSeconds } from './resources/pods.ts'

/**
 * What kubelets and the namespace controller do after a delete, for a cluster that has neither: a pod on a node stays for a while
 * with its deletion timestamp, a namespace takes its content along.
 */
export class GracefulDeletion {
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #terminationMs: number
  /** Ends the waits of a server that is closed or reset. */
  #lifetime = new AbortController()

  /** @param terminationMs how long containers take to stop; a shorter grace period of the pod cuts it off */
  constructor(registry: Registry, clock: Clock, terminationMs: number) {
    this.#registry = registry
    this.#clock = clock
    this.#terminationMs = terminationMs
  }

  /** The marked state of an object that stays for now; undefined when its deletion needs no grace. */
  mark(object: KubernetesObject, resource: Resource, options: DeleteOptions): KubernetesObject | undefined {
    if (resourceKey(resource.definition) !== 'pods') return undefined
    const graceSeconds = gracePeriodSeconds(object, options.gracePeriodSeconds)
    if (graceSeconds === 0 || this.#terminationMs === 0) return undefined
    const { deletionTimestamp } = object.metadata
    if (deletionTimestamp !== undefined) return object
    const endsAt = new Date(this.#clock.wallTime().getTime() + graceSeconds * 1_000)
    return markedForDeletion(object, graceSeconds, timestamp(endsAt))
  }

  /** Ends a pod that was marked; called when its marked state has been stored. */
  async terminate(pod: KubernetesObject, pods: Resource, objects: Objects): Promise<void> {
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1_000
    try {
      await this.#clock.sleep(Math.min(graceMs, this.#terminationMs), this.#lifetime.signal)
    } catch {
      return // the server is gone, and the pod with it
    }
    const { namespace, name, uid } = pod.metadata
    const version = pods.collection.get(keyOf(namespace, name))
    if (version === undefined || version.object.metadata.uid !== uid) return
    objects.delete(pods, namespace ?? '', name, { preconditions: {}, gracePeriodSeconds: 0, isDryRun: false })
  }

  /** Takes away everything in a namespace, before the namespace itself. */
  emptyNamespace(namespace: string, objects: Objects): void {
    for (const resource of this.#registry.all()) {
      if (!resource.definition.isNamespaced) continue
      const content = [...resource.collection.at(this.#registry.resourceVersion, `${namespace}/`, '')]
      for (const [key, version] of content) objects.remove(resource, key, version.object)
    }
  }

  /** Forgets all waits. */
  stop(): void {
    this.#lifetime.abort()
    this.#lifetime = new AbortController()
  }
}
