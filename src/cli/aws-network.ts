import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { ConfigError } from '../ipam/errors.ts'

/** Connections of each kind (count), as the SDK has it by default. @source AWS SDK for JavaScript, Reuse connections with keep-alive */
const MAX_SOCKETS = 50

/** As curl and the AWS CLI read them; lower case wins. */
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'] as const

/** How connections to AWS are made. */
export interface AWSAgents {
  readonly httpAgent: http.Agent
  readonly httpsAgent: https.Agent
}

/**
 * What the SDK for JavaScript leaves to its caller: a proxy (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`) and certificate authorities of
 * one's own in place of the usual ones (`AWS_CA_BUNDLE`). The SDK uses the same connections for the tokens of roles.
 *
 * @returns undefined when the environment says nothing: the SDK's own
 * @throws ConfigError for a bundle that cannot be read
 * @source AWS SDKs and Tools Reference Guide, General configuration; AWS CLI User Guide, Using an HTTP proxy
 */
export function awsAgents(environment: Readonly<Record<string, string | undefined>>): AWSAgents | undefined {
  const bundle = environment['AWS_CA_BUNDLE'] ?? ''
  const hasProxy = PROXY_VARIABLES.some((name) => (environment[name] ?? '') !== '')
  if (bundle === '' && !hasProxy) return undefined
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS, ...(hasProxy && { proxyEnv: { ...environment } }) }
  return {
    httpAgent: new http.Agent(options),
    httpsAgent: new https.Agent({ ...options, ...(bundle !== '' && { ca: readBundle(bundle) }) }),
  }
}

function readBundle(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8')
    if (pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`AWS_CA_BUNDLE ${path}: cannot be read: ${message}`])
  }
  throw new ConfigError([`AWS_CA_BUNDLE ${path}: has no certificate in PEM form`])
}

/** Ends what the agents keep open. */
export function closeAgents(agents: AWSAgents | undefined): void {
  agents?.httpAgent.destroy()
  agents?.httpsAgent.destroy()
}
