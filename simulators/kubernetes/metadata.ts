import type { Random } from '../kit/random.ts'
import { randomInteger, randomUUID } from '../kit/random.ts'
import { isObject, scalarText, without } from './json.ts'
import type { JSONObject, KubernetesObject, ObjectMeta } from './json.ts'
import type { ResourceDefinition } from './resources/definition.ts'
import { badRequest, conflict } from './status-errors.ts'
import type { StatusCause } from './status-errors.ts'

/** Rules of `metadata` that hold for every object (apimachinery pkg/api/validation, apiserver pkg/registry/rest). */

const NAME_PATTERN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const MAX_NAME_LENGTH = 253
/** The letters of generated names: no vowels, so that no words come out (apimachinery pkg/util/rand). */
const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789'
const SUFFIX_LENGTH = 5
/** Leaves room for the suffix in a name of a label's length. */
const MAX_GENERATED_BASE_LENGTH = 58
const QUALIFIED_NAME = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/
const NAME_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
  "alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

export function generateName(base: string, random: Random): string {
  const letters = Array.from(
    { length: SUFFIX_LENGTH },
    () => SUFFIX_LETTERS[randomInteger(random, SUFFIX_LETTERS.length)],
  )
  return base.slice(0, MAX_GENERATED_BASE_LENGTH) + letters.join('')
}

/** `metadata` of a new object: what the client sent without what only the server may say. */
export function newMetadata(sent: ObjectMeta, now: string, random: Random): ObjectMeta {
  const kept = without(
    sent,
    'resourceVersion',
    'generation',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'selfLink',
  )
  return { ...(kept as ObjectMeta), uid: randomUUID(random), creationTimestamp: now }
}

/** Fields of `metadata` that no update changes. */
const SERVER_FIELDS = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'selfLink',
] as const

/** `metadata` after an update: the client's, with the server's own fields as they were. */
export function updatedMetadata(sent: ObjectMeta, old: ObjectMeta): ObjectMeta {
  const merged: Record<string, ObjectMeta[string]> = { ...sent }
  for (const field of SERVER_FIELDS) {
    if (old[field] === undefined) delete merged[field]
    else merged[field] = old[field]
  }
  return merged as ObjectMeta
}

/** The parsed body as an object of the wanted kind. @throws APIStatusError 400 when it is something else */
export function asObject(
  body: unknown,
  wanted: { readonly apiVersion: string; readonly kind: string },
): KubernetesObject {
  if (!isObject(body)) throw badRequest('the request body is not a Kubernetes object')
  const { apiVersion = wanted.apiVersion, kind = wanted.kind, metadata = {}, ...rest } = body
  if (apiVersion !== wanted.apiVersion) {
    throw badRequest(
      `the API version in the data (${scalarText(apiVersion)}) does not match the expected API version (${wanted.apiVersion})`,
    )
  }
  if (kind !== wanted.kind) {
    throw badRequest(`${scalarText(kind)} in version "${wanted.apiVersion}" cannot be handled as a ${wanted.kind}`)
  }
  if (!isObject(metadata)) throw badRequest('metadata must be an object')
  checkMetadataTypes(metadata)
  return { kind: wanted.kind, apiVersion: wanted.apiVersion, metadata: withoutNulls(metadata) as ObjectMeta, ...rest }
}

function withoutNulls(value: JSONObject): JSONObject {
  return Object.fromEntries(Object.entries(value).filter(([, child]) => child !== null && child !== undefined))
}

const META_TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  name: isText,
  generateName: isText,
  namespace: isText,
  uid: isText,
  resourceVersion: isText,
  labels: isTextMap,
  annotations: isTextMap,
  finalizers: (value) => Array.isArray(value) && value.every(isText),
  ownerReferences: (value) => Array.isArray(value) && value.every(isObject),
  managedFields: (value) => Array.isArray(value) && value.every(isObject),
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function isTextMap(value: unknown): boolean {
  return isObject(value) && Object.values(value).every(isText)
}

function checkMetadataTypes(metadata: JSONObject): void {
  for (const [field, isRight] of Object.entries(META_TYPES)) {
    const value = metadata[field]
    if (value !== undefined && value !== null && !isRight(value)) {
      throw badRequest(`json: cannot unmarshal ${typeof value} into Go struct field ObjectMeta.metadata.${field}`)
    }
  }
}

export function validateMetadata({ metadata }: KubernetesObject): readonly StatusCause[] {
  const causes: StatusCause[] = []
  const invalid = (field: string, value: string, why: string): void => {
    causes.push({ reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}`, field })
  }
  if (metadata.name.length > MAX_NAME_LENGTH) {
    invalid('metadata.name', metadata.name, `must be no more than ${MAX_NAME_LENGTH} characters`)
  } else if (!NAME_PATTERN.test(metadata.name)) {
    invalid('metadata.name', metadata.name, NAME_RULE)
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!QUALIFIED_NAME.test(key)) invalid('metadata.labels', key, 'name part must consist of alphanumeric characters')
    if (!LABEL_VALUE.test(value))
      invalid('metadata.labels', value, 'a valid label must be an empty string or consist of alphanumeric characters')
  }
  for (const key of Object.keys(metadata.annotations ?? {})) {
    if (!QUALIFIED_NAME.test(key.toLowerCase()))
      invalid('metadata.annotations', key, 'name part must consist of alphanumeric characters')
  }
  ;(metadata.ownerReferences ?? []).forEach((owner, index) => {
    for (const field of ['apiVersion', 'kind', 'name', 'uid']) {
      if (typeof owner[field] === 'string' && owner[field] !== '') continue
      const path = `metadata.ownerReferences[${index}].${field}`
      causes.push({ reason: 'FieldValueRequired', message: 'Required value', field: path })
    }
  })
  return causes
}

/** What a delete may demand of the object. */
export interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

/** @throws APIStatusError 409 when the object is not the one that is meant */
export function checkPreconditions(
  definition: ResourceDefinition,
  object: KubernetesObject,
  wanted: Preconditions,
): void {
  const { name, uid, resourceVersion } = object.metadata
  if (wanted.uid !== undefined && wanted.uid !== uid) {
    throw conflict(
      definition,
      name,
      `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${uid ?? ''}`,
    )
  }
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion) {
    throw conflict(
      definition,
      name,
      `Precondition failed: ResourceVersion in precondition: ${wanted.resourceVersion}, ResourceVersion in object meta: ${resourceVersion ?? ''}`,
    )
  }
}
