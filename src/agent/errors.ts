import type { Family } from './family.ts'

/**
 * What can go wrong on a node, as a closed set. Callers branch on the code, never on the text.
 *
 * @source cilium pkg/ipam/errors.go, pkg/ipam/crd.go, pkg/ipam/multipool.go; the codes themselves are ours
 */
export const IPAM_ERROR_CODES = [
  'IPV4_DISABLED',
  'IPV6_DISABLED',
  'ALLOCATOR_UNAVAILABLE',
  'FAMILY_UNKNOWN',
  'INVALID_IP',
  'INVALID_IP_OR_OWNER',
  'IP_EXCLUDED',
  /** ours: released a short while ago, and held back from other pods */
  'IP_IN_COOLDOWN',
  'RANGE_FULL',
  'ALREADY_ALLOCATED',
  'NOT_IN_RANGE',
  'MISMATCHED_NETWORK',
  'IP_IN_USE',
  'IP_NOT_ALLOCATED',
  'NODE_UNAVAILABLE',
  'NO_IPS',
  'NO_MORE_IPS',
  'IP_IN_RELEASE_HANDSHAKE',
  'IP_NOT_AVAILABLE_IN_POOL',
  'INVALID_CUSTOM_IP',
  'ENI_NOT_FOUND',
  'ENI_CONFIG_INCOMPLETE',
  'NATIVE_ROUTING_CIDR_MISMATCH',
  'TIMER_EXISTS',
  'TIMER_NOT_FOUND',
  'TIMER_UUID_MISMATCH',
  'NOT_SUPPORTED',
  'POOL_REQUIRED',
  'POOL_NOT_READY',
  'POOL_UNKNOWN',
  'POD_CIDRS_EXHAUSTED',
  'NOT_IN_ANY_POD_CIDR',
  'CIDR_PARSE',
  'CIDR_FAMILY',
  /** two CIDRs of one family share addresses, which would be given twice */
  'CIDR_COLLISION',
  'PREALLOC_INVALID',
  'RESOURCE_NOT_FOUND',
  'MANAGER_STOPPED',
  'UNKNOWN_MODE',
] as const
export type IPAMErrorCode = (typeof IPAM_ERROR_CODES)[number]

/** Whom and what a failure is about. What is set is also in the message. */
export interface IPAMErrorDetails {
  /** Address, or the text that was to be one. */
  readonly ip?: string | undefined
  readonly owner?: string | undefined
  readonly pool?: string | undefined
  readonly family?: Family | undefined
  readonly cidr?: string | undefined
  readonly interfaceID?: string | undefined
}

/**
 * A failure of the node's half. The message says what happened, then the address, the owner and the pool it was about, so that
 * one line of a log is enough to act on.
 */
export class IPAMError extends Error {
  override readonly name: string = 'IPAMError'
  readonly code: IPAMErrorCode
  readonly details: IPAMErrorDetails

  constructor(code: IPAMErrorCode, message: string, details: IPAMErrorDetails = {}, cause?: unknown) {
    super(withDetails(message, details), cause === undefined ? undefined : { cause })
    this.code = code
    this.details = details
  }
}

/** The reference's alias for errors of an allocation. */
export type AllocationError = IPAMError

/**
 * The address is not in the node's pool. Two of these are the same when their addresses are, whatever else they say.
 *
 * @source cilium pkg/ipam/errors.go, ErrIPNotAvailableInPool
 */
export class IPNotAvailableInPoolError extends IPAMError {
  override readonly name = 'IPNotAvailableInPoolError'
  /** Canonical text. */
  readonly ip: string

  constructor(ip: string, details: Omit<IPAMErrorDetails, 'ip'> = {}) {
    super('IP_NOT_AVAILABLE_IN_POOL', `IP ${ip} is not available`, { ...details, ip })
    this.ip = ip
  }

  matches(other: unknown): boolean {
    return other instanceof IPNotAvailableInPoolError && other.ip === this.ip
  }
}

/** Whether `error` says that exactly this address is not in the pool: the one failure that restoring endpoints may tolerate. */
export function isIPNotAvailableInPool(error: unknown, ip: string): boolean {
  return error instanceof IPNotAvailableInPoolError && error.ip === ip
}

/** Several failures of one call, each of which stands for itself. */
export class AggregateIPAMError extends Error {
  override readonly name = 'AggregateIPAMError'
  readonly errors: readonly IPAMError[]

  constructor(errors: readonly IPAMError[]) {
    super(errors.map((error) => error.message).join('; '))
    this.errors = errors
  }
}

/** The failure of a specific allocation or a release in a family that has no allocator. Cilium's ErrIPv4Disabled, ErrIPv6Disabled. */
export function familyDisabledError(family: Family, details: IPAMErrorDetails): IPAMError {
  const code = family === 'ipv4' ? 'IPV4_DISABLED' : 'IPV6_DISABLED'
  return new IPAMError(code, `${family === 'ipv4' ? 'IPv4' : 'IPv6'} allocation disabled`, { ...details, family })
}

export function unknownFamilyError(family: string, details: IPAMErrorDetails = {}): IPAMError {
  return new IPAMError('FAMILY_UNKNOWN', `unknown address family ${JSON.stringify(family)}`, details)
}

function withDetails(message: string, details: IPAMErrorDetails): string {
  const { ip, owner, pool, family, interfaceID } = details
  const parts = [
    ip === undefined ? '' : `address ${ip}`,
    owner === undefined ? '' : `owner ${owner === '' ? '""' : owner}`,
    pool === undefined ? '' : `pool ${pool === '' ? '""' : pool}`,
    family === undefined ? '' : `family ${family}`,
    interfaceID === undefined ? '' : `interface ${interfaceID}`,
  ].filter((part) => part !== '')
  return parts.length === 0 ? message : `${message} (${parts.join(', ')})`
}
