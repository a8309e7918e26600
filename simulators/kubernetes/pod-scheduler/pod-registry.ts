import type { Random } from '../../kit/random.ts'

/** A pod that is bound to a node. Times are of the scheduler's clock (ms). */
export interface Pod {
  /** `namespace/name`. */
  readonly owner: string
  readonly name: string
  readonly nodeName: string
  readonly createdMs: number
  /** The address its node's agent gave it; undefined while it waits. */
  address: string | undefined
}

interface Place {
  readonly maxPods: number
  readonly pods: Set<Pod>
}

/** Which pod is on which node; choosing one by chance takes constant time. */
export class PodRegistry {
  readonly #random: Random
  readonly #places = new Map<string, Place>()
  readonly #nodeNames: string[] = []
  readonly #pods: Pod[] = []
  readonly #indexOf = new Map<Pod, number>()
  /** In the order in which they were created. */
  readonly #waiting = new Set<Pod>()

  constructor(random: Random) {
    this.#random = random
  }

  /** Pods in all (count). */
  get size(): number {
    return this.#pods.length
  }

  /** Pods without address (count). */
  get waitingCount(): number {
    return this.#waiting.size
  }

  /** The pod that has waited longest. */
  get oldestWaiting(): Pod | undefined {
    for (const pod of this.#waiting) return pod
    return undefined
  }

  /** @param maxPods pods that the node takes at most (count) */
  addNode(nodeName: string, maxPods: number): void {
    if (this.#places.has(nodeName)) return
    this.#places.set(nodeName, { maxPods, pods: new Set() })
    this.#nodeNames.push(nodeName)
  }

  /** @returns the pods that were on it, which leave the registry too */
  removeNode(nodeName: string): readonly Pod[] {
    const place = this.#places.get(nodeName)
    if (place === undefined) return []
    const pods = [...place.pods]
    for (const pod of pods) this.remove(pod)
    this.#places.delete(nodeName)
    this.#nodeNames.splice(this.#nodeNames.indexOf(nodeName), 1)
    return pods
  }

  /** Pods that still fit on the node (count); 0 for an unknown one. */
  room(nodeName: string): number {
    const place = this.#places.get(nodeName)
    return place === undefined ? 0 : place.maxPods - place.pods.size
  }

  podsOn(nodeName: string): Iterable<Pod> {
    return this.#places.get(nodeName)?.pods ?? []
  }

  podCount(nodeName: string): number {
    return this.#places.get(nodeName)?.pods.size ?? 0
  }

  has(pod: Pod): boolean {
    return this.#indexOf.has(pod)
  }

  add(pod: Pod): void {
    this.#places.get(pod.nodeName)?.pods.add(pod)
    this.#indexOf.set(pod, this.#pods.length)
    this.#pods.push(pod)
    if (pod.address === undefined) this.#waiting.add(pod)
  }

  /** @returns false when it is not in the registry any more */
  setAddress(pod: Pod, address: string): boolean {
    if (!this.#indexOf.has(pod)) return false
    pod.address = address
    this.#waiting.delete(pod)
    return true
  }

  remove(pod: Pod): void {
    const index = this.#indexOf.get(pod)
    if (index === undefined) return
    const last = this.#pods.pop()
    if (last !== undefined && last !== pod) {
      this.#pods[index] = last
      this.#indexOf.set(last, index)
    }
    this.#indexOf.delete(pod)
    this.#waiting.delete(pod)
    this.#places.get(pod.nodeName)?.pods.delete(pod)
  }

  /** Any pod, each with the same chance. */
  pickPod(): Pod | undefined {
    return this.#pods[Math.floor(this.#random.next() * this.#pods.length)]
  }

  /** A node with room: any one, or the next in order when that one is full; undefined when all are full. */
  pickNodeWithRoom(): string | undefined {
    const count = this.#nodeNames.length
    const start = Math.floor(this.#random.next() * count)
    for (let step = 0; step < count; step++) {
      const nodeName = this.#nodeNames[(start + step) % count]
      if (nodeName !== undefined && this.room(nodeName) > 0) return nodeName
    }
    return undefined
  }
}
