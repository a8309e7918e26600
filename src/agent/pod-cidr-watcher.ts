import type { Logger } from '../ipam/contracts.ts'
import { formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import type { JSONObject } from '../ipam/types.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import type { TimerQueue } from '../runtime/timer.ts'
import type { AddressRangeOptions } from './address-range.ts'
import type { Owner } from './configuration.ts'
import { IPAMError } from './errors.ts'
import type { Family } from './family.ts'
import type { LocalNode } from './local-node.ts'
import { decodeLocalNode } from './local-node.ts'
import type { NodeWriter, UnreachableRoutes } from './node-writer.ts'
import { OwnNodeVersions } from './own-node-versions.ts'
import { PodCIDRPool } from './pod-cidr-pool.ts'
import { podCIDRStatus } from './pod-cidr-status.ts'
import { SyncLoop } from './sync-loop.ts'

export interface PodCIDRWatcherOptions {
  readonly nodeName: string
  /** Enabled ones. */
  readonly families: readonly Family[]
  readonly owner: Pick<Owner, 'localAllocCIDRsUpdated'>
  readonly writer: NodeWriter
  readonly range: AddressRangeOptions
  readonly clock: Clock
  readonly timers: TimerQueue
  readonly log: Logger
  /** Between two writes (ms). */
  readonly updateIntervalMs: number
  readonly unreachableRoutes?: UnreachableRoutes | undefined
  readonly signal: AbortSignal
}

/** Cilium pkg/controller, errorRetryBaseDuration (ms). */
const RETRY_BASE_MS = 1_000

/**
 * Splits a list of pod CIDRs by family, in order, host bits cut off. A text with a colon is IPv6.
 *
 * @throws IPAMError CIDR_PARSE
 */
export function parsePodCIDRs(texts: readonly string[]): Readonly<Record<Family, readonly string[]>> {
  const byFamily: Record<Family, string[]> = { ipv4: [], ipv6: [] }
  for (const text of texts) {
    const cidr = parseCIDR(text)
    if (cidr === undefined)
      throw new IPAMError('CIDR_PARSE', `invalid pod CIDR ${JSON.stringify(text)}`, { cidr: text })
    byFamily[cidr.family].push(formatCIDR(cidr))
  }
  return byFamily
}

/**
 * The pod CIDRs of a node of mode cluster-pool-v2beta: they come and go in `spec.ipam.podCIDRs`, and the node says in
 * `status.ipam.pod-cidrs` which it uses, which are full, and which it gives back.
 *
 * @source cilium 1.14 pkg/ipam/clusterpool.go, crdWatcher
 */
export class PodCIDRWatcher {
  /** To be told of the own node. */
  readonly versions: OwnNodeVersions
  readonly #options: PodCIDRWatcherOptions
  readonly #pools: ReadonlyMap<Family, PodCIDRPool>
  readonly #loop: SyncLoop
  #restored = false

  constructor(options: PodCIDRWatcherOptions) {
    const { nodeName, families, range, log, unreachableRoutes, clock, timers, updateIntervalMs } = options
    this.#options = options
    this.versions = new OwnNodeVersions({ nodeName, log, onVersion: (node, before) => this.#takeOver(node, before) })
    this.#pools = new Map(
      families.map((family) => [family, new PodCIDRPool({ family, range, log, unreachableRoutes })]),
    )
    this.#loop = new SyncLoop({
      run: () => this.#write(),
      minIntervalMs: updateIntervalMs,
      retryBaseMs: RETRY_BASE_MS,
      clock,
      timers,
      onError: (error, attempt) => log.warn({ error, attempt }, 'Unable to write the pod CIDRs of the own CiliumNode'),
    })
  }

  /** The pool of an enabled family. */
  pool(family: Family): PodCIDRPool {
    const pool = this.#pools.get(family)
    assert(pool !== undefined, `family ${family} is not enabled`)
    return pool
  }

  restoreFinished(): void {
    this.#restored = true
    this.requestSync()
  }

  requestSync(): void {
    if (this.#restored && this.versions.node !== undefined) this.#loop.request()
  }

  /** Waits until every enabled family has a free address. @throws the signal's reason */
  waitUntilReady(signal: AbortSignal): Promise<void> {
    const missing = (): readonly string[] =>
      [...this.#pools].filter(([, pool]) => !pool.hasAvailableIPs).map(([family]) => family)
    return this.versions.waitUntilComplete(missing, 'Waiting for pod CIDRs: see the operator and its log', signal)
  }

  stop(): void {
    this.#loop.stop()
  }

  #takeOver(node: LocalNode, before: LocalNode | undefined): void {
    if (before === undefined) this.#seedReleased(node)
    for (const pool of this.#pools.values()) pool.update(node.podCIDRs)
    this.#options.owner.localAllocCIDRsUpdated(this.#cidrsOf('ipv4', node), this.#cidrsOf('ipv6', node))
    this.requestSync()
  }

  /** What was given back before the restart may be another node's by now. */
  #seedReleased(node: LocalNode): void {
    const released = [...node.podCIDRStatus].flatMap(([cidr, status]) => (status === 'released' ? [cidr] : []))
    for (const pool of this.#pools.values()) pool.seedReleased(released)
  }

  #cidrsOf(family: Family, node: LocalNode): readonly string[] {
    if (!this.#pools.has(family)) return []
    return node.podCIDRs.flatMap((text) => {
      const cidr = parseCIDR(text)
      return cidr?.family === family ? [formatCIDR(cidr)] : []
    })
  }

  async #write(): Promise<void> {
    const { writer, signal } = this.#options
    const seen = this.versions.node
    if (seen === undefined || signal.aborted) return
    const wanted = new Map(
      [...this.#pools.values()].flatMap((pool) => [...podCIDRStatus(pool, seen.podCIDRThresholds)]),
    )
    const changed = [...wanted].filter(([cidr, status]) => seen.podCIDRStatus.get(cidr) !== status)
    const gone = [...seen.podCIDRStatus.keys()].filter((cidr) => !wanted.has(cidr))
    if (changed.length === 0 && gone.length === 0) return
    const podCIDRs: JSONObject = Object.fromEntries([
      ...changed.map(([cidr, status]) => [cidr, { status }] as const),
      ...gone.map((cidr) => [cidr, null] as const),
    ])
    const patch = {
      metadata: { resourceVersion: seen.resourceVersion },
      status: { ipam: { 'pod-cidrs': podCIDRs } },
    }
    this.versions.update(decodeLocalNode(await writer.patchStatus(patch, signal)))
  }
}
