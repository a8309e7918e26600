import { Collection } from './collection.ts'
import { resourceKey } from './resources/definition.ts'
import type { ResourceDefinition, ServedVersion } from './resources/definition.ts'
import type { ResourceName } from './status-errors.ts'

/** A resource with its objects. */
export interface Resource {
  readonly definition: ResourceDefinition
  readonly collection: Collection
}

/** A resource under the version that a request names. */
export interface ServedResource extends Resource {
  readonly version: ServedVersion
}

/**
 * Every resource that is served, and the one counter of resourceVersions: a write to any resource takes the next number, as a
 * revision of etcd.
 */
export class Registry {
  readonly #historySize: number
  readonly #resources = new Map<string, Resource>()
  #resourceVersion: number

  /** @param historySize events kept for each resource (count) */
  constructor(historySize: number, resourceVersion = 1) {
    this.#historySize = historySize
    this.#resourceVersion = resourceVersion
  }

  /** The latest resourceVersion that any write has taken. */
  get resourceVersion(): number {
    return this.#resourceVersion
  }

  nextResourceVersion(): number {
    this.#resourceVersion += 1
    return this.#resourceVersion
  }

  /** Serves a resource, or serves it by a changed definition with the objects it has. */
  install(definition: ResourceDefinition): Resource {
    const key = resourceKey(definition)
    const collection =
      this.#resources.get(key)?.collection ??
      new Collection(
        {
          isNamespaced: definition.isNamespaced,
          indexedFields: definition.indexedFields,
          // A changed definition may offer further fields; nothing of the collection depends on them.
          readers: definition.readers,
          historySize: this.#historySize,
        },
        this.#resourceVersion,
      )
    const resource = { definition, collection }
    this.#resources.set(key, resource)
    return resource
  }

  remove(name: ResourceName): void {
    this.#resources.delete(resourceKey(name))
  }

  get(name: ResourceName): Resource | undefined {
    return this.#resources.get(resourceKey(name))
  }

  /** The resource under one of its served versions; undefined when it is not served so. */
  served(group: string, version: string, plural: string): ServedResource | undefined {
    const resource = this.get({ group, plural })
    const servedVersion = resource?.definition.versions.find((one) => one.name === version)
    return resource === undefined || servedVersion === undefined ? undefined : { ...resource, version: servedVersion }
  }

  /** The resource of a kind, for manifests that come without a path. */
  byKind(group: string, version: string, kind: string): ServedResource | undefined {
    const found = this.all().find(({ definition }) => definition.group === group && definition.kind === kind)
    return found === undefined ? undefined : this.served(group, version, found.definition.plural)
  }

  /** All resources, in a fixed order: by group, then by name. */
  all(): readonly Resource[] {
    const order = ({ group, plural }: ResourceName): string => `${group}/${plural}`
    return [...this.#resources.values()].sort((left, right) =>
      order(left.definition) < order(right.definition) ? -1 : 1,
    )
  }
}
