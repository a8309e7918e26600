import { readFileSync, writeFileSync } from 'node:fs'
import { argv, stdout } from 'node:process'
import { pathToFileURL } from 'node:url'
import { chartValuesSchema } from '../../src/config/chart-values.ts'

/*
 * The parts of the chart that are made of something else, so that each thing is said once:
 * the schema of the values of the table of options, the rest of the plain manifests. `node deploy/kubernetes/chart-files.ts` writes them,
 * and `npm run format:write` brings them into form.
 */

const HERE = new URL('./', import.meta.url)
const MADE = '# Made by `node deploy/kubernetes/chart-files.ts`.'

/** Rules that only some options need, with the condition of the chart. */
const OPTIONAL_RULES: readonly (readonly [file: string, condition: string])[] = [
  ['pools-rbac.yaml', 'eq (toString .Values.options.ipam) "multi-pool"'],
  [
    'node-hints-rbac.yaml',
    'or (index .Values.options "node-capacity-annotation") (index .Values.options "startup-taint")',
  ],
]

export interface ChartFile {
  /** Relative to deploy/kubernetes/. */
  readonly path: string
  readonly text: string
}

/** Every made file, as it should be. */
export function chartFiles(): readonly ChartFile[] {
  return [
    { path: 'chart/values.schema.json', text: `${JSON.stringify(chartValuesSchema(), undefined, 2)}\n` },
    { path: 'chart/crds/ciliumnodes.yaml', text: read('../crds/ciliumnodes.yaml') },
    { path: 'chart/crds/ciliumpodippools.yaml', text: read('../crds/ciliumpodippools.yaml') },
    { path: 'chart/templates/rbac.yaml.tpl', text: rbacTemplate() },
    { path: 'chart/rules.yaml', text: alertRules() },
    { path: 'chart/dashboards/berth.json', text: read('grafana-dashboard.json') },
  ]
}

function read(path: string): string {
  return readFileSync(new URL(path, HERE), 'utf8')
}

/** The plain rules with the release's namespace and the service account of the values. */
function rbacTemplate(): string {
  const parts = OPTIONAL_RULES.map(
    ([file, condition]) => `---\n{{- if ${condition} }}\n${templated(read(file))}{{- end }}\n`,
  )
  return `${MADE}\n${templated(read('rbac.yaml'))}${parts.join('')}`
}

function templated(manifests: string): string {
  return manifests
    .replaceAll('namespace: kube-system', 'namespace: {{ .Release.Namespace }}')
    .replaceAll(
      /kind: ServiceAccount\n( *)name: berth-controller/g,
      'kind: ServiceAccount\n$1name: {{ .Values.serviceAccount.name }}',
    )
    .replace(
      'kind: ServiceAccount\nmetadata:\n  name: berth-controller\n  namespace: {{ .Release.Namespace }}\n',
      [
        'kind: ServiceAccount',
        'metadata:',
        '  name: {{ .Values.serviceAccount.name }}',
        '  namespace: {{ .Release.Namespace }}',
        '  labels:',
        '    {{- include "berth.labels" . | nindent 4 }}',
        '  {{- with .Values.serviceAccount.annotations }}',
        '  annotations:',
        '    {{- toYaml . | nindent 4 }}',
        '  {{- end }}',
        '',
      ].join('\n'),
    )
}

/** The `spec` of the plain PrometheusRule, word for word: the template adds the metadata. */
function alertRules(): string {
  const manifest = read('prometheusrule.yaml')
  return `${MADE}\n${manifest.slice(manifest.indexOf('\nspec:\n') + 1)}`
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  for (const { path, text } of chartFiles()) {
    writeFileSync(new URL(path, HERE), text)
    stdout.write(`${path}\n`)
  }
}
