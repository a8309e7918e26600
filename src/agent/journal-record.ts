/** One address that was handed out, or is kept for the agent itself. What must survive a restart of the agent. */
export interface Lease {
  /** Canonical text. */
  readonly ip: string
  /** The pool that the address came from. */
  readonly pool: string
  /** `namespace/name` of the pod, or a name of the agent's own: `router`, `health`. */
  readonly owner: string
  /** `network/containerID/ifname` of the CNI attachment that holds the address. */
  readonly attachment?: string
  readonly expiration?: LeaseExpiration
}

/** A lease that ends by itself unless its holder says in time that it keeps the address. */
export interface LeaseExpiration {
  /** Who knows it may keep the address. */
  readonly uuid: string
  /** Wall-clock time (ms since 1970): it must mean the same after a restart. */
  readonly atMs: number
  /** How long the lease was given for (ms): bounds what a jump of the wall clock can add. */
  readonly timeoutMs: number
}

/** One change. A later record about an address replaces an earlier one. */
export type JournalRecord =
  | { readonly op: 'hold'; readonly lease: Lease }
  | { readonly op: 'free'; readonly ip: string; readonly pool: string }

/** The first frame of a state file. */
export interface JournalHeader {
  readonly format: typeof JOURNAL_FORMAT
  readonly node: string
}

export const JOURNAL_FORMAT = 'berth-agent-leases/1'

/** Two pools may hold the same address. */
export function leaseKey(lease: { readonly ip: string; readonly pool: string }): string {
  return `${lease.pool}/${lease.ip}`
}

/** @returns undefined when the value is not a header of any version */
export function parseHeader(value: unknown): { readonly format: string; readonly node: string } | undefined {
  if (!isObject(value)) return undefined
  const { format, node } = value
  return typeof format === 'string' && typeof node === 'string' ? { format, node } : undefined
}

/** @returns undefined when the value is no record: then a checksum was right by chance, or another program wrote it */
export function parseRecord(value: unknown): JournalRecord | undefined {
  if (!isObject(value)) return undefined
  if (value['op'] === 'hold') {
    const lease = parseLease(value['lease'])
    return lease === undefined ? undefined : { op: 'hold', lease }
  }
  const { op, ip, pool } = value
  return op === 'free' && isText(ip) && isText(pool) ? { op, ip, pool } : undefined
}

function parseLease(value: unknown): Lease | undefined {
  if (!isObject(value)) return undefined
  const { ip, pool, owner, attachment, expiration } = value
  if (!isText(ip) || !isText(pool) || typeof owner !== 'string') return undefined
  if (attachment !== undefined && !isText(attachment)) return undefined
  const expires = parseExpiration(expiration)
  if (expires === 'invalid') return undefined
  return {
    ip,
    pool,
    owner,
    ...(attachment !== undefined && { attachment }),
    ...(expires !== undefined && { expiration: expires }),
  }
}

function parseExpiration(value: unknown): LeaseExpiration | 'invalid' | undefined {
  if (value === undefined) return undefined
  if (!isObject(value)) return 'invalid'
  const { uuid, atMs, timeoutMs } = value
  return isText(uuid) && typeof atMs === 'number' && typeof timeoutMs === 'number'
    ? { uuid, atMs, timeoutMs }
    : 'invalid'
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
