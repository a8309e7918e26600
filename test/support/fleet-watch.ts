import type { WireResponse } from '../../simulators/kit/http.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import { missingAddresses } from '../../src/fleet/convergence.ts'
import { IdleNeed } from '../../src/fleet/idle-need.ts'
import type { NeedObservation } from '../../src/fleet/idle-need.ts'
import { checkInvariants } from '../../src/fleet/invariants.ts'
import { podAddresses } from '../../src/fleet/world-view.ts'
import type { Fleet, FleetNode } from './fleet.ts'
import {
  CONFLICT_MS,
  LOST_ANSWER_MS,
  nodeBackoff,
  REFUSAL_MS,
  WATCH_BACKOFF,
  WRITE_BACKOFF,
} from './fleet-backoff-limits.ts'
import { Excuses } from './fleet-excuses.ts'
import { isRefusal, isWhole, nodeNameOf } from './fleet-answers.ts'
import { readResource } from './fleet-resource.ts'
import { RoomKnowledge } from './fleet-room.ts'
import { FleetViolation } from './fleet-violation.ts'
import type { WireCall } from './fleet-wires.ts'

/** A node may wait so long although nothing stands in its way (ms). */
const IDLE_BOUND_MS = 1_000
/** A controller that has just begun to serve takes over what it finds (ms). */
const BEGINNING_MS = 5_000
/** An interface that we made and that hangs on nothing is gone after this: 12 tries with pauses of up to a minute (ms). */
const CLEAN_UP_MS = 900_000
/** Addresses of a /28 (count). */
const PREFIX_SIZE = 16
/** Log lines that a failure tells (count). */
const LINES_TOLD = 60
/** Violations kept (count): a broken world repeats itself. */
const MAX_VIOLATIONS = 20
/** Actions whose buckets stand between a node and its addresses. */
const SERVING_ACTIONS = [
  'AssignPrivateIpAddresses',
  'CreateNetworkInterface',
  'AttachNetworkInterface',
  'DescribeNetworkInterfaces',
]
/** What the controller says when it finds a defect of its own, or another writer where there is none. */
const NEVER_SAID = /by a defect|Unable to handle a CiliumNode|Another controller writes|handler of the informer failed/

/** Looks of one run (counts). */
export interface WaitCoverage {
  readonly looks: number
  /** Nodes at all looks, and of them those that had no excuse: had they lacked addresses, it would have been told. */
  readonly nodeLooks: number
  readonly judgedNodeLooks: number
}

/** Looks at a fleet from the outside: finds what must never happen, in the simulators' own records. */
export class FleetWatch {
  readonly #fleet: Fleet
  /** What, and when it was first seen (ms). */
  readonly #violations = new Map<string, number>()
  readonly #idle = new IdleNeed()
  /** What is known to keep a node (by instance ID for EC2, by its name for the API server) waiting; `*`: all of them. */
  readonly #excuses = new Excuses()
  /** Calls under way: to EC2 by instance ID, to the API server by node name (count). */
  readonly #underWay = new Map<string, number>()
  readonly #room = new RoomKnowledge()
  readonly #looseSinceMs = new Map<string, number>()
  /** Instances about which a call was made whose outcome the caller never learned. */
  readonly #lostAnswers = new Set<string>()
  #looks = 0
  #nodeLooks = 0
  #judgedNodeLooks = 0
  /** Nodes that had no excuse when they were last looked at (count). */
  #judgedNodes = 0
  #isAnyNeedy = false
  #lookedAtChange = -1
  #hasStaleReads = false
  #servingSinceMs: number | undefined
  #isSecondWriterExpected = false

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  /** How much of the run the check for waits without a cause has judged. */
  get coverage(): WaitCoverage {
    return {
      looks: this.#looks,
      nodeLooks: this.#nodeLooks,
      judgedNodeLooks: this.#judgedNodeLooks,
    }
  }

  expectSecondWriter(): void {
    this.#isSecondWriterExpected = true
  }

  ec2Started({ request }: WireCall): void {
    for (const id of this.#concerned(request.body)) this.#underWay.set(id, (this.#underWay.get(id) ?? 0) + 1)
  }

  ec2Ended({ action, request, startMs }: WireCall, answer: WireResponse | undefined): void {
    const nowMs = this.#fleet.clock.now()
    const limits = nodeBackoff(this.#fleet.nodes.size)
    const concerned = this.#concerned(request.body)
    if (!isWhole(answer) && concerned.length === 0) this.#room.failed(nowMs)
    else if (action === 'DescribeSubnets') this.#room.listed(startMs)
    for (const id of concerned) {
      this.#underWay.set(id, Math.max((this.#underWay.get(id) ?? 0) - 1, 0))
      if (isWhole(answer)) continue
      const isLost = answer === undefined || answer.status < 400 || answer.status >= 500
      if (isLost) this.#lostAnswers.add(id)
      this.#excuses.failed(id, limits, isLost ? nowMs + LOST_ANSWER_MS : nowMs)
    }
    if (isRefusal(answer)) this.#excuses.excuse('*', nowMs + REFUSAL_MS)
  }

  kubernetesStarted({ request }: WireCall): void {
    const name = nodeNameOf(request.path)
    if (name !== undefined) this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + 1)
  }

  kubernetesEnded({ request }: WireCall, answer: WireResponse | undefined): void {
    const name = nodeNameOf(request.path)
    if (name !== undefined) this.#underWay.set(name, Math.max((this.#underWay.get(name) ?? 0) - 1, 0))
    if (answer !== undefined && answer.status < 400) return
    if (answer?.status === 404) return
    const nowMs = this.#fleet.clock.now()
    if (answer?.status === 409 && name !== undefined) this.#excuses.excuse(name, nowMs + CONFLICT_MS)
    else if (name === undefined) this.#excuses.failed('*', WATCH_BACKOFF, nowMs)
    else this.#excuses.failed(name, WRITE_BACKOFF, nowMs)
  }

  staleReadsBegan(): void {
    this.#hasStaleReads = true
  }

  /** Something that slows everybody down has begun. @param forMs how long it lasts, pauses that it leads to included */
  everybodyWaits(forMs: number): void {
    this.#excuses.excuse('*', this.#fleet.clock.now() + forMs)
  }

  /** Interfaces that exist now and hang on nothing are left to garbage collection: who knew of them is gone. */
  processEnded(): void {
    for (const id of this.#looseSinceMs.keys()) this.#looseSinceMs.set(id, Number.POSITIVE_INFINITY)
    for (const { id } of this.#fleet.cloud.interfaces()) this.#looseSinceMs.set(id, Number.POSITIVE_INFINITY)
  }

  logged(level: string, message: string, fields: object): void {
    if (!NEVER_SAID.test(message)) return
    if (this.#isSecondWriterExpected && message.startsWith('Another controller writes')) return
    const { error } = fields as { readonly error?: unknown }
    const cause = error instanceof Error ? `: ${error.stack ?? error.message}` : ''
    this.#violate(`controller-defect: ${level} ${message} ${JSON.stringify(fields)}${cause}`)
  }

  /** One look at everything that may be broken for a moment only, unless nothing has happened since the last one. */
  async lookIfChanged(): Promise<void> {
    // A need that waits is judged by the clock.
    if (this.#fleet.changeCount !== this.#lookedAtChange || this.#isAnyNeedy) return this.look()
    this.#looks++
    this.#countJudged(this.#judgedNodes)
  }

  async look(): Promise<void> {
    const fleet = this.#fleet
    this.#looks++
    this.#lookedAtChange = fleet.changeCount
    for (const { kind, detail } of checkInvariants(fleet.view())) {
      if (kind === 'node-above-max-allocate' && this.#mayBeDoubled(detail)) continue
      this.#violate(`${kind}: ${detail}`)
    }
    for (const process of fleet.processes)
      if (process.isStuck)
        this.#violate(`stuck-process: controller-${process.ordinal} does not end within its grace period`)
    this.#lookForLeaks()
    await this.#lookForIdleNeed()
  }

  async assertInvariants(): Promise<void> {
    await this.look()
    const fleet = this.#fleet
    for (const { rule, detail } of fleet.cloud.ec2.check()) this.#violate(`cloud-${rule}: ${detail}`)
    await this.#lookForLostEdits()
    if (this.#violations.size > 0) throw new FleetViolation(this.#sentences(), this.#logText())
  }

  /** What is missing before everybody has what they want; one sentence each. */
  async unserved(): Promise<readonly string[]> {
    const resources = byName(await this.#fleet.resources())
    const sentences: string[] = []
    for (const node of this.#fleet.nodes.values()) {
      const { name } = node.facts
      const resource = resources.get(name)
      const usable = resource === undefined ? 0 : this.#usable(node, resource)
      const missing = this.#missing(node, resource, usable)
      const { waitingCount } = node.agent.agent
      if (missing > 0) sentences.push(`${name} (${node.facts.instanceID}) lacks ${missing} addresses, has ${usable}`)
      else if (waitingCount > 0 && this.#hasFree(node)) sentences.push(`${name} lets ${waitingCount} pods wait`)
    }
    return sentences
  }

  /** @throws FleetViolation always */
  async notConverged(unserved: readonly string[], withinMs: number): Promise<never> {
    const resources = byName(await this.#fleet.resources())
    const words = [...resources].flatMap(([name, resource]) => {
      const { operatorError } = readResource(resource)
      return operatorError === '' ? [] : [`${name} says: ${operatorError}`]
    })
    const what = `not-converged: within ${withinMs / 1000} s, at ${this.#fleet.clock.now() / 1000} s`
    throw new FleetViolation([[what, ...unserved, ...words].join('\n  '), ...this.#sentences()], this.#logText())
  }

  #sentences(): readonly string[] {
    return [...this.#violations].map(([text, atMs]) => `${text} (first seen at ${atMs / 1000} s)`)
  }

  #violate(text: string): void {
    if (this.#violations.size < MAX_VIOLATIONS && !this.#violations.has(text))
      this.#violations.set(text, this.#fleet.clock.now())
  }

  #isExcused(key: string): boolean {
    return this.#excuses.holds(key, this.#fleet.clock.now())
  }

  /** Instances that an EC2 call is about, none for calls about everything: these must keep nobody waiting. */
  #concerned(body: string): readonly string[] {
    const parameters = new URLSearchParams(body)
    const one = this.#fleet.cloud.instanceOf(parameters)
    if (one !== undefined) return [one]
    return [...parameters].flatMap(([name, value]) =>
      /^Filter\.\d+\.Value/.test(name) && value.startsWith('i-') ? [value] : [],
    )
  }

  /**
   * An assignment whose answer is lost, and which the listings do not show yet, is made twice: nothing tells it from one that had no
   * effect. @param detail begins with the node's name
   */
  #mayBeDoubled(detail: string): boolean {
    const node = this.#fleet.nodes.get(detail.split(' ', 1)[0]!)
    return this.#hasStaleReads && node !== undefined && this.#lostAnswers.has(node.facts.instanceID)
  }

  #lookForLeaks(): void {
    const { clock, cloud } = this.#fleet
    for (const { id, instanceID } of cloud.looseOurs()) {
      const sinceMs = this.#looseSinceMs.get(id) ?? clock.now()
      this.#looseSinceMs.set(id, sinceMs)
      // What a machine leaves behind when it goes is for garbage collection too.
      const phase = cloud.ec2.cloud.instances.get(instanceID)?.phase.name
      if (phase === undefined || phase === 'terminating') continue
      if (clock.now() - sinceMs > CLEAN_UP_MS)
        this.#violate(`interface-left-behind: ${id}, made for ${instanceID}, hangs on nothing`)
    }
  }

  async #lookForIdleNeed(): Promise<void> {
    const fleet = this.#fleet
    const nowMs = fleet.clock.now()
    for (const { availabilityZone, space } of fleet.cloud.subnets)
      if (space.free < PREFIX_SIZE || space.countFreeBlocks() < 2) this.#room.cramped(availabilityZone, nowMs)
    if (!fleet.isServing) this.#servingSinceMs = undefined
    else this.#servingSinceMs ??= nowMs
    const isBeginning = this.#servingSinceMs === undefined || nowMs - this.#servingSinceMs < BEGINNING_MS
    if (isBeginning || this.#isExcused('*')) {
      this.#isAnyNeedy = true // perhaps: the next look has to find out
      this.#countJudged(0)
      return this.#idle.observe(this.#allBlocked(), nowMs)
    }
    const resources = byName(await fleet.resources())
    const tokens = await fleet.cloud.tokens()
    const isDrained = SERVING_ACTIONS.some((action) => tokens(action) < 1)
    const observations = [...fleet.nodes.values()].map((node) => {
      const resource = resources.get(node.facts.name)
      const missing = resource === undefined ? 0 : this.#missing(node, resource, this.#usable(node, resource))
      if (missing === 0 && resource !== undefined) this.#noteServed(node)
      return {
        nodeName: node.facts.name,
        isNeedy: missing > 0,
        isBlocked: isDrained || this.#isBlocked(node, missing),
      }
    })
    this.#idle.observe(observations, nowMs)
    this.#noteJudged(observations)
    for (const { kind, detail } of this.#idle.violations(IDLE_BOUND_MS, nowMs)) this.#violate(`${kind}: ${detail}`)
  }

  /** Failures before were of another need. */
  #noteServed({ facts }: FleetNode): void {
    this.#excuses.recovered(facts.instanceID)
    this.#excuses.recovered(facts.name)
  }

  #noteJudged(observations: readonly NeedObservation[]): void {
    this.#isAnyNeedy = observations.some(({ isNeedy }) => isNeedy)
    this.#countJudged(observations.filter(({ isBlocked }) => !isBlocked).length)
    this.#excuses.recovered('*')
  }

  #countJudged(judged: number): void {
    this.#judgedNodes = judged
    this.#nodeLooks += this.#fleet.nodes.size
    this.#judgedNodeLooks += judged
  }

  #allBlocked(): { readonly nodeName: string; readonly isNeedy: boolean; readonly isBlocked: boolean }[] {
    return [...this.#fleet.nodes.keys()].map((nodeName) => ({ nodeName, isNeedy: false, isBlocked: true }))
  }

  #isBlocked({ facts, isStopped }: FleetNode, missing: number): boolean {
    const { cloud, clock } = this.#fleet
    const zone = cloud.subnets.filter(({ availabilityZone }) => availabilityZone === facts.availabilityZone)
    const isCramped = zone.some(({ space }) => space.free < missing + 1 || space.countFreeBlocks() < 2)
    return (
      isStopped ||
      isCramped ||
      this.#room.mayBeUnknown(facts.availabilityZone, clock.now()) ||
      cloud.hasOccupied(zone) ||
      !cloud.isRunning(facts.instanceID) ||
      (this.#underWay.get(facts.instanceID) ?? 0) > 0 ||
      (this.#underWay.get(facts.name) ?? 0) > 0 ||
      this.#isExcused(facts.instanceID) ||
      this.#isExcused(facts.name)
    )
  }

  /** Addresses that the resource opens to pods and that the cloud really has there (count). */
  #usable({ facts }: FleetNode, resource: JSONObject): number {
    const attached = new Set(
      this.#fleet.cloud
        .interfaces()
        .filter(({ instanceID }) => instanceID === facts.instanceID)
        .flatMap(podAddresses),
    )
    return readResource(resource).open.filter((address) => attached.has(address)).length
  }

  /** By what the resource says is used: what its agent has not reported yet nobody can serve. */
  #missing({ facts, generation, isStopped }: FleetNode, resource: JSONObject | undefined, available: number): number {
    if (isStopped) return 0
    const capacity = this.#capacityOf(facts.instanceID)
    if (resource === undefined) return 1
    const { used, requested, preAllocate, minAllocate, maxAllocate } = readResource(resource)
    if (facts.instanceID !== readResource(resource).instanceID) return 0
    if (generation === 'pool')
      return missingAddresses({ available, used, preAllocate, minAllocate, maxAllocate, capacity })
    const ceiling = maxAllocate > 0 ? Math.min(maxAllocate, capacity) : capacity
    return Math.max(Math.min(Math.max(requested, minAllocate), ceiling) - available, 0)
  }

  /** Addresses that the instance can carry for pods (count); one that has had to fall back to single addresses carries no prefixes. */
  #capacityOf(instanceID: string): number {
    const { interfaces, slotsPerInterface, podAddresses: most } = this.#fleet.capacity
    const own = this.#fleet.cloud.interfaces().filter((iface) => iface.instanceID === instanceID)
    return own.some(({ addresses }) => addresses.length > 1) ? interfaces * (slotsPerInterface - 1) : most
  }

  #hasFree({ agent }: FleetNode): boolean {
    const { availableCount, heldCount } = agent.agent.ipam
    return availableCount > heldCount
  }

  async #lookForLostEdits(): Promise<void> {
    const resources = byName(await this.#fleet.resources())
    for (const { facts, edit } of this.#fleet.nodes.values()) {
      const resource = resources.get(facts.name)
      if (edit === undefined || resource === undefined) continue
      const found = readResource(resource)
      if (found.uid === edit.uid && !found.toolValues.every((value) => value === edit.value))
        this.#violate(`foreign-fields-overwritten: ${facts.name} lost what another tool had written`)
    }
  }

  #logText(): string {
    return this.#fleet.log
      .slice(-LINES_TOLD)
      .map(
        ({ atMs, process, level, message, fields }) =>
          `${atMs / 1000} s #${process} ${level} ${message} ${textOf(fields)}`,
      )
      .join('\n')
  }
}

function textOf(fields: object): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : JSON.stringify(value)}`)
    .join(' ')
}

function byName(resources: readonly JSONObject[]): ReadonlyMap<string, JSONObject> {
  return new Map(resources.map((resource) => [(resource['metadata'] as { readonly name: string }).name, resource]))
}
