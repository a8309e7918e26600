import type { KubernetesObject } from './json.ts'
import type { FieldReader } from './selectors.ts'

/** States that a collection keeps as objects at once (count). The others are kept as text, which takes a third of the memory. */
const KEPT_OBJECTS = 100

/**
 * One state of one object. Immutable. What has not been asked for lately is kept as text alone, and read again when somebody asks:
 * a large fleet at rest would otherwise be some millions of small objects, which every collection of garbage walks over.
 */
export class ObjectVersion {
  readonly resourceVersion: number
  readonly #recent: RecentVersions | undefined
  #object: KubernetesObject | undefined
  #json: string | undefined

  /** @param recent decides how long it stays an object; absent: for ever */
  constructor(resourceVersion: number, object: KubernetesObject, recent?: RecentVersions) {
    this.resourceVersion = resourceVersion
    this.#object = object
    this.#recent = recent
    recent?.keep(this)
  }

  get object(): KubernetesObject {
    if (this.#object === undefined) {
      this.#object = JSON.parse(this.json) as KubernetesObject
      this.#recent?.keep(this)
    }
    return this.#object
  }

  /** The serialised form, made once for everybody who asks. */
  get json(): string {
    this.#json ??= JSON.stringify(this.#object)
    return this.#json
  }

  /** Nobody has asked for the object lately. */
  rest(): void {
    this.#json ??= JSON.stringify(this.#object)
    this.#object = undefined
  }
}

/** The states that were made or asked for last. One that is pushed out rests. */
export class RecentVersions {
  readonly #ring: ObjectVersion[] = []
  #oldest = 0

  keep(version: ObjectVersion): void {
    if (this.#ring.length < KEPT_OBJECTS) {
      this.#ring.push(version)
      return
    }
    this.#ring[this.#oldest]?.rest()
    this.#ring[this.#oldest] = version
    this.#oldest = (this.#oldest + 1) % KEPT_OBJECTS
  }
}

/** One change of one object, shared by every watch that reports it. */
export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly key: string
  readonly resourceVersion: number
  /** The state after the change; of a deletion the last state, carrying the resourceVersion of the deletion. */
  readonly version: ObjectVersion
  /** The state before; absent for a new object and for one whose event has left the history. */
  readonly previous: ObjectVersion | undefined
}

/** Who is told about events as they happen. Must not throw and must not write to the store. */
export interface EventListener {
  /** Only events whose object has, or had until now, this field value; undefined for all events. */
  readonly pin: { readonly field: string; readonly value: string } | undefined
  offer(event: StoreEvent): void
}

export interface EventLogOptions {
  /** Events kept (count, at least 1). */
  readonly capacity: number
  /** Fields that listeners may be pinned to; each must be a key of `readers`. */
  readonly pinFields: readonly string[]
  readonly readers: Readonly<Record<string, FieldReader>>
  /** Nothing before this resourceVersion can be asked for. */
  readonly resourceVersion: number
  /** Told about each event that leaves the history. */
  readonly onDrop: (event: StoreEvent) => void
}

/**
 * The latest events of one resource, and who listens to them. The real server keeps such a window for each resource in its watch
 * cache; a watch from before it is answered 410 Expired.
 *
 * A listener pinned to a name costs nothing when other objects change: with one watch for each of 10,000 nodes, an event reaches
 * one of them.
 */
export class EventLog {
  readonly #options: EventLogOptions
  /** A ring once it is full: the oldest event is at `#oldest`. */
  #events: StoreEvent[] = []
  #oldest = 0
  #compactedVersion: number
  readonly #unpinned = new Set<EventListener>()
  readonly #pinned: ReadonlyMap<string, Map<string, Set<EventListener>>>

  constructor(options: EventLogOptions) {
    this.#options = options
    this.#compactedVersion = options.resourceVersion
    this.#pinned = new Map(options.pinFields.map((field) => [field, new Map<string, Set<EventListener>>()]))
  }

  /** The history reaches back to this resourceVersion, inclusive as a starting point of a watch or as the moment of a list. */
  get compactedVersion(): number {
    return this.#compactedVersion
  }

  append(event: StoreEvent): void {
    if (this.#events.length < this.#options.capacity) {
      this.#events.push(event)
    } else {
      const dropped = this.#events[this.#oldest]
      this.#events[this.#oldest] = event
      this.#oldest = (this.#oldest + 1) % this.#events.length
      if (dropped !== undefined) this.#drop(dropped)
    }
    for (const listener of this.#unpinned) listener.offer(event)
    for (const [field, byValue] of this.#pinned) if (byValue.size > 0) this.#offerPinned(event, field, byValue)
  }

  /** Events after `resourceVersion`, oldest first; it must not be before `compactedVersion`. */
  after(resourceVersion: number): readonly StoreEvent[] {
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#at(middle)?.resourceVersion ?? 0) <= resourceVersion) low = middle + 1
      else high = middle
    }
    return Array.from({ length: this.#events.length - low }, (_, index) => this.#at(low + index) as StoreEvent)
  }

  /** Forgets the whole history: whoever asks for an older resourceVersion than `resourceVersion` gets 410. */
  compact(resourceVersion: number): void {
    const events = this.after(0)
    this.#events = []
    this.#oldest = 0
    for (const event of events) this.#drop(event)
    this.#compactedVersion = resourceVersion
  }

  isPinField(field: string): boolean {
    return this.#pinned.has(field)
  }

  listen(listener: EventListener): void {
    const { pin } = listener
    const byValue = pin === undefined ? undefined : this.#pinned.get(pin.field)
    if (pin === undefined || byValue === undefined) {
      this.#unpinned.add(listener)
      return
    }
    const listeners = byValue.get(pin.value)
    if (listeners === undefined) byValue.set(pin.value, new Set([listener]))
    else listeners.add(listener)
  }

  unlisten(listener: EventListener): void {
    this.#unpinned.delete(listener)
    if (listener.pin === undefined) return
    const byValue = this.#pinned.get(listener.pin.field)
    const listeners = byValue?.get(listener.pin.value)
    listeners?.delete(listener)
    if (listeners?.size === 0) byValue?.delete(listener.pin.value)
  }

  #at(index: number): StoreEvent | undefined {
    return this.#events[(this.#oldest + index) % this.#events.length]
  }

  #drop(event: StoreEvent): void {
    this.#compactedVersion = event.resourceVersion
    this.#options.onDrop(event)
  }

  #offerPinned(event: StoreEvent, field: string, byValue: ReadonlyMap<string, ReadonlySet<EventListener>>): void {
    const read = this.#options.readers[field]
    const value = read?.(event.version.object) ?? ''
    for (const listener of byValue.get(value) ?? []) listener.offer(event)
    const before = event.previous === undefined ? value : (read?.(event.previous.object) ?? '')
    if (before !== value) for (const listener of byValue.get(before) ?? []) listener.offer(event)
  }
}
