import type { CiliumNodeGetterUpdater, WriteResult } from '../../src/controller/api-server.ts'
import type { CiliumNode, OwnedSpec, OwnedStatus, ReleaseStatus } from '../../src/ipam/cilium-node.ts'
import type { AllocationMap } from '../../src/ipam/types.ts'

/** What happens to one write. */
export type WriteFault = 'conflict' | 'notFound' | 'error'

export type WriteCall = 'updateStatus' | 'update' | 'get'

/**
 * CiliumNodes in memory with resource versions and conflicts. Watchers are told of a change as soon as it is stored, as a watch
 * would, before the writer has its answer.
 */
export class FakeAPIServer implements CiliumNodeGetterUpdater {
  readonly calls: { readonly call: WriteCall | 'delete'; readonly name: string }[] = []
  onChange: (node: CiliumNode) => void = () => undefined
  readonly #nodes = new Map<string, CiliumNode>()
  readonly #faults = new Map<WriteCall, WriteFault[]>()
  #version = 100

  fail(call: WriteCall, ...faults: readonly WriteFault[]): void {
    this.#faults.set(call, [...(this.#faults.get(call) ?? []), ...faults])
  }

  callCount(call: WriteCall | 'delete', name?: string): number {
    return this.calls.filter((made) => made.call === call && (name ?? made.name) === made.name).length
  }

  names(): string[] {
    return [...this.#nodes.keys()].sort()
  }

  stopFaults(): void {
    this.#faults.clear()
  }

  read(name: string): CiliumNode {
    const node = this.#nodes.get(name)
    if (node === undefined) throw new Error(`no CiliumNode ${name}`)
    return node
  }

  /** Stores a version as somebody else than the controller would. */
  put(node: CiliumNode): CiliumNode {
    const stored = { ...node, resourceVersion: String(++this.#version) }
    this.#nodes.set(node.name, stored)
    this.onChange(stored)
    return stored
  }

  /** Changes what is stored, as somebody else than the controller would. */
  change(name: string, edit: (node: CiliumNode) => CiliumNode): CiliumNode {
    return this.put(edit(this.read(name)))
  }

  remove(name: string): void {
    this.#nodes.delete(name)
  }

  // oxlint-disable-next-line typescript/require-await -- the interface is asynchronous
  async get(name: string): Promise<CiliumNode | undefined> {
    this.calls.push({ call: 'get', name })
    if (this.#faults.get('get')?.shift() === 'error') throw new Error('the API server did not answer')
    return this.#nodes.get(name)
  }

  updateStatus(seen: CiliumNode, wanted: OwnedStatus): Promise<WriteResult> {
    return this.#write('updateStatus', seen, (stored) => withStatus(stored, wanted))
  }

  update(seen: CiliumNode, wanted: OwnedSpec): Promise<WriteResult> {
    return this.#write('update', seen, (stored) => withSpec(stored, wanted))
  }

  // oxlint-disable-next-line typescript/require-await -- the interface is asynchronous
  async create(node: CiliumNode): Promise<WriteResult> {
    return { kind: 'ok', node: this.put(node) }
  }

  // oxlint-disable-next-line typescript/require-await -- the interface is asynchronous
  async delete(name: string, uid: string, resourceVersion: string): Promise<WriteResult> {
    this.calls.push({ call: 'delete', name })
    const node = this.#nodes.get(name)
    if (node === undefined) return { kind: 'notFound' }
    if (node.uid !== uid || node.resourceVersion !== resourceVersion) return { kind: 'conflict' }
    this.#nodes.delete(name)
    return { kind: 'ok', node }
  }

  // oxlint-disable-next-line typescript/require-await -- the interface is asynchronous
  async #write(call: WriteCall, seen: CiliumNode, edit: (stored: CiliumNode) => CiliumNode): Promise<WriteResult> {
    this.calls.push({ call, name: seen.name })
    const fault = this.#faults.get(call)?.shift()
    if (fault === 'error') throw new Error('the API server did not answer')
    if (fault !== undefined) return { kind: fault }
    if (fingerprint(edit(seen)) === fingerprint(seen)) return { kind: 'noop' }
    const stored = this.#nodes.get(seen.name)
    if (stored === undefined) return { kind: 'notFound' }
    if (stored.resourceVersion !== seen.resourceVersion) return { kind: 'conflict' }
    return { kind: 'ok', node: this.put(edit(stored)) }
  }
}

/** The agent's side of the release handshake, on one version of its resource (agents up to 1.19). */
export function agentAnswers(node: CiliumNode): CiliumNode {
  const { pool } = node.spec.ipam
  if (pool === undefined) return node
  const releaseIPs = new Map<string, ReleaseStatus>()
  for (const [address, state] of node.status.releaseIPs) {
    const isInPool = pool.has(address)
    if (state === 'released' && !isInPool) continue
    if (state !== 'marked-for-release') releaseIPs.set(address, state)
    else if (!isInPool || node.status.used.has(address)) releaseIPs.set(address, 'do-not-release')
    else releaseIPs.set(address, 'ready-for-release')
  }
  return { ...node, status: { ...node.status, releaseIPs } }
}

function withStatus(node: CiliumNode, wanted: OwnedStatus): CiliumNode {
  const { provider } = wanted
  return {
    ...node,
    status: {
      ...node.status,
      releaseIPs: wanted.releaseIPs ?? new Map(),
      operatorError: wanted.operatorError,
      ...(wanted.assignedStaticIP !== undefined && { assignedStaticIP: wanted.assignedStaticIP }),
      ...(provider !== undefined && {
        [provider.section === 'alibaba-cloud' ? 'alibabaCloud' : provider.section]: provider.value,
      }),
    },
  }
}

function withSpec(node: CiliumNode, wanted: OwnedSpec): CiliumNode {
  const { pool: _pool, ...ipam } = node.spec.ipam
  const pool: { pool?: AllocationMap } = wanted.pool === null || wanted.pool.size === 0 ? {} : { pool: wanted.pool }
  const preAllocate = ipam.preAllocate === 0 ? (wanted.preAllocate ?? 0) : ipam.preAllocate
  return { ...node, spec: { ...node.spec, ipam: { ...ipam, ...pool, preAllocate } } }
}

function fingerprint(node: CiliumNode): string {
  const { pool, preAllocate } = node.spec.ipam
  const { eni, azure, alibabaCloud, releaseIPs, assignedStaticIP, operatorError } = node.status
  const entries = [...(pool ?? [])].map(([address, { resource }]) => `${address}=${resource ?? ''}`).sort()
  const states = [...releaseIPs].map(([address, state]) => `${address}=${state}`).sort()
  return JSON.stringify([entries, preAllocate, eni, azure, alibabaCloud, states, assignedStaticIP, operatorError])
}
