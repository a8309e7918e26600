import type { APIAnswer, APIClient } from './api-client.ts'
import { AgentUnreachableError } from './api-client.ts'
import type { IPAMResponse } from './api-shapes.ts'
import type { NetworkConfig } from './cni-config.ts'
import { readNetworkConfig, versionIn } from './cni-config.ts'
import { readInvocation } from './cni-environment.ts'
import type { Invocation } from './cni-environment.ts'
import { CNI_ERROR_CODES, CNIError, errorResult } from './cni-error.ts'
import { addResult, addressesOf } from './cni-result.ts'
import type { CNICommand } from './cni-version.ts'
import { CURRENT_VERSION, requireCommand, versionResult } from './cni-version.ts'
import { canonicalIP } from './family.ts'

/** What a run of the plug-in leaves: the text of standard output, and the exit code. */
export interface PluginOutcome {
  /** JSON, or empty. */
  readonly output: string
  readonly exitCode: 0 | 1
}

export interface PluginInput {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Reads standard input to its end. */
  readonly read: () => Promise<string>
  /** @param socket path of the agent's socket */
  readonly connect: (socket: string) => APIClient
}

/** How long ADD lets the agent wait for an address (ms): kubelet comes back to a refused pod only after a longer pause. */
const ADD_WAIT_MS = 10_000

/** Refusals that end by themselves: by more addresses, or by the agent's own start. */
const PASSING_CODES: ReadonlySet<string> = new Set([
  'NOT_READY',
  'STOPPING',
  'STATE_NOT_SAVED',
  'LEASE_ENDED',
  'NODE_UNAVAILABLE',
  'NO_IPS',
  'NO_MORE_IPS',
  'POOL_NOT_READY',
  'POD_CIDRS_EXHAUSTED',
  'RANGE_FULL',
])

/**
 * One run of the CNI IPAM plug-in `berth-ipam`. It has no state: every command is one request to the agent of the node that may be
 * repeated, so that a runtime may try again after any failure.
 *
 * @source CNI specification 1.1.0, "CNI operations" and "Execution Protocol"; 0.3.0 to 1.0.0 for their results
 */
export async function runPlugin(input: PluginInput): Promise<PluginOutcome> {
  let asked = ''
  try {
    const invocation = readInvocation(input.environment)
    const { command } = invocation
    const text = await readInput(input)
    asked = versionIn(text)
    if (command === 'VERSION') return done(versionResult(asked))
    const config = readNetworkConfig(text)
    requireCommand(config.cniVersion, command)
    return done(await COMMANDS[command](invocation, config, input.connect(config.socket)))
  } catch (error) {
    const failure = toCNIError(error)
    return { output: toText(errorResult(failure, asked === '' ? CURRENT_VERSION : asked)), exitCode: 1 }
  }
}

async function readInput({ read }: PluginInput): Promise<string> {
  try {
    return await read()
  } catch (error) {
    throw new CNIError(CNI_ERROR_CODES.ioFailure, 'Cannot read the network configuration', (error as Error).message)
  }
}

type Perform = (invocation: Invocation, config: NetworkConfig, client: APIClient) => Promise<object | undefined>

/** What a command does; it resolves with what to print, or with undefined when it prints nothing. */
const COMMANDS: Readonly<Record<Exclude<CNICommand, 'VERSION'>, Perform>> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  STATUS: (_invocation, _config, client) => status(client),
  GC: (_invocation, config, client) => collectGarbage(config, client),
}

async function add(invocation: Invocation, config: NetworkConfig, client: APIClient): Promise<object> {
  const query = new URLSearchParams({ owner: invocation.owner, 'wait-ms': String(ADD_WAIT_MS) })
  if (config.family !== undefined) query.set('family', config.family)
  if (config.pool !== '') query.set('pool', config.pool)
  const answer = await client('PUT', `${pathOf(invocation, config)}?${query.toString()}`)
  return addResult(granted(answer, 'Cannot get an address'), config)
}

async function del(invocation: Invocation, config: NetworkConfig, client: APIClient): Promise<undefined> {
  // Without an agent there is an address that nobody gives back: the runtime must come again.
  expectSuccess(await client('DELETE', pathOf(invocation, config)), 'Cannot give the address back')
}

async function check(invocation: Invocation, config: NetworkConfig, client: APIClient): Promise<undefined> {
  if (config.previousIPs === undefined) {
    throw new CNIError(CNI_ERROR_CODES.invalidConfig, 'Invalid network configuration: prevResult is missing')
  }
  const answer = await client('GET', pathOf(invocation, config))
  if (answer.status === 404) throw new CNIError(CNI_ERROR_CODES.unknownContainer, messageOf(answer))
  const held = addressesOf(granted(answer, 'Cannot check the address'))
  const previous = new Set(config.previousIPs.map((ip) => canonicalIP(ip).ip))
  const missing = held.filter((ip) => !previous.has(ip))
  if (missing.length > 0) {
    const text = `The container holds ${missing.join(', ')}, and prevResult has ${[...previous].join(', ') || 'no address'}`
    throw new CNIError(CNI_ERROR_CODES.mismatch, text)
  }
}

async function status(client: APIClient): Promise<undefined> {
  try {
    const answer = await client('GET', '/v1/healthz')
    if (answer.status === 200) return
    const reasons = (answer.value as { readonly reasons?: unknown } | undefined)?.reasons
    const text = Array.isArray(reasons) ? reasons.join('; ') : messageOf(answer)
    throw new CNIError(CNI_ERROR_CODES.unavailable, `The agent cannot give addresses: ${text}`)
  } catch (error) {
    if (error instanceof AgentUnreachableError) throw new CNIError(CNI_ERROR_CODES.unavailable, error.message)
    throw error
  }
}

async function collectGarbage({ name, validAttachments }: NetworkConfig, client: APIClient): Promise<undefined> {
  if (validAttachments === undefined) {
    // Without the list everything would be garbage.
    throw new CNIError(
      CNI_ERROR_CODES.invalidConfig,
      'Invalid network configuration: cni.dev/valid-attachments is missing',
    )
  }
  const answer = await client('POST', `/v1/attachment/${encodeURIComponent(name)}`, { valid: validAttachments })
  expectSuccess(answer, 'Cannot give addresses back')
}

function pathOf({ containerID, ifName }: Invocation, { name }: NetworkConfig): string {
  return `/v1/attachment/${[name, containerID, ifName].map(encodeURIComponent).join('/')}`
}

function granted(answer: APIAnswer, action: string): IPAMResponse {
  expectSuccess(answer, action)
  return answer.value as IPAMResponse
}

/** @throws CNIError with the agent's own words */
function expectSuccess(answer: APIAnswer, action: string): void {
  if (answer.status >= 200 && answer.status < 300) return
  const isPassing = answer.status === 503 || PASSING_CODES.has(answer.code)
  const code = isPassing ? CNI_ERROR_CODES.tryAgainLater : CNI_ERROR_CODES.refused
  throw new CNIError(code, `${action}: ${messageOf(answer)}`, answer.code)
}

function messageOf({ status: httpStatus, value }: APIAnswer): string {
  return typeof value === 'string' && value !== '' ? value : `the agent answered ${httpStatus}`
}

function toCNIError(error: unknown): CNIError {
  if (error instanceof CNIError) return error
  if (error instanceof AgentUnreachableError) {
    return new CNIError(CNI_ERROR_CODES.tryAgainLater, `Cannot reach the agent: ${error.message}`)
  }
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error))
  return new CNIError(CNI_ERROR_CODES.refused, message, stack)
}

function done(result: object | undefined): PluginOutcome {
  return { output: result === undefined ? '' : toText(result), exitCode: 0 }
}

function toText(result: object): string {
  return `${JSON.stringify(result, undefined, 2)}\n`
}
