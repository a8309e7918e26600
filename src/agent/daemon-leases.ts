import type { AllocationResult } from './allocator.ts'
import type { Lease } from './journal-record.ts'
import { leaseKey } from './journal-record.ts'

/** A lease in memory. Replaced, never edited: who kept one over an `await` can tell whether it is still in force. */
export interface HeldLease {
  readonly lease: Lease
  /** As the allocator gave it; undefined while the address is not in the node's pool: then no allocator knows of it. */
  readonly result: AllocationResult | undefined
}

/** Every lease of the node, found by address, by attachment and by owner, each in the number of what is found. */
export class LeaseTable {
  readonly #byKey = new Map<string, HeldLease>()
  readonly #byAttachment = new Map<string, Set<string>>()
  readonly #byOwner = new Map<string, Set<string>>()
  #unbackedCount = 0

  get size(): number {
    return this.#byKey.size
  }

  /** Leases whose address is not in the node's pool (count). */
  get unbackedCount(): number {
    return this.#unbackedCount
  }

  get(ip: string, pool: string): HeldLease | undefined {
    return this.#byKey.get(leaseKey({ ip, pool }))
  }

  /** Whether exactly this lease is in force. */
  holds(held: HeldLease): boolean {
    return this.#byKey.get(leaseKey(held.lease)) === held
  }

  set(held: HeldLease): void {
    const { lease } = held
    this.delete(lease.ip, lease.pool)
    const key = leaseKey(lease)
    this.#byKey.set(key, held)
    add(this.#byOwner, lease.owner, key)
    if (lease.attachment !== undefined) add(this.#byAttachment, lease.attachment, key)
    if (held.result === undefined) this.#unbackedCount += 1
  }

  delete(ip: string, pool: string): void {
    const key = leaseKey({ ip, pool })
    const held = this.#byKey.get(key)
    if (held === undefined) return
    this.#byKey.delete(key)
    remove(this.#byOwner, held.lease.owner, key)
    if (held.lease.attachment !== undefined) remove(this.#byAttachment, held.lease.attachment, key)
    if (held.result === undefined) this.#unbackedCount -= 1
  }

  ofAttachment(attachment: string): readonly HeldLease[] {
    return this.#all(this.#byAttachment.get(attachment))
  }

  ofOwner(owner: string): readonly HeldLease[] {
    return this.#all(this.#byOwner.get(owner))
  }

  /** Attachments that hold something and whose name begins so, sorted. */
  attachmentsWith(prefix: string): readonly string[] {
    return [...this.#byAttachment.keys()].filter((attachment) => attachment.startsWith(prefix)).sort()
  }

  unbacked(): readonly HeldLease[] {
    return this.#unbackedCount === 0 ? [] : [...this.#byKey.values()].filter(({ result }) => result === undefined)
  }

  /** Everything, in the order of holding: what the journal writes. */
  *leases(): Generator<Lease> {
    for (const { lease } of this.#byKey.values()) yield lease
  }

  #all(keys: ReadonlySet<string> | undefined): readonly HeldLease[] {
    return [...(keys ?? [])].flatMap((key) => this.#byKey.get(key) ?? [])
  }
}

function add(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name)
  if (keys === undefined) index.set(name, new Set([key]))
  else keys.add(key)
}

function remove(index: Map<string, Set<string>>, name: string, key: string): void {
  const keys = index.get(name)
  keys?.delete(key)
  if (keys?.size === 0) index.delete(name)
}
