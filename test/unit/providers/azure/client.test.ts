import { createHttpHeaders } from '@azure/core-rest-pipeline'
import type { HttpClient, PipelineRequest } from '@azure/core-rest-pipeline'
import { describe, expect, test } from 'vitest'
import { createARMClient } from '../../../../providers/azure/client.ts'
import { azureEnvironment, AZURE_ENVIRONMENT_NAMES } from '../../../../providers/azure/environments.ts'
import { createAzureSimulator } from '../../../../simulators/azure/index.ts'

const { signal } = new AbortController()

/** A client over a wire that records, and answers with these statuses in turn. */
function makeClient(endpoint: string, statuses: readonly number[] = [200], audience?: string) {
  const sent: PipelineRequest[] = []
  const scopes: unknown[] = []
  const httpClient: HttpClient = {
    async sendRequest(request) {
      const status = statuses[Math.min(sent.length, statuses.length - 1)] ?? 200
      sent.push(request)
      const headers = createHttpHeaders({ 'retry-after': '1', ETag: '"4"' })
      return { request, status, headers, bodyAsText: '{"unknown": 1}' }
    },
  }
  const client = createARMClient({
    endpoint,
    credential: {
      getToken: async (scope) => {
        scopes.push(scope)
        return { token: 'secret', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }
      },
    },
    httpClient,
    ...(audience !== undefined && { audience }),
    userAgent: 'berth/1.2.3',
  })
  return { client, sent, scopes }
}

describe('a request', () => {
  test('carries the token of its own cloud, our name and the body as it is', async () => {
    const { client, sent, scopes } = makeClient('https://management.usgovcloudapi.net/')
    const body = '{"properties": {"newer": true}}'
    const url = 'https://management.usgovcloudapi.net/x?api-version=1'
    await client.send({ method: 'PUT', url, body, ifMatch: '"4"', signal })
    expect(client.endpoint).toBe('https://management.usgovcloudapi.net')
    expect(scopes).toEqual([['https://management.usgovcloudapi.net/.default']])
    expect(sent[0]).toMatchObject({ method: 'PUT', url, body })
    expect(sent[0]?.headers.get('authorization')).toBe('Bearer secret')
    expect(sent[0]?.headers.get('if-match')).toBe('"4"')
    expect(sent[0]?.headers.get('user-agent')).toMatch(/^berth\/1\.2\.3/)
  })

  test('by another way to the cloud has a token for the cloud', async () => {
    const { client, scopes } = makeClient('https://proxy.example.com', [200], 'https://management.azure.com/')
    await client.send({ method: 'GET', url: 'https://proxy.example.com/x', signal })
    expect(scopes).toEqual([['https://management.azure.com/.default']])
    expect(client.audience).toBe('https://management.azure.com')
  })

  test.each([429, 500, 503])('that is answered %i is not sent again', async (status) => {
    const { client, sent } = makeClient('https://management.azure.com', [status, 200])
    const answer = await client.send({ method: 'GET', url: 'https://management.azure.com/x', signal })
    expect([answer.status, answer.header('Retry-After'), answer.header('etag'), sent.length]).toEqual([
      status,
      '1',
      '"4"',
      1,
    ])
  })

  test('without condition or body has neither header', async () => {
    const { client, sent } = makeClient('https://management.azure.com')
    await client.send({ method: 'GET', url: 'https://management.azure.com/x', signal })
    expect([sent[0]?.headers.has('if-match'), sent[0]?.headers.has('content-type')]).toEqual([false, false])
  })
})

describe('an endpoint', () => {
  test.each(['http://management.azure.com', 'http://10.0.0.7:4567', 'http://localhost.example.com', 'ftp://127.0.0.1'])(
    'in the clear gets no token: %s',
    (endpoint) => {
      expect(() => makeClient(endpoint)).toThrow(TypeError)
    },
  )

  test('on this machine may be plain, as a simulator is', async () => {
    const simulator = createAzureSimulator()
    const server = await simulator.listen({ host: '127.0.0.1', port: 0 })
    try {
      const client = createARMClient({
        endpoint: server.url,
        credential: { getToken: async () => ({ token: 'tester', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) },
      })
      const { subscriptionID, resourceGroup } = simulator.settings
      const path = `/subscriptions/${subscriptionID}/resourceGroups/${resourceGroup}/providers`
      const url = `${server.url}${path}/Microsoft.Network/networkInterfaces?api-version=2026-01-01`
      const answer = await client.send({ method: 'GET', url, signal })
      expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { value: [] }])
      expect(answer.header('x-ms-ratelimit-remaining-subscription-reads')).toBe('249')
      const gone = new AbortController()
      const aborted = client.send({ method: 'GET', url, signal: gone.signal })
      gone.abort(new Error('node deleted'))
      await expect(aborted).rejects.toThrow()
    } finally {
      await server.close()
    }
  })
})

describe('a cloud', () => {
  test('has its own endpoint and authority', () => {
    expect(AZURE_ENVIRONMENT_NAMES.map((name) => azureEnvironment(name)?.endpoint)).toEqual([
      'https://management.azure.com',
      'https://management.usgovcloudapi.net',
      'https://management.chinacloudapi.cn',
    ])
    expect(azureEnvironment('AzureChinaCloud')?.authorityHost).toBe('https://login.chinacloudapi.cn')
  })

  test.each(['AzureGermanCloud', 'toString', ''])('that is not known is none: "%s"', (name) => {
    expect(azureEnvironment(name)).toBeUndefined()
  })
})
