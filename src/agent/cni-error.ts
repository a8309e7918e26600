/**
 * The codes of the CNI specification that this plug-in uses, and its own from 100 on.
 *
 * @source CNI specification 1.1.0, "Error", and section "STATUS"
 */
export const CNI_ERROR_CODES = {
  incompatibleVersion: 1,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  undecodable: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  /** STATUS only: no ADD can be served. */
  unavailable: 50,
  /** ours: the agent refused, for a reason that another try does not change */
  refused: 100,
  /** ours: what is held is not what the runtime believes */
  mismatch: 101,
} as const
export type CNIErrorCode = (typeof CNI_ERROR_CODES)[keyof typeof CNI_ERROR_CODES]

/** A failure as the runtime is told of it. */
export class CNIError extends Error {
  override readonly name = 'CNIError'
  readonly code: CNIErrorCode
  /** The long form; empty when there is no more to say. */
  readonly details: string

  constructor(code: CNIErrorCode, message: string, details = '') {
    super(message)
    this.code = code
    this.details = details
  }
}

/** The object that goes to standard output. */
export function errorResult(error: CNIError, cniVersion: string): object {
  return {
    cniVersion,
    code: error.code,
    msg: error.message,
    ...(error.details !== '' && { details: error.details }),
  }
}
