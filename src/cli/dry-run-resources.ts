import type { CiliumNodeGetterUpdater, WriteResult } from '../controller/api-server.ts'
import type { CiliumNode, OwnedSpec, OwnedStatus } from '../ipam/cilium-node.ts'
import { specPatch, statusPatch } from '../kubernetes/cilium-node-patch.ts'
import type { DryRun } from './dry-run.ts'

/**
 * CiliumNodes of a dry run: read for real, never written. What would be written is noted, and reported as if the resource said it
 * already, so that nothing is tried again.
 */
export class DryRunResources implements CiliumNodeGetterUpdater {
  readonly #api: Pick<CiliumNodeGetterUpdater, 'get'>
  readonly #dryRun: DryRun

  constructor(api: Pick<CiliumNodeGetterUpdater, 'get'>, dryRun: DryRun) {
    this.#api = api
    this.#dryRun = dryRun
  }

  get(name: string, signal: AbortSignal): Promise<CiliumNode | undefined> {
    return this.#api.get(name, signal)
  }

  updateStatus(seen: CiliumNode, wanted: OwnedStatus): Promise<WriteResult> {
    const asked = [...(wanted.releaseIPs?.values() ?? [])].filter((status) => status === 'marked-for-release').length
    if (statusPatch(seen, wanted) !== undefined) this.#dryRun.wouldWrite('status', seen.name, asked)
    return NOT_WRITTEN
  }

  update(seen: CiliumNode, wanted: OwnedSpec): Promise<WriteResult> {
    if (specPatch(seen, wanted) !== undefined) this.#dryRun.wouldWrite('spec', seen.name)
    return NOT_WRITTEN
  }

  create(): Promise<WriteResult> {
    return NOT_WRITTEN
  }

  delete(name: string): Promise<WriteResult> {
    this.#dryRun.wouldWrite('deleted', name)
    return NOT_WRITTEN
  }
}

const NOT_WRITTEN: Promise<WriteResult> = Promise.resolve({ kind: 'noop' })
