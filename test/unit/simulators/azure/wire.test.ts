import { describe, expect, test } from 'vitest'
import { parseARMPath } from '../../../../simulators/azure/cloud/arm-id.ts'
import { parseDenied } from '../../../../simulators/azure/index.ts'
import { GROUP, P, SUBSCRIPTION, startSimulator } from './support.ts'
import type { Doc } from './support.ts'

const NICS = `${P}/Microsoft.Network/networkInterfaces`

test.each([
  ['/subscriptions/s', { subscription: 's', types: [], names: [] }],
  [
    '/subscriptions/s/resourcegroups/g/providers/N/a/b/',
    { resourceGroup: 'g', namespace: 'N', types: ['a'], names: ['b'] },
  ],
  ['/SUBSCRIPTIONS/s/Providers/N/a/b/c', { resourceGroup: undefined, types: ['a', 'c'], names: ['b'] }],
  ['/subscriptions/s/providers/N/a/b%20c', { names: ['b c'] }],
  ['/subscriptions/s/providers/N/a/%', { names: ['%'] }],
])('takes %s apart', (path, parts) => {
  expect(parseARMPath(path)).toMatchObject(parts)
})

test.each(['', '/', '/tenants', '/subscriptions', '/subscriptions//providers/N/a', '/subscriptions/s/providers/N'])(
  'takes %j for no path of Resource Manager',
  (path) => expect(parseARMPath(path)).toBeUndefined(),
)

describe('who calls', () => {
  test('a call without token is challenged', async () => {
    const { get } = startSimulator()
    const answer = await get(NICS, { headers: { authorization: '' } })
    expect([answer.status, answer.code]).toEqual([401, 'AuthenticationFailed'])
    expect(answer.headers['www-authenticate']).toContain('Bearer')
  })

  test.each([
    ['InvalidAuthenticationToken', 401],
    ['AuthorizationFailed', 403],
  ] as const)('a client can be refused as %s', async (kind, status) => {
    const { get } = startSimulator({ denied: { bad: kind } })
    const answer = await get(NICS, { headers: { authorization: 'Bearer bad' } })
    expect([answer.status, answer.code]).toEqual([status, kind])
    if (kind === 'AuthorizationFailed') {
      expect(answer.body.error.message).toContain("perform action 'Microsoft.Network/networkInterfaces/read'")
    }
    expect((await get(NICS)).status).toBe(200)
  })

  test('reads the option, and says what is wrong with it', () => {
    expect(parseDenied('a=AuthorizationFailed')).toEqual({ a: 'AuthorizationFailed' })
    expect(() => parseDenied('a=b')).toThrow('not a=b')
  })
})

describe('tokens', () => {
  const TOKEN = '/tenant/oauth2/v2.0/token'
  const form = (more: Record<string, string>) =>
    new URLSearchParams({
      client_id: 'me',
      grant_type: 'client_credentials',
      scope: 'https://x/.default',
      ...more,
    }).toString()

  test.each<[string, Record<string, string>]>([
    ['a secret', { client_secret: 's' }],
    [
      'an assertion',
      { client_assertion: 'j', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' },
    ],
  ])('are had for %s, name their owner, and expire', async (_, proof) => {
    const { clock, get, send, simulator } = startSimulator()
    const token = (await send('POST', TOKEN, { body: form(proof) })).body
    expect(token).toMatchObject({ token_type: 'Bearer', expires_in: 3600 })
    const headers = { authorization: `Bearer ${token.access_token}` }
    expect((await get(NICS, { headers })).status).toBe(200)
    expect(simulator.calls.report().callers).toEqual({ me: 1 })
    await clock.advance(3_600_000)
    expect((await get(NICS, { headers })).code).toBe('ExpiredAuthenticationToken')
  })

  test('are refused without proof, and to a client that is not known', async () => {
    const { send } = startSimulator({ denied: { me: 'InvalidAuthenticationToken' } })
    expect((await send('POST', TOKEN, { body: form({}) })).status).toBe(400)
    expect((await send('POST', TOKEN, { body: form({ client_secret: 's' }) })).status).toBe(401)
  })

  test('are had from the machine itself, with the header only', async () => {
    const { get } = startSimulator()
    const path = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/'
    expect((await get(path)).status).toBe(400)
    const token = (await get(`${path}&client_id=own`, { headers: { metadata: 'true' } })).body
    expect(token).toMatchObject({ client_id: 'own', token_type: 'Bearer', expires_in: '3600' })
    expect((await get(NICS, { headers: { authorization: `Bearer ${token.access_token}` } })).status).toBe(200)
  })
})

test.each([
  ['subscriptionId', SUBSCRIPTION],
  ['resourceGroupName', GROUP],
  ['azEnvironment', 'AzurePublicCloud'],
])('the metadata service tells %s as text', async (leaf, value) => {
  const { simulator } = startSimulator()
  const ask = async (headers: Record<string, string>, query = 'api-version=2019-06-01&format=text') => {
    const path = `/metadata/instance/compute/${leaf}`
    return simulator.router(
      { method: 'GET', path, query: new URLSearchParams(query), headers, body: '' },
      new AbortController().signal,
    )
  }
  expect(await ask({ metadata: 'true' })).toMatchObject({ status: 200, body: value })
  expect((await ask({})).status).toBe(400)
  expect((await ask({ metadata: 'true' }, 'format=text')).status).toBe(400)
})

test('an api-version is needed; which ones are good is a setting', async () => {
  const { get } = startSimulator()
  expect((await get(NICS, { query: { 'api-version': '' } })).code).toBe('MissingApiVersionParameter')
  expect((await get(NICS, { query: { 'api-version': 'latest' } })).code).toBe('InvalidApiVersionParameter')
  expect((await get(NICS, { query: { 'api-version': '2019-01-01' } })).status).toBe(200)
  const strict = startSimulator({ settings: { apiVersions: 'known' } })
  expect((await strict.get(NICS, { query: { 'api-version': '2019-01-01' } })).code).toBe('InvalidApiVersionParameter')
  expect((await strict.get(NICS)).status).toBe(200)
})

test('links from page to page under the name by which it was called', async () => {
  const { get, simulator } = startSimulator({ settings: { pageSize: 2 } })
  simulator.makeInstances({ kind: 'standalone', count: 5 })
  const found: string[] = []
  let link: string | undefined = NICS
  let pages = 0
  while (link !== undefined) {
    const { body }: { body: Doc } = await get(link, { headers: { host: 'example.test', 'x-forwarded-proto': 'https' } })
    found.push(...body.value.map((one: Doc) => one.name))
    link = body.nextLink
    pages++
    if (link !== undefined) expect(link).toMatch(/^https:\/\/example\.test\/subscriptions\//)
  }
  expect([pages, found.length, new Set(found).size]).toEqual([3, 5, 5])
  expect((await get(NICS, { query: { $skipToken: 'x' } })).code).toBe('InvalidParameter')
})

test('what is no path of Resource Manager is 404, what is not built is a loud 501', async () => {
  const { get, send } = startSimulator()
  expect((await get('/nothing')).code).toBe('InvalidResourceType')
  const answer = await send('PATCH', NICS)
  expect([answer.status, answer.code]).toEqual([501, 'NotImplemented'])
  expect(answer.body.error.message).toContain(`PATCH ${NICS}`)
})
