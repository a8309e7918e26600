import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { withDeadline } from './deadline.ts'
import { KubernetesAPIError } from './errors.ts'
import type { LeaseAPI, LeaseRecord } from './lease.ts'

/** The Lease of this controller. Its own: the Cilium operator's is another program's. */
export const LEASE_NAME = 'berth-controller'

export interface LeaderElectionOptions {
  readonly lease: LeaseAPI
  /** Unique among the candidates, and telling: host name and a random part. */
  readonly identity: string
  /** How long others wait after the last renewal they saw before they take over (ms). */
  readonly leaseDurationMs: number
  /** How long the leader goes on without a successful renewal (ms); below `leaseDurationMs`. */
  readonly renewDeadlineMs: number
  /** Between two tries of a candidate, and two renewals of the leader (ms); below `renewDeadlineMs`. */
  readonly retryPeriodMs: number
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
}

export interface Leadership {
  /** Aborted at the moment the lease is lost; its reason says why. From then on nothing may be written. */
  readonly lost: AbortSignal
  /** Gives the lease up, so that a standby takes over at once. Call when all work has ended. Never rejects. */
  release(signal: AbortSignal): Promise<void>
}

/** Candidates wait between one and this many retry periods. @source client-go leaderelection.go, JitterFactor */
const JITTER_FACTOR = 1.2

/** Duration of a lease that nobody holds: the shortest that the API takes. @source client-go leaderelection.go, release */
const RELEASED_LEASE_MS = 1_000

/** A refusal that stays the same is logged at most this often. */
const REPEAT_WARNING_MS = 60_000

/** A Lease as it was last seen, and when it last changed on our own clock. */
interface Observation {
  readonly record: LeaseRecord
  readonly changedAtMs: number
}

/**
 * Waits until this process holds the lease, then keeps it renewed in the background.
 *
 * Whether another holder is still alive is judged by our own monotonic clock since the lease last changed, never by the times that
 * the holder wrote: clocks of different machines do not agree.
 *
 * @throws the signal's reason when aborted while waiting
 * @source client-go tools/leaderelection/leaderelection.go
 */
export async function becomeLeader(options: LeaderElectionOptions, signal: AbortSignal): Promise<Leadership> {
  const candidate = new Candidate(options)
  for (;;) {
    const renewedAtMs = await candidate.tryAcquire(signal)
    if (renewedAtMs !== undefined) return candidate.lead(renewedAtMs)
    await options.clock.sleep(options.retryPeriodMs * (1 + (JITTER_FACTOR - 1) * options.random.next()), signal)
  }
}

class Candidate {
  readonly #options: LeaderElectionOptions
  #seen: Observation | undefined
  #lastLine: { readonly text: string; readonly atMs: number } | undefined

  constructor(options: LeaderElectionOptions) {
    this.#options = options
  }

  /** @returns when the successful request was begun (monotonic ms); undefined when the lease is another's or out of reach */
  async tryAcquire(signal: AbortSignal): Promise<number | undefined> {
    const { lease, clock, identity, log, renewDeadlineMs } = this.#options
    try {
      return await this.#within(renewDeadlineMs, signal, async (limited) => {
        const record = await lease.get(limited)
        const startMs = clock.now()
        if (record === undefined) {
          this.#observe(await lease.create(this.#claim(0, true), limited))
        } else {
          this.#observe(record)
          if (this.#isHeldByAnother(record)) {
            this.#say(
              () => log.info({ identity: record.holderIdentity }, 'Standing by: another replica leads'),
              'standby',
            )
            return undefined
          }
          const isNewHolder = record.holderIdentity !== identity
          const claim = this.#claim(record.transitions + (isNewHolder ? 1 : 0), isNewHolder)
          this.#observe(await lease.update(record, claim, limited))
        }
        log.info({ identity }, 'Leading')
        return startMs
      })
    } catch (error) {
      signal.throwIfAborted()
      if (isLostRace(error)) return undefined
      this.#say(() => log.warn({ error }, 'Cannot acquire the lease'), messageOf(error))
      return undefined
    }
  }

  lead(renewedAtMs: number): Leadership {
    const lost = new AbortController()
    const stopped = new AbortController()
    const renewing = this.#keepRenewing(renewedAtMs, lost, stopped.signal)
    return {
      lost: lost.signal,
      release: async (signal) => {
        stopped.abort(new Error('the lease is being released'))
        await renewing
        if (!lost.signal.aborted) await this.#release(signal)
      },
    }
  }

  /** Ends when the lease is lost or the leader stops. */
  async #keepRenewing(renewedAtMs: number, lost: AbortController, stopped: AbortSignal): Promise<void> {
    const { clock, retryPeriodMs, renewDeadlineMs, log } = this.#options
    let lastRenewalMs = renewedAtMs
    let lastError: unknown
    while (!stopped.aborted) {
      try {
        const deadlineMs = lastRenewalMs + renewDeadlineMs
        await clock.sleep(Math.min(retryPeriodMs, deadlineMs - clock.now()), stopped)
        if (clock.now() >= deadlineMs) {
          const reason = new Error(
            `the lease could not be renewed for ${renewDeadlineMs / 1000} s: ${messageOf(lastError)}`,
            { cause: lastError },
          )
          log.error({ error: reason }, 'Lost the lease')
          lost.abort(reason)
          return
        }
        const startMs = clock.now()
        await this.#within(deadlineMs - startMs, stopped, (limited) => this.#renew(limited))
        lastRenewalMs = startMs
        lastError = undefined
      } catch (error) {
        if (stopped.aborted) return
        if (error instanceof LeaseTakenError) {
          log.error({ error }, 'Lost the lease')
          lost.abort(error)
          return
        }
        lastError = error
        this.#say(() => log.warn({ error }, 'Cannot renew the lease'), messageOf(error))
      }
    }
  }

  /** @throws LeaseTakenError when somebody else holds it */
  async #renew(signal: AbortSignal): Promise<void> {
    const { lease, identity } = this.#options
    const seen = this.#seen?.record
    if (seen !== undefined) {
      try {
        this.#observe(await lease.update(seen, this.#claim(seen.transitions, false), signal))
        return
      } catch (error) {
        // A renewal whose answer was lost also ends here, as a conflict with ourselves.
        if (!(error instanceof KubernetesAPIError) || (error.kind !== 'conflict' && error.kind !== 'notFound'))
          throw error
      }
    }
    const record = await lease.get(signal)
    if (record === undefined) {
      this.#observe(await lease.create(this.#claim(0, true), signal))
      return
    }
    this.#observe(record)
    if (record.holderIdentity !== identity) throw new LeaseTakenError(record.holderIdentity)
    this.#observe(await lease.update(record, this.#claim(record.transitions, false), signal))
  }

  async #release(signal: AbortSignal): Promise<void> {
    const { lease, identity, log, renewDeadlineMs } = this.#options
    try {
      await this.#within(renewDeadlineMs, signal, async (limited) => {
        // Read again: a renewal that was under way when it was stopped may have had its effect.
        const record = await lease.get(limited)
        if (record === undefined || record.holderIdentity !== identity) return
        const claim = { ...this.#claim(record.transitions, false), holderIdentity: '', durationMs: RELEASED_LEASE_MS }
        await lease.update(record, claim, limited)
        log.info({ identity }, 'Released the lease')
      })
    } catch (error) {
      log.warn({ error }, 'Cannot release the lease: a standby takes over when it has run out')
    }
  }

  #isHeldByAnother(record: LeaseRecord): boolean {
    const { identity, clock, leaseDurationMs } = this.#options
    if (record.holderIdentity === '' || record.holderIdentity === identity) return false
    const durationMs = record.durationMs > 0 ? record.durationMs : leaseDurationMs
    return clock.now() < (this.#seen?.changedAtMs ?? 0) + durationMs
  }

  #observe(record: LeaseRecord): void {
    if (this.#seen?.record.resourceVersion === record.resourceVersion) return
    this.#seen = { record, changedAtMs: this.#options.clock.now() }
  }

  #claim(transitions: number, isNewHolder: boolean): Parameters<LeaseAPI['create']>[0] {
    const { identity, leaseDurationMs, clock } = this.#options
    const now = clock.wallTime()
    return {
      holderIdentity: identity,
      durationMs: leaseDurationMs,
      transitions,
      renewedAt: now,
      ...(isNewHolder && { acquiredAt: now }),
    }
  }

  #within<T>(ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock } = this.#options
    const timeoutError = (): Error =>
      new KubernetesAPIError(`the lease: no answer within ${Math.round(ms) / 1000} s`, { kind: 'unavailable' })
    return withDeadline({ clock, ms: Math.max(ms, 0), signal, timeoutError }, work)
  }

  #say(write: () => void, text: string): void {
    const nowMs = this.#options.clock.now()
    if (this.#lastLine?.text === text && nowMs - this.#lastLine.atMs < REPEAT_WARNING_MS) return
    this.#lastLine = { text, atMs: nowMs }
    write()
  }
}

class LeaseTakenError extends Error {
  override readonly name = 'LeaseTakenError'

  constructor(holder: string) {
    super(holder === '' ? 'somebody released the lease for us' : `'${holder}' has taken the lease`)
  }
}

/** Another candidate was faster. */
function isLostRace(error: unknown): boolean {
  return error instanceof KubernetesAPIError && (error.kind === 'conflict' || error.kind === 'alreadyExists')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
