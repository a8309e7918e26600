/**
 * What the daemon itself refuses; the rest are the codes of `IPAMError`.
 *
 * - `NOT_READY`: leases of before the restart are not registered yet, or the node has no addresses yet
 * - `STOPPING`: the daemon ends
 * - `ADDRESS_ATTACHED`: a container holds the address; only the end of its attachment gives it back
 * - `ADDRESS_RESERVED`: the agent itself holds the address
 * - `LEASE_ENDED`: the address was given back while its allocation was being saved
 * - `LEASE_UNBACKED`: the address is not in the node's pool any more
 * - `ATTACHMENT_UNKNOWN`: no address is held for the attachment
 */
export type DaemonErrorCode =
  | 'NOT_READY'
  | 'STOPPING'
  | 'ADDRESS_ATTACHED'
  | 'ADDRESS_RESERVED'
  | 'LEASE_ENDED'
  | 'LEASE_UNBACKED'
  | 'ATTACHMENT_UNKNOWN'

/** A refusal of the daemon. The message names address, owner and pool where there are any. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError'
  readonly code: DaemonErrorCode

  constructor(code: DaemonErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
