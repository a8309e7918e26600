import { isUsable } from './plan.ts'
import type { NIC } from './types.ts'

/** Interfaces that are remembered (count). What is forgotten takes a slot until the interface goes. */
const MAX_INTERFACES = 10_000
const NO_NAMES: ReadonlySet<string> = new Set()

/**
 * Configurations that writes of this process asked for and that failed, or whose end nobody waited for: they may be there and take slots.
 *
 * They may be taken away as long as nobody can use them. Pods have only what the inventory has shown as usable, so that a name that
 * was shown so once is no longer among them, whatever its state is later.
 */
export class UnfinishedNames {
  readonly #byInterface = new Map<string, Set<string>>()

  /** A write of these names failed. */
  remember(interfaceID: string, names: readonly string[]): void {
    const known = this.#byInterface.get(interfaceID)
    if (known === undefined && this.#byInterface.size >= MAX_INTERFACES) this.#byInterface.clear()
    this.#byInterface.set(interfaceID, new Set([...(known ?? []), ...names]))
  }

  /** Whatever was left is gone, or finished. */
  forget(interfaceID: string): void {
    this.#byInterface.delete(interfaceID)
  }

  /** The inventory shows this interface. */
  seen({ id, configurations }: NIC): void {
    const names = this.#byInterface.get(id)
    if (names === undefined) return
    for (const one of configurations) if (isUsable(one)) names.delete(one.name)
  }

  of(interfaceID: string): ReadonlySet<string> {
    return this.#byInterface.get(interfaceID) ?? NO_NAMES
  }
}
