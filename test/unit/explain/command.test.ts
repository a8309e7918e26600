import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { ask, parseExplainCommand, runExplain } from '../../../src/cli/explain.ts'
import { main } from '../../../src/main.ts'
import { systemClock } from '../../../src/runtime/clock.ts'

describe('the command line of berth explain', () => {
  test('names a kind and a name, and where to ask', () => {
    expect(parseExplainCommand(['node', 'node-1'])).toEqual({
      kind: 'node',
      name: 'node-1',
      url: 'http://127.0.0.1:9963',
      isJSON: false,
    })
    expect(parseExplainCommand(['pod', 'default/web', '--url=https://berth:9963/', '--json'])).toMatchObject({
      kind: 'pod',
      name: 'default/web',
      url: 'https://berth:9963/',
      isJSON: true,
    })
    expect(parseExplainCommand(['node', '--help'])).toBe('help')
  })

  test.each([
    [[], 'say what to explain: berth explain node|pod|subnet|budget NAME'],
    [['nodes', 'a'], "'nodes' cannot be explained; did you mean node?"],
    [['volume', 'a'], "'volume' cannot be explained; these can: node, pod, subnet, budget"],
    [['node'], 'name a node: berth explain node NAME'],
    [['node', '--json'], 'name a node: berth explain node NAME'],
    [['node', 'a', 'b'], 'unexpected argument b; see --help'],
    [['node', 'a', '--ulr', 'x'], 'unknown option --ulr; did you mean --url?'],
    [['node', 'a', '--url', 'localhost:9963'], '--url localhost:9963: must be an http or https URL'],
  ])('%j is refused in one line', (args, message) => {
    expect(() => parseExplainCommand(args)).toThrow(message)
  })

  test('wrong usage is exit code 2, on stderr', async () => {
    const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    expect(await main(['explain', 'nodes', 'a'])).toBe(2)
    expect(written.mock.calls.flat()).toEqual(["berth explain: 'nodes' cannot be explained; did you mean node?\n"])
    written.mockRestore()
  })
})

describe('asking the controller', () => {
  const servers: ReturnType<typeof createServer>[] = []
  const serve = async (status: number, body: string, paths: string[] = []): Promise<string> => {
    const server = createServer((request, response) => {
      paths.push(request.url ?? '')
      response.writeHead(status).end(body)
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const command = (url: string, name = 'a') => ({ kind: 'node', name, url, isJSON: false }) as const
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  test('a name travels as it is', async () => {
    const paths: string[] = []
    const url = await serve(200, '{"chain":[]}', paths)
    await ask({ ...command(url, 'kube-system/a b?'), kind: 'pod' }, systemClock())
    expect(paths).toEqual(['/v1/explain/pod/kube-system/a%20b%3F'])
  })

  test('what is not there is said and is exit code 1', async () => {
    const link = { code: 'not-managed', text: 'no CiliumNode a is managed here', effect: 'stops', runbook: 'r' }
    const url = await serve(404, JSON.stringify({ chain: [link], isWaiting: true }))
    const printed = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    expect(await runExplain(['node', 'a', '--url', url])).toBe(1)
    expect(String(printed.mock.calls[0]?.[0])).toMatch(/^no CiliumNode a is managed here\n/)
    printed.mockRestore()
  })

  test.each([
    [404, 'try /healthz, /readyz or /metrics\n/v1/x', /answers 404 try \/healthz, \/readyz or \/metrics$/],
    [400, '{"error":"the name is too long"}', /answers 400 the name is too long$/],
    [500, '<html>', /answers 500 <html>$/],
  ])('an answer %i that explains nothing is said in its own words', async (status, body, message) => {
    expect(await ask(command(await serve(status, body)), systemClock())).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(message) as string,
    })
  })

  test('nobody there is one line that says what to do', async () => {
    const url = await serve(200, '')
    servers.pop()?.close()
    expect(await ask(command(url), systemClock())).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/^cannot ask the controller at http.*ECONNREFUSED.*--url/s) as string,
    })
  })
})
