import { deepEqual, isObject, scalarText, valueAt, without } from '../json.ts'
import type { JSONObject, JSONValue, KubernetesObject } from '../json.ts'
import type { StatusCause } from '../status-errors.ts'
import { TEXT, builtIn, forbidden, listOf, objectsAt, open } from './built-in.ts'
import { AGE_COLUMN, column, wideColumn } from './columns.ts'
import type { ResourceDefinition } from './definition.ts'

/** @source kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_PodSpec */
const DEFAULT_GRACE_PERIOD_SECONDS = 30

const CONTAINER = open({ name: { type: 'string', minLength: 1 }, image: TEXT }, ['name'])

const MERGE_KEYS: Readonly<Record<string, string>> = {
  'spec.containers': 'name',
  'spec.containers.env': 'name',
  'spec.containers.ports': 'containerPort',
  'spec.containers.volumeMounts': 'mountPath',
  'spec.initContainers': 'name',
  'spec.imagePullSecrets': 'name',
  'spec.volumes': 'name',
  'spec.hostAliases': 'ip',
  'status.conditions': 'type',
  'status.podIPs': 'ip',
}

export const PODS: ResourceDefinition = builtIn({
  plural: 'pods',
  kind: 'Pod',
  shortNames: ['po'],
  categories: ['all'],
  hasStatus: true,
  hasGeneration: true,
  selectable: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  selectableBy: { 'spec.hostNetwork': (object) => String(valueAt(object, 'spec.hostNetwork') === true) },
  indexedFields: ['spec.nodeName'],
  mergeKeys: MERGE_KEYS,
  schema: open(
    {
      spec: open({ containers: listOf(CONTAINER, { minItems: 1 }), nodeName: TEXT, hostNetwork: { type: 'boolean' } }, [
        'containers',
      ]),
      status: open({ phase: TEXT, podIP: TEXT }),
    },
    ['spec'],
  ),
  columns: [
    column('Ready', podReady),
    column('Status', podStatus),
    column('Restarts', podRestarts),
    AGE_COLUMN,
    wideColumn('IP', (object) => scalarText(valueAt(object, 'status.podIP')) || '<none>'),
    wideColumn('Node', (object) => scalarText(valueAt(object, 'spec.nodeName')) || '<none>'),
    wideColumn('Nominated Node', (object) => scalarText(valueAt(object, 'status.nominatedNodeName')) || '<none>'),
    wideColumn('Readiness Gates', () => '<none>'),
  ],
  strategy: { prepareForCreate, validate },
})

function prepareForCreate(object: KubernetesObject): KubernetesObject {
  const spec = isObject(object['spec']) ? object['spec'] : {}
  return {
    ...object,
    spec: {
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: DEFAULT_GRACE_PERIOD_SECONDS,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      schedulerName: 'default-scheduler',
      ...spec,
    },
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  }
}

/** Fields of a pod's spec that an update may change; everything else is fixed once the pod exists. */
const MUTABLE_SPEC_FIELDS = ['activeDeadlineSeconds', 'terminationGracePeriodSeconds', 'tolerations']

/** @source kubernetes pkg/apis/core/validation, ValidatePodUpdate */
function validate(object: KubernetesObject, old: KubernetesObject | undefined): readonly StatusCause[] {
  if (old === undefined || object['spec'] === old['spec']) return []
  if (deepEqual(fixedSpec(object['spec']), fixedSpec(old['spec']))) return []
  return [
    forbidden(
      'spec',
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,' +
        '`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),' +
        '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
    ),
  ]
}

function fixedSpec(spec: JSONValue | undefined): JSONValue | undefined {
  if (!isObject(spec)) return spec
  const withoutImages = (list: JSONValue | undefined): JSONValue | undefined =>
    Array.isArray(list) ? list.map((container: JSONObject) => without(container, 'image')) : list
  return {
    ...without(spec, ...MUTABLE_SPEC_FIELDS),
    containers: withoutImages(spec['containers']),
    initContainers: withoutImages(spec['initContainers']),
  }
}

function podReady(object: KubernetesObject): string {
  const total = objectsAt(object, 'spec.containers').length
  const ready = objectsAt(object, 'status.containerStatuses').filter((status) => status['ready'] === true).length
  return `${ready}/${total}`
}

function podStatus(object: KubernetesObject): string {
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating'
  const waiting = objectsAt(object, 'status.containerStatuses')
    .map((status) => scalarText(valueAt(status, 'state.waiting.reason')))
    .find((reason) => reason !== '')
  return waiting ?? (scalarText(valueAt(object, 'status.reason')) || scalarText(valueAt(object, 'status.phase')))
}

function podRestarts(object: KubernetesObject): string {
  const counts = objectsAt(object, 'status.containerStatuses').map((status) => Number(status['restartCount'] ?? 0))
  return String(counts.reduce((total, count) => total + count, 0))
}

/** The pod once it is assigned to a node: what a scheduler's POST to `pods/NAME/binding` does. */
export function bindPod(pod: KubernetesObject, nodeName: string, now: string): KubernetesObject {
  const condition = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: now }
  const others = objectsAt(pod, 'status.conditions').filter((one) => one['type'] !== condition.type)
  return {
    ...pod,
    spec: { ...(pod['spec'] as JSONObject), nodeName },
    status: { ...(pod['status'] as JSONObject | undefined), conditions: [...others, condition] },
  }
}

/** Seconds between the request to delete a pod and its end; 0 removes it at once. */
export function gracePeriodSeconds(pod: KubernetesObject, requested: number | undefined): number {
  const hasNode = scalarText(valueAt(pod, 'spec.nodeName')) !== ''
  const isFinished = ['Succeeded', 'Failed'].includes(scalarText(valueAt(pod, 'status.phase')))
  if (!hasNode || isFinished) return 0 // nobody runs it: pkg/registry/core/pod/strategy.go, CheckGracefulDelete
  const own = valueAt(pod, 'spec.terminationGracePeriodSeconds')
  return Math.max(0, requested ?? (typeof own === 'number' ? own : DEFAULT_GRACE_PERIOD_SECONDS))
}
