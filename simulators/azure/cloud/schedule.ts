interface Entry {
  readonly atMs: number
  readonly order: number
  readonly run: () => void
}

/** What falls due with time, earliest first and in order of entry at the same moment: a binary heap. Nothing runs by itself. */
export class Schedule {
  readonly #heap: Entry[] = []
  #order = 0

  get size(): number {
    return this.#heap.length
  }

  add(atMs: number, run: () => void): void {
    this.#heap.push({ atMs, order: this.#order++, run })
    let at = this.#heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Runs all that is due by now, also what those runs add. */
  runDue(nowMs: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.#removeFirst()
      first.run()
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    let at = 0
    for (;;) {
      const left = 2 * at + 1
      let least = at
      if (this.#isBefore(left, least)) least = left
      if (this.#isBefore(left + 1, least)) least = left + 1
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #isBefore(one: number, other: number): boolean {
    const a = this.#heap[one]
    const b = this.#heap[other]
    if (a === undefined || b === undefined) return false
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
  }

  #swap(one: number, other: number): void {
    const a = this.#heap[one]
    const b = this.#heap[other]
    if (a === undefined || b === undefined) return
    this.#heap[one] = b
    this.#heap[other] = a
  }
}
