import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import type { ClusterAccess } from '../../../src/kubernetes/cluster-access.ts'
import { ClusterAccessError, findClusterAccess } from '../../../src/kubernetes/cluster-access.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-kubeconfig-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function kubeconfig(parts: { cluster?: object; user?: object | null; context?: object } = {}, name = 'config'): string {
  return file(
    name,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...parts.cluster } }],
      users: parts.user === null ? [] : [{ name: 'u', user: parts.user ?? { token: 'secret' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', ...(parts.user !== null && { user: 'u' }), ...parts.context } }],
      'current-context': 'x',
    }),
  )
}

const find = (kubeconfigPath: string, environment = {}, apiServer = ''): Promise<ClusterAccess> =>
  findClusterAccess({ kubeconfigPath, apiServer, environment })

describe('a kubeconfig', () => {
  test('gives server, namespace, credentials, and its name for messages', async () => {
    const path = kubeconfig({ context: { namespace: 'networking' } })
    const access = await find(path)
    expect(access).toMatchObject({
      server: 'https://10.0.0.1:6443',
      namespace: 'networking',
      source: `kubeconfig ${path}, context 'x'`,
    })
    expect(await access.settings()).toMatchObject({ headers: { authorization: 'Bearer secret' } })
  })

  test('is found in KUBECONFIG, several files of it merged, and in the home folder', async () => {
    const first = kubeconfig()
    const second = file(
      'second',
      stringify({ clusters: [{ name: 'c2', cluster: { server: 'https://b' } }], users: [], contexts: [] }),
    )
    expect((await find('', { KUBECONFIG: `${first}:${second}` })).server).toBe('https://10.0.0.1:6443')
    await expect(find('', { HOME: folder })).rejects.toThrow(join(folder, '.kube', 'config'))
  })

  test('may be of plain HTTP, which the library refuses without a switch', async () => {
    const access = await find(kubeconfig({ cluster: { server: 'http://127.0.0.1:8001/' } }))
    expect(access.server).toBe('http://127.0.0.1:8001')
    expect(await access.settings()).toMatchObject({ proxyAgent: undefined })
  })

  test('keeps its CA although its context names no user', async () => {
    const ca = Buffer.from('the CA').toString('base64')
    const access = await find(kubeconfig({ cluster: { 'certificate-authority-data': ca }, user: null }))
    expect((await access.settings()).tls.ca).toEqual(Buffer.from('the CA'))
  })

  test('its server can be replaced', async () => {
    expect((await find(kubeconfig(), {}, 'https://other')).server).toBe('https://other')
  })

  test('reads a token file relative to itself, without the line feed, and again after it was told to', async () => {
    file('token', 'first\n')
    const access = await find(kubeconfig({ user: { tokenFile: 'token' } }))
    expect((await access.settings()).headers['authorization']).toBe('Bearer first')
    file('token', 'second\n')
    expect((await access.settings()).headers['authorization']).toBe('Bearer first')
    access.invalidate()
    expect((await access.settings()).headers['authorization']).toBe('Bearer second')
  })

  test('runs an exec plug-in', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin' },
    }
    const plugin = file('plugin', `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`)
    chmodSync(plugin, 0o755)
    const access = await find(
      kubeconfig({ user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: plugin } } }),
    )
    expect((await access.settings()).headers['authorization']).toBe('Bearer from-plugin')
  })

  test('carries user and password, and the name to impersonate', async () => {
    const access = await find(kubeconfig({ user: { username: 'me', password: 'word', as: 'somebody' } }))
    expect(await access.settings()).toMatchObject({ auth: 'me:word', headers: { 'impersonate-user': 'somebody' } })
  })
})

test('a server alone is enough: without credentials', async () => {
  const access = await find('', { HOME: '/nowhere' }, 'http://simulators:6443')
  expect(access).toMatchObject({ server: 'http://simulators:6443', namespace: '', source: '--k8s-api-server' })
  expect(await access.settings()).toMatchObject({ headers: {}, auth: undefined })
})

describe('a kubeconfig with a fault says which', () => {
  test.each<[string, () => string, string]>([
    ['missing', () => join(folder, 'none'), 'ENOENT'],
    ['empty', () => file('empty', ''), 'it is empty or not YAML'],
    ['no YAML', () => file('bad', 'a: ['), 'kubeconfig'],
    [
      'without its current context',
      () =>
        file(
          'y',
          stringify({
            clusters: [],
            users: [],
            contexts: [{ name: 'a', context: { cluster: 'c' } }],
            'current-context': 'b',
          }),
        ),
      "current-context 'b' is not among its contexts (a)",
    ],
    ['without its cluster', () => kubeconfig({ context: { cluster: 'gone' } }), "there is no cluster 'gone'"],
    ['without its user', () => kubeconfig({ context: { user: 'gone' } }), "there is no user 'gone'"],
    [
      'with a server that is no URL',
      () => kubeconfig({ cluster: { server: '10.0.0.1:6443' } }),
      "the server '10.0.0.1:6443' is not a URL",
    ],
    ['with a cluster without a server', () => kubeconfig({ cluster: { server: '' } }), 'server is missing'],
  ])('%s', async (_, path, message) => {
    const error: unknown = await find(path()).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ClusterAccessError)
    expect(String(error)).toContain(message)
  })

  test('a CA file that is not there', async () => {
    const access = await find(kubeconfig({ cluster: { 'certificate-authority': 'no-ca.pem' } }))
    await expect(access.settings()).rejects.toThrow(/cannot get credentials: .*no-ca\.pem/)
  })

  test('an exec plug-in that is not installed', async () => {
    const access = await find(kubeconfig({ user: { exec: { command: 'no-such-plugin' } } }))
    await expect(access.settings()).rejects.toThrow(/cannot get credentials: .*no-such-plugin/)
  })

  test('nothing at all says what was tried', async () => {
    await expect(find('', { HOME: '/nowhere' })).rejects.toThrow(
      'no way to a Kubernetes API server: not in a pod, KUBECONFIG is not set and /nowhere/.kube/config cannot be read; name a file with --kubeconfig, or a server without credentials with --k8s-api-server',
    )
  })
})
