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
const DISABLED: InstanceMetadata = { region: refuse, vpcID: refuse, instanceID: refuse }

/**
 * The instance metadata service, version 2. Asked only for what is not configured: a controller outside of EC2, or one in a pod
 * behind a hop limit of 1, has no such service.
 *
 * @param endpoint as in `AWS_EC2_METADATA_SERVICE_ENDPOINT`; empty: the link-local address
 */
export function instanceMetadata(options: {
  readonly clock: Clock
  readonly endpoint: string
  /** As `AWS_EC2_METADATA_DISABLED` says: nothing is asked. */
  readonly isDisabled?: boolean
  readonly fetch: FetchLike
}): InstanceMetadata {
  if (options.isDisabled === true) return DISABLED
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

  const read = async (path: string, signal: AbortSignal): Promise<string> => {
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

  return {
    region: (signal) => read('/meta-data/placement/region', signal),
    instanceID: (signal) => read('/meta-data/instance-id', signal),
    async vpcID(signal) {
      const mac = await read('/meta-data/mac', signal)
      return read(`/meta-data/network/interfaces/macs/${mac.replace(/\/$/, '')}/vpc-id`, signal)
    },
  }
}
