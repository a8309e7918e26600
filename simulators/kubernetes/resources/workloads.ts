import type { JSONObject } from '../json.ts'
import { TEXT, TEXT_LIST, TEXT_MAP, builtIn, listOf, open } from './built-in.ts'
import { AGE_COLUMN, fieldColumn } from './columns.ts'
import type { ResourceDefinition } from './definition.ts'

/*
 * What an installation consists of: stored and validated as far as the schemas go, and nothing comes of it. No pod is made of a
 * Deployment, nobody is authorised by a role.
 */

const COUNT: JSONObject = { type: 'integer', minimum: 0 }
const PORT: JSONObject = { type: 'integer', minimum: 1, maximum: 65_535 }
const BOOLEAN: JSONObject = { type: 'boolean' }
const INT_OR_TEXT: JSONObject = { 'x-kubernetes-int-or-string': true }
const SELECTOR = open({ matchLabels: TEXT_MAP, matchExpressions: listOf(open({ key: TEXT, operator: TEXT })) })

export const SERVICE_ACCOUNTS: ResourceDefinition = builtIn({
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  shortNames: ['sa'],
  schema: open({ automountServiceAccountToken: BOOLEAN, imagePullSecrets: listOf(open({ name: TEXT })) }),
  columns: [AGE_COLUMN],
})

export const SERVICES: ResourceDefinition = builtIn({
  plural: 'services',
  kind: 'Service',
  shortNames: ['svc'],
  hasStatus: true,
  schema: open({
    spec: open({
      clusterIP: TEXT,
      publishNotReadyAddresses: BOOLEAN,
      selector: TEXT_MAP,
      ports: listOf(open({ name: TEXT, port: PORT, targetPort: INT_OR_TEXT, protocol: TEXT }, ['port'])),
    }),
  }),
  columns: [fieldColumn('Cluster-IP', 'spec.clusterIP'), AGE_COLUMN],
})

const PROBE = open({
  httpGet: open({ path: TEXT, port: INT_OR_TEXT }, ['port']),
  initialDelaySeconds: COUNT,
  periodSeconds: COUNT,
  timeoutSeconds: COUNT,
})

const CONTAINER = open(
  {
    name: { type: 'string', minLength: 1 },
    image: TEXT,
    args: TEXT_LIST,
    env: listOf(open({ name: { type: 'string', minLength: 1 }, value: TEXT }, ['name'])),
    ports: listOf(open({ name: TEXT, containerPort: PORT, hostPort: PORT, protocol: TEXT }, ['containerPort'])),
    livenessProbe: PROBE,
    readinessProbe: PROBE,
    volumeMounts: listOf(open({ name: TEXT, mountPath: TEXT, readOnly: BOOLEAN }, ['name', 'mountPath'])),
  },
  ['name'],
)

export const DEPLOYMENTS: ResourceDefinition = builtIn({
  group: 'apps',
  plural: 'deployments',
  kind: 'Deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  hasStatus: true,
  hasGeneration: true,
  mergeKeys: {
    'spec.template.spec.containers': 'name',
    'spec.template.spec.volumes': 'name',
    'spec.template.spec.containers.env': 'name',
  },
  schema: open({
    spec: open(
      {
        replicas: COUNT,
        selector: SELECTOR,
        template: open(
          {
            metadata: open({ labels: TEXT_MAP, annotations: TEXT_MAP }),
            spec: open(
              {
                serviceAccountName: TEXT,
                hostNetwork: BOOLEAN,
                terminationGracePeriodSeconds: COUNT,
                containers: listOf(CONTAINER, { minItems: 1 }),
                volumes: listOf(open({ name: TEXT }, ['name'])),
              },
              ['containers'],
            ),
          },
          ['spec'],
        ),
      },
      ['selector', 'template'],
    ),
  }),
  columns: [fieldColumn('Replicas', 'spec.replicas'), AGE_COLUMN],
  strategy: {
    validate: (object) => {
      const { spec } = object as unknown as { spec?: { selector?: { matchLabels?: object }; template?: Template } }
      const labels = spec?.template?.metadata?.labels ?? {}
      const wanted = Object.entries(spec?.selector?.matchLabels ?? {})
      if (wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)) return []
      const message = 'Invalid value: `selector` does not match template `labels`'
      return [{ reason: 'FieldValueInvalid', message, field: 'spec.template.metadata.labels' }]
    },
  },
})

interface Template {
  readonly metadata?: { readonly labels?: Readonly<Record<string, unknown>> }
}

export const POD_DISRUPTION_BUDGETS: ResourceDefinition = builtIn({
  group: 'policy',
  plural: 'poddisruptionbudgets',
  kind: 'PodDisruptionBudget',
  shortNames: ['pdb'],
  hasStatus: true,
  schema: open({ spec: open({ maxUnavailable: INT_OR_TEXT, minAvailable: INT_OR_TEXT, selector: SELECTOR }) }),
  columns: [fieldColumn('Max-Unavailable', 'spec.maxUnavailable'), AGE_COLUMN],
})

const RULES = listOf(
  open({ apiGroups: TEXT_LIST, resources: TEXT_LIST, resourceNames: TEXT_LIST, verbs: { ...TEXT_LIST, minItems: 1 } }, [
    'verbs',
  ]),
)
const ROLE_REF = open({ apiGroup: TEXT, kind: { enum: ['Role', 'ClusterRole'] }, name: TEXT }, [
  'apiGroup',
  'kind',
  'name',
])
const SUBJECTS = listOf(open({ kind: TEXT, name: TEXT, namespace: TEXT }, ['kind', 'name']))

function rbac(kind: string, isNamespaced: boolean, schema: JSONObject): ResourceDefinition {
  return builtIn({
    group: 'rbac.authorization.k8s.io',
    plural: `${kind.toLowerCase()}s`,
    kind,
    isNamespaced,
    schema,
    columns: [AGE_COLUMN],
  })
}

export const ROLES = rbac('Role', true, open({ rules: RULES }))
export const CLUSTER_ROLES = rbac('ClusterRole', false, open({ rules: RULES }))
export const ROLE_BINDINGS = rbac('RoleBinding', true, open({ roleRef: ROLE_REF, subjects: SUBJECTS }, ['roleRef']))
export const CLUSTER_ROLE_BINDINGS = rbac(
  'ClusterRoleBinding',
  false,
  open({ roleRef: ROLE_REF, subjects: SUBJECTS }, ['roleRef']),
)

/** Everything of this file. */
export const INSTALLATION_RESOURCES: readonly ResourceDefinition[] = [
  SERVICE_ACCOUNTS,
  SERVICES,
  DEPLOYMENTS,
  POD_DISRUPTION_BUDGETS,
  ROLES,
  CLUSTER_ROLES,
  ROLE_BINDINGS,
  CLUSTER_ROLE_BINDINGS,
]
