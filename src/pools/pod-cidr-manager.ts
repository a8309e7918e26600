import type { CIDR } from '../ipam/ip-range.ts'
import { cidrsOverlap, formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import type { CIDRSet, Family } from './cidr-set.ts'
import { familyName, parsePoolCIDR } from './cidr-set.ts'
import { PoolError } from './errors.ts'
import type { PendingWrite } from './write-queue.ts'

/** What the manager reads of a CiliumNode. */
export interface PodCIDRNode {
  readonly name: string
  /** Empty: the object is not in the API server yet. */
  readonly resourceVersion: string
  /** `spec.ipam.podCIDRs` as written. */
  readonly podCIDRs: readonly string[]
  /** `status.ipam.operator-status.error`. */
  readonly error: string
}

type NodeCIDRs = Readonly<Record<Family, readonly CIDR[]>>

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']
const NONE: NodeCIDRs = { ipv4: [], ipv6: [] }

/**
 * Gives every node of a cluster its pod CIDRs: one of each configured family, cut from the cluster's. What a node lists already is
 * respected; new ones are handed out only once all nodes have been seen, so that none is given away that somebody has.
 *
 * @source cilium pkg/ipam/allocator/podcidr/podcidr.go, NodesPodCIDRManager
 */
export class NodesPodCIDRManager {
  readonly #sets: Readonly<Record<Family, readonly CIDRSet[]>>
  readonly #nodes = new Map<string, NodeCIDRs>()
  /** Nodes that wait for the first resync; the last version of each. */
  readonly #waiting = new Map<string, PodCIDRNode>()
  readonly #queue = new Map<string, PendingWrite>()
  /** What refused nodes list: whether or not they should, their agents may use it, so that it is given to nobody. */
  readonly #reserved = new Map<string, readonly CIDR[]>()
  #mayAllocate = false

  constructor(sets: Readonly<Record<Family, readonly CIDRSet[]>>) {
    this.#sets = sets
  }

  /** Node → CIDR texts, IPv4 first. */
  nodes(): ReadonlyMap<string, readonly string[]> {
    return new Map([...this.#nodes].map(([name, cidrs]) => [name, textsOf(cidrs)]))
  }

  /** The sets of a family, in the order in which they are used up. */
  sets(family: Family): readonly CIDRSet[] {
    return this.#sets[family]
  }

  /** Names, sorted. */
  waiting(): readonly string[] {
    return [...this.#waiting.keys()].sort()
  }

  /** Node → what is to be written; whoever writes takes entries out. */
  get queue(): Map<string, PendingWrite> {
    return this.#queue
  }

  /** A node was added or has changed. Refusals end up in the node's own status, never here. */
  upsert(node: PodCIDRNode): void {
    const before = this.#nodes.get(node.name)
    try {
      const isDone = node.podCIDRs.length === 0 ? this.#allocate(node, before) : this.#occupy(node, before)
      this.#reserved.delete(node.name)
      if (isDone) this.#write(node, 'update', '')
      else if (this.#mayAllocate && (node.error !== '' || this.#isErrorQueued(node.name)))
        this.#write(node, 'updateStatus', '')
    } catch (error) {
      if (!(error instanceof PoolError)) throw error
      this.refuse(node, error.message)
    }
  }

  /** Leaves a node as it is and says why. What it lists is given to nobody else. */
  refuse(node: PodCIDRNode, error: string): void {
    this.#reserved.set(
      node.name,
      node.podCIDRs.flatMap((text) => parseCIDR(text) ?? []),
    )
    this.#queue.set(node.name, {
      op: node.resourceVersion === '' ? 'create' : 'updateStatus',
      podCIDRs: node.podCIDRs,
      error,
    })
  }

  delete(name: string): void {
    this.#waiting.delete(name)
    this.#reserved.delete(name)
    const held = this.#nodes.get(name)
    if (held === undefined) return
    this.#nodes.delete(name)
    for (const family of FAMILIES) this.#release(family, held[family])
    this.#queue.set(name, { op: 'delete', podCIDRs: [], error: '' })
  }

  /** All nodes have been seen. Those that waited are served, sorted by name. */
  resync(): void {
    if (this.#mayAllocate) return
    this.#mayAllocate = true
    const waiting = [...this.#waiting.values()].sort((left, right) => (left.name < right.name ? -1 : 1))
    this.#waiting.clear()
    for (const node of waiting) this.upsert(node)
  }

  #isErrorQueued(name: string): boolean {
    return (this.#queue.get(name)?.error ?? '') !== ''
  }

  #write(node: PodCIDRNode, op: 'update' | 'updateStatus', error: string): void {
    const podCIDRs = textsOf(this.#nodes.get(node.name) ?? NONE)
    this.#queue.set(node.name, { op: node.resourceVersion === '' ? 'create' : op, podCIDRs, error })
  }

  /** @returns whether the node's CIDRs are to be written */
  #allocate(node: PodCIDRNode, before: NodeCIDRs | undefined): boolean {
    if (before !== undefined) return true
    if (!this.#mayAllocate) {
      this.#waiting.set(node.name, node)
      return false
    }
    if (FAMILIES.every((family) => this.#sets[family].length === 0))
      throw new PoolError('NO_ALLOCATORS', `no CIDR allocators are configured to serve node ${node.name}`)
    this.#nodes.set(node.name, this.#complete(NONE))
    return true
  }

  /** @returns as `#allocate` */
  #occupy(node: PodCIDRNode, before: NodeCIDRs | undefined): boolean {
    const wanted = this.#parse(node)
    if (before !== undefined) return this.#reconcile(node, wanted, before)
    const taken: (readonly [Family, CIDR])[] = []
    try {
      for (const family of FAMILIES)
        for (const cidr of wanted[family]) {
          this.#take(family, cidr)
          taken.push([family, cidr])
        }
      // Blocks of a missing family are handed out only once no unseen node can hold them.
      this.#nodes.set(node.name, this.#mayAllocate ? this.#complete(wanted) : wanted)
    } catch (error) {
      for (const [family, cidr] of taken) this.#release(family, [cidr])
      throw error
    }
    if (!this.#mayAllocate && this.#lacks(wanted)) this.#waiting.set(node.name, node)
    return true
  }

  #reconcile(node: PodCIDRNode, wanted: NodeCIDRs, before: NodeCIDRs): boolean {
    for (const family of FAMILIES) {
      const held = new Set(before[family].map(formatCIDR))
      const foreign = held.size === 0 ? undefined : wanted[family].find((cidr) => !held.has(formatCIDR(cidr)))
      if (foreign !== undefined)
        throw new PoolError(
          'CIDR_CONFLICT',
          `CIDR ${formatCIDR(foreign)} is in conflict with the ${textsOf(before).join(', ')} of node ${node.name}`,
        )
    }
    if (!this.#mayAllocate) {
      this.#waiting.set(node.name, node)
      return false
    }
    if (!this.#lacks(before)) return false
    const added = FAMILIES.flatMap((family) =>
      before[family].length > 0 ? [] : wanted[family].map((cidr) => [family, cidr] as const),
    )
    const taken: (readonly [Family, CIDR])[] = []
    try {
      for (const [family, cidr] of added) {
        this.#take(family, cidr)
        taken.push([family, cidr])
      }
      const merged = {
        ipv4: before.ipv4.length > 0 ? before.ipv4 : wanted.ipv4,
        ipv6: before.ipv6.length > 0 ? before.ipv6 : wanted.ipv6,
      }
      this.#nodes.set(node.name, this.#complete(merged))
    } catch (error) {
      for (const [family, cidr] of taken) this.#release(family, [cidr])
      throw error
    }
    return true
  }

  #parse(node: PodCIDRNode): NodeCIDRs {
    const cidrs = node.podCIDRs.map(parsePoolCIDR)
    const wanted = {
      ipv4: cidrs.filter(({ family }) => family === 'ipv4'),
      ipv6: cidrs.filter(({ family }) => family === 'ipv6'),
    }
    for (const family of FAMILIES)
      if (wanted[family].length > 0 && this.#sets[family].length === 0)
        throw new PoolError(
          'ALLOCATOR_NOT_FOUND',
          `unable to serve node ${node.name}: no ${familyName(family)} allocator is configured`,
        )
    return wanted
  }

  /** Whether a configured family has no CIDR. */
  #lacks(cidrs: NodeCIDRs): boolean {
    return FAMILIES.some((family) => cidrs[family].length === 0 && this.#sets[family].length > 0)
  }

  /** With a new CIDR of every configured family that has none: all or nothing. */
  #complete(cidrs: NodeCIDRs): NodeCIDRs {
    const added: Record<Family, CIDR[]> = { ipv4: [], ipv6: [] }
    try {
      for (const family of FAMILIES)
        if (cidrs[family].length === 0 && this.#sets[family].length > 0) added[family].push(this.#next(family))
    } catch (error) {
      for (const family of FAMILIES) this.#release(family, added[family])
      throw error
    }
    return { ipv4: [...cidrs.ipv4, ...added.ipv4], ipv6: [...cidrs.ipv6, ...added.ipv6] }
  }

  #next(family: Family): CIDR {
    const sets = this.#sets[family]
    for (const set of sets) {
      const cidr = this.#nextOf(set)
      if (cidr !== undefined) return cidr
    }
    const where = sets.map(({ text, maskSize }) => `/${maskSize} in ${text}`).join(', ')
    throw new PoolError('ALLOCATOR_FULL', `${familyName(family)} allocator full: no free CIDR of size ${where}`)
  }

  /** The next block that no refused node lists. */
  #nextOf(set: CIDRSet): CIDR | undefined {
    const passedOver: CIDR[] = []
    let found: CIDR | undefined
    while (found === undefined && !set.isFull) {
      const cidr = set.allocateNext()
      if (this.#isReserved(cidr)) passedOver.push(cidr)
      else found = cidr
    }
    for (const cidr of passedOver) set.release(cidr)
    return found
  }

  #isReserved(cidr: CIDR): boolean {
    for (const listed of this.#reserved.values()) if (listed.some((one) => cidrsOverlap(one, cidr))) return true
    return false
  }

  #take(family: Family, cidr: CIDR): void {
    const text = formatCIDR(cidr)
    const set = this.#sets[family].find((candidate) => candidate.inRange(cidr))
    if (set === undefined)
      throw new PoolError(
        'CIDR_NOT_CONFIGURED',
        `CIDR ${text} is in none of the configured ${familyName(family)} CIDRs`,
      )
    if (set.isFull) throw new PoolError('ALLOCATOR_FULL', `${familyName(family)} allocator full: cannot take ${text}`)
    if (set.isTouched(cidr)) throw new PoolError('CIDR_ALREADY_ALLOCATED', `CIDR ${text} is already allocated`)
    set.occupy(cidr)
  }

  #release(family: Family, cidrs: readonly CIDR[]): void {
    for (const cidr of cidrs) this.#sets[family].find((set) => set.inRange(cidr))?.release(cidr)
  }
}

function textsOf(cidrs: NodeCIDRs): readonly string[] {
  return [...cidrs.ipv4, ...cidrs.ipv6].map(formatCIDR)
}
