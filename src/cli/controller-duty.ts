import type { NodeManager } from '../controller/node-manager.ts'
import type { Leadership } from '../kubernetes/leader-election.ts'
import type { Readiness } from '../telemetry/server.ts'

/** What a process does while it holds the lease. */
export interface LeaderWork {
  /** The fleet of a cloud; absent where nodes get CIDRs of the cluster's own. */
  readonly manager?: NodeManager
  /** Resolves once everything is prepared. @throws what makes leading pointless */
  start(): Promise<void>
  /** Takes no more work and lets what is under way end; when the signal is aborted, abandons it. */
  stop(grace: AbortSignal): Promise<void>
  readiness(): Readiness
}

/** What a mode of `--ipam` needs of the outside, opened before the lease is asked for. */
export interface Duty {
  /** @param leadership nothing may be written once it is lost */
  lead(leadership: Leadership): LeaderWork
  close(): void
}
