import { EventLog, ObjectVersion, RecentVersions } from './event-log.ts'
import type { StoreEvent } from './event-log.ts'
import type { KubernetesObject } from './json.ts'
import type { FieldReader } from './selectors.ts'
import { SortedKeys } from './sorted-keys.ts'

/** What the indexes and the event log need to know of a resource. */
export interface CollectionOptions {
  readonly isNamespaced: boolean
  /** Fields by which objects are found without a walk, such as `spec.nodeName`; each must be a key of `readers`. */
  readonly indexedFields: readonly string[]
  readonly readers: Readonly<Record<string, FieldReader>>
  /** Events kept for watches and for lists at an older resourceVersion (count). */
  readonly historySize: number
}

/** The key of an object: its place in the order of lists, as in etcd. */
export function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`
}

/**
 * The objects of one resource, in every state that the kept history still reaches (as etcd keeps revisions until compaction), so
 * that all pages of a list show one moment.
 */
export class Collection {
  readonly log: EventLog
  readonly isNamespaced: boolean
  /** By key: the changes since the last compaction, oldest first, and always the latest one. */
  readonly #changes = new Map<string, StoreEvent[]>()
  readonly #keys = new SortedKeys()
  readonly #indexes: ReadonlyMap<string, Map<string, Set<string>>>
  readonly #readers: Readonly<Record<string, FieldReader>>
  readonly #countByNamespace = new Map<string, number>()
  readonly #recent = new RecentVersions()
  #count = 0

  /** @param resourceVersion of the moment of creation: nothing before it can be asked for */
  constructor(options: CollectionOptions, resourceVersion: number) {
    this.isNamespaced = options.isNamespaced
    this.#readers = options.readers
    this.#indexes = new Map(options.indexedFields.map((field) => [field, new Map<string, Set<string>>()]))
    this.log = new EventLog({
      capacity: options.historySize,
      pinFields: ['metadata.name', ...options.indexedFields],
      readers: options.readers,
      resourceVersion,
      onDrop: (event) => this.#forget(event),
    })
  }

  get(key: string): ObjectVersion | undefined {
    const latest = this.#changes.get(key)?.at(-1)
    return latest === undefined ? undefined : stateAfter(latest)
  }

  /** Objects there are now (count), of one namespace or of all. */
  count(namespace?: string): number {
    return namespace === undefined ? this.#count : (this.#countByNamespace.get(namespace) ?? 0)
  }

  /**
   * The objects of one moment in key order. The collection must not change while it is walked.
   *
   * @param resourceVersion the moment; not before `log.compactedVersion`
   * @param prefix `''` for all, `namespace/` for those of one namespace
   * @param startKey the first key to consider; `''` for the beginning
   */
  *at(resourceVersion: number, prefix: string, startKey: string): Generator<readonly [string, ObjectVersion]> {
    for (const key of this.#keys.from(startKey > prefix ? startKey : prefix)) {
      if (!key.startsWith(prefix)) return
      const change = this.#changes.get(key)?.findLast((one) => one.resourceVersion <= resourceVersion)
      const version = change === undefined ? undefined : stateAfter(change)
      if (version !== undefined) yield [key, version]
    }
  }

  /** The changes of one key after `resourceVersion`, oldest first: costs that object's history alone. */
  changesOf(key: string, resourceVersion: number): readonly StoreEvent[] {
    return (this.#changes.get(key) ?? []).filter((event) => event.resourceVersion > resourceVersion)
  }

  /** The objects whose indexed field now has this value, in key order; undefined when the field has no index. */
  withField(field: string, value: string): readonly (readonly [string, ObjectVersion])[] | undefined {
    const keys = this.#indexes.get(field)
    if (keys === undefined) return undefined
    return [...(keys.get(value) ?? [])].sort().map((key) => [key, this.get(key) as ObjectVersion] as const)
  }

  /** Records a new state; `object` already carries `resourceVersion`. */
  put(key: string, resourceVersion: number, object: KubernetesObject): ObjectVersion {
    const previous = this.get(key)
    const version = new ObjectVersion(resourceVersion, object, this.#recent)
    if (previous === undefined) this.#adjustCount(object, 1)
    this.#record({ type: previous === undefined ? 'ADDED' : 'MODIFIED', key, resourceVersion, version, previous })
    return version
  }

  /** Removes the object. @param last its final state, carrying the resourceVersion of the deletion, as watches report it */
  delete(key: string, resourceVersion: number, last: KubernetesObject): ObjectVersion {
    const previous = this.get(key)
    const version = new ObjectVersion(resourceVersion, last, this.#recent)
    if (previous !== undefined) this.#adjustCount(previous.object, -1)
    this.#record({ type: 'DELETED', key, resourceVersion, version, previous })
    return version
  }

  /** The history is given to watches last, so that a listener sees the collection after the change. */
  #record(event: StoreEvent): void {
    const changes = this.#changes.get(event.key)
    if (changes === undefined) {
      this.#changes.set(event.key, [event])
      this.#keys.add(event.key)
    } else {
      changes.push(event)
    }
    this.#reindex(event.key, event.previous?.object, stateAfter(event)?.object)
    this.log.append(event)
  }

  #adjustCount(object: KubernetesObject, by: number): void {
    this.#count += by
    const namespace = object.metadata.namespace
    if (namespace === undefined) return
    const count = (this.#countByNamespace.get(namespace) ?? 0) + by
    if (count === 0) this.#countByNamespace.delete(namespace)
    else this.#countByNamespace.set(namespace, count)
  }

  #reindex(key: string, before: KubernetesObject | undefined, after: KubernetesObject | undefined): void {
    for (const [field, keysByValue] of this.#indexes) {
      const from = before === undefined ? undefined : this.#readers[field]?.(before)
      const to = after === undefined ? undefined : this.#readers[field]?.(after)
      if (from === to) continue
      if (from !== undefined) {
        const keys = keysByValue.get(from)
        keys?.delete(key)
        if (keys?.size === 0) keysByValue.delete(from)
      }
      if (to === undefined) continue
      const keys = keysByValue.get(to)
      if (keys === undefined) keysByValue.set(to, new Set([key]))
      else keys.add(key)
    }
  }

  /** The event left the history: states that ended by then can no longer be asked for. */
  #forget(event: StoreEvent): void {
    const changes = this.#changes.get(event.key)
    if (changes === undefined) return
    const latest = changes.findLastIndex((one) => one.resourceVersion <= event.resourceVersion)
    changes.splice(0, Math.max(0, latest))
    const [first] = changes
    if (first === undefined || first.resourceVersion > event.resourceVersion) return
    if (first.type === 'DELETED') {
      changes.shift()
      if (changes.length > 0) return
      this.#changes.delete(event.key)
      this.#keys.delete(event.key)
    } else {
      // Else each object would keep its state before last alive for ever; and a new list has no room to spare.
      this.#changes.set(event.key, [{ ...first, previous: undefined }, ...changes.slice(1)])
    }
  }
}

function stateAfter(event: StoreEvent): ObjectVersion | undefined {
  return event.type === 'DELETED' ? undefined : event.version
}
