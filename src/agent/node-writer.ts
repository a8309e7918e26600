import type { JSONObject } from '../ipam/types.ts'

/**
 * Writes the node's own CiliumNode. Patches are merge patches (RFC 7386) of our own paths; the version that they apply to is in
 * their metadata, so that one that was made for another version is refused.
 */
export interface NodeWriter {
  /** Through the status subresource. @returns the resource as it is now. @throws for every failure, a conflict included */
  patchStatus(patch: JSONObject, signal: AbortSignal): Promise<JSONObject>
  /** The resource itself. @returns and throws as `patchStatus` */
  patchSpec(patch: JSONObject, signal: AbortSignal): Promise<JSONObject>
}

/** Removes routes that keep a released address from being answered for. A missing route is no failure. */
export interface UnreachableRoutes {
  /** @param cidr canonical text; every unreachable route of the main table inside it goes. @throws for other failures */
  deleteUnreachable(cidr: string): Promise<void>
}
