/** What went wrong, in the few classes that a caller treats differently. Set once, where the wire is read. */
export type CloudErrorKind =
  /** the account is throttled: wait, the call had no effect */
  | 'throttled'
  /** the subnet has no room for what was asked */
  | 'exhausted'
  /** a limit of the interface, the instance or the account is reached: the cache was wrong, or the node is at capacity */
  | 'limit'
  /** somebody else holds it (index, address) */
  | 'taken'
  | 'notFound'
  /** what we know is older than what the cloud knows: read again before planning again */
  | 'stale'
  | 'conflict'
  /** permission or credentials */
  | 'denied'
  /** the request itself is wrong */
  | 'invalid'
  /** no answer, a cut answer or trouble on the cloud's side: the call may or may not have had its effect */
  | 'unavailable'
  | 'unknown'

/** Where a caller branches further than by kind. */
export type CloudErrorReason = 'prefixExhausted' | 'indexConflict' | 'instanceNotRunning'

/** The cloud refused or failed a call. */
export class CloudAPIError extends Error {
  override readonly name = 'CloudAPIError'
  readonly kind: CloudErrorKind
  readonly reason: CloudErrorReason | undefined
  /** The cloud's own error code, e.g. `InsufficientCidrBlocks`; empty when there was no answer. */
  readonly code: string
  /** The action that failed, e.g. `AssignPrivateIpAddresses`. */
  readonly action: string

  constructor(
    message: string,
    details: {
      readonly kind: CloudErrorKind
      readonly reason?: CloudErrorReason | undefined
      readonly code: string
      readonly action: string
      readonly cause?: unknown
    },
  ) {
    super(message, { cause: details.cause })
    this.kind = details.kind
    this.reason = details.reason
    this.code = details.code
    this.action = details.action
  }
}

/** The limits of an instance type are not known (yet). */
export class LimitsNotFoundError extends Error {
  override readonly name = 'LimitsNotFoundError'
  readonly instanceType: string

  constructor(instanceType: string) {
    super(`unable to determine limits of instance type '${instanceType}'`)
    this.instanceType = instanceType
  }
}

/** The node's instance is not in the provider's inventory. */
export class InstanceNotFoundError extends Error {
  override readonly name = 'InstanceNotFoundError'
  readonly instanceID: string

  constructor(instanceID: string) {
    super(`instance '${instanceID}' is not known to the cloud (yet)`)
    this.instanceID = instanceID
  }
}

/** The operator's mistake: every fault is listed, so that one start finds them all. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}
