import type { Clock } from '../kit/clock.ts'
import { InputError } from '../kit/input.ts'
import type { Random } from '../kit/random.ts'
import { keyOf } from './collection.ts'
import { definitionOf } from './crd.ts'
import type { ObjectVersion } from './event-log.ts'
import { GracefulDeletion } from './graceful-deletion.ts'
import { isList, isObject, scalarText } from './json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from './json.ts'
import { Objects } from './objects.ts'
import { Registry } from './registry.ts'
import type { Resource, ServedResource } from './registry.ts'
import { CONFIG_MAPS, EVENTS, LEASES, NAMESPACES, NODES } from './resources/core.ts'
import { CUSTOM_RESOURCE_DEFINITIONS } from './resources/custom-resource-definitions.ts'
import { resourceKey } from './resources/definition.ts'
import type { ResourceDefinition } from './resources/definition.ts'
import { PODS } from './resources/pods.ts'
import { INSTALLATION_RESOURCES } from './resources/workloads.ts'
import { APIStatusError } from './status-errors.ts'
import type { Watch } from './watch.ts'

export interface ClusterOptions {
  readonly clock: Clock
  readonly random: Random
  /** Events kept for each resource (count). */
  readonly historySize: number
  /** How long a deleted pod on a node stays (ms); 0 removes it at once. */
  readonly podTerminationMs: number
  /** CustomResourceDefinitions and other objects there from the start, as parsed manifests. */
  readonly manifests: readonly JSONObject[]
}

const BUILT_IN: readonly ResourceDefinition[] = [
  NAMESPACES,
  NODES,
  PODS,
  CONFIG_MAPS,
  EVENTS,
  LEASES,
  ...INSTALLATION_RESOURCES,
  CUSTOM_RESOURCE_DEFINITIONS,
]
const INITIAL_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system']
const CRD_KEY = resourceKey(CUSTOM_RESOURCE_DEFINITIONS)
/** Loaded before other objects: those need their definitions and namespaces. */
const LOADED_FIRST = ['CustomResourceDefinition', 'Namespace']
/** How long the real server keeps events (kube-apiserver --event-ttl). */
const EVENT_TTL_MS = 3_600_000

/** A simulated cluster: its resources, its objects and who watches them. Replaced as a whole by a reset or a loaded snapshot. */
export class Cluster {
  readonly registry: Registry
  readonly objects: Objects
  readonly #clock: Clock
  readonly #deletion: GracefulDeletion
  readonly #watches = new Map<Watch, string>()
  /** When each Event was written last (monotonic ms), by key, oldest first. */
  readonly #eventTimes = new Map<string, number>()

  /** @throws APIStatusError when a manifest is not accepted */
  constructor(options: ClusterOptions, resourceVersion = 1) {
    this.#clock = options.clock
    this.registry = new Registry(options.historySize, resourceVersion)
    this.#deletion = new GracefulDeletion(this.registry, options.clock, options.podTerminationMs)
    this.objects = new Objects({
      registry: this.registry,
      clock: options.clock,
      random: options.random,
      onDelete: (object, resource, deleteOptions) => this.#deletion.mark(object, resource, deleteOptions),
      onChange: (resource, version, isGone) => this.#changed(resource, version, isGone),
    })
    for (const definition of BUILT_IN) this.registry.install(definition)
    for (const manifest of options.manifests) this.#admit(manifest)
    const namespaces = this.registry.served('', 'v1', 'namespaces') as ServedResource
    for (const name of INITIAL_NAMESPACES) {
      const target = { resource: namespaces, namespace: '', name, subresource: '' } as const
      this.objects.create(target, { metadata: { name } }, SERVER_WRITE)
    }
  }

  /** Keeps track of a watch until `forget`, so that it can be dropped on purpose. */
  track(watch: Watch, plural: string): void {
    this.#watches.set(watch, plural)
  }

  forget(watch: Watch): void {
    this.#watches.delete(watch)
  }

  /** Watches that are open (count). */
  get watchCount(): number {
    return this.#watches.size
  }

  /** Ends open watches of a resource, or of all. @returns how many (count) */
  dropWatches(plural: string | undefined, how: 'clean' | 'cut' | 'expired'): number {
    const dropped = [...this.#watches].filter(([, one]) => plural === undefined || one === plural)
    for (const [watch] of dropped) watch.end(how)
    return dropped.length
  }

  /** Forgets the history of all resources: older resourceVersions and continue tokens are answered 410 from now on. */
  compact(): void {
    const resourceVersion = this.registry.nextResourceVersion()
    for (const { collection } of this.registry.all()) collection.log.compact(resourceVersion)
  }

  /** Objects of each resource that has any (count). */
  counts(): Readonly<Record<string, number>> {
    const counts = this.registry
      .all()
      .map(({ definition, collection }) => [resourceKey(definition), collection.count()] as const)
    return Object.fromEntries(counts.filter(([, count]) => count > 0))
  }

  /** The whole world as plain JSON; history and watches are not part of it. */
  snapshot(): JSONObject {
    const { resourceVersion } = this.registry
    const objects = this.registry
      .all()
      .flatMap(({ collection }) => [...collection.at(resourceVersion, '', '')].map(([, version]) => version.object))
    return { resourceVersion, objects }
  }

  /**
   * Stores objects as they are, definitions and namespaces first: bulk set-up.
   *
   * @returns how many were stored (count)
   * @throws InputError naming every object that is not accepted; the others are stored
   */
  load(objects: readonly JSONValue[]): number {
    const faults: string[] = []
    let stored = 0
    const indexed = objects.map((object, index) => ({ object, index }))
    const isFirst = ({ object }: { readonly object: JSONValue }): boolean =>
      isObject(object) && LOADED_FIRST.includes(scalarText(object['kind']))
    for (const { object, index } of [...indexed.filter(isFirst), ...indexed.filter((one) => !isFirst(one))]) {
      try {
        this.#loadOne(object)
        stored += 1
      } catch (error) {
        if (!(error instanceof APIStatusError) && !(error instanceof InputError)) throw error
        faults.push(`objects[${index}]: ${error.message}`)
      }
    }
    if (faults.length > 0) throw new InputError('state', faults)
    return stored
  }

  /** Ends everything that waits: watches and terminating pods. */
  close(how: 'clean' | 'expired'): void {
    this.#deletion.stop()
    this.dropWatches(undefined, how)
  }

  #loadOne(object: JSONValue): void {
    const manifest = isObject(object) ? object : {}
    this.objects.load(this.#resourceOf(manifest), manifest)
  }

  #admit(manifest: JSONObject): void {
    const resource = this.#resourceOf(manifest)
    const metadata = isObject(manifest['metadata']) ? manifest['metadata'] : {}
    const namespace = resource.definition.isNamespaced ? scalarText(metadata['namespace']) || 'default' : ''
    this.objects.create({ resource, namespace, name: '', subresource: '' }, manifest, SERVER_WRITE)
  }

  /** @throws InputError when the kind is not served */
  #resourceOf(manifest: JSONObject): ServedResource {
    const apiVersion = scalarText(manifest['apiVersion'])
    const kind = scalarText(manifest['kind'])
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/', 2) : ['', apiVersion]
    const resource = this.registry.byKind(group ?? '', version ?? '', kind)
    if (resource === undefined) {
      throw new InputError('object', [
        `kind ${JSON.stringify(kind)} of apiVersion ${JSON.stringify(apiVersion)} is not served`,
      ])
    }
    return resource
  }

  /** What the rest of a control plane does when an object changes. */
  #changed(resource: Resource, version: ObjectVersion, isGone: boolean): void {
    const { object } = version
    switch (resourceKey(resource.definition)) {
      case CRD_KEY:
        this.#definitionChanged(object, isGone)
        return
      case 'namespaces':
        if (isGone) this.#deletion.emptyNamespace(object.metadata.name, this.objects)
        return
      case 'pods':
        if (!isGone && isNewlyTerminating(resource, object))
          void this.#deletion.terminate(object, resource, this.objects)
        return
      case 'events':
        if (!isGone) this.#expireEvents(resource, object)
        return
      default:
    }
  }

  #definitionChanged(crd: KubernetesObject, isGone: boolean): void {
    const definition = definitionOf(crd)
    if (!isGone) {
      this.registry.install(definition)
      return
    }
    const resource = this.registry.get(definition)
    if (resource === undefined) return
    const content = [...resource.collection.at(this.registry.resourceVersion, '', '')]
    for (const [key, version] of content) {
      this.objects.remove(resource, key, version.object)
    }
    this.dropWatches(definition.plural, 'clean')
    this.registry.remove(definition)
  }

  #expireEvents(events: Resource, { metadata }: KubernetesObject): void {
    const nowMs = this.#clock.now()
    const key = keyOf(metadata.namespace, metadata.name)
    this.#eventTimes.delete(key)
    this.#eventTimes.set(key, nowMs)
    for (const [oldKey, atMs] of this.#eventTimes) {
      if (nowMs - atMs < EVENT_TTL_MS) return
      this.#eventTimes.delete(oldKey)
      const version = events.collection.get(oldKey)
      if (version !== undefined) this.objects.remove(events, oldKey, version.object)
    }
  }
}

const SERVER_WRITE = { fieldManager: 'kube-apiserver', isDryRun: false, fieldValidation: 'Ignore' } as const

function isNewlyTerminating({ collection }: Resource, { metadata }: KubernetesObject): boolean {
  if (metadata.deletionTimestamp === undefined) return false
  const [latest] = collection.changesOf(keyOf(metadata.namespace, metadata.name), Number(metadata.resourceVersion) - 1)
  return latest?.previous?.object.metadata.deletionTimestamp === undefined
}

/** A snapshot as `snapshot()` makes it. @throws InputError when it is not one */
export function parseSnapshot(value: unknown): {
  readonly resourceVersion: number
  readonly objects: readonly JSONValue[]
} {
  const { resourceVersion, objects } = isObject(value) ? value : {}
  const faults = [
    ...(typeof resourceVersion === 'number' && resourceVersion >= 1
      ? []
      : ['resourceVersion must be a number of at least 1']),
    ...(isList(objects) ? [] : ['objects must be a list']),
  ]
  if (faults.length > 0) throw new InputError('state', faults)
  return { resourceVersion: resourceVersion as number, objects: objects as readonly JSONValue[] }
}
