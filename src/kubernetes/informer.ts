import type { Logger } from '../ipam/contracts.ts'
import type { JSONObject, JSONValue } from '../ipam/types.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { Backoff } from './backoff.ts'
import type { KubernetesClient } from './client.ts'
import { childController } from './deadline.ts'
import { KubernetesAPIError } from './errors.ts'
import { isObject } from './json.ts'
import type { ObjectIdentity } from './known-objects.ts'
import { KnownObjects } from './known-objects.ts'
import { lines, parseWatchEvent } from './watch-events.ts'
import type { WatchEvent } from './watch-events.ts'

/** What becomes of an object at the rim. */
export type Decoded<T, D, M> =
  | { readonly kind: 'ok'; readonly object: T; readonly digest: D }
  | { readonly kind: 'malformed'; readonly report: M }

/** Called one after another, never at once. One that throws is logged; the informer goes on. */
export interface InformerHandlers<T, D, M> {
  onUpsert(object: T): void
  /** @param digest of the last version that was seen: of the deletion itself, or of what a list found missing */
  onDelete(digest: D): void
  /** Once: every object of the first complete list was handed on. */
  onListed(): void
  onMalformed?(report: M): void
}

export interface InformerOptions<T, D, M> {
  readonly client: KubernetesClient
  /** Of the collection, e.g. `/apis/cilium.io/v2/ciliumnodes`. */
  readonly path: string
  readonly fieldSelector?: string
  /** Asks the server for metadata alone. A server that cannot sends whole objects, which decode as well. */
  readonly metadataOnly?: boolean
  readonly decode: (json: JSONObject, identity: ObjectIdentity) => Decoded<T, D, M>
  readonly handlers: InformerHandlers<T, D, M>
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  /** Objects of one page of the list (count). */
  readonly pageSize?: number
  readonly signal: AbortSignal
}

export interface Informer {
  /** Whether the first list is complete. */
  readonly isListed: boolean
  /** Objects known now (count). */
  readonly size: number
  /** Resolves when the signal has ended it. Never rejects. */
  readonly stopped: Promise<void>
}

interface ListPage {
  readonly items: readonly JSONValue[]
  readonly resourceVersion: string
  /** Of the page that follows; empty on the last one. */
  readonly token: string
}

/** A page of resources keyed by addresses parses in about 12 ms: the event loop stays free. */
const PAGE_SIZE = 100

/** The server ends a watch after this long, jittered up to twice. @source client-go tools/cache/reflector.go, minWatchTimeout */
const WATCH_TIMEOUT_SECONDS = 300

/** Bookmarks come about every minute: two missed ones mean a dead connection, which a half-open socket does not tell. */
const SILENCE_MS = 150_000

/** A watch that ends sooner and brought nothing counts as failed. @source client-go reflector.go, "very short watch" */
const SHORT_WATCH_MS = 1_000

/** Objects of a page are handed on for this long before other work has its turn. */
const TURN_MS = 10

/** A warning that stays the same is repeated at most this often. */
const REPEAT_WARNING_MS = 60_000

/**
 * Lists a collection page by page, each page handed on as it arrives, then watches it, for as long as the signal allows.
 * A watch goes on from the last version after any failure; a version that the server has forgotten (410) costs a new list, of which
 * only differences are handed on.
 */
export function startInformer<T, D, M = never>(options: InformerOptions<T, D, M>): Informer {
  const loop = new InformerLoop(options)
  const stopped = loop.run()
  return {
    get isListed() {
      return loop.isListed
    },
    get size() {
      return loop.known.size
    },
    stopped,
  }
}

class InformerLoop<T, D, M> {
  readonly #options: InformerOptions<T, D, M>
  readonly known = new KnownObjects<D>()
  isListed = false
  readonly #listBackoff: Backoff
  readonly #watchBackoff: Backoff
  /** A list was just made because of a 410, and no watch has worked since. */
  #relisted = false
  #lastWarning: { readonly text: string; readonly atMs: number } | undefined

  constructor(options: InformerOptions<T, D, M>) {
    this.#options = options
    this.#listBackoff = new Backoff(options.clock, options.random)
    this.#watchBackoff = new Backoff(options.clock, options.random)
  }

  async run(): Promise<void> {
    const { signal } = this.#options
    let resourceVersion: string | undefined
    while (!signal.aborted) {
      try {
        resourceVersion =
          resourceVersion === undefined ? await this.#listOnce() : await this.#watchOnce(resourceVersion)
      } catch (error) {
        if (signal.aborted) return
        // Only an abort of the wait can get here: everything else is handled where it happens.
        this.#warn(error, 'The informer failed and starts over')
        resourceVersion = undefined
      }
    }
  }

  /** @returns the version to watch from; undefined when the list failed and must be made again, after a wait */
  async #listOnce(): Promise<string | undefined> {
    try {
      const resourceVersion = await this.#list()
      this.#listBackoff.reset()
      return resourceVersion
    } catch (error) {
      const { signal } = this.#options
      signal.throwIfAborted()
      this.#warn(error, 'Cannot list')
      await this.#listBackoff.wait(signal, retryAfterOf(error))
      return undefined
    }
  }

  async #list(): Promise<string> {
    const listed = new Set<string>()
    let page = await this.#page(undefined)
    for (;;) {
      // The server makes the next page while this one is handed on. What goes wrong with it is found when its turn has come.
      const next = page.token === '' ? undefined : this.#page(page.token)
      next?.catch(() => undefined)
      await this.#handOnPage(page.items, listed)
      if (next === undefined) {
        this.#finishList(listed)
        return page.resourceVersion
      }
      page = await next
    }
  }

  async #page(token: string | undefined): Promise<ListPage> {
    const { client, path, fieldSelector, signal, pageSize = PAGE_SIZE } = this.#options
    const { items, metadata } = await client.get(path, {
      query: { limit: pageSize, continue: token, fieldSelector },
      headers: this.#accept('PartialObjectMetadataList'),
      signal,
    })
    const { resourceVersion, continue: next } = isObject(metadata) ? metadata : {}
    if (!Array.isArray(items) || typeof resourceVersion !== 'string' || resourceVersion === '') {
      throw new KubernetesAPIError(`GET ${path}: the answer is not a list`, { kind: 'malformed' })
    }
    return { items: items as readonly JSONValue[], resourceVersion, token: typeof next === 'string' ? next : '' }
  }

  async #handOnPage(items: readonly JSONValue[], listed: Set<string>): Promise<void> {
    const { clock, signal } = this.#options
    let turnStartMs = clock.now()
    for (const item of items) {
      if (!isObject(item)) continue
      const identity = identityOf(item)
      listed.add(identity.key)
      if (!this.known.has(identity)) this.#upsert(identity, item)
      if (clock.now() - turnStartMs > TURN_MS) {
        await clock.sleep(0, signal)
        turnStartMs = clock.now()
      }
    }
  }

  #finishList(listed: ReadonlySet<string>): void {
    for (const key of this.known.missingFrom(listed)) this.#delete(key)
    if (this.isListed) return
    this.isListed = true
    this.#call('onListed', () => this.#options.handlers.onListed())
  }

  /** @returns the version to go on from; undefined when the server has forgotten it */
  async #watchOnce(fromVersion: string): Promise<string | undefined> {
    const { clock, signal } = this.#options
    const progress = { resourceVersion: fromVersion, isMoving: false }
    const startMs = clock.now()
    let failure: unknown
    try {
      await this.#watch(progress)
    } catch (error) {
      signal.throwIfAborted()
      failure = error
    }
    if (progress.isMoving || (failure === undefined && clock.now() - startMs >= SHORT_WATCH_MS)) {
      this.#watchBackoff.reset()
      this.#relisted = false
    }
    if (failure instanceof KubernetesAPIError && (failure.kind === 'gone' || failure.kind === 'malformed')) {
      if (this.#relisted) await this.#watchBackoff.wait(signal)
      this.#relisted = true
      this.#warn(failure, 'The watch cannot go on from its last version and lists again')
      return undefined
    }
    if (failure !== undefined) this.#warn(failure, 'The watch broke and goes on')
    const isHealthyEnd = failure === undefined && (progress.isMoving || clock.now() - startMs >= SHORT_WATCH_MS)
    if (!isHealthyEnd) await this.#watchBackoff.wait(signal, retryAfterOf(failure))
    return progress.resourceVersion
  }

  async #watch(progress: { resourceVersion: string; isMoving: boolean }): Promise<void> {
    const { client, path, fieldSelector, random, clock, signal } = this.#options
    const child = childController(signal)
    const { controller } = child
    const contact = { atMs: clock.now() }
    const watchdog = this.#abortWhenSilent(controller, contact)
    try {
      const pieces = await client.watch(path, {
        query: {
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion: progress.resourceVersion,
          timeoutSeconds: Math.ceil(WATCH_TIMEOUT_SECONDS * (1 + random.next())),
          fieldSelector,
        },
        headers: this.#accept('PartialObjectMetadata'),
        signal: controller.signal,
      })
      contact.atMs = clock.now()
      for await (const line of lines(pieces)) {
        contact.atMs = clock.now()
        const event = parseWatchEvent(line)
        const identity = identityOf(event.object)
        this.#apply(event, identity)
        progress.isMoving = true
        if (identity.resourceVersion !== '') progress.resourceVersion = identity.resourceVersion
      }
    } finally {
      controller.abort()
      child.release()
      await watchdog
    }
  }

  /** Ends a watch that says nothing, not even bookmarks. Resolves when the watch has ended. */
  async #abortWhenSilent(watch: AbortController, contact: { readonly atMs: number }): Promise<void> {
    const { clock, path } = this.#options
    try {
      for (;;) {
        const restMs = contact.atMs + SILENCE_MS - clock.now()
        if (restMs <= 0) break
        await clock.sleep(restMs, watch.signal)
      }
      watch.abort(
        new KubernetesAPIError(`watch of ${path}: nothing heard for ${SILENCE_MS / 1000} s`, { kind: 'unavailable' }),
      )
    } catch {
      // The watch ended by itself.
    }
  }

  #apply(event: WatchEvent, identity: ObjectIdentity): void {
    switch (event.type) {
      case 'ADDED':
      case 'MODIFIED':
        if (!this.known.has(identity)) this.#upsert(identity, event.object)
        return
      case 'DELETED': {
        const decoded = this.#decode(event.object, identity)
        if (decoded?.kind === 'ok') this.known.set(identity, decoded.digest)
        this.#delete(identity.key)
        return
      }
      case 'BOOKMARK':
        return
    }
  }

  #upsert(identity: ObjectIdentity, json: JSONObject): void {
    const { handlers } = this.#options
    const replaced = this.known.replacedBy(identity)
    if (replaced !== undefined) this.#call('onDelete', () => handlers.onDelete(replaced))
    const decoded = this.#decode(json, identity)
    this.known.set(identity, decoded?.kind === 'ok' ? decoded.digest : undefined)
    if (decoded?.kind === 'ok') this.#call('onUpsert', () => handlers.onUpsert(decoded.object))
    if (decoded?.kind === 'malformed') this.#call('onMalformed', () => handlers.onMalformed?.(decoded.report))
  }

  /** @returns undefined when decoding itself failed, which is a defect and must not stop the objects after it */
  #decode(json: JSONObject, identity: ObjectIdentity): Decoded<T, D, M> | undefined {
    let decoded: Decoded<T, D, M> | undefined
    this.#call('decode', () => {
      decoded = this.#options.decode(json, identity)
    })
    return decoded
  }

  #delete(key: string): void {
    const digest = this.known.delete(key)
    if (digest !== undefined) this.#call('onDelete', () => this.#options.handlers.onDelete(digest))
  }

  #call(handler: string, call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#options.log.error({ path: this.#options.path, reason: handler, error }, 'A handler of the informer failed')
    }
  }

  #accept(kind: 'PartialObjectMetadataList' | 'PartialObjectMetadata'): Record<string, string> {
    if (this.#options.metadataOnly !== true) return {}
    return { accept: `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json` }
  }

  #warn(error: unknown, message: string): void {
    const { clock, log, path } = this.#options
    const text = `${message}: ${error instanceof Error ? error.message : String(error)}`
    const last = this.#lastWarning
    if (last !== undefined && last.text === text && clock.now() - last.atMs < REPEAT_WARNING_MS) return
    this.#lastWarning = { text, atMs: clock.now() }
    log.warn({ path, error }, message)
  }
}

function identityOf(json: JSONObject): ObjectIdentity {
  const metadata = isObject(json['metadata']) ? json['metadata'] : {}
  const { name, namespace, uid, resourceVersion } = metadata
  const text = (value: JSONValue | undefined): string => (typeof value === 'string' ? value : '')
  return {
    key: text(namespace) === '' ? text(name) : `${text(namespace)}/${text(name)}`,
    uid: text(uid),
    resourceVersion: text(resourceVersion),
  }
}

function retryAfterOf(error: unknown): number {
  return error instanceof KubernetesAPIError ? (error.retryAfterMs ?? 0) : 0
}
