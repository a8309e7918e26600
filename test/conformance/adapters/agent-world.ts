import type { Configuration, K8sEventRegister, Owner } from '../../../src/agent/configuration.ts'
import type { NodeWriter } from '../../../src/agent/node-writer.ts'
import type { AllocationResult } from '../../../src/agent/allocator.ts'
import type { Family } from '../../../src/agent/family.ts'
import type { Logger } from '../../../src/ipam/contracts.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import type { Random } from '../../../src/runtime/random.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { TimerQueue } from '../../../src/runtime/timer.ts'
import { ManualClock } from '../../support/manual-clock.ts'

/** What surrounds the node's half in vectors: time that moves only when told, an API server that nothing reaches. */
export interface AgentWorld {
  readonly clock: ManualClock
  readonly timers: TimerQueue
  readonly random: Random
  readonly log: Logger
  readonly events: K8sEventRegister
  readonly owner: Owner
  readonly writer: NodeWriter
  /** Aborted: the writers that run by themselves never do. */
  readonly signal: AbortSignal
}

const SEED = 20260901

export function agentWorld(): AgentWorld {
  const clock = new ManualClock()
  const refuse = (): Promise<JSONObject> => Promise.reject(new Error('nothing is written in a vector'))
  return {
    clock,
    timers: new TimerQueue(clock, (error) => {
      throw error
    }),
    random: seededRandom(SEED),
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    events: {
      k8sEventReceived: () => undefined,
      k8sEventProcessed: () => undefined,
      registerCiliumNodeSubscriber: () => undefined,
    },
    owner: { updateCiliumNodeResource: () => Promise.resolve(), localAllocCIDRsUpdated: () => undefined },
    writer: { patchStatus: refuse, patchSpec: refuse },
    signal: AbortSignal.abort(new Error('nothing is written in a vector')),
  }
}

export function configurationOf(options: {
  readonly mode: string
  readonly families: readonly Family[]
  readonly healthChecking?: boolean
  readonly nativeRoutingCIDR?: string | undefined
}): Configuration {
  let nativeRoutingCIDR = options.nativeRoutingCIDR
  return {
    ipv4Enabled: () => options.families.includes('ipv4'),
    ipv6Enabled: () => options.families.includes('ipv6'),
    ipamMode: () => options.mode,
    healthCheckingEnabled: () => options.healthChecking ?? false,
    unreachableRoutesEnabled: () => false,
    setIPv4NativeRoutingCIDR: (cidr) => {
      nativeRoutingCIDR = cidr
    },
    getIPv4NativeRoutingCIDR: () => nativeRoutingCIDR,
  }
}

/** A result in the spelling of the vectors. */
export function fileResult(result: AllocationResult | undefined): JSONObject | undefined {
  if (result === undefined) return undefined
  const { ip, ipPoolName, cidrs, primaryMAC, gatewayIP, expirationUUID, interfaceNumber } = result
  return {
    ip,
    ipPoolName,
    cidrs,
    primaryMac: primaryMAC,
    gatewayIp: gatewayIP,
    expirationUuid: expirationUUID,
    interfaceNumber,
  }
}
