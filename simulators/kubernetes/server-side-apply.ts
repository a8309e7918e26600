import { deepEqual, isList, isObject } from './json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from './json.ts'
import {
  fieldValue,
  fieldsOf,
  formatManagers,
  isElementKey,
  managersOf,
  showPath,
  withoutField,
} from './managed-fields.ts'
import type { FieldPath, FieldSet, Manager } from './managed-fields.ts'
import { applyConflict } from './status-errors.ts'
import type { StatusCause } from './status-errors.ts'
import { strategicMerge } from './strategic-merge.ts'
import type { MergeKeys } from './strategic-merge.ts'

/**
 * Server-side apply, as far as kubectl and controllers use it: the applied fields are merged in, fields that the same manager applied
 * before and now leaves out are removed, and a field that another manager set to another value is a conflict unless forced.
 *
 * Ownership is tracked from an object's first apply on: an object that nobody ever applied carries no managedFields, which keeps
 * writes of large fleets cheap (see DIFFERENCES.md).
 */

/** Who writes, and as what. */
export interface FieldWriter {
  readonly manager: string
  readonly subresource: string
  readonly apiVersion: string
  /** Kubernetes timestamp. */
  readonly time: string
}

/**
 * @param live the stored object; undefined when the apply creates it
 * @param applied the configuration as sent
 * @returns the merged object with its managedFields
 * @throws APIStatusError 409 with a cause for each conflicting field
 */
export function applyConfiguration(
  live: KubernetesObject | undefined,
  applied: JSONObject,
  writer: FieldWriter,
  options: { readonly isForced: boolean; readonly mergeKeys: MergeKeys },
): JSONObject {
  const fields = fieldsOf(applied, options.mergeKeys)
  const managers = live === undefined ? [] : managersWithBaseline(live, options.mergeKeys)
  const isOwn = (one: Manager): boolean =>
    one.operation === 'Apply' && one.name === writer.manager && one.subresource === writer.subresource
  const others = managers.filter((one) => !isOwn(one))
  const disputed = new Map<string, FieldPath>()
  const conflicts: StatusCause[] = []
  for (const [identity, steps] of fields) {
    if (live === undefined || isSatisfied(fieldValue(live, steps), fieldValue(applied, steps))) continue
    for (const owner of others.filter((one) => one.fields.has(identity))) {
      disputed.set(identity, steps)
      conflicts.push({
        reason: 'FieldManagerConflict',
        message: `conflict with ${JSON.stringify(owner.name)}${owner.operation === 'Update' ? ` using ${owner.apiVersion}` : ''}`,
        field: showPath(steps),
      })
    }
  }
  if (conflicts.length > 0 && !options.isForced) throw applyConflict(conflicts)

  let kept: JSONObject = live ?? {}
  const before = managers.find(isOwn)?.fields ?? new Map<string, FieldPath>()
  // The key of a list element goes last: without it the element's other fields could not be found.
  const leaving = [...before].sort(([, left], [, right]) => Number(isElementKey(left)) - Number(isElementKey(right)))
  for (const [identity, steps] of leaving) {
    if (!fields.has(identity) && !others.some((one) => one.fields.has(identity))) kept = withoutField(kept, steps)
  }
  const merged = strategicMerge(kept, nullsAsValues(applied), options.mergeKeys)
  const own: Manager = {
    name: writer.manager,
    operation: 'Apply',
    subresource: writer.subresource,
    apiVersion: writer.apiVersion,
    time: writer.time,
    fields,
  }
  return withManagers(merged, [own, ...others.map((one) => minus(one, disputed))])
}

/**
 * The managedFields after an ordinary write: changed fields now belong to its writer. Objects without managedFields stay without.
 */
export function trackUpdate(
  before: KubernetesObject,
  after: KubernetesObject,
  writer: FieldWriter,
  mergeKeys: MergeKeys,
): KubernetesObject {
  if ((before.metadata.managedFields ?? []).length === 0) return after
  const old = fieldsOf(before, mergeKeys)
  const present = fieldsOf(after, mergeKeys)
  const changed = new Map<string, FieldPath>()
  for (const [identity, steps] of present) {
    if (!old.has(identity) || !deepEqual(fieldValue(before, steps), fieldValue(after, steps)))
      changed.set(identity, steps)
  }
  const isOwn = (one: Manager): boolean =>
    one.operation === 'Update' && one.name === writer.manager && one.subresource === writer.subresource
  const managers = managersOf(before).map((one) => onlyPresent(isOwn(one) ? one : minus(one, changed), present))
  const own = managers.find(isOwn)
  const ownFields = new Map([...(own?.fields ?? []), ...changed])
  const entry: Manager = {
    name: writer.manager,
    operation: 'Update',
    subresource: writer.subresource,
    apiVersion: writer.apiVersion,
    time: changed.size > 0 || own === undefined ? writer.time : own.time,
    fields: ownFields,
  }
  const others = managers.filter((one) => !isOwn(one))
  return withManagers(after, [...others, entry]) as KubernetesObject
}

/** Whether the live value already is what was applied; an empty map asks only that there is a map. */
function isSatisfied(live: JSONValue | undefined, applied: JSONValue | undefined): boolean {
  return deepEqual(live, applied) || (isObject(live) && isObject(applied) && Object.keys(applied).length === 0)
}

/** Fields of an object that was never applied belong to whoever wrote them before, as the real server has it. */
function managersWithBaseline(live: KubernetesObject, mergeKeys: MergeKeys): readonly Manager[] {
  const managers = managersOf(live)
  if (managers.length > 0) return managers
  return [
    {
      name: 'before-first-apply',
      operation: 'Update',
      subresource: '',
      apiVersion: live.apiVersion,
      time: live.metadata.creationTimestamp ?? '',
      fields: fieldsOf(live, mergeKeys),
    },
  ]
}

function minus(manager: Manager, taken: FieldSet): Manager {
  return { ...manager, fields: new Map([...manager.fields].filter(([identity]) => !taken.has(identity))) }
}

function onlyPresent(manager: Manager, present: FieldSet): Manager {
  return { ...manager, fields: new Map([...manager.fields].filter(([identity]) => present.has(identity))) }
}

function withManagers(object: JSONObject, managers: readonly Manager[]): JSONObject {
  const metadata = isObject(object['metadata']) ? object['metadata'] : {}
  return { ...object, metadata: { ...metadata, managedFields: formatManagers(managers) } }
}

/** An applied null is no directive to delete; the field is simply not there. */
function nullsAsValues(value: JSONObject): JSONObject {
  const clean = (one: JSONValue): JSONValue => {
    if (isList(one)) return one.map(clean)
    return isObject(one) ? nullsAsValues(one) : one
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== null && child !== undefined)
      .map(([key, child]) => [key, clean(child as JSONValue)]),
  )
}
