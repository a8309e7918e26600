import { CALL_PRIORITIES } from '../runtime/call-priority.ts'
import type { CallPriority } from '../runtime/call-priority.ts'
import type { BucketCharge } from './contracts.ts'
import { placeInQueue, placesInQueue } from './forecast.ts'
import type { PlaceInQueue, QueuedTurn } from './forecast.ts'
import { Heap } from './heap.ts'

/**
 * How long a call of each class waits before it is overdue (ms). Every fourth turn of a bucket belongs to the call that is
 * overdue longest: so no class starves, and a flood of old calls cannot drown the pods that begin to wait.
 */
export const OVERDUE_AFTER_MS: Readonly<Record<CallPriority, number>> = {
  'pod-waiting': 15_000,
  'below-minimum': 30_000,
  watermark: 60_000,
  release: 120_000,
  background: 120_000,
}
/** Turns by class between two turns of overdue calls (count). */
export const TURNS_BY_CLASS = 3

/** A call in the queue. */
export interface WaitingCall {
  readonly charges: readonly BucketCharge[]
  readonly signal: AbortSignal
  /** Order within a class, unique. */
  readonly sequence: number
  /** Since when it waits, earlier attempts included (ms). */
  readonly sinceMs: number
  /** Changed by the queue alone. */
  priority: CallPriority
}

/** Calls with the same charges: if the first of them cannot go, none can. */
interface CallGroup<C extends WaitingCall> {
  readonly key: string
  readonly byUrgency: Heap<C>
  readonly byDeadline: Heap<C>
}

interface SignalCalls<C extends WaitingCall> {
  readonly calls: Set<C>
  readonly onAbort: () => void
}

interface Forecast {
  /** Of the queue that it was made for. */
  readonly version: number
  /** By sequence. */
  readonly places: ReadonlyMap<number, PlaceInQueue> | undefined
}

interface Demand {
  calls: number
  tokens: number
}

const RANK = new Map<CallPriority, number>(CALL_PRIORITIES.map((priority, index) => [priority, index]))

function rankOf(priority: CallPriority): number {
  return RANK.get(priority) ?? CALL_PRIORITIES.length
}

function deadlineMs(call: WaitingCall): number {
  return call.sinceMs + OVERDUE_AFTER_MS[call.priority]
}

function isMoreUrgent(a: WaitingCall, b: WaitingCall): boolean {
  return (rankOf(a.priority) - rankOf(b.priority) || a.sequence - b.sequence) < 0
}

function isDueEarlier(a: WaitingCall, b: WaitingCall): boolean {
  return (deadlineMs(a) - deadlineMs(b) || a.sequence - b.sequence) < 0
}

function groupKey(charges: readonly BucketCharge[]): string {
  return charges.map(({ bucket, cost }) => `${bucket}=${cost}`).join(' ')
}

/**
 * The calls that wait for tokens, by urgency: class, then arrival. Adding, removing and ranking anew take O(log n); the
 * number of groups (one per distinct set of charges) is that of the cloud's actions.
 */
export class WaitingCalls<C extends WaitingCall> {
  readonly #onAbort: (calls: readonly C[]) => void
  readonly #groups = new Map<string, CallGroup<C>>()
  readonly #signals = new Map<AbortSignal, SignalCalls<C>>()
  readonly #demands = new Map<string, Map<CallPriority, Demand>>()
  /** Turns by class of each bucket since its last overdue turn. */
  readonly #turns = new Map<string, number>()
  #size = 0
  /** Grows whenever the queue changes. */
  #version = 0
  /** By bucket: who asked last for a place in the queue as it was then, and everybody's places once a second one asks. */
  readonly #forecasts = new Map<string, Forecast>()

  /** @param onAbort called with all calls that waited under an aborted signal, after they have left the queue */
  constructor(onAbort: (calls: readonly C[]) => void) {
    this.#onAbort = onAbort
  }

  /** Calls that wait (count). */
  get size(): number {
    return this.#size
  }

  add(call: C): void {
    const key = groupKey(call.charges)
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = { key, byUrgency: new Heap<C>(isMoreUrgent), byDeadline: new Heap<C>(isDueEarlier) }
      this.#groups.set(key, group)
    }
    group.byUrgency.push(call)
    group.byDeadline.push(call)
    this.#size += 1
    this.#version += 1
    this.#count(call, 1)
    this.#watch(call)
  }

  /** @returns whether it was waiting */
  remove(call: C): boolean {
    const group = this.#groups.get(groupKey(call.charges))
    if (group === undefined || !group.byUrgency.delete(call)) return false
    group.byDeadline.delete(call)
    if (group.byUrgency.size === 0) this.#groups.delete(group.key)
    this.#size -= 1
    this.#version += 1
    if (this.#size === 0) this.#forecasts.clear()
    this.#count(call, -1)
    this.#unwatch(call)
    return true
  }

  /** Gives every call that waits under this signal another class; it keeps its time of arrival. */
  rerank(signal: AbortSignal, priority: CallPriority): void {
    const watched = this.#signals.get(signal)
    if (watched === undefined) return
    for (const call of Array.from(watched.calls)) {
      if (call.priority === priority) continue
      this.remove(call)
      call.priority = priority
      this.add(call)
    }
  }

  /** The next call of each group, most urgent first; where it is an overdue turn, the call that is overdue longest. */
  candidates(nowMs: number): readonly C[] {
    const overdue: C[] = []
    const urgent: C[] = []
    for (const { byUrgency, byDeadline } of this.#groups.values()) {
      const first = byDeadline.peek()
      if (first !== undefined && deadlineMs(first) <= nowMs && this.#isOverdueTurn(first)) overdue.push(first)
      else {
        const next = byUrgency.peek()
        if (next !== undefined) urgent.push(next)
      }
    }
    overdue.sort((a, b) => (isDueEarlier(a, b) ? -1 : 1))
    urgent.sort((a, b) => (isMoreUrgent(a, b) ? -1 : 1))
    return [...overdue, ...urgent]
  }

  /** Takes a candidate out of the queue and counts its turn. */
  serve(call: C, nowMs: number): void {
    const isOverdueTurn = deadlineMs(call) <= nowMs && this.#isOverdueTurn(call)
    for (const { bucket } of call.charges) {
      this.#turns.set(bucket, isOverdueTurn ? 0 : (this.#turns.get(bucket) ?? 0) + 1)
    }
    this.remove(call)
  }

  /** Tokens of a bucket that calls of this class and of more urgent ones wait for (count). */
  tokensAhead(bucket: string, priority: CallPriority): number {
    let tokens = 0
    for (const [other, demand] of this.#demands.get(bucket) ?? []) {
      if (rankOf(other) <= rankOf(priority)) tokens += demand.tokens
    }
    return tokens
  }

  /** Calls that wait for a bucket, by class (count). */
  waiting(bucket: string): Readonly<Record<CallPriority, number>> {
    const demands = this.#demands.get(bucket)
    const calls = (priority: CallPriority): number => demands?.get(priority)?.calls ?? 0
    return {
      'pod-waiting': calls('pod-waiting'),
      'below-minimum': calls('below-minimum'),
      watermark: calls('watermark'),
      release: calls('release'),
      background: calls('background'),
    }
  }

  /**
   * Where a waiting call stands among those that draw on the same bucket. Takes O(n) where all are of one class, else O(n log n): for
   * who asks, never on the way of a call. Who asks while the queue is as it was for the one before shares one forecast of all places: a
   * fleet that joined together asks together.
   *
   * @param timeOf when so many tokens will be there (ms on the clock of `sinceMs`)
   */
  placeOf(call: C, bucket: string, timeOf: (tokens: number) => number): PlaceInQueue {
    const before = this.#forecasts.get(bucket)
    const isKnown = before?.version === this.#version
    const known = isKnown ? before.places?.get(call.sequence) : undefined
    if (known !== undefined) return known
    const costOf = (other: C): number => other.charges.find((charge) => charge.bucket === bucket)?.cost ?? 0
    const groups = [...this.#groups.values()].filter(({ byUrgency }) => costOf(byUrgency.peek() ?? call) > 0)
    const inLine = isKnown ? undefined : this.#placeByArrival(call, groups, costOf)
    this.#forecasts.set(bucket, { version: this.#version, places: undefined })
    if (inLine !== undefined) return inLine
    const turnOf = (other: C): QueuedTurn => ({
      rank: rankOf(other.priority),
      sequence: other.sequence,
      deadlineMs: deadlineMs(other),
      tokens: costOf(other),
    })
    const queue = groups.flatMap(({ byUrgency }) => Array.from(byUrgency.values(), turnOf))
    const turnsSinceOverdue = this.#turns.get(bucket) ?? 0
    const rules = { turnsByClass: TURNS_BY_CLASS, turnsSinceOverdue, timeOf }
    if (!isKnown) return placeInQueue(turnOf(call), queue, rules)
    const places = placesInQueue(queue, rules)
    this.#forecasts.set(bucket, { version: this.#version, places })
    return places.get(call.sequence) ?? placeInQueue(turnOf(call), queue, rules)
  }

  /** The place among calls of one class, whose order no turn can change; undefined where there are others. */
  #placeByArrival(call: C, groups: readonly CallGroup<C>[], costOf: (call: C) => number): PlaceInQueue | undefined {
    let ahead = 0
    let behind = 0
    let tokens = costOf(call)
    for (const { byUrgency } of groups) {
      // Calls of a group have the same charges.
      const cost = costOf(byUrgency.peek() ?? call)
      for (const other of byUrgency.values()) {
        if (other.priority !== call.priority) return undefined
        if (other.sequence < call.sequence) {
          ahead += 1
          tokens += cost
        } else if (other !== call) behind += 1
      }
    }
    return { ahead, behind, tokens }
  }

  #isOverdueTurn(call: C): boolean {
    return call.charges.some(({ bucket }) => (this.#turns.get(bucket) ?? 0) >= TURNS_BY_CLASS)
  }

  #count(call: C, sign: 1 | -1): void {
    for (const { bucket, cost } of call.charges) {
      let demands = this.#demands.get(bucket)
      if (demands === undefined) this.#demands.set(bucket, (demands = new Map<CallPriority, Demand>()))
      const demand = demands.get(call.priority) ?? { calls: 0, tokens: 0 }
      demand.calls += sign
      demand.tokens += sign * cost
      demands.set(call.priority, demand)
    }
  }

  /** One listener per signal, however many calls wait under it. */
  #watch(call: C): void {
    const { signal } = call
    let watched = this.#signals.get(signal)
    if (watched === undefined) {
      const calls = new Set<C>()
      const onAbort = (): void => {
        const aborted = Array.from(calls)
        for (const one of aborted) this.remove(one)
        this.#onAbort(aborted)
      }
      watched = { calls, onAbort }
      this.#signals.set(signal, watched)
      signal.addEventListener('abort', onAbort)
    }
    watched.calls.add(call)
  }

  #unwatch(call: C): void {
    const watched = this.#signals.get(call.signal)
    if (watched === undefined) return
    watched.calls.delete(call)
    if (watched.calls.size > 0) return
    this.#signals.delete(call.signal)
    call.signal.removeEventListener('abort', watched.onAbort)
  }
}
