import type { CiliumNode, OwnedSpec, OwnedStatus } from '../ipam/cilium-node.ts'
import type { CiliumNodeGetterUpdater, WriteResult } from './api-server.ts'

/** Attempts of each phase. cilium pkg/ipam/node.go, syncToAPIServer */
const ATTEMPTS_PER_PHASE = 2

export interface PublicationInput {
  readonly apiServer: Pick<CiliumNodeGetterUpdater, 'get' | 'update' | 'updateStatus'>
  /** The version that the first attempt is made on. */
  readonly seen: CiliumNode
  /** Called for each attempt, on the version that is about to be written. */
  readonly wantedStatus: (seen: CiliumNode) => OwnedStatus
  /** Likewise; undefined: the spec stays as it is (the inventory is not known). */
  readonly wantedSpec: ((seen: CiliumNode) => OwnedSpec) | undefined
  readonly signal: AbortSignal
}

/** Why nothing more was written. */
interface PublicationFailure {
  readonly kind: 'failed'
  readonly seen: CiliumNode
  readonly error: Error
  /** The API server is well; others wrote first each time. */
  readonly isConflict: boolean
  readonly hasWritten: boolean
}

/** `seen` is the newest version that the sync came to know. */
export type PublicationResult =
  | { readonly kind: 'done'; readonly seen: CiliumNode; readonly hasWritten: boolean }
  | { readonly kind: 'gone' }
  | PublicationFailure

/**
 * Brings a node's resource up to date: first the status, then the spec, so that no agent ever sees an address without knowing
 * its interface. After a conflict the resource is read and everything is computed anew on it; a resource that is gone ends the sync
 * quietly.
 *
 * @source cilium pkg/ipam/node.go, syncToAPIServer
 */
export async function syncToAPIServer(input: PublicationInput): Promise<PublicationResult> {
  const { apiServer, signal, wantedStatus, wantedSpec } = input
  const status = await runPhase(input, input.seen, (seen) => apiServer.updateStatus(seen, wantedStatus(seen), signal))
  if (status.kind === 'failed') return status
  if (wantedSpec === undefined) return status.isGone ? { kind: 'gone' } : { ...status, kind: 'done' }
  const spec = await runPhase(input, status.seen, (seen) => apiServer.update(seen, wantedSpec(seen), signal))
  if (status.isGone || (spec.kind === 'done' && spec.isGone)) return { kind: 'gone' }
  return { ...spec, hasWritten: status.hasWritten || spec.hasWritten }
}

type PhaseResult =
  | { readonly kind: 'done'; readonly seen: CiliumNode; readonly hasWritten: boolean; readonly isGone: boolean }
  | PublicationFailure

async function runPhase(
  { apiServer, signal }: PublicationInput,
  first: CiliumNode,
  write: (seen: CiliumNode) => Promise<WriteResult>,
): Promise<PhaseResult> {
  let seen = first
  let error: Error | undefined
  for (let attempt = 0; attempt < ATTEMPTS_PER_PHASE; attempt++) {
    try {
      const result = await write(seen)
      if (result.kind === 'ok') return { kind: 'done', seen: result.node, hasWritten: true, isGone: false }
      if (result.kind !== 'conflict')
        return { kind: 'done', seen, hasWritten: false, isGone: result.kind === 'notFound' }
    } catch (cause) {
      error = asError(cause)
    }
    if (signal.aborted) break
    try {
      const fetched = await apiServer.get(first.name, signal)
      if (fetched === undefined) return { kind: 'done', seen, hasWritten: false, isGone: true }
      seen = fetched
    } catch (cause) {
      error = asError(cause)
    }
  }
  const isConflict = error === undefined
  error ??= new Error(`CiliumNode ${first.name} kept changing while it was written`)
  return { kind: 'failed', seen, hasWritten: false, error, isConflict }
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
