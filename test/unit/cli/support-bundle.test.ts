import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { createKubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import { redact } from '../../../src/cli/redact.ts'
import { bundleFiles, collectCluster } from '../../../src/cli/support-bundle.ts'
import { clusterFetch, collectParts } from '../../../src/cli/support-bundle-parts.ts'
import { tarArchive } from '../../../src/cli/tar-archive.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { publicConfig } from '../../../src/config/public-config.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWEtdG9rZW4'
const NOW = new Date(Date.UTC(2026, 0, 2, 3, 4, 5))

describe('what looks like a secret', () => {
  test.each<[string, string, string]>([
    ['a password in a URL', 'redis rediss://user:hunter2@cache:6380/2 ok', 'redis rediss://[removed]@cache:6380/2 ok'],
    ['an access key', 'key AKIAIOSFODNN7EXAMPLE used', 'key [removed] used'],
    ['a temporary key', '"ASIAIOSFODNN7EXAMPLE"', '"[removed]"'],
    ['a token', `Authorization: Bearer ${JWT}`, 'Authorization: Bearer [removed]'],
    ['a token on its own', `token=${JWT};`, 'token=[removed];'],
    ['a JSON member', '{"clientSecret":"hunter2","x":1}', '{"clientSecret":[removed],"x":1}'],
    ['a YAML line', 'password: hunter2\nname: a', 'password: [removed]\nname: a'],
    ['a variable', 'AWS_SECRET_ACCESS_KEY=hunter2/+x y', 'AWS_SECRET_ACCESS_KEY=[removed] y'],
    [
      'a variable of a container',
      '{"name":"DB_PASSWORD","value":"hunter2"}',
      '{"name":"DB_PASSWORD","value":"[removed]"}',
    ],
    [
      'the same in an annotation',
      String.raw`"x":"{\"name\":\"API_KEY\",\"value\":\"hunter2\"}"`,
      String.raw`"x":"{\"name\":\"API_KEY\",\"value\":\"[removed]\"}"`,
    ],
    ['a private key', '-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----', '[removed]'],
  ])('goes: %s', (_, text, expected) => {
    expect(redact(text)).toBe(expected)
  })

  test.each([
    'berth_budget_tokens{bucket="AssignPrivateIpAddresses"} 97.5',
    '{"bucket":"AssignPrivateIpAddresses","tokens":97.5}',
    '{"node":"ip-10-0-0-1","interfaceID":"eni-0123456789abcdef0"}',
    'automountServiceAccountToken: true',
    '2026-01-01T00:00:00Z info Attached addresses count=16',
  ])('nothing else: %s', (text) => {
    expect(redact(text)).toBe(text)
  })

  test('the options in effect are shown without the password of Redis', () => {
    const { config } = loadConfig(
      ['--budget-redis=rediss://user:hunter2@cache:6380/2', '--aws-instance-limit-mapping=a=1,2,3'],
      {},
    )
    const shown = publicConfig(config)
    expect(JSON.stringify(shown)).not.toContain('hunter2')
    expect(shown).toMatchObject({
      budget: { redisURL: 'rediss://cache:6380/2' },
      aws: { instanceLimitMapping: { a: { adapters: 1 } } },
    })
  })
})

describe('the archive', () => {
  test('is one that tar reads', () => {
    const files = [
      { path: 'berth-support/a.txt', text: 'ä'.repeat(700) },
      { path: 'berth-support/empty.json', text: '' },
      { path: 'berth-support/logs/x.txt', text: 'line\n' },
    ]
    const path = join(mkdtempSync(join(tmpdir(), 'berth-tar-')), 'a.tar.gz')
    writeFileSync(path, gzipSync(tarArchive(files, NOW)))
    const listed = spawnSync('tar', ['--utc', '-tvzf', path], { encoding: 'utf8' })
    expect(listed.stderr).toBe('')
    expect(
      listed.stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/).slice(2).join(' ')),
    ).toEqual([
      '1400 2026-01-02 03:04 berth-support/a.txt',
      '0 2026-01-02 03:04 berth-support/empty.json',
      '5 2026-01-02 03:04 berth-support/logs/x.txt',
    ])
    const content = spawnSync('tar', ['-xzOf', path, 'berth-support/a.txt'], { encoding: 'utf8' })
    expect(content.stdout).toBe(files[0]!.text)
  })

  test('refuses a path that does not fit', () => {
    expect(() => tarArchive([{ path: 'x'.repeat(101), text: '' }], NOW)).toThrow('too long')
  })
})

describe('what the cluster gives', () => {
  async function collected() {
    const clock = new ManualClock()
    const simulator = createKubernetesSimulator({ clock })
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'berth-controller-x',
        namespace: 'kube-system',
        labels: { 'app.kubernetes.io/name': 'berth-controller' },
      },
      spec: {
        containers: [{ name: 'controller', env: [{ name: 'BERTH_BUDGET_REDIS', value: 'redis://u:hunter2@c:6379' }] }],
      },
    }
    const nodes = Array.from({ length: 230 }, (_, index) => ({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: `node-${index}` },
      spec: {},
    }))
    simulator.load([pod, ...nodes])
    const fetch = clusterFetch(
      inProcessTransport((request, signal) => {
        if (request.path.endsWith('/configmaps/berth-controller')) {
          return Promise.resolve({ status: 403, headers: {}, body: 'forbidden' })
        }
        return simulator.router(request, signal)
      }),
    )
    const parts = await collectCluster(fetch, 'kube-system', clock, new AbortController().signal)
    return bundleFiles(parts, NOW)
  }

  test('is there without secrets, and what is not is named with its reason', async () => {
    const files = await collected()
    const text = (path: string): string => files.find((file) => file.path === `berth-support/${path}`)?.text ?? ''
    expect(text('cluster/ciliumnodes.jsonl').split('\n')).toHaveLength(230)
    expect(text('cluster/pods.json')).toContain('berth-controller-x')
    expect(files.map((file) => file.text).join()).not.toContain('hunter2')
    const { missing, files: listed } = JSON.parse(text('manifest.json')) as {
      missing: Record<string, string>
      files: string[]
    }
    expect(listed).toContain('cluster/pods.json')
    expect(missing['cluster/configmap.json']).toBe('no permission (status 403)')
    expect(missing['logs/berth-controller-x.txt']).toContain('status 501')
  })

  test('one part that hangs does not hold up the others', async () => {
    const clock = new ManualClock()
    const fetch = (path: string, signal: AbortSignal): Promise<string> =>
      path === '/slow'
        ? new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
        : Promise.resolve('here')
    const wanted = [
      ['a.txt', '/slow'],
      ['b.txt', '/fast'],
    ] as const
    const parts = collectParts(wanted, fetch, clock, new AbortController().signal)
    await clock.advance(20_000)
    expect(await parts).toEqual([
      { path: 'a.txt', missing: 'no answer within 20 s' },
      { path: 'b.txt', text: 'here' },
    ])
  })
})
