import { Ajv } from 'ajv'
import type { ValidateFunction } from 'ajv'

/**
 * The kinds that an installation consists of, as far as this project uses them, closed: a field that is not here is a typo, or has to be
 * looked up and added.
 *
 * @source Kubernetes API reference 1.34; prometheus-operator, API reference, monitoring.coreos.com/v1
 */

type Schema = Readonly<Record<string, unknown>>

const TEXT: Schema = { type: 'string' }
const NAME: Schema = { type: 'string', pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$', maxLength: 253 }
const LABELS: Schema = { type: 'object', additionalProperties: { type: 'string' } }
const TEXTS: Schema = { type: 'array', items: TEXT }
const BOOLEAN: Schema = { type: 'boolean' }
const COUNT: Schema = { type: 'integer', minimum: 0 }
const PORT: Schema = { type: 'integer', minimum: 1, maximum: 65_535 }
const INT_OR_TEXT: Schema = { type: ['integer', 'string'] }
const QUANTITIES: Schema = {
  type: 'object',
  additionalProperties: { type: ['string', 'integer'], pattern: '^\\d+(m|Ki|Mi|Gi|k|M|G)?$' },
}
const DURATION: Schema = { type: 'string', pattern: '^(0|\\d+(ms|s|m|h|d))$' }

function closed(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: 'object', additionalProperties: false, properties, required }
}

const list = (items: Schema, minItems = 1): Schema => ({ type: 'array', items, minItems })

const METADATA = closed({ name: NAME, namespace: NAME, labels: LABELS, annotations: LABELS }, ['name'])
const SELECTOR = closed({ matchLabels: LABELS }, ['matchLabels'])
const HTTP_GET = closed({ path: TEXT, port: INT_OR_TEXT }, ['path', 'port'])
const PROBE = closed({ httpGet: HTTP_GET, initialDelaySeconds: COUNT, periodSeconds: COUNT, timeoutSeconds: COUNT }, [
  'httpGet',
])
const ENV = closed(
  {
    name: { type: 'string', pattern: '^[A-Z][A-Z0-9_]*$' },
    value: TEXT,
    valueFrom: closed({
      fieldRef: closed({ fieldPath: TEXT }, ['fieldPath']),
      secretKeyRef: closed({ name: NAME, key: TEXT }, ['name', 'key']),
    }),
  },
  ['name'],
)
const CONTAINER = closed(
  {
    name: NAME,
    image: { type: 'string', pattern: '^[^\\s:]+(:\\d+/[^\\s:]+)?:[\\w.-]+$' },
    imagePullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
    args: TEXTS,
    env: list(ENV),
    ports: list(closed({ name: NAME, containerPort: PORT, hostPort: PORT, protocol: { enum: ['TCP', 'UDP'] } })),
    livenessProbe: PROBE,
    readinessProbe: PROBE,
    resources: closed({ requests: QUANTITIES, limits: QUANTITIES }),
    securityContext: closed({
      allowPrivilegeEscalation: { const: false },
      readOnlyRootFilesystem: { const: true },
      capabilities: closed({ drop: { const: ['ALL'] } }),
    }),
    volumeMounts: list(closed({ name: NAME, mountPath: TEXT, readOnly: BOOLEAN }, ['name', 'mountPath'])),
  },
  ['name', 'image', 'livenessProbe', 'readinessProbe', 'resources', 'securityContext'],
)
const CONFIG_MAP_SOURCE = closed({ name: NAME, optional: BOOLEAN }, ['name'])
const VOLUME = closed(
  {
    name: NAME,
    configMap: CONFIG_MAP_SOURCE,
    projected: closed({ sources: list(closed({ configMap: CONFIG_MAP_SOURCE }, ['configMap'])) }, ['sources']),
  },
  ['name'],
)
const POD_SPEC = closed(
  {
    serviceAccountName: NAME,
    imagePullSecrets: list(closed({ name: NAME })),
    hostNetwork: BOOLEAN,
    dnsPolicy: { enum: ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default'] },
    priorityClassName: NAME,
    terminationGracePeriodSeconds: COUNT,
    nodeSelector: LABELS,
    tolerations: list(closed({ operator: { enum: ['Exists', 'Equal'] }, key: TEXT, effect: TEXT })),
    affinity: closed({
      podAntiAffinity: closed({
        requiredDuringSchedulingIgnoredDuringExecution: list(
          closed({ topologyKey: TEXT, labelSelector: SELECTOR }, ['topologyKey', 'labelSelector']),
        ),
      }),
    }),
    securityContext: closed({
      runAsNonRoot: { const: true },
      runAsUser: { type: 'integer', minimum: 1 },
      runAsGroup: { type: 'integer', minimum: 1 },
      seccompProfile: closed({ type: { const: 'RuntimeDefault' } }, ['type']),
    }),
    containers: list(CONTAINER),
    volumes: list(VOLUME),
  },
  ['serviceAccountName', 'securityContext', 'containers'],
)
const ROLE_REF = closed(
  { apiGroup: { const: 'rbac.authorization.k8s.io' }, kind: { enum: ['Role', 'ClusterRole'] }, name: NAME },
  ['apiGroup', 'kind', 'name'],
)
const SUBJECTS = list(
  closed({ kind: { const: 'ServiceAccount' }, name: NAME, namespace: NAME }, ['kind', 'name', 'namespace']),
)
const RULES = list(
  closed({ apiGroups: list(TEXT), resources: list(TEXT), resourceNames: list(TEXT), verbs: list(TEXT) }, [
    'apiGroups',
    'resources',
    'verbs',
  ]),
)

function kind(
  apiVersion: string,
  name: string,
  properties: Readonly<Record<string, Schema>>,
): readonly [string, Schema] {
  const own = { apiVersion: { const: apiVersion }, kind: { const: name }, metadata: METADATA }
  return [
    name,
    closed({ ...own, ...properties }, ['apiVersion', 'kind', 'metadata', ...Object.keys(properties).slice(0, 1)]),
  ]
}

const ALERT = closed(
  {
    alert: { type: 'string', pattern: '^Berth[A-Za-z]+$' },
    expr: { type: 'string', minLength: 1 },
    for: DURATION,
    labels: closed({ severity: { enum: ['critical', 'warning', 'info'] } }, ['severity']),
    annotations: closed({ summary: TEXT, description: TEXT, runbook: TEXT }, ['summary', 'description', 'runbook']),
  },
  ['alert', 'expr', 'for', 'labels', 'annotations'],
)

const SCHEMAS = new Map<string, Schema>([
  kind('v1', 'ServiceAccount', {}),
  kind('v1', 'ConfigMap', { data: LABELS }),
  kind('v1', 'Service', {
    spec: closed(
      {
        clusterIP: TEXT,
        publishNotReadyAddresses: BOOLEAN,
        selector: LABELS,
        ports: list(closed({ name: NAME, port: PORT, targetPort: INT_OR_TEXT }, ['name', 'port'])),
      },
      ['selector', 'ports'],
    ),
  }),
  kind('apps/v1', 'Deployment', {
    spec: closed(
      {
        replicas: COUNT,
        selector: SELECTOR,
        strategy: closed({ rollingUpdate: closed({ maxSurge: INT_OR_TEXT, maxUnavailable: INT_OR_TEXT }) }),
        template: closed({ metadata: closed({ labels: LABELS, annotations: LABELS }, ['labels']), spec: POD_SPEC }, [
          'metadata',
          'spec',
        ]),
      },
      ['selector', 'template'],
    ),
  }),
  kind('policy/v1', 'PodDisruptionBudget', {
    spec: closed({ maxUnavailable: INT_OR_TEXT, minAvailable: INT_OR_TEXT, selector: SELECTOR }, ['selector']),
  }),
  kind('rbac.authorization.k8s.io/v1', 'ClusterRole', { rules: RULES }),
  kind('rbac.authorization.k8s.io/v1', 'Role', { rules: RULES }),
  kind('rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', { roleRef: ROLE_REF, subjects: SUBJECTS }),
  kind('rbac.authorization.k8s.io/v1', 'RoleBinding', { roleRef: ROLE_REF, subjects: SUBJECTS }),
  kind('monitoring.coreos.com/v1', 'ServiceMonitor', {
    spec: closed(
      {
        selector: SELECTOR,
        endpoints: list(closed({ port: NAME, path: TEXT, interval: DURATION, scrapeTimeout: DURATION }, ['port'])),
      },
      ['selector', 'endpoints'],
    ),
  }),
  kind('monitoring.coreos.com/v1', 'PrometheusRule', {
    spec: closed({ groups: list(closed({ name: NAME, rules: list(ALERT) }, ['name', 'rules'])) }, ['groups']),
  }),
])

const ajv = new Ajv({ strict: false, allErrors: true })
const compiled = new Map<string, ValidateFunction>([...SCHEMAS].map(([name, schema]) => [name, ajv.compile(schema)]))

/** @returns what is wrong with a manifest, one line each */
export function manifestFaults(manifest: {
  readonly kind: string
  readonly metadata: { readonly name: string }
}): string[] {
  const validate = compiled.get(manifest.kind)
  const name = `${manifest.kind} ${manifest.metadata.name}`
  if (validate === undefined) return [`${name}: there is no schema of this kind`]
  if (validate(manifest)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${name}: ${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}
