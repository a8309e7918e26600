import { systemClock } from '../kit/clock.ts'
import type { Clock } from '../kit/clock.ts'
import { composeSimulator } from '../kit/compose.ts'
import type { ComposedSimulator } from '../kit/compose.ts'
import type { ThrottleChoice } from '../kit/rate-limit.ts'
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
import { DOCUMENTED_THROTTLE } from './throttle.ts'
import type { DenialKind } from './wire/authentication.ts'
import { saveWorld } from './world.ts'

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

/**
 * The simulated Resource Manager of one subscription in one region, with its token endpoint and a metadata service; `router` is for
 * `inProcessHTTPClient`, and for tests.
 */
export interface AzureSimulator extends ComposedSimulator<Cloud> {
  readonly settings: CloudSettings
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
  const { clock = systemClock, seed = 1, denied = {}, latency = NO_LATENCY } = options
  const settings = settingsFrom(options.settings ?? {})
  const composed = composeSimulator<Cloud>({
    name: 'azure',
    clock,
    seed,
    faults: options.faults,
    throttle: options.throttle ?? 'documented',
    documentedThrottle: DOCUMENTED_THROTTLE,
    keptCalls: options.keptCalls,
    world: worldOf(options.world ?? 'default', settings),
    load: (world) => loadWorld({ clock, settings, seed }, world),
    snapshot: saveWorld,
    wire: (foundation) => createWire({ ...foundation, latency, denied: new Map(Object.entries(denied)) }),
    health: (cloud) => ({ settings, resources: countResources(cloud) }),
    doors: {
      'POST /_berth/state/instances': makeInstances,
      'POST /_berth/state/delete-instances': deleteInstances,
      'POST /_berth/state/occupy': occupyAddresses,
      'GET /_berth/check': (cloud) => ({ violations: checkWorld(cloud) }),
    },
  })
  const { router, calls, faults, listen, setThrottle } = composed
  return {
    router,
    settings,
    calls,
    faults,
    listen,
    setThrottle,
    get cloud() {
      return composed.cloud
    },
    makeInstances: (input) => makeInstances(composed.cloud, input),
    deleteInstances: (input) => deleteInstances(composed.cloud, input),
    check: () => checkWorld(composed.cloud),
  }
}

function worldOf(world: unknown, settings: CloudSettings): unknown {
  if (world === 'default') return defaultWorld(settings)
  return world === 'empty' ? {} : world
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
export type { ThrottleChoice } from '../kit/rate-limit.ts'
export { DOCUMENTED_THROTTLE, chargesFor } from './throttle.ts'
export { parseDenied } from './wire/authentication.ts'
export type { World } from './world.ts'
