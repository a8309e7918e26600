import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IPAMError } from '../../src/agent/errors.ts'
import type { Family } from '../../src/agent/family.ts'
import { FAMILIES } from '../../src/agent/family.ts'
import type { Backend } from './agent-backends.ts'
import { COOLDOWN_MS, crdBackend, hostScopeBackend, multiPoolBackend, POOLS } from './agent-backends.ts'

/**
 * Random sequences of allocations, releases, expiries, exclusions, restarts and pool changes on every kind of allocator, against a
 * model that knows only what was asked and answered: no address is given twice, none is lost, none is given while it is held back,
 * excluded or being released, and the dump equals the model after every step.
 */

const SEED = Number(process.env['BERTH_AGENT_SEED'] ?? 20261121)
/** Sequences on each allocator. More by hand: `BERTH_AGENT_RUNS=3000 npx vitest run test/property/agent-allocators.test.ts`. */
const RUNS = Number(process.env['BERTH_AGENT_RUNS'] ?? 120)
const RUN_LIMIT_MS = 500
const TIMEOUT_MS = 50_000

interface Held {
  readonly pool: string
  readonly ip: string
  readonly owner: string
  readonly uuid: string | undefined
  /** When nobody has shown the token by then (ms). */
  readonly expiresMs: number
}

type Step =
  | {
      readonly kind: 'next'
      readonly family: Family
      readonly pool: number
      readonly owner: number
      readonly expires: boolean
    }
  | { readonly kind: 'pair'; readonly pool: number; readonly owner: number }
  | { readonly kind: 'specific' | 'exclude'; readonly family: Family; readonly pool: number; readonly choice: number }
  | { readonly kind: 'release' | 'confirm' | 'change'; readonly choice: number }
  | { readonly kind: 'releaseOwner'; readonly pool: number; readonly owner: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'restart' }

const family = fc.constantFrom<Family>('ipv4', 'ipv6')
const pool = fc.nat(1)
const owner = fc.nat(3)
const choice = fc.nat(500)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('next' as const), family, pool, owner, expires: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pair' as const), pool, owner }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('specific' as const), family, pool, choice }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'confirm' as const), choice }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('releaseOwner' as const), pool, owner }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('exclude' as const), family, pool, choice }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('change' as const), choice }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(40_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
)

class Run {
  #backend: Backend
  readonly #pools: readonly string[]
  readonly #held = new Map<string, Held>()
  /** Pool and address → until when it is held back (ms). */
  readonly #cooling = new Map<string, number>()
  /** Pool → addresses. */
  readonly #excluded = new Map<string, Set<string>>()
  #version = ''

  constructor(backend: Backend, pools: readonly string[]) {
    this.#backend = backend
    this.#pools = pools
  }

  async start(): Promise<void> {
    this.#backend.ipam.restoreFinished()
    await this.#backend.clock.advance(0)
  }

  async apply(step: Step): Promise<void> {
    const { ipam, clock } = this.#backend
    switch (step.kind) {
      case 'next': {
        const pool = this.#pool(step.pool)
        const request = { family: step.family, owner: `pod-${step.owner}`, pool }
        const free = this.#free(pool, step.family)
        const result = this.#outcome(() =>
          step.expires
            ? ipam.allocateNextWithExpiration({ ...request, timeoutMs: TIMEOUT_MS })[step.family]!
            : ipam.allocateNextFamily(request),
        )
        if (result === undefined) expect(free, 'nothing is free when nothing is given').toEqual([])
        else {
          expect(free).toContain(result.ip)
          this.#hold(pool, result.ip, request.owner, result.expirationUUID)
        }
        break
      }
      case 'pair': {
        const pool = this.#pool(step.pool)
        const free = { ipv4: this.#free(pool, 'ipv4'), ipv6: this.#free(pool, 'ipv6') }
        const pair = this.#outcome(() => ipam.allocateNext({ owner: `pod-${step.owner}`, pool }))
        if (pair === undefined) {
          expect(Math.min(free.ipv4.length, free.ipv6.length), 'one of the families was short').toBe(0)
          // The IPv6 address was taken for a moment: which one cannot be told, it is held back like any released one.
          if (free.ipv6.length > 0) await this.#learnRollBack(pool, free.ipv6)
        } else
          for (const name of FAMILIES) {
            expect(free[name]).toContain(pair[name]!.ip)
            this.#hold(pool, pair[name]!.ip, `pod-${step.owner}`, undefined)
          }
        break
      }
      case 'specific': {
        const pool = this.#pool(step.pool)
        const all = this.#candidates(pool, step.family)
        const ip = all[step.choice % Math.max(all.length, 1)]
        if (ip === undefined) break
        const isFree = this.#free(pool, step.family).includes(ip)
        expect(this.#outcome(() => ipam.allocateIP(ip, 'specific', pool))?.ip).toBe(isFree ? ip : undefined)
        if (isFree) this.#hold(pool, ip, 'specific', undefined)
        break
      }
      case 'release': {
        const held = [...this.#held.values()][step.choice % Math.max(this.#held.size, 1)]
        if (held === undefined) break
        ipam.releaseIP(held.ip, held.pool)
        this.#drop(held)
        break
      }
      case 'confirm': {
        const held = [...this.#held.values()][step.choice % Math.max(this.#held.size, 1)]
        if (held?.uuid === undefined) break
        expect(() => ipam.stopExpirationTimer(held.ip, held.pool, 'wrong')).toThrow(IPAMError)
        ipam.stopExpirationTimer(held.ip, held.pool, held.uuid)
        this.#held.set(keyOf(held), { ...held, uuid: undefined, expiresMs: Infinity })
        break
      }
      case 'releaseOwner': {
        const pool = this.#pool(step.pool)
        const name = `pod-${step.owner}`
        const theirs = [...this.#held.values()].filter((held) => held.owner === name && held.pool === pool)
        const isKnown = this.#outcome(() => ipam.releaseIPString(name, pool) ?? true)
        expect(isKnown).toBe(theirs.length > 0 ? true : undefined)
        for (const held of theirs) this.#drop(held)
        break
      }
      case 'exclude': {
        const pool = this.#pool(step.pool)
        const all = this.#candidates(pool, step.family)
        const ip = all[step.choice % Math.max(all.length, 1)]
        // A few at most: with everything excluded nothing else would be tried.
        if (ip === undefined || this.#excludedOf(pool).size >= 3) break
        ipam.excludeIP(ip, 'test', pool)
        this.#excludedOf(pool).add(ip)
        break
      }
      case 'change':
        this.#backend.change(step.choice, (ip) => [...this.#held.values()].some((held) => held.ip === ip))
        break
      case 'advance':
        await this.#advance(step.ms)
        break
      case 'restart':
        await this.#restart()
        break
      default:
        step satisfies never
    }
    await clock.advance(0)
    const version = this.#backend.version()
    if (version !== this.#version) this.#forgetGone()
    this.#version = version
    this.check()
  }

  check(): void {
    const { ipv4, ipv6 } = this.#backend.ipam.dump()
    const expected = [...this.#held.values()].map(({ pool, ip, owner }) => [
      pool === 'default' ? ip : `${pool}/${ip}`,
      owner,
    ])
    expect(Object.fromEntries([...ipv4!, ...ipv6!])).toEqual(Object.fromEntries(expected))
    const allocated = this.#backend.ipam.usage().reduce((sum, entry) => sum + entry.allocated, 0)
    expect(allocated).toBe(this.#held.size)
  }

  async #advance(ms: number): Promise<void> {
    const { clock } = this.#backend
    const expiring = [...this.#held.values()].filter(({ expiresMs }) => expiresMs <= clock.now() + ms)
    await clock.advance(ms)
    for (const held of expiring) this.#drop(held, held.expiresMs)
  }

  /** What was held is registered again; tokens and cooldowns were in memory only. */
  async #restart(): Promise<void> {
    this.#backend = this.#backend.restart()
    const { ipam, clock } = this.#backend
    this.#cooling.clear()
    for (const held of this.#held.values()) {
      const restored = this.#outcome(() => ipam.allocateIPWithoutSyncUpstream(held.ip, held.owner, held.pool))
      if (restored !== undefined) this.#held.set(keyOf(held), { ...held, uuid: undefined, expiresMs: Infinity })
      else {
        // Only what the other side took away while it was in use.
        expect(this.#candidates(held.pool, familyOf(held.ip))).not.toContain(held.ip)
        this.#held.delete(keyOf(held))
      }
    }
    for (const [pool, addresses] of this.#excluded) for (const ip of addresses) ipam.excludeIP(ip, 'test', pool)
    ipam.restoreFinished()
    await clock.advance(0)
    this.#backend.restored()
  }

  #outcome<T>(run: () => T): T | undefined {
    try {
      return run()
    } catch (error) {
      if (error instanceof IPAMError) return undefined
      throw error
    }
  }

  /** Every address of the free ones but the one that was taken for a moment can still be had. */
  async #learnRollBack(pool: string, free: readonly string[]): Promise<void> {
    const { ipam } = this.#backend
    const cooling = free.filter((ip) => {
      const isFree = this.#outcome(() => ipam.allocateIP(ip, 'probe', pool)) !== undefined
      if (isFree) this.#hold(pool, ip, 'probe', undefined)
      return !isFree
    })
    expect(cooling).toHaveLength(1)
    for (const ip of cooling) this.#cooling.set(`${pool}/${ip}`, this.#backend.clock.now() + COOLDOWN_MS)
    await this.#backend.clock.advance(0)
  }

  /** With a CIDR that was taken away unused goes the memory of what was released in it. */
  #forgetGone(): void {
    if (this.#pools.length === 1) return
    for (const key of this.#cooling.keys()) {
      const [pool = '', ip = ''] = key.split('/')
      const isInUse = this.#backend.neighbours(pool, ip).some((one) => this.#held.has(`${pool}/${one}`))
      if (!isInUse && !this.#candidates(pool, familyOf(ip)).includes(ip)) this.#cooling.delete(key)
    }
  }

  #hold(pool: string, ip: string, owner: string, uuid: string | undefined): void {
    const key = `${pool}/${ip}`
    expect(this.#held.has(key), `${key} is given once`).toBe(false)
    const expiresMs = uuid === undefined ? Infinity : this.#backend.clock.now() + TIMEOUT_MS
    this.#held.set(key, { pool, ip, owner, uuid, expiresMs })
  }

  #drop(held: Held, atMs = this.#backend.clock.now()): void {
    this.#held.delete(keyOf(held))
    this.#cooling.set(keyOf(held), atMs + COOLDOWN_MS)
  }

  /** Free, cooled down, not excluded, sorted. */
  #free(pool: string, family: Family): readonly string[] {
    const nowMs = this.#backend.clock.now()
    return this.#candidates(pool, family).filter(
      (ip) =>
        !this.#held.has(`${pool}/${ip}`) &&
        (this.#cooling.get(`${pool}/${ip}`) ?? 0) <= nowMs &&
        !this.#excludedOf(pool).has(ip),
    )
  }

  #candidates(pool: string, family: Family): readonly string[] {
    return this.#backend.open(pool, family)
  }

  #excludedOf(pool: string): Set<string> {
    const list = this.#excluded.get(pool) ?? new Set<string>()
    this.#excluded.set(pool, list)
    return list
  }

  #pool(index: number): string {
    return this.#pools[index % this.#pools.length]!
  }
}

function keyOf({ pool, ip }: Held): string {
  return `${pool}/${ip}`
}

function familyOf(ip: string): Family {
  return ip.includes(':') ? 'ipv6' : 'ipv4'
}

describe('over random sequences', () => {
  test.each<[string, () => Backend, readonly string[]]>([
    ['host-scope', () => hostScopeBackend(), ['default']],
    ['CRD', () => crdBackend(), ['default']],
    ['multi-pool', () => multiPoolBackend(), POOLS],
  ])(
    '%s: no address twice, none lost, none given too early, dump equal to the model',
    async (_, create, pools) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
          const run = new Run(create(), pools)
          await run.start()
          for (const one of steps) await run.apply(one)
        }),
        { seed: SEED, numRuns: RUNS, endOnFailure: false },
      )
    },
    RUNS * RUN_LIMIT_MS,
  )
})
