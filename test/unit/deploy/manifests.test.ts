import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { chartFiles } from '../../../deploy/kubernetes/chart-files.ts'
import { APIClient, createKubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import type { JSONObject } from '../../../simulators/kubernetes/index.ts'
import { chartValuesSchema } from '../../../src/config/chart-values.ts'
import { describeOptions } from '../../../src/config/schema.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { manifestFaults } from './kubernetes-schemas.ts'

const DEPLOY = new URL('../../../deploy/', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, DEPLOY), 'utf8')

interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

const manifestsOf = (text: string): Manifest[] =>
  parseAllDocuments(text).flatMap((document) => (document.toJS() as Manifest | null) ?? [])

const PLAIN = readdirSync(new URL('kubernetes/', DEPLOY)).filter((name) => name.endsWith('.yaml'))
const plain = PLAIN.flatMap((name) => manifestsOf(read(`kubernetes/${name}`)))

const PLURALS: Readonly<Record<string, string>> = {
  PodDisruptionBudget: 'poddisruptionbudgets',
  CustomResourceDefinition: 'customresourcedefinitions',
}
const CLUSTER_SCOPED = ['ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition']

function pathOf({ apiVersion, kind, metadata }: Manifest): string {
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const scope = CLUSTER_SCOPED.includes(kind) ? '' : `/namespaces/${metadata.namespace ?? 'default'}`
  return `${base}${scope}/${PLURALS[kind] ?? `${kind.toLowerCase()}s`}`
}

/** The Prometheus operator's definitions, as far as they matter here. */
function monitoring(kind: string): JSONObject {
  const plural = `${kind.toLowerCase()}s`
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.monitoring.coreos.com` },
    spec: {
      group: 'monitoring.coreos.com',
      scope: 'Namespaced',
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  }
}

/** Creates everything in the simulated API server. @throws what it refuses */
async function apply(manifests: readonly Manifest[]): Promise<APIClient> {
  const simulator = createKubernetesSimulator({ manifests: [] })
  const client = new APIClient(simulator.router, 'kubectl')
  const { signal } = new AbortController()
  const needed = [monitoring('ServiceMonitor'), monitoring('PrometheusRule')] as unknown as Manifest[]
  for (const manifest of [...needed, ...manifests]) {
    const body = manifest as unknown as JSONObject
    await client.request('POST', pathOf(manifest), { body, contentType: 'application/json' }, signal)
  }
  return client
}

describe('the plain manifests', () => {
  test('are what an installation needs', () => {
    expect([...new Set(plain.map(({ kind }) => kind))].sort()).toEqual([
      'ClusterRole',
      'ClusterRoleBinding',
      'ConfigMap',
      'Deployment',
      'PodDisruptionBudget',
      'PrometheusRule',
      'Role',
      'RoleBinding',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
    ])
  })

  test.each(PLAIN)('%s follows the schemas of its kinds', (name) => {
    expect(manifestsOf(read(`kubernetes/${name}`)).flatMap(manifestFaults)).toEqual([])
  })

  test('the schemas refuse a misspelt field, a wrong type and a missing one', () => {
    const [deployment] = manifestsOf(read('kubernetes/deployment.yaml'))
    const changed = (change: (spec: Record<string, unknown>) => void): string[] => {
      const copy = structuredClone(deployment) as unknown as Manifest & {
        spec: { template: { spec: Record<string, unknown> } }
      }
      change(copy.spec.template.spec)
      return manifestFaults(copy)
    }
    expect(changed((pod) => (pod['hostNetwrok'] = true))).toHaveLength(1)
    expect(changed((pod) => (pod['terminationGracePeriodSeconds'] = '30'))).toHaveLength(1)
    expect(changed((pod) => delete pod['containers'])).toHaveLength(1)
    expect(changed(() => undefined)).toEqual([])
  })

  test('are taken by the API server, with the definitions of the custom resources', async () => {
    const crds = readdirSync(new URL('crds/', DEPLOY)).flatMap((name) => manifestsOf(read(`crds/${name}`)))
    const client = await apply([...crds, ...plain])
    const { signal } = new AbortController()
    const stored = await client.request('GET', '/apis/apps/v1/namespaces/kube-system/deployments', {}, signal)
    expect(stored).toMatchObject({ items: [{ metadata: { name: 'berth-controller' }, spec: { replicas: 2 } }] })
  })

  test('select the pods that there are, and mount what there is', () => {
    interface Parts {
      readonly metadata: { readonly name: string; readonly labels: object }
      readonly spec: {
        readonly selector: { readonly matchLabels: object }
        readonly template: {
          readonly metadata: { readonly labels: object }
          readonly spec: {
            readonly volumes: readonly { readonly projected: { readonly sources: readonly object[] } }[]
          }
        }
      }
    }
    const find = (kind: string): Parts =>
      plain.find((one) => one.kind === kind && one.metadata.name === 'berth-controller') as unknown as Parts
    const { template } = find('Deployment').spec
    const { labels } = template.metadata
    expect(labels).toMatchObject(find('Service').spec.selector)
    expect(labels).toMatchObject(find('PodDisruptionBudget').spec.selector.matchLabels)
    expect(find('Service').metadata.labels).toMatchObject(find('ServiceMonitor').spec.selector.matchLabels)
    const last = template.spec.volumes[0]?.projected.sources.at(-1)
    expect(last).toMatchObject({ configMap: { name: find('ConfigMap').metadata.name } })
  })

  test('the ConfigMap holds options that exist, and the switch of the pause', () => {
    const { data } = plain.find(({ kind }) => kind === 'ConfigMap') as Manifest & { data: Record<string, string> }
    const known: readonly string[] = describeOptions().map(({ name }) => name)
    expect(Object.keys(data).filter((name) => !known.includes(name))).toEqual([])
    expect(data['pause-destructive']).toBe('false')
  })
})

describe('the chart', () => {
  const values = parse(read('kubernetes/chart/values.yaml')) as Record<string, unknown>
  const validate = new Ajv({ strict: false, allErrors: true }).compile(
    JSON.parse(read('kubernetes/chart/values.schema.json')) as object,
  )
  const faultsOf = (more: Record<string, unknown>): string[] => {
    validate({ ...values, ...more })
    return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
  }

  test.each(chartFiles())(
    '$path is made of what it repeats: node deploy/kubernetes/chart-files.ts',
    ({ path, text }) => {
      const written = read(`kubernetes/${path}`)
      if (path.endsWith('.json')) expect(JSON.parse(written)).toEqual(JSON.parse(text))
      else expect(written).toBe(text)
    },
  )

  test('has a schema with every option of the controller, and values that follow it', () => {
    const { options } = chartValuesSchema()['properties'] as { options: { properties: object } }
    const left = describeOptions().filter(({ name }) => !(name in options.properties))
    expect(left.map(({ name }) => name)).toEqual(['budget-table', 'k8s-namespace', 'operator-prometheus-serve-addr'])
    expect(faultsOf({})).toEqual([])
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['a misspelt option', { 'eni-gc-intervall': '5m' }, '/options must NOT have additional properties'],
    ['a duration without a unit', { 'eni-gc-interval': '5' }, '/options/eni-gc-interval'],
    ['a mode that there is not', { ipam: 'gce' }, '/options/ipam must be equal to one of the allowed values'],
    ['a switch that is no switch', { 'pause-destructive': 'maybe' }, '/options/pause-destructive'],
    ['a count that is none', { 'parallel-alloc-workers': 'many' }, '/options/parallel-alloc-workers'],
  ])('refuses %s', (_, options, fault) => {
    expect(faultsOf({ options }).join('\n')).toContain(fault)
  })

  test('takes what the controller takes, for every kind of option', () => {
    const options = {
      ipam: 'eni',
      'aws-release-excess-ips': true,
      'eni-gc-interval': '1h30m',
      'excess-ip-release-delay': 180,
      'limit-ipam-api-qps': 4.5,
      'subnet-ids-filter': ['subnet-1', 'subnet-2'],
      'eni-tags': { team: 'network' },
      'parallel-alloc-workers': 20,
      'log-level': 'warn',
    }
    expect(faultsOf({ options })).toEqual([])
    const flags = Object.entries(options).map(([name, value]) => {
      const text = Array.isArray(value)
        ? value.join(',')
        : typeof value === 'object'
          ? JSON.stringify(value)
          : String(value)
      return `--${name}=${text}`
    })
    expect(loadConfig(flags, {}).config).toMatchObject({
      parallelAllocWorkers: 20,
      aws: { eniGCIntervalMs: 5_400_000 },
    })
  })

  const helm = spawnSync('helm', ['version', '--short'], { encoding: 'utf8' })
  const chart = new URL('kubernetes/chart', DEPLOY).pathname
  const render = (more: Record<string, unknown> = {}): { manifests: Manifest[]; error: string } => {
    const file = join(mkdtempSync(join(tmpdir(), 'berth-chart-')), 'values.json')
    writeFileSync(file, JSON.stringify(more))
    const run = spawnSync(
      'helm',
      ['template', 'berth', chart, '-n', 'kube-system', '--kube-version', '1.31.0', '-f', file],
      { encoding: 'utf8' },
    )
    return { manifests: run.status === 0 ? manifestsOf(run.stdout) : [], error: run.stderr }
  }
  const everything = {
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true },
    dashboard: { enabled: true },
    options: {
      ipam: 'multi-pool',
      'eni-tags': { team: 'network' },
      'subnet-ids-filter': ['a', 'b'],
      'limit-ipam-api-qps': 4.5,
      'startup-taint': 'ipam.berth.io/no-addresses',
    },
    budgetTable: { AssignPrivateIpAddresses: { size: 200, refillPerSecond: 10 } },
    serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/berth' } },
    imagePullSecrets: [{ name: 'pull' }],
    nodeSelector: { role: 'system' },
    podLabels: { 'azure.workload.identity/use': 'true' },
    env: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
    extraArgs: ['--debug'],
  }

  describe.skipIf(helm.status !== 0)('rendered by helm (skipped where there is no helm)', () => {
    test('passes its own lint', () => {
      const { status, stdout } = spawnSync('helm', ['lint', '--strict', chart], { encoding: 'utf8' })
      expect(stdout).toContain('0 chart(s) failed')
      expect(status).toBe(0)
    })

    test.each([
      ['as it comes', {}],
      ['with everything', everything],
    ])('%s it follows the schemas and is taken by the API server', async (_, more) => {
      const { manifests, error } = render(more)
      expect(error).toBe('')
      expect(manifests.flatMap(manifestFaults)).toEqual([])
      await apply(manifests)
    })

    test('says the same as the plain manifests where nothing is set', () => {
      const rules = (of: readonly Manifest[]): unknown =>
        of
          .filter(({ kind }) => kind.endsWith('Role'))
          .map((one) => [one.kind, one.metadata.name, (one as never)['rules']])
      const { manifests } = render({ prometheusRule: { enabled: true } })
      const without = plain.filter(({ metadata }) => !/agent|pools|node-hints/.test(metadata.name))
      expect(rules(manifests)).toEqual(expect.arrayContaining(rules(without) as unknown[]))
      const spec = (of: readonly Manifest[], kind: string): unknown =>
        (of.find((one) => one.kind === kind) as never)['spec']
      expect(spec(manifests, 'PrometheusRule')).toEqual(spec(plain, 'PrometheusRule'))
      expect(spec(manifests, 'PodDisruptionBudget')).toEqual(spec(plain, 'PodDisruptionBudget'))
      expect(spec(manifests, 'Service')).toEqual(spec(plain, 'Service'))
    })

    test('writes options as the controller reads them, whatever form they had', () => {
      const { manifests } = render(everything)
      const map = manifests.find(
        ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'berth-controller',
      ) as never
      expect((map as { data: unknown }).data).toEqual({
        ipam: 'multi-pool',
        'pause-destructive': 'false',
        'eni-tags': '{"team":"network"}',
        'subnet-ids-filter': 'a,b',
        'limit-ipam-api-qps': '4.5',
        'startup-taint': 'ipam.berth.io/no-addresses',
      })
    })

    test('has the rules that only some options need with those options alone', () => {
      const names = (options: object): string[] =>
        render({ options }).manifests.flatMap(({ kind, metadata }) => (kind === 'ClusterRole' ? [metadata.name] : []))
      expect(names({})).toEqual(['berth-controller'])
      expect(names({ ipam: 'multi-pool' })).toContain('berth-controller-pools')
      expect(names({ 'node-capacity-annotation': 'ipam.berth.io/pods' })).toContain('berth-controller-node-hints')
    })

    test('refuses a misspelt option', () => {
      const { error } = render({ options: { 'eni-gc-intervall': '5m' } })
      expect(error).toContain('eni-gc-intervall')
    })

    test('replaces the pods for an option that needs a new start, and not for one that does not', () => {
      const stamp = (options: object): unknown => {
        const deployment = render({ options }).manifests.find(({ kind }) => kind === 'Deployment') as never
        return (deployment as { spec: { template: { metadata: { annotations: object } } } }).spec.template.metadata
          .annotations
      }
      expect(stamp({ 'pause-destructive': true, 'log-level': 'debug' })).toEqual(stamp({}))
      expect(stamp({ 'cluster-name': 'blue' })).not.toEqual(stamp({}))
    })
  })
})
