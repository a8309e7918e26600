import type { Clock } from '../kit/clock.ts'
import { ConnectionCut } from '../kit/http.ts'
import type { Collection } from './collection.ts'
import { keyOf } from './collection.ts'
import { ObjectVersion } from './event-log.ts'
import type { EventListener, StoreEvent } from './event-log.ts'
import { matchesSelection } from './selectors.ts'
import type { FieldReader, Selection } from './selectors.ts'
import { tooOldResourceVersion } from './status-errors.ts'

/** A watch request after its parameters have been read. */
export interface WatchRequest {
  readonly namespace: string | undefined
  readonly selection: Selection
  /** Changes after this resourceVersion; undefined: the present objects as ADDED first, then changes. */
  readonly since: number | undefined
  readonly isBookmarked: boolean
  /** Whether a bookmark with `k8s.io/initial-events-end` follows the present objects (`sendInitialEvents=true`). */
  readonly marksInitialEnd: boolean
  /** The server ends the watch cleanly after this time. */
  readonly timeoutMs: number
}

/** What is fixed for all watches of a server. */
export interface WatchSettings {
  readonly clock: Clock
  readonly bookmarkIntervalMs: number
  /** Events waiting for a slow reader at most (count); the watch of one that falls further behind is closed. */
  readonly maxPendingEvents: number
}

/** How the events of a watch are written: whole objects, table rows, metadata alone. */
export interface WatchRenderer {
  /** JSON of the object of one event. */
  object(version: ObjectVersion): string
  /** JSON of the object of a bookmark; `annotations` only at the end of the initial events. */
  bookmark(resourceVersion: number, annotations: Readonly<Record<string, string>> | undefined): string
}

/** Why the server ends a watch: cleanly, by cutting the connection, or with 410 as an ERROR event. */
export type WatchEnd = 'clean' | 'cut' | 'expired'

type WireType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'

const INITIAL_END_ANNOTATION: Readonly<Record<string, string>> = { 'k8s.io/initial-events-end': 'true' }

/** Events written as one piece at most (count), so that a large initial state streams instead of standing whole in memory. */
const EVENTS_PER_PIECE = 100

/**
 * One watch: hears the events of a collection, keeps those that concern it, and writes them as lines of JSON.
 * It is registered from its construction on, so that nothing is missed before the first read; `close` gives it back.
 */
export class Watch implements EventListener {
  readonly pin: EventListener['pin']
  readonly #collection: Collection
  readonly #readers: Readonly<Record<string, FieldReader>>
  readonly #request: WatchRequest
  readonly #renderer: WatchRenderer
  readonly #settings: WatchSettings
  readonly #currentVersion: () => number
  readonly #onClose: (watch: Watch) => void
  /** Ends the timer of the watch with it. */
  readonly #closing = new AbortController()
  readonly #startVersion: number
  #initial: readonly ObjectVersion[] = []
  #pending: { readonly type: WireType; readonly version: ObjectVersion }[] = []
  #end: WatchEnd | undefined
  #isClosed = false
  #isTimerSet = false
  #wake: (() => void) | undefined

  constructor(
    target: { readonly collection: Collection; readonly readers: Readonly<Record<string, FieldReader>> },
    request: WatchRequest,
    renderer: WatchRenderer,
    settings: WatchSettings,
    world: { readonly currentVersion: () => number; readonly onClose: (watch: Watch) => void },
  ) {
    this.#collection = target.collection
    this.#readers = target.readers
    this.#request = request
    this.#renderer = renderer
    this.#settings = settings
    this.#currentVersion = world.currentVersion
    this.#onClose = world.onClose
    this.pin = pinOf(target.collection, request.selection)
    this.#startVersion = world.currentVersion()
    this.#start(request.since)
    if (this.#end === undefined) this.#collection.log.listen(this)
  }

  offer(event: StoreEvent): void {
    if (this.#end !== undefined) return
    const change = this.#changeFor(event)
    if (change === undefined) return
    if (this.#pending.length >= this.#settings.maxPendingEvents) {
      this.end('clean')
      return
    }
    this.#pending.push(change)
    this.#wake?.()
  }

  /** Ends the watch from the server's side; what was not yet read is lost, as in a connection that breaks. */
  end(how: WatchEnd): void {
    this.#end ??= how
    this.close()
  }

  /** Stops listening. May be called twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#end ??= 'clean'
    this.#collection.log.unlisten(this)
    this.#onClose(this)
    this.#closing.abort()
    this.#wake?.()
  }

  /** The lines of the answer. @throws ConnectionCut when the watch is ended by a cut */
  async *lines(): AsyncGenerator<string> {
    const { clock, bookmarkIntervalMs } = this.#settings
    const deadlineMs = clock.now() + this.#request.timeoutMs
    let bookmarkMs = this.#request.isBookmarked ? clock.now() + bookmarkIntervalMs : Infinity
    try {
      if (this.#end === undefined) yield* this.#initialLines()
      while (this.#end === undefined) {
        const nowMs = clock.now()
        if (this.#pending.length > 0) {
          yield this.#takePiece()
        } else if (nowMs >= deadlineMs) {
          if (this.#request.isBookmarked) yield this.#bookmarkLine()
          return
        } else if (nowMs >= bookmarkMs) {
          bookmarkMs = nowMs + bookmarkIntervalMs
          yield this.#bookmarkLine()
        } else {
          await this.#sleepUntil(Math.min(deadlineMs, bookmarkMs), nowMs)
        }
      }
      if (this.#end === 'cut') throw new ConnectionCut('watch dropped')
      if (this.#end === 'expired') yield this.#expiredLine()
    } finally {
      this.close()
    }
  }

  /** What the client has to be told first. */
  #start(since: number | undefined): void {
    if (since === undefined) {
      this.#initial = this.#present()
      return
    }
    const { log } = this.#collection
    if (since < log.compactedVersion) {
      this.#end = 'expired'
      return
    }
    const isOneKey = this.pin?.field === 'metadata.name' && !this.#collection.isNamespaced
    const events = isOneKey ? this.#collection.changesOf(this.pin?.value ?? '', since) : log.after(since)
    for (const event of events) {
      const change = this.#changeFor(event)
      if (change !== undefined) this.#pending.push(change)
    }
  }

  #present(): readonly ObjectVersion[] {
    const { namespace, selection } = this.#request
    const prefix = namespace === undefined ? '' : `${namespace}/`
    const found: ObjectVersion[] = []
    for (const [key, version] of this.#presentCandidates(prefix)) {
      if (key.startsWith(prefix) && matchesSelection(version.object, selection, this.#readers)) found.push(version)
    }
    return found
  }

  #presentCandidates(prefix: string): Iterable<readonly [string, ObjectVersion]> {
    const { pin } = this
    if (pin?.field === 'metadata.name' && (prefix !== '' || !this.#collection.isNamespaced)) {
      const key = keyOf(this.#request.namespace, pin.value)
      const version = this.#collection.get(key)
      return version === undefined ? [] : [[key, version]]
    }
    const indexed = pin === undefined ? undefined : this.#collection.withField(pin.field, pin.value)
    return indexed ?? this.#collection.at(this.#startVersion, prefix, '')
  }

  /** The event as this watch sees it: an object that starts to match is added, one that stops to match is deleted. */
  #changeFor(event: StoreEvent): { readonly type: WireType; readonly version: ObjectVersion } | undefined {
    const { version, previous } = event
    const isNow = event.type !== 'DELETED' && this.#matches(version)
    const wasBefore = previous !== undefined && this.#matches(previous)
    if (isNow) return { type: wasBefore ? 'MODIFIED' : 'ADDED', version }
    if (!wasBefore) return undefined
    return {
      type: 'DELETED',
      version: event.type === 'DELETED' ? version : lastMatching(previous, event.resourceVersion),
    }
  }

  #matches({ object }: ObjectVersion): boolean {
    const { namespace, selection } = this.#request
    if (namespace !== undefined && object.metadata.namespace !== namespace) return false
    return matchesSelection(object, selection, this.#readers)
  }

  *#initialLines(): Generator<string> {
    const { marksInitialEnd, since } = this.#request
    for (let from = 0; from < this.#initial.length; from += EVENTS_PER_PIECE) {
      const piece = this.#initial.slice(from, from + EVENTS_PER_PIECE)
      yield piece.map((version) => line('ADDED', this.#renderer.object(version))).join('')
    }
    this.#initial = []
    if (marksInitialEnd && since === undefined) {
      yield line('BOOKMARK', this.#renderer.bookmark(this.#startVersion, INITIAL_END_ANNOTATION))
    }
  }

  #takePiece(): string {
    const piece = this.#pending.splice(0, EVENTS_PER_PIECE)
    return piece.map(({ type, version }) => line(type, this.#renderer.object(version))).join('')
  }

  /** Valid only while nothing is pending: all changes up to now have been written. */
  #bookmarkLine(): string {
    return line('BOOKMARK', this.#renderer.bookmark(this.#currentVersion(), undefined))
  }

  #expiredLine(): string {
    const since = this.#request.since ?? this.#startVersion
    return line('ERROR', JSON.stringify(tooOldResourceVersion(since, this.#collection.log.compactedVersion).status))
  }

  /** Sleeps until something happens or `untilMs`. One timer at a time: events do not pile up timers. */
  async #sleepUntil(untilMs: number, nowMs: number): Promise<void> {
    const happened = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    if (!this.#isTimerSet) {
      this.#isTimerSet = true
      void this.#ring(untilMs - nowMs)
    }
    await happened
    this.#wake = undefined
  }

  async #ring(afterMs: number): Promise<void> {
    try {
      await this.#settings.clock.sleep(afterMs, this.#closing.signal)
    } catch {
      return // the watch is closed, which has woken it already
    }
    this.#isTimerSet = false
    this.#wake?.()
  }
}

function line(type: WireType, object: string): string {
  return `{"type":"${type}","object":${object}}\n`
}

/** The field by which the log can tell this watch's events apart without asking it. */
function pinOf(collection: Collection, selection: Selection): EventListener['pin'] {
  const pinned = selection.fields.find(({ field, isEqual }) => isEqual && collection.log.isPinField(field))
  return pinned === undefined ? undefined : { field: pinned.field, value: pinned.value }
}

/** What a watch is told of an object that stops to match: its last matching state at the resourceVersion of the change. */
function lastMatching(previous: ObjectVersion, resourceVersion: number): ObjectVersion {
  const { object } = previous
  const metadata = { ...object.metadata, resourceVersion: String(resourceVersion) }
  return new ObjectVersion(resourceVersion, { ...object, metadata })
}
