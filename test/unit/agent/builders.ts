import type { AllocationResult } from '../../../src/agent/allocator.ts'
import type { Configuration } from '../../../src/agent/configuration.ts'
import { IPAMError } from '../../../src/agent/errors.ts'
import type { IPAMEventMetrics } from '../../../src/agent/event-metrics.ts'
import type { Family } from '../../../src/agent/family.ts'
import { HostScopeAllocator } from '../../../src/agent/host-scope.ts'
import type { IPAMDependencies } from '../../../src/agent/ipam.ts'
import { IPAM } from '../../../src/agent/ipam.ts'
import type { NodeWriter } from '../../../src/agent/node-writer.ts'
import type { Logger } from '../../../src/ipam/contracts.ts'
import type { JSONObject, JSONValue } from '../../../src/ipam/types.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { ManualClock } from '../../support/manual-clock.ts'

export interface LogLine {
  readonly level: keyof Logger
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** Time that moves only when told, seeded chance, a log that is kept. */
export function testWorld(seed = 1) {
  const clock = new ManualClock()
  const lines: LogLine[] = []
  const write =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      lines.push({ level, message, fields: { ...fields } })
    }
  const log: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const timers = new TimerQueue(clock, (error) => {
    throw error
  })
  return { clock, timers, random: seededRandom(seed), log, lines }
}

/** Counts of `allocate` and `release` by family. */
export function countingMetrics() {
  const counts = { allocate: { ipv4: 0, ipv6: 0 }, release: { ipv4: 0, ipv6: 0 } }
  const metrics: IPAMEventMetrics = {
    countEvent: (action, family) => {
      counts[action][family] += 1
    },
    setCapacity: () => undefined,
  }
  return { counts, metrics }
}

interface HostScopeFacade {
  readonly ipv4?: readonly string[]
  readonly ipv6?: readonly string[]
  readonly cooldownMs?: number
  readonly seed?: number
  readonly deps?: Partial<IPAMDependencies>
}

/** A facade over host-scope allocators; a family without CIDRs is disabled. */
export function hostScopeIPAM({ ipv4, ipv6, cooldownMs = 0, seed = 1, deps = {} }: HostScopeFacade) {
  const world = testWorld(seed)
  const options = { ...world, smallCIDR: 'usable', cooldownMs } as const
  const { counts, metrics } = countingMetrics()
  const ipam = new IPAM({
    ...world,
    metrics,
    ipv4Allocator: ipv4 && new HostScopeAllocator('ipv4', ipv4, options),
    ipv6Allocator: ipv6 && new HostScopeAllocator('ipv6', ipv6, options),
    ...deps,
  })
  return { ...world, ipam, counts }
}

/** The code of the failure, or the result. */
export function codeOf(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    if (error instanceof IPAMError) return error.code
    throw error
  }
}

export function failureOf(run: () => unknown): IPAMError {
  try {
    run()
  } catch (error) {
    if (error instanceof IPAMError) return error
    throw error
  }
  throw new Error('expected a failure')
}

export function ipOf(result: AllocationResult | undefined): string {
  return result?.ip ?? ''
}

export function configuration(
  mode: string,
  families: readonly Family[] = ['ipv4'],
  options: { readonly nativeRoutingCIDR?: string; readonly healthChecking?: boolean } = {},
): Configuration {
  let { nativeRoutingCIDR } = options
  return {
    ipv4Enabled: () => families.includes('ipv4'),
    ipv6Enabled: () => families.includes('ipv6'),
    ipamMode: () => mode,
    healthCheckingEnabled: () => options.healthChecking ?? false,
    unreachableRoutesEnabled: () => false,
    setIPv4NativeRoutingCIDR: (cidr) => {
      nativeRoutingCIDR = cidr
    },
    getIPv4NativeRoutingCIDR: () => nativeRoutingCIDR,
  }
}

/**
 * The API server as far as one CiliumNode is concerned: merge patches that apply to exactly one version. What it holds is given to the
 * watcher only when `deliver` is called, as a watch that lags would.
 */
export class FakeNodeServer implements NodeWriter {
  node: JSONObject
  /** How the next calls end instead; taken from the front. `lost`: applied, and the answer never came. */
  readonly outcomes: ('refused' | 'lost')[] = []
  readonly patches: JSONObject[] = []
  #version = 1

  constructor(node: JSONObject) {
    this.node = withVersion(node, this.#version)
  }

  patchStatus(patch: JSONObject): Promise<JSONObject> {
    return this.#patch(patch)
  }

  patchSpec(patch: JSONObject): Promise<JSONObject> {
    return this.#patch(patch)
  }

  /** Somebody else writes. */
  change(patch: JSONObject): JSONObject {
    this.#version += 1
    this.node = withVersion(merged(this.node, patch) as JSONObject, this.#version)
    return this.node
  }

  async #patch(patch: JSONObject): Promise<JSONObject> {
    await Promise.resolve()
    const outcome = this.outcomes.shift()
    if (outcome === 'refused') throw new Error('the API server is not available')
    const { metadata } = patch
    if ((metadata as JSONObject)['resourceVersion'] !== String(this.#version)) throw new Error('conflict')
    this.patches.push(patch)
    this.change(patch)
    if (outcome === 'lost') throw new Error('connection reset')
    return this.node
  }
}

function withVersion(node: JSONObject, version: number): JSONObject {
  return { ...node, metadata: { ...(node['metadata'] as JSONObject), resourceVersion: String(version) } }
}

/** RFC 7386. */
function merged(target: JSONValue | undefined, patch: JSONValue): JSONValue {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const base = typeof target === 'object' && target !== null && !Array.isArray(target) ? target : {}
  const result: Record<string, JSONValue | undefined> = { ...(base as JSONObject) }
  for (const [key, value] of Object.entries(patch as JSONObject)) {
    if (value === null || value === undefined) delete result[key]
    else result[key] = merged(result[key], value)
  }
  return result
}
