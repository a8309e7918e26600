import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parse } from 'yaml'
import { createKubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator } from '../../simulators/kubernetes/index.ts'
import type { APIClient } from '../../src/agent/api-client.ts'
import { socketClient } from '../../src/agent/api-client.ts'
import { readAgentOptions } from '../../src/cli/agent-options.ts'
import type { AgentHandle } from '../../src/cli/agent.ts'
import { startAgent } from '../../src/cli/agent.ts'
import type { MetadataReader } from '../../src/cli/controller-metadata.ts'
import { inProcessTransport } from '../../src/kubernetes/transport.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { systemRandom } from '../../src/runtime/random.ts'

/** A cluster in process, a state folder, and agents of `node-a` that come and go, in real time. */
export class AgentWorld {
  readonly kubernetes: KubernetesSimulator
  readonly folder = mkdtempSync(join(tmpdir(), 'berth-agent-'))
  readonly logged: string[] = []
  /** What agents that are started from now on learn of their machine; undefined: nothing. */
  readMetadata: MetadataReader | undefined
  readonly #agents: AgentHandle[] = []

  /** @param options `hasSchema` false: the API server takes CiliumNodes of any form, as one with an old or no schema does */
  constructor({ hasSchema = true }: { readonly hasSchema?: boolean } = {}) {
    this.kubernetes = createKubernetesSimulator(hasSchema ? {} : { manifests: [anyCiliumNode()] })
  }

  get socket(): string {
    return join(this.folder, 'agent.sock')
  }

  get stateFile(): string {
    return join(this.folder, 'state', 'leases')
  }

  /** Requests of a plug-in. */
  get client(): APIClient {
    return socketClient(this.socket, 10_000)
  }

  async start(...flags: readonly string[]): Promise<AgentHandle> {
    const quick = '--cooldown 0s --ipam-cilium-node-update-rate 50ms --shutdown-grace-period 1s'.split(' ')
    const places = ['--node-name', 'node-a', '--socket', this.socket, '--state-dir', join(this.folder, 'state')]
    const settings = readAgentOptions([...places, ...quick, ...flags], {})
    if (settings === 'help') throw new Error('asked for help')
    const log = (_: object, message: string): void => void this.logged.push(message)
    const agent = await startAgent({
      settings,
      transport: inProcessTransport(this.kubernetes.router, 'https://api.test:6443'),
      ...(this.readMetadata !== undefined && { readMetadata: this.readMetadata }),
      pid: process.pid,
      log: { debug: () => undefined, info: log, warn: log, error: log },
      clock: systemClock(),
      random: systemRandom,
    })
    this.#agents.push(agent)
    return agent
  }

  /** A node as an operator of the CRD modes writes it. */
  node(
    addresses: readonly string[],
    more: { readonly spec?: JSONObject; readonly status?: JSONObject } = {},
  ): JSONObject {
    const pool = Object.fromEntries(addresses.map((ip) => [ip, { resource: 'eni-1' }]))
    return {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: 'node-a' },
      spec: { ipam: { pool, 'pre-allocate': 1 }, ...more.spec },
      status: {
        eni: {
          enis: {
            'eni-1': {
              id: 'eni-1',
              mac: '02:00:00:00:00:01',
              number: 1,
              ip: '10.0.0.200',
              addresses,
              subnet: { id: 'subnet-1', cidr: '10.0.0.0/24' },
              vpc: { id: 'vpc-1', 'primary-cidr': '10.0.0.0/16' },
            },
          },
        },
        ...more.status,
      },
    }
  }

  /** One request to the API server, as somebody else would make it. */
  async request(method: string, path: string, body?: JSONObject): Promise<JSONObject> {
    const headers = { 'content-type': 'application/merge-patch+json' }
    const text = body === undefined ? '' : JSON.stringify(body)
    const request = { method, path, query: new URLSearchParams(), headers, body: text }
    const answer = await this.kubernetes.router(request, new AbortController().signal)
    return JSON.parse(answer.body as string) as JSONObject
  }

  patchNode(patch: JSONObject, subresource = ''): Promise<JSONObject> {
    return this.request('PATCH', `/apis/cilium.io/v2/ciliumnodes/node-a${subresource}`, patch)
  }

  /** `status.ipam` of the node. */
  async ipamStatus(): Promise<{
    readonly used?: Record<string, { readonly owner: string }>
    readonly 'release-ips'?: object
  }> {
    const { status } = await this.request('GET', '/apis/cilium.io/v2/ciliumnodes/node-a')
    return ((status as JSONObject | undefined)?.['ipam'] ?? {}) as object
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.stop()
    this.kubernetes.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The definition of CiliumNodes without what it says of their fields. */
function anyCiliumNode(): JSONObject {
  const text = readFileSync(new URL('../../deploy/crds/ciliumnodes.yaml', import.meta.url), 'utf8')
  const definition = parse(text) as { readonly spec: { readonly versions: { schema: object }[] } } & JSONObject
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  for (const version of definition.spec.versions) version.schema = { openAPIV3Schema }
  return definition
}
