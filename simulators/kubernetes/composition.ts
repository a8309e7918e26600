import { deepEqual, equalExcept, without } from './json.ts'
import type { JSONValue, KubernetesObject, ObjectMeta } from './json.ts'
import { updatedMetadata } from './metadata.ts'
import type { ServedResource } from './registry.ts'

/** What a write makes of the stored state: which parts it may change, and what the server counts and stamps. Pure. */

/** The new state: the parts that this request may write, over those of the old one. */
export function compose(
  { version }: ServedResource,
  subresource: '' | 'status',
  old: KubernetesObject,
  sent: KubernetesObject,
): KubernetesObject {
  if (subresource === 'status') {
    const managedFields = sent.metadata.managedFields ?? old.metadata.managedFields
    return {
      ...old,
      status: sent['status'],
      metadata: { ...old.metadata, ...(managedFields === undefined ? {} : { managedFields }) },
    }
  }
  const own = version.hasStatus ? { ...sent, status: old['status'] } : sent
  return { ...own, apiVersion: old.apiVersion, kind: old.kind, metadata: updatedMetadata(sent.metadata, old.metadata) }
}

/**
 * Counts the generation up when anything but metadata changed, status aside where it is a subresource.
 *
 * @source apiextensions-apiserver pkg/registry/customresource/strategy.go, PrepareForUpdate
 */
export function countGeneration(
  { definition, version }: ServedResource,
  object: KubernetesObject,
  old: KubernetesObject,
): KubernetesObject {
  if (!definition.hasGeneration) return object
  const generation = old.metadata.generation ?? 1
  const isChanged = !equalExcept(object, old, 'metadata', 'apiVersion', ...(version.hasStatus ? ['status'] : []))
  return { ...object, metadata: { ...object.metadata, generation: isChanged ? generation + 1 : generation } }
}

/** Whether storing `object` over `old` would change nothing: such a write takes no resourceVersion and sends no event. */
export function isSameState(object: KubernetesObject, old: KubernetesObject): boolean {
  return (
    equalExcept(object.metadata, old.metadata, 'resourceVersion', 'managedFields') &&
    deepEqual(untimed(object.metadata), untimed(old.metadata)) &&
    equalExcept(object, old, 'metadata', 'apiVersion')
  )
}

/** An apply of the same fields renews only the time of its entry. */
function untimed({ managedFields = [] }: ObjectMeta): readonly JSONValue[] {
  return managedFields.map((entry) => without(entry, 'time'))
}

export function withResourceVersion(object: KubernetesObject, resourceVersion: number): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(resourceVersion) } }
}

/** Marked as being deleted: it is gone once its finalizers are and its grace period has passed. */
export function markedForDeletion(
  object: KubernetesObject,
  graceSeconds: number,
  deletionTimestamp: string,
): KubernetesObject {
  const { generation } = object.metadata
  return {
    ...object,
    metadata: {
      ...object.metadata,
      deletionTimestamp,
      deletionGracePeriodSeconds: graceSeconds,
      ...(generation === undefined ? {} : { generation: generation + 1 }),
    },
  }
}
