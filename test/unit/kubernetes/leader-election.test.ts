import { describe, expect, test } from 'vitest'
import { KubernetesClient } from '../../../src/kubernetes/client.ts'
import type { Leadership } from '../../../src/kubernetes/leader-election.ts'
import { becomeLeader } from '../../../src/kubernetes/leader-election.ts'
import { LeaseAPI } from '../../../src/kubernetes/lease.ts'
import { RateLimiter } from '../../../src/kubernetes/rate-limiter.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { FakeLeases } from './fake-leases.ts'
import type { Answer } from './scripted-server.ts'
import { scriptedServer, statusAnswer } from './scripted-server.ts'

const quiet = (): void => undefined

interface Candidate {
  /** Undefined until it leads. */
  leadership: Leadership | undefined
  readonly stop: AbortController
}

function candidate(identity: string, leases: FakeLeases, clock: ManualClock): Candidate {
  const random = { next: () => 0.5 }
  const client = new KubernetesClient({
    transport: inProcessTransport(scriptedServer(leases.answer).handler),
    clock,
    random,
    limiter: new RateLimiter({ clock, qps: 100, burst: 100 }),
  })
  const state: Candidate = { leadership: undefined, stop: new AbortController() }
  becomeLeader(
    {
      lease: new LeaseAPI(client, 'kube-system', 'berth-controller'),
      identity,
      leaseDurationMs: 15_000,
      renewDeadlineMs: 10_000,
      retryPeriodMs: 2_000,
      clock,
      random,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    },
    state.stop.signal,
  ).then((leadership) => {
    state.leadership = leadership
  }, quiet)
  return state
}

async function leading(
  identity = 'a',
): Promise<{ clock: ManualClock; leases: FakeLeases; leader: Candidate; leadership: Leadership }> {
  const clock = new ManualClock()
  const leases = new FakeLeases()
  const leader = candidate(identity, leases, clock)
  await settle()
  return { clock, leases, leader, leadership: leader.leadership! }
}

describe('acquiring', () => {
  test('creates the lease where there is none', async () => {
    const { leases, leader } = await leading()
    expect(leader.leadership).toBeDefined()
    expect(leases.lease?.spec).toEqual({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      renewTime: '2026-01-01T00:00:00.000000Z',
      acquireTime: '2026-01-01T00:00:00.000000Z',
    })
  })

  test('waits while another renews, and takes over 15 s after it fell silent, by its own clock', async () => {
    const { clock, leases, leader } = await leading('a')
    const standby = candidate('b', leases, clock)
    await clock.advance(60_000)
    expect(standby.leadership).toBeUndefined()
    leases.hinder = ({ method, body }) =>
      method === 'PATCH' && body.includes('"a"') ? statusAnswer(500, '') : undefined
    const silentSinceMs = clock.now()
    while (standby.leadership === undefined) await clock.advance(100)
    const tookMs = clock.now() - silentSinceMs
    // Since the last change that it saw: up to one of its looks, and one renewal, later or earlier.
    expect(tookMs).toBeGreaterThan(12_000)
    expect(tookMs).toBeLessThan(18_000)
    expect(leader.leadership?.lost.aborted).toBe(true)
    expect(leases.lease?.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 })
  })

  test('does not believe the times of the holder: a clock that is an hour off changes nothing', async () => {
    const clock = new ManualClock()
    const leases = new FakeLeases()
    leases.write({ holderIdentity: 'z', leaseDurationSeconds: 15, renewTime: '2020-01-01T00:00:00.000000Z' })
    const standby = candidate('b', leases, clock)
    await clock.advance(14_000)
    expect(standby.leadership).toBeUndefined()
    await clock.advance(4_000)
    expect(standby.leadership).toBeDefined()
  })

  test('takes a released lease at its next look', async () => {
    const { clock, leases, leadership } = await leading('a')
    const standby = candidate('b', leases, clock)
    await settle()
    await leadership.release(new AbortController().signal)
    await clock.advance(2_400)
    expect(standby.leadership).toBeDefined()
    expect(leases.holder).toBe('b')
  })

  test('of two that try at once, one leads', async () => {
    const clock = new ManualClock()
    const leases = new FakeLeases()
    const both = [candidate('a', leases, clock), candidate('b', leases, clock)]
    await clock.advance(5_000)
    expect(both.filter(({ leadership }) => leadership !== undefined)).toHaveLength(1)
  })

  test('leads when the answer to its own write was lost', async () => {
    const clock = new ManualClock()
    const leases = new FakeLeases()
    leases.loseAnswer = true
    const one = candidate('a', leases, clock)
    await settle()
    expect(one.leadership).toBeUndefined()
    leases.loseAnswer = false
    await clock.advance(3_000)
    expect(one.leadership).toBeDefined()
    expect(leases.lease?.spec['leaseTransitions']).toBe(0)
  })

  test('goes on trying while the server is out of reach', async () => {
    const clock = new ManualClock()
    const leases = new FakeLeases()
    leases.hinder = () => statusAnswer(500, 'InternalError')
    const one = candidate('a', leases, clock)
    await clock.advance(60_000)
    expect(one.leadership).toBeUndefined()
    leases.hinder = () => undefined
    await clock.advance(3_000)
    expect(one.leadership).toBeDefined()
  })
})

describe('leading', () => {
  test('renews every 2 s', async () => {
    const { clock, leases, leadership } = await leading()
    await clock.advance(20_000)
    expect(leases.lease?.version).toBe(11)
    expect(leases.lease?.spec['renewTime']).toBe('2026-01-01T00:00:20.000000Z')
    expect(leadership.lost.aborted).toBe(false)
  })

  test.each<[string, (leases: FakeLeases) => void]>([
    ['refuses', (leases) => (leases.hinder = () => statusAnswer(503, ''))],
    ['is silent', (leases) => (leases.hinder = () => new Promise<Answer>(() => undefined))],
    ['throttles', (leases) => (leases.hinder = () => statusAnswer(429, '', '', { 'retry-after': '30' }))],
  ])('ends exactly 10 s after the last renewal when the server %s', async (_, hinder) => {
    const { clock, leases, leadership } = await leading()
    await clock.advance(4_000)
    hinder(leases)
    await clock.advance(9_999)
    expect(leadership.lost.aborted).toBe(false)
    await clock.advance(1)
    expect(leadership.lost.aborted).toBe(true)
    expect(String(leadership.lost.reason)).toContain('the lease could not be renewed for 10 s')
    expect(clock.sleeping).toBe(0)
  })

  test('survives trouble that is shorter', async () => {
    const { clock, leases, leadership } = await leading()
    leases.hinder = () => statusAnswer(500, '')
    await clock.advance(7_000)
    leases.hinder = () => undefined
    await clock.advance(30_000)
    expect(leadership.lost.aborted).toBe(false)
  })

  test('survives a renewal whose answer was lost', async () => {
    const { clock, leases, leadership } = await leading()
    leases.loseAnswer = true
    await clock.advance(2_000)
    leases.loseAnswer = false
    await clock.advance(20_000)
    expect(leadership.lost.aborted).toBe(false)
    expect(leases.holder).toBe('a')
  })

  test('survives somebody who deletes or annotates the lease', async () => {
    const { clock, leases, leadership } = await leading()
    leases.lease = undefined
    await clock.advance(2_000)
    expect(leases.holder).toBe('a')
    leases.write({})
    await clock.advance(10_000)
    expect(leadership.lost.aborted).toBe(false)
  })

  test('ends at once when somebody else has taken the lease', async () => {
    const { clock, leases, leadership } = await leading()
    leases.write({ holderIdentity: 'b' })
    await clock.advance(2_000)
    expect(leadership.lost.aborted).toBe(true)
    expect(String(leadership.lost.reason)).toContain("'b' has taken the lease")
    expect(leases.holder).toBe('b')
  })

  test('a process that stood still past the deadline stops before it does anything else', async () => {
    const { clock, leases, leadership } = await leading()
    const patches: number[] = []
    leases.hinder = ({ method }) => {
      if (method === 'PATCH') patches.push(clock.now())
      return new Promise<Answer>(() => undefined)
    }
    await clock.advance(12_000)
    expect(leadership.lost.aborted).toBe(true)
    expect(patches.every((atMs) => atMs < 10_000)).toBe(true)
  })
})

describe('releasing', () => {
  test('empties the holder and stops renewing', async () => {
    const { clock, leases, leadership } = await leading()
    await leadership.release(new AbortController().signal)
    expect(leases.lease?.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 })
    const version = leases.lease?.version
    await clock.advance(60_000)
    expect(leases.lease?.version).toBe(version)
    expect(clock.sleeping).toBe(0)
  })

  test("leaves a lease alone that is another one's by now", async () => {
    const { leases, leadership } = await leading()
    leases.write({ holderIdentity: 'b' })
    await leadership.release(new AbortController().signal)
    expect(leases.holder).toBe('b')
  })

  test('gives up in time when the server does not answer', async () => {
    const { clock, leases, leadership } = await leading()
    leases.hinder = () => new Promise<Answer>(() => undefined)
    let isDone = false
    void leadership.release(new AbortController().signal).then(() => {
      isDone = true
    })
    await clock.advance(10_000)
    expect(isDone).toBe(true)
  })
})
