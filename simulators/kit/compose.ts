import { CallLedger } from './calls.ts'
import type { Clock } from './clock.ts'
import { withControl } from './control.ts'
import { FaultScript, parseFaults } from './faults.ts'
import { serve } from './http.ts'
import type { Router, ServeOptions, Server } from './http.ts'
import { seededRandom } from './random.ts'
import type { Random } from './random.ts'
import { Throttle, throttleTable } from './rate-limit.ts'
import type { ThrottleChoice, ThrottleTable } from './rate-limit.ts'

/** Sets the stream of request ids, latencies and chances of faults apart from those of the account. */
const WIRE_STREAM = 0x1b873593

/** What the wire of a cloud is built on. Functions are asked anew for every call: the control door may replace what they return. */
export interface WireFoundation<Cloud> {
  readonly clock: Clock
  readonly calls: CallLedger
  readonly faults: FaultScript
  /** Request ids, latencies and chances. */
  readonly random: Random
  cloud(): Cloud
  throttle(): Throttle
}

export interface SimulatorParts<Cloud> {
  /** In `/_berth/health`. */
  readonly name: string
  readonly clock: Clock
  readonly seed: number
  /** The content of a fault file; undefined for none. */
  readonly faults: unknown
  readonly throttle: ThrottleChoice
  readonly documentedThrottle: ThrottleTable
  /** Calls that `/_berth/calls` shows one by one (count); undefined for the usual number. */
  readonly keptCalls: number | undefined
  /** The world at the start, in the form that `load` takes. */
  readonly world: unknown
  /** @throws InputError when the world is not one */
  load(world: unknown): Cloud
  snapshot(cloud: Cloud): unknown
  wire(foundation: WireFoundation<Cloud>): Router
  health(cloud: Cloud): Readonly<Record<string, unknown>>
  /** Further control paths, by `METHOD /_berth/path`. */
  readonly doors: Readonly<Record<string, (cloud: Cloud, body: unknown) => unknown>>
}

/** A simulated cloud behind its control door; nothing runs until it is called. */
export interface ComposedSimulator<Cloud> {
  /** The wire without a socket, control paths included. */
  readonly router: Router
  /** What there is now; another object after a reset or a load. */
  readonly cloud: Cloud
  readonly calls: CallLedger
  readonly faults: FaultScript
  /** The same wire over HTTP. */
  readonly listen: (options: ServeOptions) => Promise<Server>
  /** Replaces the throttle; buckets start full. */
  readonly setThrottle: (choice: ThrottleChoice) => void
}

/**
 * Puts a cloud, its wire and the control door together: what every simulated cloud has beside its own rules.
 *
 * @throws InputError for a wrong world or fault file
 */
export function composeSimulator<Cloud>(parts: SimulatorParts<Cloud>): ComposedSimulator<Cloud> {
  const { clock, seed } = parts
  let stream = seededRandom(seed ^ WIRE_STREAM)
  const random: Random = { next: () => stream.next() }
  const initialFaults = parts.faults === undefined ? [] : parseFaults(parts.faults)
  const faults = new FaultScript(random, initialFaults)
  const calls = new CallLedger(parts.keptCalls)
  const newThrottle = (choice: ThrottleChoice): Throttle =>
    new Throttle(throttleTable(choice, parts.documentedThrottle), clock.now())
  let cloud = parts.load(parts.world)
  let throttle = newThrottle(parts.throttle)
  const setThrottle = (choice: ThrottleChoice): void => {
    throttle = newThrottle(choice)
  }
  const wire = parts.wire({ clock, calls, faults, random, cloud: () => cloud, throttle: () => throttle })
  const router = withControl(wire, {
    name: parts.name,
    clock,
    calls,
    faults,
    throttle: { get: () => ({ ...throttle.table, levels: throttle.levels(clock.now()) }), set: setThrottle },
    health: () => parts.health(cloud),
    reset() {
      cloud = parts.load(parts.world)
      setThrottle(parts.throttle)
      stream = seededRandom(seed ^ WIRE_STREAM)
      calls.clear()
      faults.set(initialFaults)
    },
    snapshot: () => parts.snapshot(cloud),
    load(world) {
      cloud = parts.load(world)
    },
    doors: Object.fromEntries(
      Object.entries(parts.doors).map(([path, open]) => [path, (body: unknown) => open(cloud, body)]),
    ),
  })
  return {
    router,
    calls,
    faults,
    get cloud() {
      return cloud
    },
    listen: (where) => serve(router, where),
    setThrottle,
  }
}
