import { CallLedger } from '../kit/calls.ts'
import { systemClock } from '../kit/clock.ts'
import type { Clock } from '../kit/clock.ts'
import { withControl } from '../kit/control.ts'
import { FaultScript, parseFaults } from '../kit/faults.ts'
import { serve } from '../kit/http.ts'
import type { Router, ServeOptions, Server } from '../kit/http.ts'
import { seededRandom } from '../kit/random.ts'
import type { Random } from '../kit/random.ts'
import type { ThrottleTable } from '../kit/rate-limit.ts'
import { deleteInstances, makeInstances } from './bulk-instances.ts'
import { settingsFrom } from './cloud/settings.ts'
import type { CloudSettings, SettingsInput } from './cloud/settings.ts'
import type { Cloud } from './cloud.ts'
import { defaultWorld } from './default-world.ts'
import { checkWorld } from './invariants.ts'
import type { Violation } from './invariants.ts'
import { NO_LATENCY } from './latency.ts'
import type { Latency } from './latency.ts'
import { loadWorld } from './load-world.ts'
import { occupyAddresses } from './occupy.ts'
import { createWire } from './server.ts'
import { ARMThrottle, DOCUMENTED_THROTTLE } from './throttle.ts'
import type { DenialKind } from './wire/authentication.ts'
import { saveWorld } from './world.ts'

/** Sets the stream of request IDs, latencies and chances of faults apart from those of the subscription. */
const WIRE_STREAM = 0x1b873593

/** The documented buckets, none, or others. */
export type ThrottleChoice = 'documented' | 'none' | ThrottleTable

export interface AzureSimulatorOptions {
  /** Real time by default. */
  readonly clock?: Clock
  /** Identifiers, choices, durations and chances follow from it; 1 by default. */
  readonly seed?: number
  /** What differs from `DEFAULT_SETTINGS` (`cloud/settings.ts`): subscription, region, quotas, durations, conflicts. */
  readonly settings?: SettingsInput
  /** `documented` by default. */
  readonly throttle?: ThrottleChoice
  /** None by default. */
  readonly latency?: Latency
  /** The content of a fault file (`simulators/kit/faults.ts`). The action `complete <action>` decides how an accepted write ends. */
  readonly faults?: unknown
  /** `default`: a network with one subnet; `empty`; or the content of a world file (`world.ts`). */
  readonly world?: unknown
  /** Client IDs whose calls are refused: unknown, or without permission. */
  readonly denied?: Readonly<Record<string, DenialKind>>
  /** Calls that `/_berth/calls` shows one by one (count). */
  readonly keptCalls?: number
}

/** The simulated Resource Manager of one subscription in one region, with its token endpoint and a metadata service. */
export interface AzureSimulator {
  /** The wire without a socket, control paths included: for `inProcessHTTPClient`, and for tests. */
  readonly router: Router
  /** The subscription as it is now; another object after a reset or a load. */
  readonly cloud: Cloud
  readonly settings: CloudSettings
  readonly calls: CallLedger
  readonly faults: FaultScript
  /** The same wire over HTTP. */
  listen(options: ServeOptions): Promise<Server>
  /** Replaces the throttle; buckets start full. */
  setThrottle(choice: ThrottleChoice): void
  /** Makes many machines at once, unmetered (`bulk-instances.ts`). @throws InputError */
  makeInstances(input: unknown): ReturnType<typeof makeInstances>
  /** Takes machines away, unmetered. @throws InputError */
  deleteInstances(input: unknown): void
  /** What is broken in the subscription; empty when all is well. */
  check(): readonly Violation[]
}

/**
 * Makes a simulator; nothing runs until it is called.
 *
 * @throws InputError for a wrong world or fault file
 */
export function createAzureSimulator(options: AzureSimulatorOptions = {}): AzureSimulator {
  const { clock = systemClock, seed = 1, denied = {} } = options
  const settings = settingsFrom(options.settings ?? {})
  const load = (world: unknown): Cloud => loadWorld({ clock, settings, seed }, world)
  const initialWorld = worldOf(options.world ?? 'default', settings)
  let stream = seededRandom(seed ^ WIRE_STREAM)
  const random: Random = { next: () => stream.next() }
  const initialFaults = options.faults === undefined ? [] : parseFaults(options.faults)
  const faults = new FaultScript(random, initialFaults)
  const initialThrottle = options.throttle ?? 'documented'
  const calls = new CallLedger(options.keptCalls)
  let cloud = load(initialWorld)
  let throttle = throttleOf(initialThrottle, clock)
  const setThrottle = (choice: ThrottleChoice): void => {
    throttle = throttleOf(choice, clock)
  }

  const wire = createWire({
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
    name: 'azure',
    clock,
    calls,
    faults,
    throttle: { get: () => ({ ...throttle.table, levels: throttle.levels(clock.now()) }), set: setThrottle },
    health: () => ({ settings, resources: countResources(cloud) }),
    reset() {
      cloud = load(initialWorld)
      setThrottle(initialThrottle)
      stream = seededRandom(seed ^ WIRE_STREAM)
      calls.clear()
      faults.set(initialFaults)
    },
    snapshot: () => saveWorld(cloud),
    load(world) {
      cloud = load(world)
    },
    doors: {
      'POST /_berth/state/instances': (body) => makeInstances(cloud, body),
      'POST /_berth/state/delete-instances': (body) => deleteInstances(cloud, body),
      'POST /_berth/state/occupy': (body) => occupyAddresses(cloud, body),
      'GET /_berth/check': () => ({ violations: checkWorld(cloud) }),
    },
  })
  return {
    router,
    settings,
    calls,
    faults,
    get cloud() {
      return cloud
    },
    listen: (where) => serve(router, where),
    setThrottle,
    makeInstances: (input) => makeInstances(cloud, input),
    deleteInstances: (input) => deleteInstances(cloud, input),
    check: () => checkWorld(cloud),
  }
}

function worldOf(world: unknown, settings: CloudSettings): unknown {
  if (world === 'default') return defaultWorld(settings)
  return world === 'empty' ? {} : world
}

function throttleOf(choice: ThrottleChoice, clock: Clock): ARMThrottle {
  const table = choice === 'documented' ? DOCUMENTED_THROTTLE : choice === 'none' ? undefined : choice
  return new ARMThrottle(table, clock.now())
}

function countResources(cloud: Cloud): Readonly<Record<string, number>> {
  const { groups } = cloud
  return {
    resourceGroups: groups.length,
    virtualNetworks: cloud.networks.size,
    subnets: cloud.subnets.size,
    scaleSets: groups.reduce((sum, { scaleSets }) => sum + scaleSets.size, 0),
    scaleSetVirtualMachines: cloud.scaleSetVMs.size,
    virtualMachines: groups.reduce((sum, { machines }) => sum + machines.size, 0),
    networkInterfaces: cloud.nics.size,
  }
}

export { inProcessHTTPClient } from './in-process.ts'
export type { InProcessRequest, InProcessResponse } from './in-process.ts'
export type { BulkInstance } from './bulk-instances.ts'
export type { Violation } from './invariants.ts'
export { NO_LATENCY, USUAL_LATENCY, parseLatency } from './latency.ts'
export type { Latency } from './latency.ts'
export type { CloudSettings, SettingsInput } from './cloud/settings.ts'
export { DOCUMENTED_THROTTLE, chargesFor } from './throttle.ts'
export { parseDenied } from './wire/authentication.ts'
export type { World } from './world.ts'
