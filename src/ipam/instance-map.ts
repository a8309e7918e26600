import { assert } from '../runtime/assert.ts'

/**
 * Instance ID → interface ID → interface: a provider's inventory. Interfaces are replaced, never edited, so that a copy is cheap
 * and what was handed out stays as it was. Interfaces come in the order of their IDs.
 *
 * An empty instance ID is a defect of the caller: a resource without `spec.instance-id` is not manageable. (The reference takes
 * it for "all instances", which once gave one node every interface of its network: cilium issue 15682.)
 *
 * @source cilium pkg/ipam/types/types.go, InstanceMap
 */
export class InstanceMap<I> {
  readonly #instances = new Map<string, ReadonlyMap<string, I>>()

  /** Adds or replaces one interface; the instance is added where it is new. */
  updateInterface(instanceID: string, interfaceID: string, iface: I): void {
    assertNamed(instanceID)
    const interfaces = new Map(this.#instances.get(instanceID))
    this.#instances.set(instanceID, sortedByKey(interfaces.set(interfaceID, iface)))
  }

  /** Removes one interface; the instance stays, even without interfaces. Unknown IDs are no error. */
  deleteInterface(instanceID: string, interfaceID: string): void {
    assertNamed(instanceID)
    const interfaces = new Map(this.#instances.get(instanceID))
    if (interfaces.delete(interfaceID)) this.#instances.set(instanceID, interfaces)
  }

  /** Sets all interfaces of one instance. */
  replaceInstance(instanceID: string, interfaces: ReadonlyMap<string, I>): void {
    assertNamed(instanceID)
    this.#instances.set(instanceID, sortedByKey(interfaces))
  }

  /** The interfaces of one instance, by ID; undefined when the instance is not known. */
  interfacesOf(instanceID: string): ReadonlyMap<string, I> | undefined {
    assertNamed(instanceID)
    return this.#instances.get(instanceID)
  }

  getInterface(instanceID: string, interfaceID: string): I | undefined {
    return this.interfacesOf(instanceID)?.get(interfaceID)
  }

  hasInstance(instanceID: string): boolean {
    assertNamed(instanceID)
    return this.#instances.has(instanceID)
  }

  deleteInstance(instanceID: string): void {
    assertNamed(instanceID)
    this.#instances.delete(instanceID)
  }

  /** How many instances there are (count). */
  get instanceCount(): number {
    return this.#instances.size
  }

  /** IDs of all instances, sorted: O(n log n), not for the path of one node. */
  instanceIDs(): string[] {
    return [...this.#instances.keys()].sort()
  }

  /** Every interface of every instance, in the order of their IDs. Walks the whole inventory. */
  *allInterfaces(): Generator<{ readonly instanceID: string; readonly interfaceID: string; readonly iface: I }> {
    for (const [instanceID, interfaces] of sortedByKey(this.#instances)) {
      for (const [interfaceID, iface] of interfaces) yield { instanceID, interfaceID, iface }
    }
  }

  /** A copy that later changes of either side do not reach. O(instances). */
  copy(): InstanceMap<I> {
    const copied = new InstanceMap<I>()
    for (const [instanceID, interfaces] of this.#instances) copied.#instances.set(instanceID, interfaces)
    return copied
  }
}

function assertNamed(instanceID: string): void {
  assert(instanceID !== '', 'Instance ID is empty')
}

function sortedByKey<V>(entries: ReadonlyMap<string, V>): ReadonlyMap<string, V> {
  return new Map([...entries].sort(([left], [right]) => (left < right ? -1 : 1)))
}
