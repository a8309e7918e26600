/** What every object carries and the informer needs to know of it. */
export interface ObjectIdentity {
  /** `namespace/name`, or the name of a cluster-scoped object. */
  readonly key: string
  readonly uid: string
  readonly resourceVersion: string
}

interface Known<D> {
  readonly uid: string
  readonly resourceVersion: string
  /** Undefined while no version of the object could be decoded. */
  readonly digest: D | undefined
}

/**
 * Which objects were handed on, in which version: a relist hands on only what changed, and finds what is gone. The objects
 * themselves are not kept; a digest of each is what its deletion is delivered with.
 */
export class KnownObjects<D> {
  readonly #known = new Map<string, Known<D>>()

  get size(): number {
    return this.#known.size
  }

  has({ key, uid, resourceVersion }: ObjectIdentity): boolean {
    const known = this.#known.get(key)
    return known !== undefined && known.uid === uid && known.resourceVersion === resourceVersion
  }

  /** @returns the digest of another object of the same name that this one replaces: its deletion was missed */
  replacedBy({ key, uid }: ObjectIdentity): D | undefined {
    const known = this.#known.get(key)
    return known !== undefined && known.uid !== uid ? known.digest : undefined
  }

  /** @param digest undefined keeps that of the last version that could be decoded */
  set({ key, uid, resourceVersion }: ObjectIdentity, digest: D | undefined): void {
    const known = this.#known.get(key)
    const kept = known !== undefined && known.uid === uid ? known.digest : undefined
    this.#known.set(key, { uid, resourceVersion, digest: digest ?? kept })
  }

  /** @returns the digest of what was known under the key */
  delete(key: string): D | undefined {
    const digest = this.#known.get(key)?.digest
    this.#known.delete(key)
    return digest
  }

  /** Keys that a complete list does not have any more, sorted. */
  missingFrom(listed: ReadonlySet<string>): readonly string[] {
    return [...this.#known.keys()].filter((key) => !listed.has(key)).sort()
  }
}
