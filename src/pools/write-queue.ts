/** What is to be done to a node's object; one for each node, the last one wins. */
export interface PendingWrite {
  readonly op: 'create' | 'update' | 'updateStatus' | 'delete'
  /** `spec.ipam.podCIDRs`, IPv4 first. */
  readonly podCIDRs: readonly string[]
  /** `status.ipam.operator-status.error`; empty: fine. */
  readonly error: string
}

/** How a call of the API server ended. */
export type CallResult = 'ok' | 'AlreadyExists' | 'Conflict' | 'NotFound' | 'failed'

/**
 * The calls of the queue. `get` re-reads the object and keeps it with ours put in: the pod CIDRs, the owner reference if it has
 * none, the error text.
 *
 * @source cilium pkg/ipam/allocator/podcidr/podcidr.go, syncToK8s
 */
export interface PodCIDRNodeAPI {
  create(name: string, write: PendingWrite): Promise<CallResult>
  update(name: string, write: PendingWrite): Promise<CallResult>
  updateStatus(name: string, write: PendingWrite): Promise<CallResult>
  get(name: string): Promise<CallResult>
}

/**
 * Tries what waits for one node, once. What succeeded is taken out; what met a newer version is read again and stays for the next time.
 *
 * @param queue node → write; an entry that was replaced while its call was under way stays
 * @returns whether anything is to be tried again
 * @source cilium pkg/ipam/allocator/podcidr/podcidr.go, syncToK8s
 */
export async function syncNode(queue: Map<string, PendingWrite>, name: string, api: PodCIDRNodeAPI): Promise<boolean> {
  const write = queue.get(name)
  if (write === undefined) return false
  const next = await perform(name, write, api)
  // The await gave the manager time to change its mind.
  if (queue.get(name) !== write) return true
  if (next === undefined) queue.delete(name)
  else queue.set(name, next)
  return next !== undefined
}

/** @returns what remains to be done; undefined: nothing */
async function perform(name: string, write: PendingWrite, api: PodCIDRNodeAPI): Promise<PendingWrite | undefined> {
  switch (write.op) {
    case 'create': {
      const result = await api.create(name, write)
      if (result === 'ok') return undefined
      if (result !== 'AlreadyExists' && result !== 'Conflict') return write
      return (await api.get(name)) === 'ok' ? { ...write, op: 'update' } : write
    }
    case 'update': {
      const result = await api.update(name, write)
      if (result === 'NotFound') return undefined
      return result === 'ok' ? await performStatus(name, write, api) : await reread(name, write, result, api)
    }
    case 'updateStatus':
      return await performStatus(name, write, api)
    case 'delete': {
      // Kubernetes deletes the object with its node; that it is still there is strange, and not ours to change.
      const result = await api.get(name)
      return result === 'NotFound' || result === 'ok' ? undefined : write
    }
    default:
      return write.op satisfies never
  }
}

async function performStatus(
  name: string,
  write: PendingWrite,
  api: PodCIDRNodeAPI,
): Promise<PendingWrite | undefined> {
  const result = await api.updateStatus(name, write)
  return result === 'ok' || result === 'NotFound' ? undefined : await reread(name, write, result, api)
}

async function reread(
  name: string,
  write: PendingWrite,
  result: CallResult,
  api: PodCIDRNodeAPI,
): Promise<PendingWrite> {
  if (result === 'Conflict') await api.get(name)
  return write
}
