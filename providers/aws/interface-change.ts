import { addressesOfPrefix, parseIPv4, parseIPv4CIDR } from '../../src/ipam/ip-range.ts'
import { assertNever } from '../../src/runtime/assert.ts'
import type { ENI } from './types.ts'

/** What one of our own calls did to an interface, as EC2 answered. */
export type InterfaceChange =
  | { readonly kind: 'attached'; readonly eni: ENI }
  | {
      readonly kind: 'assigned'
      readonly addresses: readonly string[]
      readonly prefixes: readonly string[]
      readonly ipv6Prefixes: readonly string[]
    }
  | { readonly kind: 'unassigned'; readonly addresses: readonly string[]; readonly prefixes: readonly string[] }
  | { readonly kind: 'associated'; readonly publicIP: string }

/**
 * The interface after a change. Applying a change again changes nothing, so that it can be replayed over a listing that may or
 * may not show it. Malformed addresses and prefixes are ignored.
 *
 * @param eni undefined when the interface is not known: only `attached` brings it into being
 */
export function applyChange(eni: ENI | undefined, change: InterfaceChange): ENI | undefined {
  if (change.kind === 'attached') return eni ?? change.eni
  if (eni === undefined) return undefined
  switch (change.kind) {
    case 'assigned': {
      const prefixes = change.prefixes.filter((prefix) => parseIPv4CIDR(prefix) !== undefined)
      const addresses = change.addresses.filter((address) => parseIPv4(address) !== undefined)
      return {
        ...eni,
        addresses: union(eni.addresses, [...addresses, ...prefixes.flatMap((prefix) => addressesOfPrefix(prefix))]),
        prefixes: union(eni.prefixes, prefixes),
        ipv6Prefixes: union(eni.ipv6Prefixes, change.ipv6Prefixes),
      }
    }
    case 'unassigned': {
      const gone = new Set([...change.addresses, ...change.prefixes.flatMap((prefix) => addressesOfPrefix(prefix))])
      return {
        ...eni,
        addresses: eni.addresses.filter((address) => !gone.has(address)),
        prefixes: eni.prefixes.filter((prefix) => !change.prefixes.includes(prefix)),
      }
    }
    case 'associated':
      return { ...eni, publicIP: change.publicIP }
    default:
      return assertNever(change)
  }
}

function union(present: readonly string[], added: readonly string[]): readonly string[] {
  return [...new Set([...present, ...added])]
}

interface RecordedChange {
  readonly interfaceID: string
  readonly atMs: number
  readonly change: InterfaceChange
}

/**
 * How long after a change a listing may still not show it (ms). EC2 is eventually consistent and gives no figure; a few seconds
 * are seen in practice. @source AWS documentation, Amazon EC2 Developer Guide, Ensuring idempotency and eventual consistency
 */
export const VISIBILITY_MS = 10_000

/**
 * Our own recent changes. A listing that began before a change was made, or too soon after it for EC2 to show it, would take
 * it back; replayed over the listing it is kept.
 *
 * @source cilium pkg/aws/ipam/instances.go (1.21 line: changes wait for a running full resync)
 */
export class RecentChanges {
  readonly #byInstance = new Map<string, readonly RecordedChange[]>()

  /** @param oldestReadMs start of the oldest read under way, or now */
  record(instanceID: string, interfaceID: string, change: InterfaceChange, nowMs: number, oldestReadMs: number): void {
    const kept = (this.#byInstance.get(instanceID) ?? []).filter(({ atMs }) => atMs >= oldestReadMs - VISIBILITY_MS)
    this.#byInstance.set(instanceID, [...kept, { interfaceID, atMs: nowMs, change }])
  }

  /** Whether anything of this instance has to be replayed over a read that began then. */
  has(instanceID: string, readStartedAtMs: number): boolean {
    return this.#byInstance.get(instanceID)?.some(({ atMs }) => atMs >= readStartedAtMs - VISIBILITY_MS) ?? false
  }

  /** What a read that began at `readStartedAtMs` says, with the changes that it cannot be trusted to show. */
  replay(instanceID: string, interfaces: ReadonlyMap<string, ENI>, readStartedAtMs: number): ReadonlyMap<string, ENI> {
    const replayed = new Map(interfaces)
    for (const { interfaceID, atMs, change } of this.#byInstance.get(instanceID) ?? []) {
      if (atMs < readStartedAtMs - VISIBILITY_MS) continue
      const eni = applyChange(replayed.get(interfaceID), change)
      if (eni !== undefined) replayed.set(interfaceID, eni)
    }
    return replayed
  }

  /** Drops what no read can miss any more. O(instances with changes). */
  forgetBefore(oldestReadMs: number): void {
    for (const [instanceID, changes] of this.#byInstance)
      if (changes.every(({ atMs }) => atMs < oldestReadMs - VISIBILITY_MS)) this.#byInstance.delete(instanceID)
  }

  forgetInstance(instanceID: string): void {
    this.#byInstance.delete(instanceID)
  }
}
