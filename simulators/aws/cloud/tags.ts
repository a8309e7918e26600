import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import type { ResourceType, Tags } from './types.ts'

/** @source Amazon EC2 User Guide, tag restrictions */
const MAX_KEY_LENGTH = 128
const MAX_VALUE_LENGTH = 256
/** In any letter case. */
const RESERVED = /^aws:/i

export interface TagInput {
  readonly Key: string
  readonly Value?: string | undefined
}

/**
 * Adds tags to those of a resource; an existing key gets the new value. All or nothing. Reserved tags do not count for the limit.
 *
 * @throws EC2Error InvalidParameterValue, TagLimitExceeded
 */
export function addTags(cloud: Cloud, tags: Tags, added: readonly TagInput[]): void {
  const keys = new Set<string>()
  for (const { Key: key, Value: value = '' } of added) {
    refuseReserved(key)
    if (key.length > MAX_KEY_LENGTH || value.length > MAX_VALUE_LENGTH) {
      throw fault('InvalidParameterValue', `Tag key or value exceeds its length: ${key}`)
    }
    if (keys.has(key)) throw fault('InvalidParameterValue', `Duplicate tag key '${key}' specified.`)
    keys.add(key)
  }
  const own = new Set([...tags.keys(), ...keys].filter((key) => !RESERVED.test(key)))
  if (own.size > cloud.settings.quotas.tagsPerResource) throw fault('TagLimitExceeded')
  for (const { Key: key, Value: value = '' } of added) tags.set(key, value)
}

/**
 * Takes tags off a resource: those given with a value only when they have that value, without any given all but the reserved ones.
 *
 * @throws EC2Error InvalidParameterValue for a reserved key
 */
export function removeTags(tags: Tags, removed: readonly TagInput[]): void {
  for (const { Key: key } of removed) refuseReserved(key)
  if (removed.length === 0) {
    for (const key of tags.keys()) if (!RESERVED.test(key)) tags.delete(key)
  }
  for (const { Key: key, Value: value } of removed) {
    if (value === undefined || tags.get(key) === value) tags.delete(key)
  }
}

function refuseReserved(key: string): void {
  if (RESERVED.test(key)) {
    throw fault('InvalidParameterValue', `Tag keys starting with 'aws:' are reserved for internal use`)
  }
}

export interface TagSpecification {
  readonly ResourceType: string
  readonly Tag: readonly TagInput[]
}

/**
 * The tags that a creating call asks for.
 *
 * @param types resource types that the call creates; specifications for others are refused
 * @returns the tags of the resource type asked for
 * @throws EC2Error InvalidParameterValue for a specification without tags, of another type, or for one type twice
 */
export function specifiedTags(
  cloud: Cloud,
  specifications: readonly TagSpecification[],
  type: ResourceType,
  types: readonly string[] = [type],
): Tags {
  const tags: Tags = new Map()
  const seen = new Set<string>()
  for (const specification of specifications) {
    const { ResourceType: resourceType, Tag: added } = specification
    if (!types.includes(resourceType)) {
      throw fault(
        'InvalidParameterValue',
        `'${resourceType}' is not a valid taggable resource type for this operation.`,
      )
    }
    if (seen.has(resourceType)) {
      throw fault('InvalidParameterValue', `Duplicate tag specification for resource type '${resourceType}'`)
    }
    seen.add(resourceType)
    if (added.length === 0) throw fault('InvalidParameterValue', 'Tag specification must have at least one tag')
    if (resourceType === type) addTags(cloud, tags, added)
  }
  return tags
}
