import type { Clock } from '../kit/clock.ts'
import type { Random } from '../kit/random.ts'
import { keyOf } from './collection.ts'
import { compose, countGeneration, isSameState, markedForDeletion, withResourceVersion } from './composition.ts'
import { ObjectVersion } from './event-log.ts'
import { timestamp, without } from './json.ts'
import type { JSONObject, JSONValue, KubernetesObject, ObjectMeta } from './json.ts'
import { asObject, checkPreconditions, generateName, newMetadata, validateMetadata } from './metadata.ts'
import type { Preconditions } from './metadata.ts'
import { PATCH_TYPES, applyPatch } from './patch.ts'
import type { Registry, Resource, ServedResource } from './registry.ts'
import { apiVersionOf } from './resources/definition.ts'
import { applyConfiguration, trackUpdate } from './server-side-apply.ts'
import type { FieldWriter } from './server-side-apply.ts'
import { MODIFIED, alreadyExists, badRequest, conflict, invalid, notFound } from './status-errors.ts'
import type { StatusCause } from './status-errors.ts'

/** What a write is about, besides its body. */
export interface WriteTarget {
  readonly resource: ServedResource
  /** `''` for resources without namespaces. */
  readonly namespace: string
  /** `''` only for a creation. */
  readonly name: string
  /** `status` writes status alone; the main resource then ignores it. */
  readonly subresource: '' | 'status'
}

/** What the client asked about the manner of the write. */
export interface WriteOptions {
  readonly fieldManager: string
  /** Everything is checked, nothing is stored. */
  readonly isDryRun: boolean
  /** `Strict` refuses unknown fields, `Warn` reports them, `Ignore` drops them silently. */
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore'
}

export interface PatchOptions extends WriteOptions {
  /** Without parameters. */
  readonly mediaType: string
  /** Server-side apply takes fields from other managers. */
  readonly isForced: boolean
}

export interface DeleteOptions {
  readonly preconditions: Preconditions
  readonly gracePeriodSeconds: number | undefined
  readonly isDryRun: boolean
}

export interface WriteResult {
  readonly version: ObjectVersion
  readonly isCreated: boolean
  /** Texts for `Warning` headers. */
  readonly warnings: readonly string[]
}

export interface DeleteResult {
  /** The last state; of an object that waits for its finalizers or its grace period, the state it is in. */
  readonly version: ObjectVersion
  readonly isGone: boolean
}

/** Decides what a deletion does first: undefined removes the object, a state marks it and leaves it for later. */
export type DeletionHook = (
  object: KubernetesObject,
  resource: Resource,
  options: DeleteOptions,
) => KubernetesObject | undefined

export interface ObjectsOptions {
  readonly registry: Registry
  readonly clock: Clock
  readonly random: Random
  readonly onDelete: DeletionHook
  /** Told about every stored change, after it. */
  readonly onChange: (resource: Resource, version: ObjectVersion, isGone: boolean) => void
}

/**
 * The writes of the API: create, update, patch, apply, delete, with the checks of the real server in its order. Every write is one
 * synchronous step, so no two writes mix.
 */
export class Objects {
  readonly #registry: Registry
  readonly #clock: Clock
  readonly #random: Random
  readonly #onDelete: DeletionHook
  readonly #onChange: ObjectsOptions['onChange']

  constructor(options: ObjectsOptions) {
    this.#registry = options.registry
    this.#clock = options.clock
    this.#random = options.random
    this.#onDelete = options.onDelete
    this.#onChange = options.onChange
  }

  /** @throws APIStatusError 404 */
  get({ definition, collection }: Resource, namespace: string, name: string): ObjectVersion {
    const version = collection.get(keyOf(namespace, name))
    if (version === undefined) throw notFound(definition, name)
    return version
  }

  /** @throws APIStatusError 400, 404 (namespace), 409 (name taken), 422 */
  create(target: WriteTarget, body: JSONValue, options: WriteOptions): WriteResult {
    const { resource, namespace } = target
    const { definition } = resource
    const sent = this.#named(this.#parse(target, body), target)
    this.#checkNamespace(resource, namespace)
    if (sent.metadata.resourceVersion !== undefined && sent.metadata.resourceVersion !== '') {
      throw badRequest('resourceVersion should not be set on objects to be created')
    }
    const pruned = this.#prune(resource, sent, options)
    const now = this.#clock.wallTime()
    const withoutStatus =
      resource.version.hasStatus && definition.isCustom ? without(pruned.object, 'status') : pruned.object
    const bare: KubernetesObject = {
      ...(withoutStatus as KubernetesObject),
      metadata: {
        ...newMetadata(sent.metadata, timestamp(now), this.#random),
        ...(definition.hasGeneration ? { generation: 1 } : {}),
      },
    }
    const object = definition.strategy.prepareForCreate?.(bare, { now }) ?? bare
    this.#validate(resource, object, undefined)
    const key = keyOf(namespace, object.metadata.name)
    if (resource.collection.get(key) !== undefined) throw alreadyExists(definition, object.metadata.name)
    return {
      version: this.#store(resource, key, object, { old: undefined, isDryRun: options.isDryRun }),
      isCreated: true,
      warnings: pruned.warnings,
    }
  }

  /** PUT of an object or of its status. @throws APIStatusError 400, 404, 409 (changed meanwhile), 422 */
  update(target: WriteTarget, body: JSONValue, options: WriteOptions): WriteResult {
    const { resource, namespace, name } = target
    const sent = this.#parse(target, body)
    const old = resource.collection.get(keyOf(namespace, name))
    if (old === undefined) {
      if (target.subresource === '' && resource.definition.allowsCreateOnUpdate)
        return this.create(target, body, options)
      throw notFound(resource.definition, name)
    }
    if ((sent.metadata.name ?? '') === '') {
      const message = 'Required value: name or generateName is required'
      throw this.#invalid(resource, name, [{ reason: 'FieldValueRequired', message, field: 'metadata.name' }])
    }
    if (!resource.definition.allowsUnconditionalUpdate && (sent.metadata.resourceVersion ?? '') === '') {
      const message = 'Invalid value: 0x0: must be specified for an update'
      throw this.#invalid(resource, name, [{ reason: 'FieldValueInvalid', message, field: 'metadata.resourceVersion' }])
    }
    return this.#replace(target, old, sent, options)
  }

  /** @throws APIStatusError 400, 404, 409, 415 (format), 422 */
  patch(target: WriteTarget, patch: JSONValue, options: PatchOptions): WriteResult {
    const { resource, namespace, name } = target
    const { definition } = resource
    const old = resource.collection.get(keyOf(namespace, name))
    const isApply = options.mediaType === PATCH_TYPES.apply
    if (isApply) {
      const sent = this.#parse(target, patch)
      const force = { isForced: options.isForced, mergeKeys: definition.mergeKeys }
      const merged = applyConfiguration(old?.object, sent, this.#writer(target, options), force)
      if (old === undefined) return this.create(target, merged, options)
      return this.#replace(target, old, merged as KubernetesObject, options, isApply)
    }
    if (old === undefined) throw notFound(definition, name)
    const mergeKeys = definition.isCustom ? undefined : definition.mergeKeys
    const current = this.#asServed(resource, old.object)
    const patched = this.#parse(target, applyPatch(current, patch, options.mediaType, mergeKeys))
    return this.#replace(target, old, patched, options)
  }

  /** @throws APIStatusError 404, 409 (preconditions) */
  delete(resource: Resource, namespace: string, name: string, options: DeleteOptions): DeleteResult {
    const { definition } = resource
    const key = keyOf(namespace, name)
    const old = this.get(resource, namespace, name)
    checkPreconditions(definition, old.object, options.preconditions)
    const marked = this.#markForDeletion(resource, old.object, options)
    if (marked !== undefined) {
      const version = this.#storeIfChanged(resource, key, marked, { old, isDryRun: options.isDryRun })
      return { version, isGone: false }
    }
    return { version: options.isDryRun ? old : this.remove(resource, key, old.object), isGone: true }
  }

  /** Takes an object away whatever it waits for. @param last its final state */
  remove(resource: Resource, key: string, last: KubernetesObject): ObjectVersion {
    const resourceVersion = this.#registry.nextResourceVersion()
    const version = resource.collection.delete(key, resourceVersion, withResourceVersion(last, resourceVersion))
    this.#onChange(resource, version, true)
    return version
  }

  /** Stores a new state made by the server itself: no checks. */
  replaceUnchecked(resource: Resource, old: ObjectVersion, object: KubernetesObject): ObjectVersion {
    const key = keyOf(object.metadata.namespace, object.metadata.name)
    return this.#storeIfChanged(resource, key, object, { old, isDryRun: false })
  }

  /**
   * Stores an object as it is, status and uid included, filling in only what is missing: bulk set-up and snapshots. Schema and
   * metadata are checked, admission is not (no namespace needs to exist).
   *
   * @throws APIStatusError 400, 422
   */
  load(resource: ServedResource, body: JSONValue): ObjectVersion {
    const { definition, version } = resource
    const parsed = this.#parse({ resource, namespace: '', name: '', subresource: '' }, body)
    const namespace = definition.isNamespaced ? (parsed.metadata.namespace ?? 'default') : ''
    const sent = this.#named(parsed, { resource, namespace, name: '', subresource: '' })
    const pruned = version.schema?.prune(sent).object ?? sent
    const metadata: ObjectMeta = {
      ...newMetadata(sent.metadata, timestamp(this.#clock.wallTime()), this.#random),
      ...(definition.hasGeneration ? { generation: 1 } : {}),
      ...(without(sent.metadata, 'resourceVersion') as ObjectMeta),
    }
    const whole: KubernetesObject = { ...(pruned as KubernetesObject), metadata }
    const isBare = whole['status'] === undefined
    const now = this.#clock.wallTime()
    const object = isBare ? (definition.strategy.prepareForCreate?.(whole, { now }) ?? whole) : whole
    this.#validate(resource, object, undefined)
    const key = keyOf(namespace, metadata.name)
    return this.#storeIfChanged(resource, key, object, { old: resource.collection.get(key), isDryRun: false })
  }

  #parse({ resource }: WriteTarget, body: JSONValue): KubernetesObject {
    const { definition, version } = resource
    return asObject(body, { apiVersion: apiVersionOf(definition.group, version.name), kind: definition.kind })
  }

  #named(sent: KubernetesObject, { resource, namespace, name }: WriteTarget): KubernetesObject {
    const base = sent.metadata['generateName']
    const given = sent.metadata.name ?? ''
    const ownName = given === '' && typeof base === 'string' && base !== '' ? generateName(base, this.#random) : given
    if (name !== '' && ownName !== name) throw nameMismatch(ownName, name)
    if (ownName === '') {
      const message = 'Required value: name or generateName is required'
      throw this.#invalid(resource, '', [{ reason: 'FieldValueRequired', message, field: 'metadata.name' }])
    }
    if (!resource.definition.isNamespaced) {
      return { ...sent, metadata: { ...without(sent.metadata, 'namespace'), name: ownName } }
    }
    if ((sent.metadata.namespace ?? namespace) !== namespace) throw badRequest(NAMESPACE_MISMATCH)
    return { ...sent, metadata: { ...sent.metadata, name: ownName, namespace } }
  }

  #checkNamespace({ definition }: Resource, namespace: string): void {
    if (!definition.isNamespaced) return
    const namespaces = this.#registry.get({ group: '', plural: 'namespaces' })
    const version = namespaces?.collection.get(namespace)
    if (version === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace)
  }

  #prune(
    { version }: ServedResource,
    sent: KubernetesObject,
    options: WriteOptions,
    old?: KubernetesObject,
  ): { readonly object: JSONObject; readonly warnings: readonly string[] } {
    if (version.schema === undefined) return { object: sent, warnings: [] }
    const { object, unknownFields } = version.schema.prune(sent, old)
    const texts = unknownFields.map((path) => `unknown field ${JSON.stringify(path)}`)
    if (texts.length > 0 && options.fieldValidation === 'Strict') {
      throw badRequest(`strict decoding error: ${texts.join(', ')}`)
    }
    return { object, warnings: options.fieldValidation === 'Warn' ? texts : [] }
  }

  #replace(
    target: WriteTarget,
    old: ObjectVersion,
    sent: KubernetesObject,
    options: WriteOptions,
    isApply = false,
  ): WriteResult {
    const { resource, namespace, name } = target
    const { definition } = resource
    this.#checkIdentity(target, sent, old.object)
    const pruned = this.#prune(resource, sent, options, old.object)
    const composed = compose(resource, target.subresource, old.object, pruned.object as KubernetesObject)
    const prepared =
      target.subresource === ''
        ? (definition.strategy.prepareForUpdate?.(composed, old.object, { now: this.#clock.wallTime() }) ?? composed)
        : composed
    const counted = countGeneration(resource, prepared, old.object)
    if (isSameState(counted, old.object)) return { version: old, isCreated: false, warnings: pruned.warnings }
    const tracked = isApply
      ? counted
      : trackUpdate(old.object, counted, this.#writer(target, options), definition.mergeKeys)
    this.#validate(resource, tracked, old.object)
    const key = keyOf(namespace, name)
    const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = tracked.metadata
    const isLastStep = deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length === 0
    const stored =
      isLastStep && !options.isDryRun
        ? this.remove(resource, key, tracked)
        : this.#store(resource, key, tracked, { old, isDryRun: options.isDryRun })
    return { version: stored, isCreated: false, warnings: pruned.warnings }
  }

  #checkIdentity({ resource, name, namespace }: WriteTarget, sent: KubernetesObject, old: KubernetesObject): void {
    const { definition } = resource
    const { metadata } = sent
    if ((metadata.name ?? name) !== name) throw nameMismatch(metadata.name, name)
    if (definition.isNamespaced && (metadata.namespace ?? namespace) !== namespace) throw badRequest(NAMESPACE_MISMATCH)
    if (metadata.uid !== undefined && metadata.uid !== '') checkPreconditions(definition, old, { uid: metadata.uid })
    const wanted = metadata.resourceVersion ?? ''
    if (wanted !== '' && wanted !== '0' && wanted !== old.metadata.resourceVersion)
      throw conflict(definition, name, MODIFIED)
    const added = (metadata.finalizers ?? []).filter((one) => !(old.metadata.finalizers ?? []).includes(one))
    if (old.metadata.deletionTimestamp !== undefined && added.length > 0) {
      const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`
      throw this.#invalid(resource, name, [{ reason: 'FieldValueForbidden', message, field: 'metadata.finalizers' }])
    }
  }

  #validate(resource: ServedResource, object: KubernetesObject, old: KubernetesObject | undefined): void {
    const causes = [
      ...(old !== undefined && hasSameTexts(object, old) ? [] : validateMetadata(object)),
      ...(resource.version.schema?.validate(object, old) ?? []),
      ...(resource.definition.strategy.validate?.(object, old) ?? []),
    ]
    if (causes.length > 0) throw this.#invalid(resource, object.metadata.name, causes)
  }

  #invalid({ definition }: Resource, name: string, causes: readonly StatusCause[]): Error {
    return invalid(definition.group, definition.kind, name, causes)
  }

  /** The state that keeps a deleted object for now; undefined when nothing keeps it. */
  #markForDeletion(resource: Resource, object: KubernetesObject, options: DeleteOptions): KubernetesObject | undefined {
    const hasFinalizers = (object.metadata.finalizers ?? []).length > 0
    const kept = this.#onDelete(object, resource, options)
    if (kept !== undefined || !hasFinalizers) return kept
    if (object.metadata.deletionTimestamp !== undefined) return object
    return markedForDeletion(object, 0, timestamp(this.#clock.wallTime()))
  }

  /** The object under the version of the request: all versions have the same content. */
  #asServed({ definition, version }: ServedResource, object: KubernetesObject): KubernetesObject {
    const apiVersion = apiVersionOf(definition.group, version.name)
    return apiVersion === object.apiVersion ? object : { ...object, apiVersion }
  }

  /** A write that changes nothing takes no resourceVersion and sends no event. */
  #storeIfChanged(
    resource: Resource,
    key: string,
    object: KubernetesObject,
    { old, isDryRun }: { readonly old: ObjectVersion | undefined; readonly isDryRun: boolean },
  ): ObjectVersion {
    if (old !== undefined && isSameState(object, old.object)) return old
    return this.#store(resource, key, object, { old, isDryRun })
  }

  #store(
    resource: Resource,
    key: string,
    object: KubernetesObject,
    { old, isDryRun }: { readonly old: ObjectVersion | undefined; readonly isDryRun: boolean },
  ): ObjectVersion {
    const resourceVersion = isDryRun ? (old?.resourceVersion ?? 0) : this.#registry.nextResourceVersion()
    const apiVersion = apiVersionOf(resource.definition.group, resource.definition.storageVersion)
    const stamped = withResourceVersion({ ...object, apiVersion }, resourceVersion)
    if (isDryRun) return new ObjectVersion(resourceVersion, stamped)
    const version = resource.collection.put(key, resourceVersion, stamped)
    this.#onChange(resource, version, false)
    return version
  }

  #writer({ resource, subresource }: WriteTarget, options: WriteOptions): FieldWriter {
    const clock = this.#clock
    return {
      manager: options.fieldManager,
      subresource,
      apiVersion: apiVersionOf(resource.definition.group, resource.version.name),
      // Most objects have no managed fields, and their writers no need to be dated.
      get time() {
        return timestamp(clock.wallTime())
      },
    }
  }
}

/** The parts of metadata that are validated are those of the stored state, which has been validated. */
function hasSameTexts({ metadata }: KubernetesObject, { metadata: old }: KubernetesObject): boolean {
  return (
    metadata.name === old.name &&
    metadata.labels === old.labels &&
    metadata.annotations === old.annotations &&
    metadata.ownerReferences === old.ownerReferences
  )
}

const NAMESPACE_MISMATCH = 'the namespace of the provided object does not match the namespace sent on the request'

function nameMismatch(inBody: string, inPath: string): Error {
  return badRequest(`the name of the object (${inBody}) does not match the name on the URL (${inPath})`)
}
