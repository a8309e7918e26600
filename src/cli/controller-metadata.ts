import { withDeadline } from '../kubernetes/deadline.ts'
import type { Clock } from '../runtime/clock.ts'

/** What the instance that the controller runs on says about itself. */
export interface InstanceMetadata {
  /** @throws Error when the service does not answer */
  region(signal: AbortSignal): Promise<string>
  /** The VPC of the primary interface. @throws Error when the service does not answer */
  vpcID(signal: AbortSignal): Promise<string>
  /** @throws Error when the service does not answer */
  instanceID(signal: AbortSignal): Promise<string>
}

export type FetchLike = (
  url: string,
  init: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<{ readonly ok: boolean; readonly status: number; text(): Promise<string> }>

/** @source AWS documentation, Amazon EC2 User Guide, Use the Instance Metadata Service: link-local address, IMDSv2 */
const DEFAULT_ENDPOINT = 'http://169.254.169.254'

/** On an instance the service answers within milliseconds; elsewhere nothing ever does. */
const TIMEOUT_MS = 3_000

/** The shortest that serves the few requests of a start. */
const TOKEN_TTL_SECONDS = 60

const refuse = (): Promise<string> =>
  Promise.reject(new Error('the metadata service is switched off by AWS_EC2_METADATA_DISABLED'))

export interface MetadataOptions {
  readonly clock: Clock
  /** As in `AWS_EC2_METADATA_SERVICE_ENDPOINT`; empty: the link-local address. */
  readonly endpoint: string
  /** As `AWS_EC2_METADATA_DISABLED` says: nothing is asked. */
  readonly isDisabled?: boolean
  readonly fetch: FetchLike
}

/** One value of the instance metadata service by its path below `/latest`. Rejects when the service does not answer, or with nothing. */
export type MetadataReader = (path: string, signal: AbortSignal) => Promise<string>

/** EC2's instance metadata service, version 2. */
export function metadataReader(options: MetadataOptions): MetadataReader {
  if (options.isDisabled === true) return refuse
  const base = `${(options.endpoint === '' ? DEFAULT_ENDPOINT : options.endpoint).replace(/\/+$/, '')}/latest`

  const send = (
    path: string,
    method: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<string> => {
    const timeoutError = (): Error => new Error(`${base}${path}: no answer within ${TIMEOUT_MS / 1000} s`)
    return withDeadline({ clock: options.clock, ms: TIMEOUT_MS, signal, timeoutError }, async (limited) => {
      const answer = await options.fetch(`${base}${path}`, { method, headers, signal: limited })
      const text = await answer.text()
      if (!answer.ok) throw new Error(`${base}${path}: status ${answer.status}`)
      return text.trim()
    })
  }

  return async (path, signal) => {
    const token = await send(
      '/api/token',
      'PUT',
      { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_TTL_SECONDS) },
      signal,
    )
    const value = await send(path, 'GET', { 'x-aws-ec2-metadata-token': token }, signal)
    if (value === '') throw new Error(`${base}${path}: an empty answer`)
    return value
  }
}

/**
 * What a controller asks of the instance metadata service, and only when it is not configured: one outside of EC2, or one in a pod
 * behind a hop limit of 1, has no such service.
 */
export function instanceMetadata(options: MetadataOptions): InstanceMetadata {
  const read = metadataReader(options)
  return {
    region: (signal) => read('/meta-data/placement/region', signal),
    instanceID: (signal) => read('/meta-data/instance-id', signal),
    async vpcID(signal) {
      const mac = await read('/meta-data/mac', signal)
      return read(`/meta-data/network/interfaces/macs/${mac.replace(/\/$/, '')}/vpc-id`, signal)
    },
  }
}

/** What the virtual machine that the controller runs on says about itself. */
export interface AzureMetadata {
  /** Name of the cloud, e.g. `AzurePublicCloud`. @throws Error when the service does not answer */
  environment(signal: AbortSignal): Promise<string>
  /** @throws Error when the service does not answer */
  subscriptionID(signal: AbortSignal): Promise<string>
  /** @throws Error when the service does not answer */
  resourceGroup(signal: AbortSignal): Promise<string>
}

/** @source cilium pkg/azure/api/metadata.go: version, timeout and the limit of the answer */
const AZURE_API_VERSION = '2019-06-01'
const AZURE_TIMEOUT_MS = 10_000
const AZURE_MAX_ANSWER = 2 ** 20

/**
 * Azure's instance metadata service. Asked only for what is not configured. An answer that is not 200 is a failure; the reference takes
 * its body for a value.
 *
 * @param endpoint as in `AZURE_POD_IDENTITY_AUTHORITY_HOST`, where the SDK asks for tokens; empty: the link-local address
 */
export function azureMetadata(options: {
  readonly clock: Clock
  readonly endpoint: string
  readonly fetch: FetchLike
}): AzureMetadata {
  const base = (options.endpoint === '' ? DEFAULT_ENDPOINT : options.endpoint).replace(/\/+$/, '')
  const read = (name: string, signal: AbortSignal): Promise<string> => {
    const url = `${base}/metadata/instance/compute/${name}?api-version=${AZURE_API_VERSION}&format=text`
    const timeoutError = (): Error => new Error(`${url}: no answer within ${AZURE_TIMEOUT_MS / 1000} s`)
    return withDeadline({ clock: options.clock, ms: AZURE_TIMEOUT_MS, signal, timeoutError }, async (limited) => {
      const answer = await options.fetch(url, { method: 'GET', headers: { Metadata: 'true' }, signal: limited })
      const text = await answer.text()
      if (answer.status !== 200) throw new Error(`${url}: status ${answer.status}`)
      if (text.length > AZURE_MAX_ANSWER) throw new Error(`${url}: an answer of more than ${AZURE_MAX_ANSWER} bytes`)
      if (text.trim() === '') throw new Error(`${url}: an empty answer`)
      return text.trim()
    })
  }
  return {
    environment: (signal) => read('azEnvironment', signal),
    subscriptionID: (signal) => read('subscriptionId', signal),
    resourceGroup: (signal) => read('resourceGroupName', signal),
  }
}
