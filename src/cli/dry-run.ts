import type { Clock } from '../runtime/clock.ts'

/** A change of one node's interfaces, in counts; a prefix counts as its 16 addresses. */
export interface DryRunTally {
  /** Interfaces attached. */
  readonly interfaces: number
  /** Addresses attached, primary ones of new interfaces apart. */
  readonly addresses: number
  /** Addresses given back. */
  readonly released: number
}

/**
 * How what was planned for a node compares with what somebody else did to it meanwhile:
 * `onlyPlanned` nobody did it (yet), `onlyObserved` we would have left it alone.
 */
export type DryRunVerdict = 'same' | 'different' | 'onlyPlanned' | 'onlyObserved'

export interface DryRunNode {
  /** Empty when the instance belongs to no node of ours any more. */
  readonly node: string
  readonly instanceID: string
  readonly planned: DryRunTally
  readonly observed: DryRunTally
  readonly verdict: DryRunVerdict
}

export interface DryRunReport {
  readonly mode: 'dry-run'
  readonly startedAt: string
  readonly seconds: number
  /** Calls of the cloud that would have been made and change something, by action (counts). Reads were made and are not in it. */
  readonly calls: Readonly<Record<string, number>>
  /** CiliumNodes that would have been written or deleted (counts of resources, each once). */
  readonly resources: { readonly status: number; readonly spec: number; readonly deleted: number }
  /** Addresses whose agents would have been asked to give them back (count): what comes of it depends on their answers. */
  readonly addressesToAskBack: number
  readonly verdicts: Readonly<Record<DryRunVerdict, number>>
  /** Nodes with a plan or a change, those that differ first; `nodesLeftOut` more are not listed (count). */
  readonly nodes: readonly DryRunNode[]
  readonly nodesLeftOut: number
}

/** Nodes of a report (count): what is longer nobody reads. */
const LISTED_NODES = 500

const NOTHING: DryRunTally = { interfaces: 0, addresses: 0, released: 0 }
const VERDICT_ORDER: readonly DryRunVerdict[] = ['different', 'onlyPlanned', 'onlyObserved', 'same']

/** What a dry run would have done, and what others did meanwhile. */
export class DryRun {
  readonly #clock: Clock
  readonly #startedAt: string
  readonly #startMs: number
  readonly #calls = new Map<string, number>()
  readonly #planned = new Map<string, DryRunTally>()
  readonly #observed = new Map<string, DryRunTally>()
  readonly #written = { status: new Set<string>(), spec: new Set<string>(), deleted: new Set<string>() }
  readonly #askedBack = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.now()
    this.#startedAt = clock.wallTime().toISOString()
  }

  /** @param instanceID empty: the call concerns no instance */
  planned(action: string, instanceID: string, tally: DryRunTally): void {
    this.#calls.set(action, (this.#calls.get(action) ?? 0) + 1)
    if (instanceID !== '' && !isNothing(tally)) add(this.#planned, instanceID, tally)
  }

  observed(instanceID: string, tally: DryRunTally): void {
    add(this.#observed, instanceID, tally)
  }

  /** @param askedBackCount addresses that the written status asks the node's agent for */
  wouldWrite(part: 'status' | 'spec' | 'deleted', node: string, askedBackCount = 0): void {
    this.#written[part].add(node)
    if (askedBackCount > (this.#askedBack.get(node) ?? 0)) this.#askedBack.set(node, askedBackCount)
  }

  /** @param nodeOf name of the node of an instance, empty when there is none */
  report(nodeOf: (instanceID: string) => string): DryRunReport {
    const instanceIDs = [...new Set([...this.#planned.keys(), ...this.#observed.keys()])]
    const nodes = instanceIDs.map((instanceID) => this.#nodeReport(instanceID, nodeOf(instanceID))).sort(byVerdict)
    const verdicts = { same: 0, different: 0, onlyPlanned: 0, onlyObserved: 0 }
    for (const { verdict } of nodes) verdicts[verdict] += 1
    const { status, spec, deleted } = this.#written
    return {
      mode: 'dry-run',
      startedAt: this.#startedAt,
      seconds: Math.round(this.#clock.now() - this.#startMs) / 1000,
      calls: Object.fromEntries([...this.#calls].sort(([left], [right]) => (left < right ? -1 : 1))),
      resources: { status: status.size, spec: spec.size, deleted: deleted.size },
      addressesToAskBack: [...this.#askedBack.values()].reduce((sum, count) => sum + count, 0),
      verdicts,
      nodes: nodes.slice(0, LISTED_NODES),
      nodesLeftOut: Math.max(nodes.length - LISTED_NODES, 0),
    }
  }

  #nodeReport(instanceID: string, node: string): DryRunNode {
    const planned = this.#planned.get(instanceID) ?? NOTHING
    const observed = this.#observed.get(instanceID) ?? NOTHING
    return { node, instanceID, planned, observed, verdict: verdictOf(planned, observed) }
  }
}

export function verdictOf(planned: DryRunTally, observed: DryRunTally): DryRunVerdict {
  if (isNothing(observed)) return 'onlyPlanned'
  if (isNothing(planned)) return 'onlyObserved'
  const isSame =
    planned.interfaces === observed.interfaces &&
    planned.addresses === observed.addresses &&
    planned.released === observed.released
  return isSame ? 'same' : 'different'
}

function isNothing({ interfaces, addresses, released }: DryRunTally): boolean {
  return interfaces === 0 && addresses === 0 && released === 0
}

function add(tallies: Map<string, DryRunTally>, instanceID: string, more: DryRunTally): void {
  const before = tallies.get(instanceID) ?? NOTHING
  tallies.set(instanceID, {
    interfaces: before.interfaces + more.interfaces,
    addresses: before.addresses + more.addresses,
    released: before.released + more.released,
  })
}

function byVerdict(left: DryRunNode, right: DryRunNode): number {
  const order = VERDICT_ORDER.indexOf(left.verdict) - VERDICT_ORDER.indexOf(right.verdict)
  if (order !== 0) return order
  const key = ({ node, instanceID }: DryRunNode): string => `${node}/${instanceID}`
  return key(left) < key(right) ? -1 : 1
}
