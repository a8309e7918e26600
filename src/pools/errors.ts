/**
 * What can go wrong where cluster CIDRs are cut into node CIDRs, as a closed set.
 *
 * @source cilium pkg/ipam/allocator/podcidr and pkg/ipam/allocator/multipool, pkg/ipam/cidrset; the codes themselves are ours
 */
export type PoolErrorCode =
  | 'CIDR_SET_EXHAUSTED'
  | 'CIDR_SET_SUBNET_TOO_BIG'
  | 'SUBNET_MASK_INVALID'
  | 'CIDR_OUT_OF_RANGE'
  | 'CIDR_COLLISION'
  | 'CIDR_FAMILY'
  | 'CIDR_PARSE'
  | 'ALLOCATOR_FULL'
  | 'ALLOCATOR_NOT_FOUND'
  | 'NO_ALLOCATORS'
  | 'CIDR_CONFLICT'
  | 'CIDR_NOT_CONFIGURED'
  | 'CIDR_ALREADY_ALLOCATED'
  | 'POOL_NONEXISTENT'
  | 'POOL_EMPTY'
  | 'POOL_MASK_IMMUTABLE'
  | 'CIDR_NOT_IN_POOL'
  | 'ALLOCATOR_NOT_READY'
  | 'POOL_SPEC_INVALID'

/** A refusal of the pool allocators. Callers branch on the code; the message names CIDR, family, node and pool. */
export class PoolError extends Error {
  override readonly name = 'PoolError'
  readonly code: PoolErrorCode

  constructor(code: PoolErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

/** Several refusals of one call, each of which stands for itself. */
export class AggregatePoolError extends Error {
  override readonly name = 'AggregatePoolError'
  readonly errors: readonly PoolError[]

  constructor(errors: readonly PoolError[]) {
    super(errors.map((error) => error.message).join('\n'))
    this.errors = errors
  }
}

/** @throws PoolError, AggregatePoolError when there is an error */
export function throwJoined(errors: readonly PoolError[]): void {
  const [first] = errors
  if (first === undefined) return
  throw errors.length === 1 ? first : new AggregatePoolError(errors)
}

/** Runs a step whose refusal must not stop the others. */
export function collect(errors: PoolError[], step: () => void): void {
  try {
    step()
  } catch (error) {
    if (!(error instanceof PoolError)) throw error
    errors.push(error)
  }
}
