import { heldCIDRs } from '../ipam/cidr-release.ts'
import type { CiliumNode, OwnedSpec, OwnedStatus } from '../ipam/cilium-node.ts'
import type { NodeState } from '../ipam/node-state.ts'
import { wantedSpec, wantedStatus } from '../ipam/node-status.ts'
import { publishReleaseIPs } from '../ipam/release-handshake.ts'
import type { SeenResource } from '../ipam/seen-resource.ts'
import { isOlderVersion, packResource, unpackResource } from '../ipam/seen-resource.ts'
import type { AllocationMap } from '../ipam/types.ts'
import type { Timer } from '../runtime/timer.ts'
import { Trigger } from '../runtime/trigger.ts'
import type { FleetServices } from './fleet-services.ts'
import type { NodeHost } from './node-host.ts'
import type { WriteWork } from './node-work.ts'
import type { FieldMemory, OwnField } from './second-writer.ts'
import { fieldsOf, fieldsOfSpec, fieldsOfStatus, NO_FIELD_MEMORY, observeField, recordOurs } from './second-writer.ts'
import { generationOf } from './snapshot.ts'
import { syncToAPIServer } from './sync-to-api-server.ts'

/** cilium pkg/ipam/node_manager.go, the minimum interval of `ipam-node-k8s-sync` */
const MIN_INTERVAL_MS = 10
/** A write that failed is tried again after this, doubling (ms). The reference waits for the next resync, up to a minute. */
const FIRST_RETRY_MS = 2_000
const LONGEST_RETRY_MS = 60_000
/** Longest such wait where others only wrote first (ms): pods may wait for what could not be written. */
const LONGEST_CONFLICT_RETRY_MS = 4_000

const NO_ADDRESSES: AllocationMap = new Map()

/** What the last attempts of a sync wanted to be there. */
interface Wanted {
  status: OwnedStatus | undefined
  spec: OwnedSpec | undefined
}

/** Keeps one node's resource in step with its state: status first, then spec, and only when something changed. */
export class Publisher {
  readonly #node: NodeHost
  readonly #services: FleetServices
  readonly #trigger: Trigger
  #retry: Timer | undefined
  #failureCount = 0
  #failure = ''
  #publishedRevision = -1
  /** Addresses that the last write opened (count). */
  #publishedAddresses = 0
  #isWriting = false
  #running: Promise<void> | undefined
  readonly #fields = new Map<OwnField, FieldMemory>()

  constructor(node: NodeHost, services: FleetServices) {
    this.#node = node
    this.#services = services
    this.#trigger = new Trigger({
      run: () => services.writes.run(this, this.#lane(), () => this.#publish()),
      minIntervalMs: MIN_INTERVAL_MS,
      clock: services.clock,
      timers: services.timers,
      observer: services.observers.k8sSync,
      onError: (error) => services.log.error({ node: node.name, error }, 'Publishing a node failed by a defect'),
    })
  }

  get isBusy(): boolean {
    return this.#trigger.isBusy
  }

  /** The last write failed. */
  get isFailing(): boolean {
    return this.#failureCount > 0
  }

  get work(): WriteWork {
    const isPending = this.#node.state.revision !== this.#publishedRevision
    const ahead = (): number | undefined => this.#services.writes.placeOf(this)
    const retryAtMs = this.#retry?.dueMs
    return { isPending, ahead, failureCount: this.#failureCount, retryAtMs, message: this.#failure }
  }

  /** Writes the resource if it does not say yet what it should. */
  request(reason: string): void {
    if (this.#node.state.revision === this.#publishedRevision || this.#isSilent()) return
    this.#trigger.trigger(reason)
    this.#services.writes.promote(this, this.#lane())
  }

  /**
   * Watches for another writer of our fields. While a write of ours is under way its answer is awaited first.
   *
   * @param before the version known until now: what it says is ours
   */
  observe(resource: CiliumNode, before: SeenResource | undefined, now: SeenResource): void {
    if (before === undefined || before.own === now.own || this.#isWriting) return
    this.#rememberBaseline(before)
    this.#observeFields(fieldsOf(resource))
  }

  /** The last write: what the passes have done until now. */
  async drain(): Promise<void> {
    this.#trigger.shutdown()
    this.#retry?.cancel()
    await this.#running
    if (this.#node.state.revision !== this.#publishedRevision) await this.#publish()
  }

  stop(): void {
    this.#trigger.shutdown()
    this.#retry?.cancel()
    this.#services.writes.cancel(this)
  }

  /** Nothing is written now. A write that failed waits for its retry, whatever is requested meanwhile. */
  #isSilent(): boolean {
    return this.#services.isSilent() || this.#node.isMalformed || this.#retry?.dueMs !== undefined
  }

  /** What opens addresses goes first: words about a wait must not make it longer when thousands of nodes join at once. */
  #lane(): number {
    return this.#node.state.statistics.ipv4.availableIPs > this.#publishedAddresses ? 0 : 1
  }

  async #publish(): Promise<void> {
    this.#running = this.#write().finally(() => {
      this.#isWriting = false
      this.#running = undefined
    })
    await this.#running
  }

  async #write(): Promise<void> {
    const { state, signal, name } = this.#node
    if (state.resource === undefined || signal.aborted || this.#isSilent()) return
    const revision = state.revision
    // The pool is taken before the status is written, so that it never names an address whose interface the status lacks.
    const seen = unpackResource(state.resource)
    const pool = this.#node.recalculate()?.available
    this.#isWriting = true
    const wanted: Wanted = { status: undefined, spec: undefined }
    let withheld: readonly string[] = []
    const result = await syncToAPIServer({
      apiServer: this.#services.apiServer,
      seen,
      wantedStatus: (version) => {
        withheld = this.#withheldFrom(version)
        return (wanted.status = this.#wantedStatus(version, pool, withheld))
      },
      wantedSpec: pool === undefined ? undefined : (version) => (wanted.spec = this.#wantedSpec(version, pool)),
      signal,
    })
    this.#isWriting = false
    if (signal.aborted || result.kind === 'gone') return
    // A write without an answer may have had its effect.
    if (result.hasWritten || result.kind === 'failed') this.#rememberWritten(state.resource, wanted)
    this.#adopt(result.seen, seen, result.kind === 'done')
    if (result.kind === 'failed') {
      const longestMs = result.isConflict ? LONGEST_CONFLICT_RETRY_MS : LONGEST_RETRY_MS
      return this.#retryLater(result.error, longestMs, name)
    }
    this.#failureCount = 0
    this.#failure = ''
    this.#publishedRevision = revision
    this.#publishedAddresses = pool?.size ?? 0
    this.#noteWithheld(withheld)
    if (this.#node.state.revision !== revision) this.request('changed meanwhile')
  }

  /** CIDRs that this version is not to list; what its agent holds in it is listed whatever we planned. */
  #withheldFrom(version: CiliumNode): readonly string[] {
    const { withheld, view } = this.#node.state
    if (withheld.size === 0 || view.kind !== 'known') return []
    const held = heldCIDRs(version.spec.ipam)
    return [...withheld.keys()].filter((cidr) => !held.has(cidr))
  }

  /** From now on no agent can take them up: a write of its own would be on an older version, and conflict. */
  #noteWithheld(cidrs: readonly string[]): void {
    if (cidrs.length === 0) return
    const before = this.#node.state.withheld
    this.#node.apply({ kind: 'withheldWritten', cidrs, nowMs: this.#services.clock.now() })
    if (this.#node.state.withheld !== before) this.#node.evaluate('withheld')
  }

  #wantedStatus(version: CiliumNode, pool: AllocationMap | undefined, withheld: readonly string[]): OwnedStatus {
    const { state, operations } = this.#node
    const attached = pool ?? version.spec.ipam.pool ?? NO_ADDRESSES
    const isKnown = state.view.kind === 'known'
    return wantedStatus({
      generation: this.#generationOf(version),
      provider: isKnown ? operations?.populateStatusFields(withheld) : undefined,
      releaseIPs: publishReleaseIPs(state.release, version.status.releaseIPs, attached).releaseIPs,
      assignedStaticIP: state.statistics.assignedStaticIP,
      operatorError: state.notice.text,
    })
  }

  #wantedSpec(version: CiliumNode, pool: AllocationMap): OwnedSpec {
    const floor = this.#node.operations?.getMinimumAllocatableIPv4() ?? 0
    return wantedSpec(version, { generation: this.#generationOf(version), pool, floor })
  }

  #generationOf(version: CiliumNode): NodeState['generation'] {
    const { availablePrefixes } = this.#node.state.statistics.ipv6
    return generationOf(version, this.#services.config, availablePrefixes)
  }

  /** The newest version that the writes came to know becomes the node's. */
  #adopt(version: CiliumNode, before: CiliumNode, isOurs: boolean): void {
    const { state } = this.#node
    if (state.resource === undefined) return
    if (version === before) {
      // Nothing was written; what the watch delivered meanwhile is looked at now.
      if (state.resource.resourceVersion !== before.resourceVersion)
        this.#observeFields(fieldsOf(unpackResource(state.resource)))
      return
    }
    const fields = fieldsOf(version)
    // What the API server made of our write (defaults, pruned fields) is ours too.
    if (isOurs) this.#recordOurs(fields)
    this.#observeFields(fields)
    // The watch may have brought a later version while the answer was on its way: that one stays.
    const isLate = isOlderVersion(version, state.resource)
    const resource = isLate ? state.resource : packResource(version, state.resource)
    const hasAgentSpoken = resource.others !== state.resource.others
    this.#node.apply({ kind: 'published', resource, nowMs: this.#services.clock.now() })
    if (hasAgentSpoken) this.#node.evaluate('agent spoke')
  }

  #retryLater(error: Error, longestMs: number, node: string): void {
    this.#failureCount += 1
    this.#failure = error.message
    this.#node.writeFailed()
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** (this.#failureCount - 1), longestMs)
    const waitMs = retryMs * (0.5 + this.#services.random.next() / 2)
    this.#services.log.warn(
      { node, error, attempt: this.#failureCount, delayMs: waitMs },
      'Unable to write a CiliumNode',
    )
    this.#retry ??= this.#services.timers.timer(() => this.request('retry'))
    this.#retry.setAt(this.#services.clock.now() + waitMs)
  }

  /** What was there before we began is ours. Worked out only when the resource changes for the first time. */
  #rememberBaseline(before: SeenResource): void {
    if (this.#fields.size === 0) this.#observeFields(fieldsOf(unpackResource(before)))
  }

  #rememberWritten(before: SeenResource, { status, spec }: Wanted): void {
    this.#rememberBaseline(before)
    if (status !== undefined) this.#recordOurs(fieldsOfStatus(status))
    if (spec !== undefined) this.#recordOurs(fieldsOfSpec(spec))
  }

  #recordOurs(fields: ReadonlyMap<OwnField, number>): void {
    for (const [field, digest] of fields) {
      this.#fields.set(field, recordOurs(this.#fields.get(field) ?? NO_FIELD_MEMORY, digest))
    }
  }

  #observeFields(fields: ReadonlyMap<OwnField, number>): void {
    for (const [field, digest] of fields) {
      const memory = this.#fields.get(field) ?? NO_FIELD_MEMORY
      const observed = observeField(memory, digest, this.#services.clock.now())
      this.#fields.set(field, observed.memory)
      if (observed.isContested) this.#services.contested(this.#node.name, field)
    }
  }
}
