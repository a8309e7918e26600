import { CallLedger } from '../kit/calls.ts'
import { systemClock } from '../kit/clock.ts'
import type { Clock } from '../kit/clock.ts'
import { withControl } from '../kit/control.ts'
import { FaultScript, parseFaults } from '../kit/faults.ts'
import { serve } from '../kit/http.ts'
import type { Router, ServeOptions, Server } from '../kit/http.ts'
import { seededRandom } from '../kit/random.ts'
import type { Random } from '../kit/random.ts'
import { Throttle } from '../kit/rate-limit.ts'
import type { ThrottleTable } from '../kit/rate-limit.ts'
import { makeInstances } from './bulk-instances.ts'
import type { Cloud } from './cloud.ts'
import { settingsFrom } from './cloud/settings.ts'
import type { SettingsInput } from './cloud/settings.ts'
import { defaultWorld } from './default-world.ts'
import { checkWorld } from './invariants.ts'
import type { Violation } from './invariants.ts'
import { NO_LATENCY } from './latency.ts'
import type { Latency } from './latency.ts'
import { loadWorld } from './load-world.ts'
import { occupyAddresses } from './occupy.ts'
import { OPERATIONS } from './operations/index.ts'
import { createWire } from './server.ts'
import { DOCUMENTED_THROTTLE } from './throttle.ts'
import type { DenialKind } from './wire/authentication.ts'
import { saveWorld } from './world.ts'

/** Sets the stream of request ids, latencies and chances of faults apart from those of the account. */
const WIRE_STREAM = 0x1b873593

/** The documented buckets, none, or others. */
export type ThrottleChoice = 'documented' | 'none' | ThrottleTable

export interface EC2SimulatorOptions {
  /** Real time by default. */
  readonly clock?: Clock
  /** Identifiers, choices, delays and chances follow from it; 1 by default. */
  readonly seed?: number
  /** What differs from `DEFAULT_SETTINGS` (`cloud/settings.ts`): region, quotas, consistency, delays. */
  readonly settings?: SettingsInput
  /** `documented` by default. */
  readonly throttle?: ThrottleChoice
  /** None by default. */
  readonly latency?: Latency
  /** The content of a fault file (`simulators/kit/faults.ts`). */
  readonly faults?: unknown
  /** `default`: a new account with its default VPC; `empty`; or the content of a world file (`world.ts`). */
  readonly world?: unknown
  /** Access keys whose calls are refused: unknown (`AuthFailure`) or without permission (`UnauthorizedOperation`). */
  readonly denied?: Readonly<Record<string, DenialKind>>
  /** Calls that `/_berth/calls` shows one by one (count). */
  readonly keptCalls?: number
}

/** The simulated EC2 of one account in one region. */
export interface EC2Simulator {
  /** The wire without a socket, control paths included: for `inProcessHandler`, and for tests. */
  readonly router: Router
  /** The account as it is now; another object after a reset or a load. */
  readonly cloud: Cloud
  readonly calls: CallLedger
  readonly faults: FaultScript
  /** The same wire over HTTP. */
  listen(options: ServeOptions): Promise<Server>
  /** Replaces the throttle; buckets start full. */
  setThrottle(choice: ThrottleChoice): void
  /** Makes many instances at once, unmetered (`bulk-instances.ts`). @throws InputError */
  makeInstances(input: unknown): ReturnType<typeof makeInstances>
  /** What is broken in the account; empty when all is well. */
  check(): readonly Violation[]
}

/**
 * Makes a simulator; nothing runs until it is called.
 *
 * @throws InputError for a wrong world or fault file
 */
export function createEC2Simulator(options: EC2SimulatorOptions = {}): EC2Simulator {
  const { clock = systemClock, seed = 1, denied = {} } = options
  const settings = settingsFrom(options.settings ?? {})
  const load = (world: unknown): Cloud => loadWorld({ clock, settings, seed }, world)
  const initialWorld = worldOf(options.world ?? 'default', settings.region)
  let stream = seededRandom(seed ^ WIRE_STREAM)
  const random: Random = { next: () => stream.next() }
  const faults = new FaultScript(random, options.faults === undefined ? [] : parseFaults(options.faults))
  const initialThrottle = options.throttle ?? 'documented'
  const calls = new CallLedger(options.keptCalls)
  let cloud = load(initialWorld)
  let throttle = throttleOf(initialThrottle, clock)
  const setThrottle = (choice: ThrottleChoice): void => {
    throttle = throttleOf(choice, clock)
  }

  const wire = createWire({
    operations: OPERATIONS,
    clock,
    calls,
    faults,
    latency: options.latency ?? NO_LATENCY,
    random,
    denied: new Map(Object.entries(denied)),
    cloud: () => cloud,
    throttle: () => throttle,
  })
  const router = withControl(wire, {
    name: 'ec2',
    clock,
    calls,
    faults,
    throttle: { get: () => ({ ...throttle.table, levels: throttle.levels(clock.now()) }), set: setThrottle },
    health: () => ({ region: settings.region, quotas: settings.quotas, resources: countResources(cloud) }),
    reset() {
      cloud = load(initialWorld)
      setThrottle(initialThrottle)
      stream = seededRandom(seed ^ WIRE_STREAM)
      calls.clear()
      faults.set(options.faults === undefined ? [] : parseFaults(options.faults))
    },
    snapshot: () => saveWorld(cloud),
    load(world) {
      cloud = load(world)
    },
    doors: {
      'POST /_berth/state/instances': (body) => makeInstances(cloud, body),
      'POST /_berth/state/occupy': (body) => occupyAddresses(cloud, body),
      'GET /_berth/check': () => ({ violations: checkWorld(cloud) }),
    },
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
    makeInstances: (input) => makeInstances(cloud, input),
    check: () => checkWorld(cloud),
  }
}

function worldOf(world: unknown, region: string): unknown {
  if (world === 'default') return defaultWorld(region)
  return world === 'empty' ? {} : world
}

function throttleOf(choice: ThrottleChoice, clock: Clock): Throttle {
  const table = choice === 'documented' ? DOCUMENTED_THROTTLE : choice === 'none' ? undefined : choice
  return new Throttle(table, clock.now())
}

function countResources(cloud: Cloud): Readonly<Record<string, number>> {
  return {
    vpcs: cloud.vpcs.size,
    subnets: cloud.subnets.size,
    instances: cloud.instances.size,
    networkInterfaces: cloud.interfaces.count,
  }
}

export { instanceType } from './cloud/instance-types.ts'
export type { InstanceType } from './cloud/instance-types.ts'
export { inProcessHandler } from './in-process.ts'
export type { InProcessHandler } from './in-process.ts'
export type { Violation } from './invariants.ts'
export { NO_LATENCY, USUAL_LATENCY, parseLatency } from './latency.ts'
export type { Latency } from './latency.ts'
export type { SettingsInput } from './cloud/settings.ts'
export { DOCUMENTED_THROTTLE, chargesFor } from './throttle.ts'
export { parseDenied } from './wire/authentication.ts'
export type { World } from './world.ts'
