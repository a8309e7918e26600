import { isObject, scalarText, valueAt } from '../json.ts'
import type { KubernetesObject } from '../json.ts'
import { TEXT, TEXT_MAP, builtIn, listOf, objectsAt, open } from './built-in.ts'
import { AGE_COLUMN, column, fieldColumn, humanAge, wideColumn } from './columns.ts'
import type { ResourceDefinition } from './definition.ts'

/** Namespaces, Nodes, ConfigMaps and Events of the core group, and Leases of coordination.k8s.io. */

export const NAMESPACES: ResourceDefinition = builtIn({
  plural: 'namespaces',
  kind: 'Namespace',
  shortNames: ['ns'],
  isNamespaced: false,
  hasStatus: true,
  selectable: ['status.phase'],
  columns: [fieldColumn('Status', 'status.phase'), AGE_COLUMN],
  strategy: {
    prepareForCreate: (object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        labels: { 'kubernetes.io/metadata.name': object.metadata.name, ...object.metadata.labels },
      },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    }),
  },
})

const ROLE_LABEL_PREFIX = 'node-role.kubernetes.io/'

export const NODES: ResourceDefinition = builtIn({
  plural: 'nodes',
  kind: 'Node',
  shortNames: ['no'],
  isNamespaced: false,
  hasStatus: true,
  selectable: ['spec.unschedulable'],
  selectableBy: { 'spec.unschedulable': (object) => String(valueAt(object, 'spec.unschedulable') === true) },
  mergeKeys: { 'spec.taints': 'key', 'status.conditions': 'type', 'status.addresses': 'type' },
  schema: open({
    spec: open({
      podCIDR: TEXT,
      providerID: TEXT,
      taints: listOf(open({ key: TEXT, effect: TEXT }, ['key', 'effect'])),
    }),
    status: open({ addresses: listOf(open({ type: TEXT, address: TEXT }, ['type', 'address'])) }),
  }),
  columns: [
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    AGE_COLUMN,
    fieldColumn('Version', 'status.nodeInfo.kubeletVersion'),
    wideColumn('Internal-IP', (object) => nodeAddress(object, 'InternalIP')),
    wideColumn('External-IP', (object) => nodeAddress(object, 'ExternalIP')),
    wideColumn('OS-Image', (object) => scalarText(valueAt(object, 'status.nodeInfo.osImage')) || '<unknown>'),
    wideColumn(
      'Kernel-Version',
      (object) => scalarText(valueAt(object, 'status.nodeInfo.kernelVersion')) || '<unknown>',
    ),
    wideColumn(
      'Container-Runtime',
      (object) => scalarText(valueAt(object, 'status.nodeInfo.containerRuntimeVersion')) || '<unknown>',
    ),
  ],
  // A kubelet registers its node with the status already in it (pkg/registry/core/node, PrepareForCreate keeps all fields).
  strategy: {},
})

function nodeStatus(object: KubernetesObject): string {
  const ready = objectsAt(object, 'status.conditions').find((condition) => condition['type'] === 'Ready')
  const state = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady'
  return valueAt(object, 'spec.unschedulable') === true ? `${state},SchedulingDisabled` : state
}

function nodeRoles(object: KubernetesObject): string {
  const roles = Object.keys(object.metadata.labels ?? {})
    .filter((label) => label.startsWith(ROLE_LABEL_PREFIX))
    .map((label) => label.slice(ROLE_LABEL_PREFIX.length))
  return roles.sort().join(',') || '<none>'
}

function nodeAddress(object: KubernetesObject, type: string): string {
  const found = objectsAt(object, 'status.addresses').find((address) => address['type'] === type)
  return scalarText(found?.['address']) || '<none>'
}

export const CONFIG_MAPS: ResourceDefinition = builtIn({
  plural: 'configmaps',
  kind: 'ConfigMap',
  shortNames: ['cm'],
  schema: open({ data: TEXT_MAP, binaryData: TEXT_MAP, immutable: { type: 'boolean' } }),
  columns: [
    column('Data', (object) => {
      const size = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0)
      return String(size(object['data']) + size(object['binaryData']))
    }),
    AGE_COLUMN,
  ],
  strategy: {
    validate: (object, old) =>
      old?.['immutable'] === true && JSON.stringify(object['data']) !== JSON.stringify(old['data'])
        ? [
            {
              reason: 'FieldValueForbidden',
              message: 'Forbidden: field is immutable when `immutable` is set',
              field: 'data',
            },
          ]
        : [],
  },
})

const INVOLVED = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']

export const EVENTS: ResourceDefinition = builtIn({
  plural: 'events',
  kind: 'Event',
  shortNames: ['ev'],
  allowsCreateOnUpdate: true,
  selectable: [...INVOLVED.map((field) => `involvedObject.${field}`), 'reason', 'reportingComponent', 'type'],
  selectableBy: {
    source: (object) => scalarText(valueAt(object, 'source.component')) || scalarText(object['reportingComponent']),
  },
  schema: open(
    {
      involvedObject: open({ kind: TEXT, namespace: TEXT, name: TEXT, uid: TEXT }),
      reason: TEXT,
      message: TEXT,
      type: TEXT,
      count: { type: 'integer' },
    },
    ['involvedObject'],
  ),
  columns: [
    column('Last Seen', (object, now) => humanAge(lastSeen(object), now)),
    fieldColumn('Type', 'type'),
    fieldColumn('Reason', 'reason'),
    column('Object', (object) => {
      const kind = scalarText(valueAt(object, 'involvedObject.kind')).toLowerCase()
      const name = scalarText(valueAt(object, 'involvedObject.name'))
      return name === '' ? kind : `${kind}/${name}`
    }),
    wideColumn('Source', (object) => scalarText(valueAt(object, 'source.component'))),
    column('Message', (object) => scalarText(object['message']).trim()),
    wideColumn('Count', (object) => scalarText(object['count']) || '1'),
  ],
  strategy: {
    validate: (object) => {
      const namespace = scalarText(valueAt(object, 'involvedObject.namespace'))
      const isSame = namespace === object.metadata.namespace
      const isOfCluster = namespace === '' && object.metadata.namespace === 'default'
      if (isSame || isOfCluster) return []
      const message = `Invalid value: ${JSON.stringify(namespace)}: does not match event.namespace`
      return [{ reason: 'FieldValueInvalid', message, field: 'involvedObject.namespace' }]
    },
  },
})

function lastSeen(object: KubernetesObject): string | undefined {
  const times = [valueAt(object, 'series.lastObservedTime'), object['lastTimestamp'], object['eventTime']]
  const text = times.find((time) => typeof time === 'string')
  return typeof text === 'string' ? text : object.metadata.creationTimestamp
}

export const LEASES: ResourceDefinition = builtIn({
  group: 'coordination.k8s.io',
  plural: 'leases',
  kind: 'Lease',
  allowsCreateOnUpdate: true,
  allowsUnconditionalUpdate: false,
  schema: open({
    spec: open({
      holderIdentity: TEXT,
      leaseDurationSeconds: { type: 'integer', minimum: 1 },
      leaseTransitions: { type: 'integer', minimum: 0 },
      acquireTime: { type: 'string', format: 'date-time', nullable: true },
      renewTime: { type: 'string', format: 'date-time', nullable: true },
    }),
  }),
  columns: [fieldColumn('Holder', 'spec.holderIdentity'), AGE_COLUMN],
})
