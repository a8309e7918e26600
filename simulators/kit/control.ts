import type { CallLedger } from './calls.ts'
import type { Clock } from './clock.ts'
import { formatFaults, parseFaults } from './faults.ts'
import type { FaultScript } from './faults.ts'
import { jsonResponse } from './http.ts'
import type { Router, WireRequest, WireResponse } from './http.ts'
import { InputError, InputReader, parseJSON } from './input.ts'
import { parseThrottle } from './rate-limit.ts'
import type { ThrottleChoice } from './rate-limit.ts'

/** Where the control door is; everything else belongs to the simulated API. */
export const CONTROL_PREFIX = '/_berth/'

/** The throttle of a simulator as the door sees it. */
export interface ThrottleControl {
  /** The table in force and the level of each bucket. */
  get(): unknown
  /** `documented` is the simulator's own table of the real service's limits. Buckets start full. */
  set(choice: ThrottleChoice): void
}

/** What a simulator puts behind its control door. */
export interface ControlParts {
  /** Name in `/_berth/health`: `ec2`, `kubernetes`. */
  readonly name: string
  readonly clock: Clock
  readonly calls: CallLedger
  readonly faults: FaultScript
  /** Absent when the simulator does not throttle. */
  readonly throttle?: ThrottleControl
  /** Facts worth showing beside the health: counts of resources, quotas. */
  health?(): Readonly<Record<string, unknown>>
  /** Back to the world as it was at the start. */
  reset(): void
  /** The whole world as plain JSON. */
  snapshot(): unknown
  /** Replaces the world. @throws InputError when the snapshot is not one; the old world then stays */
  load(snapshot: unknown): void
  /** Further doors, by `METHOD /_berth/path`: bulk set-up. The body is parsed JSON; the result is sent as JSON. */
  readonly doors?: Readonly<Record<string, (body: unknown) => unknown>>
}

type Door = (request: WireRequest) => unknown

/**
 * Puts the control paths before a simulator: they are neither metered, throttled, delayed nor subject to faults.
 * Every answer is JSON; a wrong request is answered `{"error": …, "faults": […]}` with 400, an unknown path with 404 and the paths
 * there are.
 */
export function withControl(router: Router, parts: ControlParts): Router {
  const doors = doorsOf(parts)
  const paths = [...doors.keys()].sort()
  return async (request, signal) => {
    if (!request.path.startsWith(CONTROL_PREFIX)) return router(request, signal)
    const door = doors.get(`${request.method} ${request.path}`)
    if (door === undefined) {
      const isKnownPath = paths.some((path) => path.endsWith(` ${request.path}`))
      const error = `${request.method} ${request.path} is not a control path of this simulator`
      return jsonResponse(isKnownPath ? 405 : 404, { error, paths })
    }
    return answer(door, request)
  }
}

async function answer(door: Door, request: WireRequest): Promise<WireResponse> {
  try {
    return jsonResponse(200, (await door(request)) ?? { ok: true })
  } catch (error) {
    if (error instanceof InputError) return jsonResponse(400, { error: error.message, faults: error.faults })
    throw error
  }
}

function doorsOf(parts: ControlParts): ReadonlyMap<string, Door> {
  const { calls, clock, faults, throttle } = parts
  const doors = new Map<string, Door>()
  doors.set('GET /_berth/health', () => ({ status: 'ok', simulator: parts.name, ...parts.health?.() }))
  doors.set('POST /_berth/reset', () => parts.reset())
  doors.set('GET /_berth/state', () => parts.snapshot())
  doors.set('PUT /_berth/state', (request) => parts.load(parseJSON(request.body, 'state')))
  doors.set('GET /_berth/faults', () => ({
    ...formatFaults(faults.status()),
    counters: faults.status().map(({ action, calls, strikes }) => ({ action, calls, strikes })),
  }))
  doors.set('PUT /_berth/faults', (request) => faults.set(parseFaults(parseJSON(request.body, 'faults'))))
  doors.set('DELETE /_berth/faults', () => faults.clear())
  doors.set('GET /_berth/clock', () => clockReport(clock))
  doors.set('POST /_berth/clock', async (request) => {
    if (!isManual(clock)) throw new InputError('clock', ['runs by itself: only a manual one can be advanced'])
    await clock.advance(advanceMs(parseJSON(request.body, 'clock')))
    return clockReport(clock)
  })
  doors.set('GET /_berth/calls', () => calls.report())
  doors.set('DELETE /_berth/calls', () => calls.clear())
  if (throttle !== undefined) {
    doors.set('GET /_berth/throttle', () => throttle.get())
    doors.set('PUT /_berth/throttle', (request) => {
      const value = parseJSON(request.body, 'throttle')
      throttle.set(value === 'documented' || value === 'none' ? value : parseThrottle(value))
    })
  }
  for (const [name, open] of Object.entries(parts.doors ?? {})) {
    doors.set(name, (request) => open(request.body === '' ? {} : parseJSON(request.body, name)))
  }
  return doors
}

/** Any clock that can be advanced, whoever made it. */
function isManual(clock: Clock): clock is Clock & { advance(ms: number): Promise<void> } {
  return 'advance' in clock && typeof clock.advance === 'function'
}

function clockReport(clock: Clock): { nowMs: number; wallTime: string; manual: boolean } {
  return { nowMs: clock.now(), wallTime: clock.wallTime().toISOString(), manual: isManual(clock) }
}

function advanceMs(body: unknown): number {
  const reader = new InputReader('clock')
  const ms = reader.number(reader.object(body, 'body', ['advanceMs'])['advanceMs'], 'advanceMs', { min: 0 })
  reader.finish()
  return ms
}
