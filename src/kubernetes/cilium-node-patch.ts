import type { CiliumNode, OwnedSpec, OwnedStatus, ProviderStatus } from '../ipam/cilium-node.ts'
import type { AllocationIP, JSONObject, JSONValue } from '../ipam/types.ts'
import { spellingOf } from './cilium-node.ts'
import { mergePatch } from './json.ts'

/**
 * The merge patch of `/status` that brings the owned part of the status to what is wanted; every other path is left alone.
 *
 * @returns with `metadata.resourceVersion`, so that it applies to exactly the version that was seen; undefined when nothing differs
 * @source RFC 7386; docs/decisions/0007-writes.md
 */
export function statusPatch(seen: CiliumNode, wanted: OwnedStatus): JSONObject | undefined {
  const ipam: Record<string, JSONValue> = {
    ...releaseIPsPatch(seen.status.releaseIPs, wanted.releaseIPs),
    ...textPatch('assigned-static-ip', seen.status.assignedStaticIP, wanted.assignedStaticIP),
    ...operatorErrorPatch(seen.status.operatorError, wanted.operatorError),
  }
  const status: Record<string, JSONValue> = {
    ...providerPatch(seen, wanted.provider),
    ...(Object.keys(ipam).length > 0 && { ipam }),
  }
  return Object.keys(status).length === 0 ? undefined : withPrecondition(seen, { status })
}

/**
 * The merge patch of the resource that brings the owned part of the spec to what is wanted.
 *
 * @returns as `statusPatch`
 */
export function specPatch(seen: CiliumNode, wanted: OwnedSpec): JSONObject | undefined {
  const { pool, preAllocate } = seen.spec.ipam
  const ipam: Record<string, JSONValue> = { ...poolPatch(pool, wanted.pool) }
  if (preAllocate === 0 && wanted.preAllocate !== undefined && wanted.preAllocate > 0) {
    ipam['pre-allocate'] = wanted.preAllocate
  }
  return Object.keys(ipam).length === 0 ? undefined : withPrecondition(seen, { spec: { ipam } })
}

/** The patch that says what is wrong with a resource that cannot be managed as it is. Needs no more of it than its metadata. */
export function operatorErrorOnlyPatch(
  seen: { readonly resourceVersion: string; readonly operatorError: string },
  error: string,
): JSONObject | undefined {
  const ipam = operatorErrorPatch(seen.operatorError, error)
  return Object.keys(ipam).length === 0 ? undefined : withPrecondition(seen, { status: { ipam } })
}

function withPrecondition(seen: { readonly resourceVersion: string }, patch: JSONObject): JSONObject {
  return { metadata: { resourceVersion: seen.resourceVersion }, ...patch }
}

function providerPatch(seen: CiliumNode, wanted: ProviderStatus | undefined): Record<string, JSONValue> {
  if (wanted === undefined) return {}
  const { section, value } = wanted
  const change = mergePatch(section === 'alibaba-cloud' ? seen.status.alibabaCloud : seen.status[section], value)
  return change === undefined ? {} : { [section]: change }
}

/** An empty pool counts as an absent one, as for the reference, which never writes an empty map. */
function poolPatch(seen: CiliumNode['spec']['ipam']['pool'], wanted: OwnedSpec['pool']): Record<string, JSONValue> {
  if (wanted === null) return seen === undefined ? {} : { pool: null }
  const changes: Record<string, JSONValue> = {}
  for (const [address, entry] of wanted) {
    const change = mergePatch(entryJSON(seen?.get(address)), entryJSON(entry))
    const key = spellingOf(seen, address)
    if (seen?.has(address) !== true) changes[address] = entryJSON(entry)
    else if (key !== address) Object.assign(changes, { [key]: null, [address]: entryJSON(entry) })
    else if (change !== undefined) changes[address] = change
  }
  for (const address of seen?.keys() ?? []) {
    if (!wanted.has(address)) changes[spellingOf(seen, address)] = null
  }
  return Object.keys(changes).length === 0 ? {} : { pool: changes }
}

function entryJSON(entry: AllocationIP | undefined): JSONObject {
  return {
    ...(entry?.owner !== undefined && { owner: entry.owner }),
    ...(entry?.resource !== undefined && { resource: entry.resource }),
  }
}

function releaseIPsPatch(
  seen: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string> | null,
): Record<string, JSONValue> {
  if (wanted === null) return seen.size === 0 ? {} : { 'release-ips': null }
  const changes: Record<string, JSONValue> = {}
  for (const [address, state] of wanted) {
    const spelling = spellingOf(seen, address)
    if (spelling !== address) changes[spelling] = null
    if (spelling !== address || seen.get(address) !== state) changes[address] = state
  }
  for (const address of seen.keys()) {
    if (!wanted.has(address)) changes[spellingOf(seen, address)] = null
  }
  return Object.keys(changes).length === 0 ? {} : { 'release-ips': changes }
}

function textPatch(key: string, seen: string, wanted: string | undefined): Record<string, JSONValue> {
  if (wanted === undefined || wanted === seen) return {}
  return { [key]: wanted === '' ? null : wanted }
}

function operatorErrorPatch(seen: string, wanted: string): Record<string, JSONValue> {
  const change = textPatch('error', seen, wanted)
  return Object.keys(change).length === 0 ? {} : { 'operator-status': change }
}
