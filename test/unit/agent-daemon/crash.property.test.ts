import {
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  constantFrom,
  double,
  integer,
  oneof,
  record,
} from 'fast-check'
import type { Arbitrary } from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AgentLife, AgentOptions } from './builders.ts'
import { openAgent } from './builders.ts'
import { MemoryStorage } from './memory-storage.ts'

/** Few addresses and few names, so that they meet. */
const AGENT: AgentOptions = { ipv4: '10.0.0.0/29' }
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

type Step =
  | { readonly kind: 'add' | 'del' | 'take' | 'give'; readonly name: string }
  | { readonly kind: 'settle' }
  /** The machine stops; of the write under way this share reaches the disk, as a beginning or with the rest as zeros. */
  | { readonly kind: 'crash'; readonly share: number; readonly hasZeros: boolean }
  /** The next write fails, and leaves these bytes of itself. */
  | { readonly kind: 'diskFails'; readonly keptBytes: number }

const named = (kind: 'add' | 'del' | 'take' | 'give'): Arbitrary<Step> =>
  constantFrom(...NAMES).map((name) => ({ kind, name }))
const steps: Arbitrary<readonly Step[]> = array(
  oneof(
    { weight: 6, arbitrary: named('add') },
    { weight: 4, arbitrary: named('del') },
    { weight: 2, arbitrary: named('take') },
    { weight: 2, arbitrary: named('give') },
    { weight: 3, arbitrary: constant<Step>({ kind: 'settle' }) },
    {
      weight: 2,
      arbitrary: record({
        kind: constant('crash' as const),
        share: double({ min: 0, max: 1, noNaN: true }),
        hasZeros: boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: record({ kind: constant('diskFails' as const), keptBytes: integer({ min: 0, max: 200 }) }),
    },
  ),
  { minLength: 1, maxLength: 60 },
)

/** A disk whose writes end only when they are let; until then a crash finds a part of them. */
class CrashingStorage extends MemoryStorage {
  #underWay: { readonly bytes: Buffer; readonly isWhole: boolean; readonly end: () => void } | undefined

  override append(bytes: Buffer): Promise<void> {
    return this.#write(bytes, false, () => super.append(bytes))
  }

  override replace(pieces: readonly Buffer[]): Promise<void> {
    return this.#write(Buffer.concat(pieces), true, () => super.replace(pieces))
  }

  #write(bytes: Buffer, isWhole: boolean, write: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#underWay = {
        bytes,
        isWhole,
        end: () => {
          this.#underWay = undefined
          write().then(resolve, reject)
        },
      }
    })
  }

  /** Lets the write under way end. @returns whether there was one */
  finish(): boolean {
    const { end } = this.#underWay ?? {}
    end?.()
    return end !== undefined
  }

  /** The disk as the next start finds it. */
  afterCrash(share: number, hasZeros: boolean): CrashingStorage {
    const next = new CrashingStorage()
    next.content = this.content
    if (this.#underWay === undefined) return next
    const { bytes, isWhole } = this.#underWay
    if (isWhole) {
      // A rename has happened or it has not.
      if (share > 0.5) next.content = bytes
      return next
    }
    const before = this.content ?? Buffer.alloc(0)
    const torn = Buffer.concat([before, bytes])
    // What reached the disk did so in sectors, where the file has got its new length already.
    const cut = before.length + Math.floor(bytes.length * share)
    const sectorEnd = Math.max(before.length, Math.floor(cut / 512) * 512)
    next.content = hasZeros ? torn.fill(0, sectorEnd) : torn.subarray(0, cut)
    return next
  }
}

/** What was promised to somebody outside, who acts on it. */
class World {
  /** name → addresses that were answered and not asked back. */
  readonly held = new Map<string, string>()
  /** Requests without an answer: what they did is not known. */
  readonly unsure = new Set<string>()

  assertNothingDoubled(): void {
    const sure = [...this.held].filter(([name]) => !this.unsure.has(name))
    expect(new Set(sure.map(([, ip]) => ip)).size).toBe(sure.length)
  }

  /** After a start, before anything else is asked. */
  assertNothingLost({ core }: AgentLife): void {
    const dump = new Map([...core.dump().ipv4!].map(([ip, owner]) => [owner, ip]))
    expect(core.unbackedCount).toBe(0)
    for (const [name, ip] of this.held) if (!this.unsure.has(name)) expect(dump.get(name)).toBe(ip)
    for (const [owner] of dump) expect(this.held.has(owner) || this.unsure.has(owner)).toBe(true)
  }
}

async function start(storage: CrashingStorage, clock: ManualClock): Promise<AgentLife> {
  const opening = openAgent({ ...AGENT, storage, clock })
  const isOpen = opening.then(() => true)
  while (!(await Promise.race([isOpen, turn().then(() => false)]))) storage.finish()
  return opening
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

async function run(script: readonly Step[]): Promise<void> {
  const clock = new ManualClock()
  const world = new World()
  let storage = new CrashingStorage()
  let life = await start(storage, clock)
  /** Requests of this life that have no answer yet, by name: one at a time for each, as a runtime does. */
  let open = new Map<string, Promise<void>>()

  const ask = (name: string, work: () => Promise<string | undefined>): void => {
    if (open.has(name)) return
    const { core } = life
    const before = world.held.get(name)
    world.unsure.add(name)
    const done = (ip: string | undefined): void => {
      if (life.core !== core) return // the answer of a process that is gone reaches nobody
      open.delete(name)
      world.unsure.delete(name)
      if (ip === undefined) world.held.delete(name)
      else world.held.set(name, ip)
      world.assertNothingDoubled()
    }
    open.set(
      name,
      work().then(done, (error: unknown) => {
        const { code, name: kind } = error as { readonly code?: string; readonly name: string }
        if (life.core !== core) return
        open.delete(name)
        // A write that failed leaves it open what a restart finds; anything else has changed nothing.
        if (kind === 'JournalWriteError' || code === 'LEASE_ENDED') return
        world.unsure.delete(name)
        if (before === undefined) world.held.delete(name)
      }),
    )
  }

  for (const step of script) {
    const { core } = life
    switch (step.kind) {
      case 'add':
        ask(step.name, async () => (await core.allocate({ owner: step.name, attachment: `n/${step.name}/e` })).ipv4!.ip)
        break
      case 'del':
        ask(step.name, () => core.releaseAttachment(`n/${step.name}/e`).then(() => undefined))
        break
      case 'take': {
        const owner = `own-${step.name}`
        if (world.held.has(owner) || world.unsure.has(owner)) break
        ask(owner, async () => (await core.allocate({ owner })).ipv4!.ip)
        break
      }
      case 'give': {
        const owner = `own-${step.name}`
        const ip = world.held.get(owner)
        if (ip === undefined || world.unsure.has(owner)) break
        ask(owner, () => core.release(ip).then(() => undefined))
        break
      }
      case 'settle':
        for (let round = 0; round < 8; round++) {
          await turn()
          storage.finish()
        }
        await turn()
        break
      case 'diskFails':
        storage.failures.push(new Error('EIO'))
        storage.keptOfFailedAppend = step.keptBytes
        break
      case 'crash':
        storage = storage.afterCrash(step.share, step.hasZeros)
        open = new Map()
        life = await start(storage, clock)
        world.assertNothingLost(life)
        break
    }
    await turn()
  }
}

test('whatever the sequence of requests, failures and crashes: nothing is lost and nothing doubled', async () => {
  await assert(asyncProperty(steps, run), { numRuns: 300, seed: 20_261, endOnFailure: false })
})
