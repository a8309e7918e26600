import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { APIClient } from '../../src/agent/api-client.ts'
import { AgentUnreachableError, socketClient } from '../../src/agent/api-client.ts'
import type { IPAMResponse, IPAMStatus } from '../../src/agent/api-shapes.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import type { Random } from '../../src/runtime/random.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { AgentProcess, localFlags } from './agent-process.ts'

/** Requests in all (count). The full number takes minutes: `BERTH_AGENT_KILL_OPERATIONS=10000`. */
const OPERATIONS = Number(process.env['BERTH_AGENT_KILL_OPERATIONS'] ?? 500)
const SEED = Number(process.env['BERTH_AGENT_KILL_SEED'] ?? 1)
/** Between two kills (requests), at most. */
const LONGEST_LIFE = 150
/** Requests at once (count). */
const WORKERS = 8
/** Thirty addresses for more owners: the range is full now and then, and an address soon has another holder. */
const RANGE = '10.0.0.0/27'
/** Share of starts that are killed before they serve. */
const KILLED_STARTS = 0.25
/** A start takes about this long (ms). */
const START_MS = 500
const OWNERS = Array.from({ length: 80 }, (_, index) => `default/pod-${index}`)

/** What one owner knows of its address. `unsure`: a request of it has had no answer. */
type Belief =
  | { readonly kind: 'none' }
  | { readonly kind: 'held'; readonly ip: string }
  | { readonly kind: 'unsure'; readonly before: Belief }

let folder = ''
let agent: AgentProcess | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-kill-'))
})
afterEach(async () => {
  await agent?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** The owners of all pods of a node, who act on the answers that they got and on nothing else. */
class Owners {
  readonly #random: Random
  readonly #client: APIClient
  readonly #beliefs = new Map<string, Belief>(OWNERS.map((owner) => [owner, { kind: 'none' }]))
  readonly #busy = new Set<string>()
  operations = 0
  answered = 0
  full = 0

  constructor(client: APIClient, random: Random) {
    this.#client = client
    this.#random = random
  }

  get unsure(): number {
    return [...this.#beliefs.values()].filter(({ kind }) => kind === 'unsure').length
  }

  /** One request of an owner that has none under way. @returns false when the agent is gone */
  async step(): Promise<boolean> {
    const free = OWNERS.filter((owner) => !this.#busy.has(owner))
    const owner = free[Math.floor(this.#random.next() * free.length)]!
    this.#busy.add(owner)
    this.operations += 1
    const before = this.#beliefs.get(owner)!
    this.#beliefs.set(owner, { kind: 'unsure', before })
    try {
      this.#learn(owner, await this.#ask(owner, before))
      this.answered += 1
      return true
    } catch (error) {
      if (error instanceof AgentUnreachableError) return false
      throw error
    } finally {
      this.#busy.delete(owner)
    }
  }

  /** After a start: every promise is kept, and nothing is held that nobody may hold. */
  async audit(): Promise<void> {
    const { allocations } = (await this.#client('GET', '/v1/ipam')).value as IPAMStatus
    const byOwner = Map.groupBy(Object.entries(allocations), ([, owner]) => owner)
    for (const [owner, belief] of this.#beliefs) {
      const held = (byOwner.get(owner) ?? []).map(([ip]) => ip)
      if (belief.kind === 'held') expect({ owner, held }).toEqual({ owner, held: [belief.ip] })
      if (belief.kind === 'none') expect({ owner, held }).toEqual({ owner, held: [] })
      if (belief.kind === 'unsure') {
        expect(held.length, `${owner} holds ${held.join(', ')}`).toBeLessThanOrEqual(1)
        const { before } = belief
        // Whatever the lost request did: an address that was held was kept or given back, not exchanged.
        if (before.kind === 'held' && held.length > 0) expect(held).toEqual([before.ip])
      }
    }
    for (const owner of byOwner.keys()) expect(OWNERS).toContain(owner)
  }

  /** A runtime repeats what had no answer. */
  async settle(): Promise<void> {
    for (const [owner, belief] of this.#beliefs) {
      if (belief.kind !== 'unsure') continue
      const { allocations } = (await this.#client('GET', '/v1/ipam')).value as IPAMStatus
      const ip = Object.keys(allocations).find((address) => allocations[address] === owner)
      this.#beliefs.set(owner, ip === undefined ? { kind: 'none' } : { kind: 'held', ip })
    }
  }

  #ask(owner: string, before: Belief): Promise<Belief> {
    if (before.kind === 'unsure') return this.#repeat(owner, before)
    if (before.kind === 'none') return this.#add(owner)
    const isKept = this.#random.next() < 0.2
    return isKept ? this.#check(owner, before) : this.#end(owner)
  }

  /** What a lost request was is not asked: the attachment is ended, or asked for again. */
  #repeat(owner: string, { before }: Belief & { readonly kind: 'unsure' }): Promise<Belief> {
    return before.kind === 'held' || this.#random.next() < 0.5 ? this.#end(owner) : this.#add(owner)
  }

  async #add(owner: string): Promise<Belief> {
    const answer = await this.#client('PUT', `${pathOf(owner)}?owner=${encodeURIComponent(owner)}`)
    if (answer.code === 'RANGE_FULL') {
      this.full += 1
      return { kind: 'none' }
    }
    expect(answer).toMatchObject({ status: 201, code: '' })
    return { kind: 'held', ip: (answer.value as IPAMResponse).address.ipv4! }
  }

  async #end(owner: string): Promise<Belief> {
    expect(await this.#client('DELETE', pathOf(owner))).toMatchObject({ status: 200, code: '' })
    return { kind: 'none' }
  }

  async #check(owner: string, before: Belief & { readonly kind: 'held' }): Promise<Belief> {
    const answer = await this.#client('GET', pathOf(owner))
    expect({ owner, ip: (answer.value as IPAMResponse).address?.ipv4 }).toEqual({ owner, ip: before.ip })
    return before
  }

  #learn(owner: string, belief: Belief): void {
    if (belief.kind === 'held') {
      for (const [other, { kind, ...rest }] of this.#beliefs) {
        if (other === owner || kind !== 'held') continue
        expect((rest as { readonly ip: string }).ip, `${owner} got what ${other} holds`).not.toBe(belief.ip)
      }
    }
    this.#beliefs.set(owner, belief)
  }
}

function pathOf(owner: string): string {
  return `/v1/attachment/net/${owner.replace('/', '.')}/eth0`
}

test(
  `an agent that is killed at random instants during ${OPERATIONS} requests loses no address and gives none twice`,
  async () => {
    const random = seededRandom(SEED)
    const clock = systemClock()
    const never = new AbortController().signal
    const socket = join(folder, 'agent.sock')
    const owners = new Owners(socketClient(socket, 10_000), random)
    let kills = 0
    while (owners.operations < OPERATIONS) {
      const life = new AgentProcess(localFlags(folder, RANGE))
      agent = life
      if (random.next() < KILLED_STARTS) {
        await clock.sleep(random.next() * START_MS, never)
        await life.kill('SIGKILL')
        kills += 1
        continue
      }
      await life.untilOpen(socket)
      await owners.audit()
      const last = owners.operations + 1 + Math.floor(random.next() * LONGEST_LIFE)
      const work = Array.from({ length: WORKERS }, async () => {
        while (await owners.step());
      })
      // Under full load, and at an instant of time: before, within or after any write.
      while (owners.operations < last) await clock.sleep(1, never)
      await clock.sleep(random.next() * 3, never)
      await life.kill('SIGKILL')
      await Promise.all(work)
      kills += 1
    }
    const life = new AgentProcess(localFlags(folder, RANGE))
    agent = life
    await life.untilOpen(socket)
    await owners.audit()
    await owners.settle()
    await owners.audit()
    expect(kills).toBeGreaterThan(OPERATIONS / LONGEST_LIFE / 2)
    expect(owners.answered).toBeGreaterThan(OPERATIONS * 0.8)
    process.stdout.write(
      `killed ${kills} times during ${owners.operations} requests: ${owners.operations - owners.answered} without answer, ${owners.full} refused for a full range\n`,
    )
  },
  OPERATIONS * 100 + 30_000,
)
