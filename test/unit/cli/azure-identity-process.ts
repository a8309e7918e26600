import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createAzureSimulator } from '../../../simulators/azure/index.ts'
import { openAzure } from '../../../src/cli/controller-azure.ts'
import { azureMetadata } from '../../../src/cli/controller-metadata.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { SILENT, UNMEASURED } from '../../conformance/adapters/aws-node.ts'

/*
 * One full sync with the unmodified SDK of identities, over TLS, with the identity that the argument names. A process of its own: the SDK
 * reads the environment, and Node its certificate authorities at the start. Prints who called what.
 */

const TENANT = '00000000-0000-0000-0000-0000000000bb'
const folder = mkdtempSync(join(tmpdir(), 'berth-identity-'))

/** The simulator behind TLS, as the SDK insists on it. */
async function serveTLS(simulator: ReturnType<typeof createAzureSimulator>): Promise<string> {
  const file = (name: string): Buffer => readFileSync(new URL(`../kubernetes/tls/${name}`, import.meta.url))
  const server = createServer({ cert: file('server.pem'), key: file('server-key.pem') }, (request, response) => {
    void (async () => {
      let body = ''
      for await (const piece of request) body += String(piece)
      const url = new URL(request.url ?? '/', 'https://localhost')
      const headers = { ...(request.headers as Record<string, string>), 'x-forwarded-proto': 'https' }
      const wire = { method: request.method ?? 'GET', path: url.pathname, query: url.searchParams, headers, body }
      const answer = await simulator.router(wire, new AbortController().signal)
      response.writeHead(answer.status, answer.headers)
      response.end(answer.body as string)
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

/** What the environment holds in a pod or on a machine with this identity. */
function environmentOf(kind: string, url: string): Readonly<Record<string, string>> {
  switch (kind) {
    case 'workload': {
      const path = join(folder, 'token')
      writeFileSync(path, 'assertion')
      return { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: 'workload', AZURE_FEDERATED_TOKEN_FILE: path }
    }
    case 'service-principal':
      return { AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: 'principal', AZURE_CLIENT_SECRET: 'secret' }
    default:
      return { AZURE_POD_IDENTITY_AUTHORITY_HOST: url }
  }
}

async function main(kind: string): Promise<unknown> {
  const simulator = createAzureSimulator({ throttle: 'none' })
  simulator.makeInstances({ count: 1 })
  const url = await serveTLS(simulator)
  Object.assign(process.env, environmentOf(kind, url))
  const clock = systemClock()
  const { signal } = new AbortController()
  const flags = [
    '--ipam=azure',
    `--azure-resource-manager-endpoint=${url}`,
    ...(kind === 'user-assigned' ? ['--azure-user-assigned-identity-id=assigned'] : []),
  ]
  const cloud = await openAzure({
    config: loadConfig(flags, {}).config,
    access: { authorityHost: url, metadata: azureMetadata({ clock, endpoint: url, fetch }) },
    clock,
    random: seededRandom(1),
    log: SILENT,
    metrics: UNMEASURED,
    signal,
  })
  await cloud.createProvider(signal).resync({ priority: 'background', reason: 'test', signal })
  const { actions, callers } = simulator.calls.report()
  return { actions: Object.keys(actions), callers }
}

try {
  process.stdout.write(`${JSON.stringify(await main(process.argv[2] ?? ''))}\n`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
