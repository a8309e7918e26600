import type { ExpirationEntry } from './expiration.ts'
import type { Pool } from './pool.ts'

export interface DebugState {
  readonly status: string
  readonly owners: readonly (readonly [key: string, owner: string])[]
  readonly expirations: readonly ExpirationEntry[]
  readonly exclusions: readonly (readonly [pool: Pool, entries: readonly (readonly [what: string, owner: string])[]])[]
}

/**
 * The facade's state for people: one fact a line, sorted. Upstream prints every field of every allocator; owners, expirations and
 * exclusions are what it was reduced to later.
 */
export function debugText({ status, owners, expirations, exclusions }: DebugState): string {
  const lines = [
    `status: ${status}`,
    `owners: ${owners.length}`,
    ...owners.map(([key, owner]) => `  ${key}: ${owner === '' ? '""' : owner}`),
    `expirations: ${expirations.length}`,
    ...expirations.map(
      ({ pool, ip, uuid, remainingMs }) => `  ${pool}/${ip}: ${uuid}, ${Math.max(remainingMs, 0) / 1000} s left`,
    ),
    `exclusions: ${exclusions.reduce((sum, [, entries]) => sum + entries.length, 0)}`,
    ...exclusions.flatMap(([pool, entries]) => entries.map(([what, owner]) => `  ${pool}/${what}: ${owner}`)),
  ]
  return `${lines.join('\n')}\n`
}
