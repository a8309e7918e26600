import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { releaseResponse } from '../../../src/agent/release-response.ts'
import type { ReleaseStatus } from '../../../src/ipam/cilium-node.ts'
import type { ReleaseRecords } from '../../../src/ipam/release-handshake.ts'
import { NO_RELEASE_RECORDS, publishReleaseIPs, released, releaseStep } from '../../../src/ipam/release-handshake.ts'

const SEED = 20260806
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'] as const
const DELAY_MS = 10

/** What may happen between two looks at the world, in any order. */
const kind = <K extends string>(name: K): fc.Arbitrary<K> => fc.constant(name)
const excess = fc.integer({ min: 0, max: 4 })
const pick = fc.nat(3)
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: kind('pass'), excess, call: fc.constantFrom('ok', 'fails', 'answerLost') }),
  },
  { weight: 3, arbitrary: fc.record({ kind: kind('writeStatus') }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('writeSpec') }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('agent') }) },
  { weight: 3, arbitrary: fc.record({ kind: kind('podStarts'), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('podStops'), pick }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('attach'), address: fc.constantFrom(...ADDRESSES) }) },
  { weight: 2, arbitrary: fc.record({ kind: kind('timePasses'), ms: fc.integer({ min: 1, max: 2 * DELAY_MS }) }) },
  { weight: 1, arbitrary: fc.record({ kind: kind('controllerRestarts') }) },
  // The way to a release in one piece: rare otherwise, and what comes after it matters.
  { weight: 2, arbitrary: fc.record({ kind: kind('handshake'), excess, waits: fc.boolean() }) },
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never
/** How the controller decides; a test may put something wrong in, to see that the check fires. */
interface Handshake {
  readonly step: typeof releaseStep
  readonly publish: typeof publishReleaseIPs
}

const HANDSHAKE: Handshake = { step: releaseStep, publish: publishReleaseIPs }

/** One node: the cloud, the resource, the agent with its pods, and the controller's memory. Every write is atomic. */
class World {
  readonly attached = new Set<string>(ADDRESSES)
  readonly used = new Set<string>()
  pool = new Set<string>(ADDRESSES)
  states: ReadonlyMap<string, ReleaseStatus> = new Map()
  /** `status.ipam.used`: what the agent reported last, which lags behind its pods. */
  reportedUsed = new Set<string>()
  records: ReleaseRecords = NO_RELEASE_RECORDS
  /** How long each address has been listed without a break (ms since). */
  readonly listedSince = new Map<string, number>()
  nowMs = 0
  readonly #handshake: Handshake

  constructor(handshake: Handshake) {
    this.#handshake = handshake
  }

  apply(operation: Operation): void {
    this.nowMs += 1
    switch (operation.kind) {
      case 'pass':
        return this.#pass(operation.excess, operation.call)
      case 'writeStatus':
        return this.#writeStatus()
      case 'writeSpec':
        this.pool = new Set(this.attached)
        return undefined
      case 'agent':
        return this.#agent()
      case 'podStarts': {
        const free = [...this.pool].filter((address) => !this.used.has(address) && this.#isOpen(address))
        const address = free[operation.pick % Math.max(free.length, 1)]
        if (address !== undefined) {
          expect(this.attached, `a pod starts on ${address}`).toContain(address)
          this.used.add(address)
        }
        return undefined
      }
      case 'podStops': {
        const address = [...this.used][operation.pick % Math.max(this.used.size, 1)]
        if (address !== undefined) this.used.delete(address)
        return undefined
      }
      case 'attach':
        this.attached.add(operation.address)
        return undefined
      case 'timePasses':
        this.nowMs += operation.ms
        return undefined
      case 'controllerRestarts':
        this.records = NO_RELEASE_RECORDS
        this.listedSince.clear()
        return undefined
      case 'handshake':
        return this.#completeHandshake(operation.excess, operation.waits)
      default:
        return operation satisfies never
    }
  }

  #completeHandshake(excess: number, waits: boolean): void {
    this.#agent()
    this.#pass(excess, 'ok')
    if (waits) this.nowMs += DELAY_MS
    this.#pass(excess, 'ok')
    this.#writeStatus()
    this.#agent()
    this.#pass(excess, 'ok')
  }

  #isOpen(address: string): boolean {
    const state = this.states.get(address)
    return state === undefined || state === 'do-not-release'
  }

  #pass(excess: number, call: 'ok' | 'fails' | 'answerLost'): void {
    const listed = [...this.attached].filter((address) => !this.reportedUsed.has(address)).slice(0, excess)
    for (const address of this.listedSince.keys()) if (!listed.includes(address)) this.listedSince.delete(address)
    for (const address of listed) if (!this.listedSince.has(address)) this.listedSince.set(address, this.nowMs)
    const step = this.#handshake.step({
      records: this.records,
      resourceStates: this.states,
      pool: this.pool,
      attached: this.attached,
      plan: { interfaceID: 'eni-1', poolID: 's-1', ipsToRelease: listed, ipPrefixesToRelease: [], cidrsToRelease: [] },
      releaseEnabled: true,
      nowMs: this.nowMs,
      delayMs: DELAY_MS,
      profile: 'latest',
    })
    this.records = step.records
    const detached = call === 'fails' ? [] : (step.toRelease?.ipsToRelease ?? [])
    for (const address of detached) {
      expect(this.used, `${address} is detached`).not.toContain(address)
      expect(this.states.get(address)).toBe('ready-for-release')
      expect(this.nowMs - (this.listedSince.get(address) ?? this.nowMs)).toBeGreaterThanOrEqual(DELAY_MS)
      this.attached.delete(address)
    }
    if (call === 'ok') this.records = released(this.records, detached)
  }

  #writeStatus(): void {
    const { records, releaseIPs } = this.#handshake.publish(this.records, this.states, this.attached)
    this.records = records
    this.states = releaseIPs
  }

  #agent(): void {
    const answered = [...this.states].map(([address, status]): [string, ReleaseStatus | undefined] => [
      address,
      releaseResponse({
        status,
        isInPool: this.pool.has(address),
        isInUse: this.used.has(address),
        isPoolAbsent: false,
      }),
    ])
    this.states = new Map(answered.filter((entry): entry is [string, ReleaseStatus] => entry[1] !== undefined))
    this.reportedUsed = new Set(this.used)
  }

  /** The excess is gone for good: everybody looks and writes a few times. */
  quieten(): void {
    for (let round = 0; round < 3; round++) {
      this.apply({ kind: 'pass', excess: 0, call: 'ok' })
      this.apply({ kind: 'writeStatus' })
      this.apply({ kind: 'writeSpec' })
      this.apply({ kind: 'agent' })
    }
  }
}

const operations = fc.array(operation, { maxLength: 60 })

function run(list: readonly Operation[], handshake: Handshake): World {
  const world = new World(handshake)
  for (const item of list) world.apply(item)
  return world
}

describe('release handshake, whatever happens in between', () => {
  test('no pod loses its address or gets a detached one, and no delay is skipped', () => {
    fc.assert(
      fc.property(operations, (list) => {
        run(list, HANDSHAKE)
      }),
      { seed: SEED, numRuns: 3_000 },
    )
  })

  test('once the excess is gone nothing stays blocked', () => {
    fc.assert(
      fc.property(operations, (list) => {
        const world = run(list, HANDSHAKE)
        world.quieten()
        expect([...world.states]).toEqual([])
        expect(world.records).toEqual(NO_RELEASE_RECORDS)
        expect(world.pool).toEqual(world.attached)
      }),
      { seed: SEED, numRuns: 1_000 },
    )
  })

  const wrong: readonly (readonly [string, Partial<Handshake>])[] = [
    [
      'releases without the agent',
      { step: (input) => ({ ...releaseStep(input), toRelease: input.nowMs > 9 ? input.plan : undefined }) },
    ],
    [
      'keeps the clock of an address that is not listed',
      {
        step: (input) => {
          const step = releaseStep(input)
          const marked = new Map([...step.records.marked, ...input.records.marked])
          return { ...step, records: { ...step.records, marked } }
        },
      },
    ],
    [
      'opens a detached address before the pool is written',
      { publish: (records, states) => publishReleaseIPs(records, states, new Set(ADDRESSES)) },
    ],
  ]
  test.each(wrong)('the check fires on a handshake that %s', (_, parts) => {
    const check = (): void => {
      fc.assert(
        fc.property(operations, (list) => {
          run(list, { ...HANDSHAKE, ...parts })
        }),
        { seed: SEED, numRuns: 3_000, endOnFailure: true },
      )
    }
    expect(check).toThrow('Property failed')
  })
})
