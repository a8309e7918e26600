import { createAzureSimulator } from '../../../../simulators/azure/index.ts'
import type { AzureSimulatorOptions } from '../../../../simulators/azure/index.ts'
import { ManualClock } from '../../../../simulators/kit/manual-clock.ts'

export const SUBSCRIPTION = '00000000-0000-0000-0000-0000000000aa'
export const GROUP = 'MC_demo'
/** Paths of a group's resources. */
export const P = `/subscriptions/${SUBSCRIPTION}/resourceGroups/${GROUP}/providers`
export const NETWORK = `${P}/Microsoft.Network/virtualNetworks/vnet`
/** 10.0.0.0/24; a /28 with 11 usable addresses; another /24. */
export const SUBNET = `${NETWORK}/subnets/nodes`
export const TINY = `${NETWORK}/subnets/tiny`
export const OTHER = `${NETWORK}/subnets/other`
export const NIC = `${P}/Microsoft.Network/networkInterfaces/vm-0-nic`
export const VM = `${P}/Microsoft.Compute/virtualMachineScaleSets/np1/virtualMachines/0`
export const PREFIX = `${P}/Microsoft.Network/publicIPPrefixes/nodes`
export const NETWORK_API = '2026-01-01'
export const COMPUTE_API = '2026-04-01'

export const WORLD = {
  virtualNetworks: [
    {
      id: NETWORK,
      properties: {
        addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
        subnets: [
          { name: 'nodes', properties: { addressPrefix: '10.0.0.0/24' } },
          { name: 'tiny', properties: { addressPrefix: '10.0.1.0/28' } },
          { name: 'other', properties: { addressPrefix: '10.0.2.0/24' } },
        ],
      },
    },
  ],
  publicIPPrefixes: [{ id: PREFIX, tags: { pool: 'nodes' }, properties: { ipPrefix: '20.1.0.0/31' } }],
}

/** Any JSON: what an answer holds is asserted, not typed. */
export type Doc = ReturnType<typeof JSON.parse>

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Doc
  /** Code of an error answer, outer `error` or not. */
  readonly code: string | undefined
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** A simulator on a manual clock, without throttling; writes take 1 s on interfaces, 10 s on scale-set VMs. */
export function startSimulator(options: AzureSimulatorOptions = {}) {
  const clock = new ManualClock()
  const simulator = createAzureSimulator({
    clock,
    throttle: 'none',
    world: WORLD,
    ...options,
    settings: {
      resourceGroup: GROUP,
      networkOperationMs: { min: 1000, max: 1000 },
      computeOperationMs: { min: 10_000, max: 10_000 },
      ...options.settings,
    },
  })
  const send = async (method: string, path: string, { headers, query, body }: Sent = {}): Promise<Answer> => {
    const version =
      path.includes('Microsoft.Network') && !path.includes('virtualMachineScaleSets') ? NETWORK_API : COMPUTE_API
    const url = new URL(path, 'http://arm.test')
    const parameters = new URLSearchParams({
      'api-version': version,
      ...Object.fromEntries(url.searchParams),
      ...query,
    })
    const response = await simulator.router(
      {
        method,
        path: url.pathname,
        query: parameters,
        headers: { host: 'arm.test', authorization: 'Bearer tester', ...headers },
        body: body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body),
      },
      new AbortController().signal,
    )
    if (typeof response.body !== 'string') throw new Error('the answer is a stream')
    const parsed = response.body === '' ? undefined : JSON.parse(response.body)
    return {
      status: response.status,
      headers: response.headers,
      body: parsed,
      code: parsed?.error?.code ?? parsed?.code,
    }
  }
  const get = (path: string, sent: Sent = {}): Promise<Answer> => send('GET', path, sent)
  const put = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    send('PUT', path, { body, headers })
  /** Calls the control door. */
  const control = async (method: string, path: string, body?: unknown) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const request = { method, path, query: new URLSearchParams(), headers: {}, body: text }
    const response = await simulator.router(request, new AbortController().signal)
    return { status: response.status, body: JSON.parse(response.body as string) }
  }
  return { simulator, clock, send, get, put, control }
}

/** A configuration as the provider writes it. */
export function configuration(name: string, more: Record<string, unknown> = {}) {
  return { name, properties: { subnet: { id: SUBNET }, ...more } }
}

/** The document with further configurations on its (first) interface; also of a scale-set VM's model. */
export function withConfigurations(document: Doc, ...added: readonly unknown[]): Doc {
  const copy = structuredClone(document)
  const owner = copy.properties.networkProfileConfiguration?.networkInterfaceConfigurations[0] ?? copy
  owner.properties.ipConfigurations.push(...added)
  return copy
}

export function names(count: number, prefix = 'Cilium-'): string[] {
  return Array.from({ length: count }, (_, at) => `${prefix}${at}`)
}

/** Addresses on an interface document, in order. */
export function addresses(nic: Doc): string[] {
  return nic.properties.ipConfigurations.map((one: Doc) => one.properties.privateIPAddress)
}
