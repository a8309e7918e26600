import { IPAMError, unknownFamilyError } from './errors.ts'
import type { Family } from './family.ts'
import { isFamily } from './family.ts'
import type { Pool } from './pool.ts'
import { POOL_DEFAULT } from './pool.ts'

/** Annotations of pods and namespaces. Cilium pkg/annotation, IPAMPoolKey, IPAMIPv4PoolKey, IPAMIPv6PoolKey. */
const FAMILY_POOL_ANNOTATION: Readonly<Record<Family, string>> = {
  ipv4: 'ipam.cilium.io/ipv4-pool',
  ipv6: 'ipam.cilium.io/ipv6-pool',
}
const POOL_ANNOTATION = 'ipam.cilium.io/ip-pool'

type Annotations = Readonly<Record<string, string>>

/** Annotations of what Kubernetes knows; undefined when there is no such object. */
export interface PodMetadata {
  podAnnotations(namespace: string, name: string): Annotations | undefined
  namespaceAnnotations(name: string): Annotations | undefined
}

/** Of a namespace. @source RFC 1123, Kubernetes "Object Names and IDs" */
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
/** Of a pod. */
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/**
 * The pool that an owner's addresses come from: the pod's annotation for the family, its general one, the namespace's in the
 * same order, the default pool. Owners that are no pods (router, health, …) have the default pool. Asked only when a pod
 * is created.
 *
 * @param owner `namespace/name`
 * @throws IPAMError FAMILY_UNKNOWN, RESOURCE_NOT_FOUND (with kind and name)
 * @source cilium pkg/ipam/metadata/manager.go, GetIPPoolForPod
 */
export function poolForPod(metadata: PodMetadata, owner: string, family: string): Pool {
  if (!isFamily(family)) throw unknownFamilyError(family, { owner })
  const [namespace = '', name = '', ...rest] = owner.split('/')
  if (rest.length > 0 || !DNS_LABEL.test(namespace) || !DNS_SUBDOMAIN.test(name)) return POOL_DEFAULT
  const pod = metadata.podAnnotations(namespace, name)
  if (pod === undefined) throw notFound('Pod', owner)
  const ofPod = annotatedPool(pod, family)
  if (ofPod !== undefined) return ofPod
  const annotations = metadata.namespaceAnnotations(namespace)
  if (annotations === undefined) throw notFound('Namespace', namespace)
  return annotatedPool(annotations, family) ?? POOL_DEFAULT
}

/** An empty annotation counts as absent. */
function annotatedPool(annotations: Annotations, family: Family): Pool | undefined {
  return annotations[FAMILY_POOL_ANNOTATION[family]] || annotations[POOL_ANNOTATION] || undefined
}

function notFound(kind: 'Pod' | 'Namespace', name: string): IPAMError {
  return new IPAMError('RESOURCE_NOT_FOUND', `${kind} ${name} not found`, { owner: name })
}
