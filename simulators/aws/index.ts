import { systemClock } from '../kit/clock.ts'
import type { Clock } from '../kit/clock.ts'
import { composeSimulator } from '../kit/compose.ts'
import type { ComposedSimulator } from '../kit/compose.ts'
import type { ThrottleChoice } from '../kit/rate-limit.ts'
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

/** The simulated EC2 of one account in one region; `router` is for `inProcessHandler`, and for tests. */
export interface EC2Simulator extends ComposedSimulator<Cloud> {
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
  const { clock = systemClock, seed = 1, denied = {}, latency = NO_LATENCY } = options
  const settings = settingsFrom(options.settings ?? {})
  const composed = composeSimulator<Cloud>({
    name: 'ec2',
    clock,
    seed,
    faults: options.faults,
    throttle: options.throttle ?? 'documented',
    documentedThrottle: DOCUMENTED_THROTTLE,
    keptCalls: options.keptCalls,
    world: worldOf(options.world ?? 'default', settings.region),
    load: (world) => loadWorld({ clock, settings, seed }, world),
    snapshot: saveWorld,
    wire: (foundation) =>
      createWire({ ...foundation, operations: OPERATIONS, latency, denied: new Map(Object.entries(denied)) }),
    health: (cloud) => ({ region: settings.region, quotas: settings.quotas, resources: countResources(cloud) }),
    doors: {
      'POST /_berth/state/instances': makeInstances,
      'POST /_berth/state/occupy': occupyAddresses,
      'GET /_berth/check': (cloud) => ({ violations: checkWorld(cloud) }),
    },
  })
  const { router, calls, faults, listen, setThrottle } = composed
  return {
    router,
    calls,
    faults,
    listen,
    setThrottle,
    get cloud() {
      return composed.cloud
    },
    makeInstances: (input) => makeInstances(composed.cloud, input),
    check: () => checkWorld(composed.cloud),
  }
}

function worldOf(world: unknown, region: string): unknown {
  if (world === 'default') return defaultWorld(region)
  return world === 'empty' ? {} : world
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
export { USUAL_CLOCK_SKEW_MS } from './cloud/settings.ts'
export { parseSettings } from './cloud/settings-file.ts'
export type { ThrottleChoice } from '../kit/rate-limit.ts'
export { DOCUMENTED_THROTTLE, chargesFor } from './throttle.ts'
export { parseDenied } from './wire/authentication.ts'
export type { World } from './world.ts'
