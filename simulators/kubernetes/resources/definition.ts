import type { JSONObject, JSONValue, KubernetesObject } from '../json.ts'
import type { ObjectSchema } from '../schema.ts'
import type { FieldReader } from '../selectors.ts'
import type { ResourceName, StatusCause } from '../status-errors.ts'

/** A column of `kubectl get`. */
export interface TableColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format: string
  readonly description: string
  /** 0 is always shown, above 0 only with `-o wide`. */
  readonly priority: number
  /** The cell; null when there is nothing to show. */
  readonly cell: (object: KubernetesObject, now: Date) => JSONValue
}

/** One version under which a resource is served. All versions have the same storage: there is no conversion. */
export interface ServedVersion {
  readonly name: string
  /** Whether `/status` exists; the main resource then ignores `status`. */
  readonly hasStatus: boolean
  /** What the version accepts; undefined accepts any fields. */
  readonly schema: ObjectSchema | undefined
  /** The columns after NAME. */
  readonly columns: readonly TableColumn[]
}

/** What a write may use of the world besides the object. */
export interface StrategyContext {
  readonly now: Date
}

/**
 * How the real server treats a resource apart from the rules that hold for all of them.
 * The functions are pure: they return the object to store.
 */
export interface ResourceStrategy {
  /** What the server itself fills in when an object is created. */
  readonly prepareForCreate?: (object: KubernetesObject, context: StrategyContext) => KubernetesObject
  readonly prepareForUpdate?: (
    object: KubernetesObject,
    old: KubernetesObject,
    context: StrategyContext,
  ) => KubernetesObject
  /** Every fault, empty when there is none. `old` is absent for a new object. */
  readonly validate?: (object: KubernetesObject, old: KubernetesObject | undefined) => readonly StatusCause[]
}

/** A resource as it is served: built in, or made from a CustomResourceDefinition. */
export interface ResourceDefinition extends ResourceName {
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly isNamespaced: boolean
  /** From a CustomResourceDefinition: decides on list items, strategic merge patches and conditions of updates. */
  readonly isCustom: boolean
  /** At least one; most preferred first. */
  readonly versions: readonly ServedVersion[]
  readonly storageVersion: string
  /** Fields for field selectors, `metadata.name` and `metadata.namespace` included. */
  readonly readers: Readonly<Record<string, FieldReader>>
  readonly indexedFields: readonly string[]
  /** Whether `metadata.generation` counts changes of anything but metadata and status. */
  readonly hasGeneration: boolean
  /** Whether a PUT to a name that does not exist creates it. */
  readonly allowsCreateOnUpdate: boolean
  /** Whether a PUT may leave `metadata.resourceVersion` out. */
  readonly allowsUnconditionalUpdate: boolean
  /** By path of a list without indexes (`spec.containers`): the key that identifies its elements. */
  readonly mergeKeys: Readonly<Record<string, string>>
  readonly strategy: ResourceStrategy
  /** The OpenAPI schema by version, for `kubectl explain`; absent when there is none to show. */
  readonly openAPI?: Readonly<Record<string, JSONObject>>
}

export const NAME_READERS: Readonly<Record<string, FieldReader>> = {
  'metadata.name': (object) => object.metadata.name,
  'metadata.namespace': (object) => object.metadata.namespace ?? '',
}

/** `group/version`, or the version alone in the core group: the `apiVersion` of objects. */
export function apiVersionOf(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}

/** The key of a resource whatever its version. */
export function resourceKey(resource: ResourceName): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`
}
