import { expect, test } from 'vitest'
import { inProcessTransport, readOnlyTransport, readText } from '../../../src/kubernetes/transport.ts'

test('a transport that only reads lets reads through and nothing else', async () => {
  const seen: string[] = []
  const transport = readOnlyTransport(
    inProcessTransport(({ method, path }) => {
      seen.push(`${method} ${path}`)
      return Promise.resolve({ status: 200, headers: {}, body: 'here' })
    }),
  )
  const { signal } = new AbortController()
  const answer = await transport.request({ method: 'GET', path: '/api/v1/pods', headers: {}, signal })
  expect(await readText(answer.body)).toBe('here')
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    const request = { method, path: '/api/v1/events', headers: {}, signal }
    await expect(transport.request(request)).rejects.toThrow(`a dry run sends no ${method} /api/v1/events`)
  }
  expect(seen).toEqual(['GET /api/v1/pods'])
})
