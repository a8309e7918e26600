import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { OTHER_DUTIES } from '../../../src/config/other-duties.ts'
import { describeOptions, OPTION_ALIASES, OPTION_NAMES } from '../../../src/config/schema.ts'
import { ConfigError } from '../../../src/ipam/errors.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-config-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function configDir(entries: Readonly<Record<string, string>>): string {
  const path = join(folder, 'config-dir')
  mkdirSync(path)
  for (const [name, text] of Object.entries(entries)) writeFileSync(join(path, name), text)
  return path
}

const config = (args: readonly string[], environment = {}): Config => loadConfig(args, environment).config

function faultsOf(args: readonly string[], environment = {}): readonly string[] {
  try {
    loadConfig(args, environment)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).faults
  }
  throw new Error('the configuration was accepted')
}

describe('defaults', () => {
  test("are Cilium's, with the differences that the documentation names", () => {
    expect(config([])).toMatchObject({
      ipam: 'eni',
      ipamProfile: 'latest',
      parallelAllocWorkers: 50,
      limitIPAMAPI: undefined,
      destructiveCallsPerMinute: 60,
      excessIPReleaseDelayMs: 180_000,
      nodesGCIntervalMs: 300_000,
      clusterName: 'default',
      aws: {
        releaseExcessIPs: false,
        eniGCIntervalMs: 300_000,
        maxResultsPerCall: 150,
        ec2APIEndpoint: '',
        region: '',
      },
      kubernetes: { qps: 100, burst: 200, leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 },
      telemetry: { enableMetrics: true, serveAddress: ':9963', logLevel: 'info' },
      shutdownGracePeriodMs: 20_000,
    })
  })

  test('cannot be changed afterwards', () => {
    const loaded = config(['--eni-tags', 'a=b'])
    expect(Object.isFrozen(loaded)).toBe(true)
    expect(Object.isFrozen(loaded.aws.eniTags)).toBe(true)
    expect(Object.isFrozen(loaded.subnetIDsFilter)).toBe(true)
  })

  test('one given half of the cloud limit is completed by the default of the other', () => {
    expect(config(['--limit-ipam-api-qps', '2.5']).limitIPAMAPI).toEqual({ qps: 2.5, burst: 20 })
    expect(config(['--limit-ipam-api-burst', '7']).limitIPAMAPI).toEqual({ qps: 4, burst: 7 })
  })
})

describe('values', () => {
  test.each([
    ['5m', 300_000],
    ['15s', 15_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5s', 1_500],
    ['0', 0],
  ])('a duration %s is %i ms', (text, ms) => {
    expect(config([`--eni-gc-interval=${text}`]).aws.eniGCIntervalMs).toBe(ms)
  })

  test.each(['300', '5 m', '-5m', 'm', '5x', '', '5m!'])('a duration %j is refused', (text) => {
    expect(faultsOf([`--eni-gc-interval=${text}`])).toEqual([
      `--eni-gc-interval: expected a duration with its unit, such as 5m or 15s, found '${text}'`,
    ])
  })

  test.each([
    ['180', 180_000],
    ['0', 0],
    ['3m', 180_000],
  ])('the release delay %s is %i ms', (text, ms) => {
    expect(config(['--excess-ip-release-delay', text]).excessIPReleaseDelayMs).toBe(ms)
  })

  test.each([
    ['pairs', ['--eni-tags', 'a=1,b=2']],
    ['repeated flags', ['--eni-tags', 'a=1', '--eni-tags=b=2']],
    ['JSON, as Cilium writes it into its ConfigMap', ['--eni-tags', '{"a":"1","b":"2"}']],
    ['pairs joined with spaces', ['--eni-tags', 'a=1 b=2']],
  ])('a map may be written as %s', (_, args) => {
    expect(config(args).aws.eniTags).toEqual({ a: '1', b: '2' })
  })

  test('values of a map may hold commas, spaces and equals signs', () => {
    expect(config(['--eni-tags', 'team=net,work,cost=a=b,name=two words']).aws.eniTags).toEqual({
      team: 'net,work',
      cost: 'a=b',
      name: 'two words',
    })
  })

  test('instance limits are read from the map of Cilium', () => {
    const limits = config(['--aws-instance-limit-mapping', 'a1.medium=2,4,4,a2.own=4,5,6']).aws.instanceLimitMapping
    expect([...limits]).toEqual([
      ['a1.medium', { adapters: 2, ipv4: 4, ipv6: 4 }],
      ['a2.own', { adapters: 4, ipv4: 5, ipv6: 6 }],
    ])
  })

  test.each([['a,b'], ['a b'], ['a, b,,a']])('a list %j has two entries', (text) => {
    expect(config(['--subnet-ids-filter', text]).subnetIDsFilter).toEqual(['a', 'b'])
  })

  test.each([
    ['ec2.example.internal', 'https://ec2.example.internal'],
    ['http://127.0.0.1:4566/', 'http://127.0.0.1:4566'],
    ['', ''],
  ])('the EC2 endpoint %j becomes %j', (text, url) => {
    expect(config([`--ec2-api-endpoint=${text}`]).aws.ec2APIEndpoint).toBe(url)
  })

  test.each(['9963', ':99999', 'host', 'a b:1'])('the address %j is refused', (text) => {
    expect(faultsOf(['--operator-prometheus-serve-addr', text])).toHaveLength(1)
  })

  test.each([
    [['--debug'], 'debug'],
    [['-D'], 'debug'],
    [['--debug=false', '--log-level', 'warn'], 'warn'],
  ])('%j sets the log level %s', (args, level) => {
    expect(config(args).telemetry.logLevel).toBe(level)
  })

  test('of a repeated flag that is no list the last one counts', () => {
    expect(config(['--cluster-name', 'a', '--cluster-name', 'b']).clusterName).toBe('b')
  })
})

describe('sources', () => {
  test('flags win over the environment, that over the directory, that over the file', () => {
    const yaml = file(
      'berth.yaml',
      'cluster-name: file\nparallel-alloc-workers: 1\nipam-profile: "1.18"\neni-gc-interval: 1m\n',
    )
    const directory = configDir({
      'cluster-name': 'directory\n',
      'parallel-alloc-workers': '2',
      'ipam-profile': '1.19',
    })
    const environment = { CILIUM_CLUSTER_NAME: 'environment', CILIUM_PARALLEL_ALLOC_WORKERS: '3' }
    const args = ['--config', yaml, '--config-dir', directory, '--cluster-name', 'flag']
    expect(config(args, environment)).toMatchObject({
      clusterName: 'flag',
      parallelAllocWorkers: 3,
      ipamProfile: '1.19',
      aws: { eniGCIntervalMs: 60_000 },
    })
  })

  test('BERTH_ wins over CILIUM_, and both over what the tools of a cloud read', () => {
    expect(config([], { BERTH_CLUSTER_NAME: 'a', CILIUM_CLUSTER_NAME: 'b' }).clusterName).toBe('a')
    expect(config([], { CILIUM_AWS_REGION: 'a', AWS_REGION: 'b' }).aws.region).toBe('a')
    expect(config([], { AWS_REGION: 'b', AWS_DEFAULT_REGION: 'c' }).aws.region).toBe('b')
    expect(config([], { AWS_ENDPOINT_URL_EC2: 'http://127.0.0.1:1' }).aws.ec2APIEndpoint).toBe('http://127.0.0.1:1')
  })

  test('a YAML file may write values in its own types', () => {
    const yaml = file(
      'berth.yaml',
      'aws-release-excess-ips: true\neni-tags: {a: "1", b: 2}\nsubnet-ids-filter: [s-1, s-2]\n',
    )
    expect(config(['--config', yaml])).toMatchObject({
      subnetIDsFilter: ['s-1', 's-2'],
      aws: { releaseExcessIPs: true, eniTags: { a: '1', b: '2' } },
    })
  })

  test('a list of YAML where one value is wanted is a fault', () => {
    const yaml = file('berth.yaml', 'cluster-name: [a, b]\n')
    expect(faultsOf(['--config', yaml])).toEqual([`cluster-name in ${yaml}: expected a text, found ["a","b"]`])
  })

  test('the directory of a mounted ConfigMap may hold the options of the agents, and links of the mount', () => {
    const directory = configDir({ 'enable-ipv4-masquerade': 'true', '..data': '', 'eni-tags': '{"a":"1"}' })
    const { config, warnings } = loadConfig(['--config-dir', directory], {})
    expect(config.aws.eniTags).toEqual({ a: '1' })
    expect(warnings).toEqual([])
  })

  test('a typo in that directory is pointed out', () => {
    const directory = configDir({ 'parallel-aloc-workers': '9' })
    expect(loadConfig(['--config-dir', directory], {}).warnings).toEqual([
      "'parallel-aloc-workers' in the config directory is unknown and has no effect; did you mean parallel-alloc-workers?",
    ])
  })

  test('variables that Kubernetes sets for a service named berth are no options', () => {
    const environment = {
      BERTH_SERVICE_HOST: '10.0.0.1',
      BERTH_PORT_9963_TCP_ADDR: '10.0.0.1',
      BERTH_PORT: 'tcp://10.0.0.1:1',
    }
    expect(config([], environment).clusterName).toBe('default')
  })

  test('flags of the other duties of the operator are accepted, with one warning', () => {
    const { warnings } = loadConfig(['--gops-port', '9', '--skip-crd-creation', '--cluster-id=3'], {
      CILIUM_IDENTITY_GC_INTERVAL: '1m',
    })
    expect(warnings).toEqual([
      'these options belong to other duties of the Cilium operator and have no effect here: cluster-id, gops-port, identity-gc-interval, skip-crd-creation',
    ])
  })

  test('older names of an option still set it', () => {
    expect(config(['--k8s-client-qps', '5', '--k8s-kubeconfig-path', '/k']).kubernetes).toMatchObject({
      qps: 5,
      kubeconfigPath: '/k',
    })
  })
})

describe('faults', () => {
  test('are all listed at once, each with where it comes from', () => {
    const yaml = file('berth.yaml', 'no-such-option: 1\nenable-metrics: perhaps\n')
    const args = ['--config', yaml, '--ipam', 'gke', '--parallel-alloc-workers=0', 'stray', '--cluster-name']
    const environment = { CILIUM_NODES_GC_INTERVAL: 'often', BERTH_LOG_LEVL: 'debug' }
    expect(faultsOf(args, environment)).toEqual([
      "unexpected argument 'stray': options are written --name value",
      '--cluster-name needs a value',
      'unknown option in the environment variable BERTH_LOG_LEVL; did you mean BERTH_LOG_LEVEL?',
      `unknown option 'no-such-option' in ${yaml}`,
      "--ipam: expected one of eni, azure, alibabacloud, cluster-pool, multi-pool, kubernetes, found 'gke'",
      "--parallel-alloc-workers: expected a whole number of at least 1, found '0'",
      "CILIUM_NODES_GC_INTERVAL: expected a duration with its unit, such as 5m or 15s, found 'often'",
      `enable-metrics in ${yaml}: expected true or false, found 'perhaps'`,
    ])
  })

  test('between options are found beside others', () => {
    const faults = faultsOf(['--leader-election-renew-deadline', '20s', '--ipam', 'x'])
    expect(faults).toHaveLength(2)
    expect(faults[1]).toContain('leader election')
  })

  test.each([
    ['--excess-ip-relase-delay', '--excess-ip-release-delay'],
    ['--eni-gc-intervall', '--eni-gc-interval'],
    ['--kube-config', '--kubeconfig'],
    ['--paralel-alloc-worker', '--parallel-alloc-workers'],
  ])('an unknown option %s names the nearest, %s', (written, meant) => {
    expect(faultsOf([`${written}=1`])).toEqual([`unknown option ${written}; did you mean ${meant}?`])
  })

  test('an unknown option that is near nothing names nothing', () => {
    expect(faultsOf(['--zzz', '1'])).toEqual(['unknown option --zzz'])
  })

  test('a file that cannot be read is named', () => {
    const path = join(folder, 'missing.yaml')
    expect(faultsOf(['--config', path])).toEqual([expect.stringContaining(`--config ${path}: cannot be read: ENOENT`)])
    expect(faultsOf(['--config-dir', path])).toEqual([expect.stringContaining(`--config-dir ${path}: cannot be read`)])
  })

  test('a file that is not YAML of options is a fault', () => {
    expect(faultsOf(['--config', file('a.yaml', '- just\n- a list\n')])[0]).toContain(
      "expected options as 'name: value'",
    )
    expect(faultsOf(['--config', file('b.yaml', 'a: [')])[0]).toContain('cannot be read')
  })
})

describe('the table of options', () => {
  test('gives each option a help text', () => {
    expect(describeOptions().filter(({ help }) => help.length < 5)).toEqual([])
  })

  test('never lists an option also as another duty, nor as an alias', () => {
    const names = new Set<string>(OPTION_NAMES)
    expect(Object.keys(OTHER_DUTIES).filter((name) => names.has(name))).toEqual([])
    expect(Object.keys(OPTION_ALIASES).filter((name) => names.has(name) || name in OTHER_DUTIES)).toEqual([])
  })
})
