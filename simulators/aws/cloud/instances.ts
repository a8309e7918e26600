import { assertNever } from '../../kit/assert.ts'
import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { discard } from './interfaces.ts'
import type { Instance, NetworkInterface, Subnet, Tags } from './types.ts'

/** Codes and names of `instanceState`. @source Amazon EC2 API Reference, InstanceState */
const STATE_CODES = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
} as const

export type InstanceStateName = keyof typeof STATE_CODES

export interface InstanceState {
  readonly code: number
  readonly name: InstanceStateName
}

export function instanceState({ phase }: Instance, nowMs: number): InstanceState {
  switch (phase.name) {
    case 'launching':
      return state(nowMs < phase.runningAtMs ? 'pending' : 'running')
    case 'stopping':
      return state(nowMs < phase.stoppedAtMs ? 'stopping' : 'stopped')
    case 'terminating':
      return state(nowMs < phase.terminatedAtMs ? 'shutting-down' : 'terminated')
    default:
      return assertNever(phase)
  }
}

function state(name: InstanceStateName): InstanceState {
  return { code: STATE_CODES[name], name }
}

export interface InstanceInput {
  readonly instanceType: string
  readonly imageID: string
  readonly subnet: Subnet
  readonly tags: Tags
  readonly reservationID: string
  readonly id?: string | undefined
  readonly launchTime?: Date | undefined
}

/** An instance without interfaces yet; the caller attaches its primary one with `attachAtLaunch`. */
export function createInstance(cloud: Cloud, input: InstanceInput): Instance {
  forgetTerminated(cloud)
  const instance: Instance = {
    resourceType: 'instance',
    id: input.id ?? cloud.newID('instance'),
    ordinal: cloud.nextOrdinal(),
    tags: input.tags,
    reservationID: input.reservationID,
    instanceType: input.instanceType,
    imageID: input.imageID,
    subnet: input.subnet,
    launchTime: input.launchTime ?? cloud.clock.wallTime(),
    visibleAtMs: cloud.now() + cloud.settings.consistency.launchedInstanceMs,
    phase: { name: 'launching', runningAtMs: cloud.now() + cloud.settings.launchMs },
    interfaces: [],
  }
  cloud.instances.add(instance)
  return instance
}

export interface LaunchAttachment {
  readonly deviceIndex: number
  readonly networkCardIndex: number
  readonly deleteOnTermination: boolean
  readonly id?: string | undefined
  readonly attachTime?: Date | undefined
}

/** Attaches an interface of a launch: at once, and unchecked. */
export function attachAtLaunch(
  cloud: Cloud,
  instance: Instance,
  iface: NetworkInterface,
  attachment: LaunchAttachment,
): void {
  iface.attachment = {
    id: attachment.id ?? cloud.newID('attachment'),
    instance,
    deviceIndex: attachment.deviceIndex,
    networkCardIndex: attachment.networkCardIndex,
    attachTime: attachment.attachTime ?? cloud.clock.wallTime(),
    attachedAtMs: cloud.now(),
    deleteOnTermination: attachment.deleteOnTermination,
    detachedAtMs: undefined,
  }
  cloud.interfaces.attached(iface, iface.attachment.id, instance)
}

/**
 * Terminates an instance: interfaces with deletion on termination are gone at once, the others become loose. Terminating again
 * changes nothing.
 */
export function terminateInstance(cloud: Cloud, instance: Instance): void {
  if (instance.phase.name === 'terminating') return
  instance.phase = { name: 'terminating', terminatedAtMs: cloud.now() + cloud.settings.terminateMs }
  cloud.terminated.push(instance)
  for (const iface of instance.interfaces.slice()) {
    if (iface.attachment?.deleteOnTermination === true) discard(cloud, iface)
    else cloud.interfaces.detach(iface)
  }
}

/** Takes a launch back as if it had never been, whatever its interfaces say about termination. */
export function withdrawInstance(cloud: Cloud, instance: Instance): void {
  for (const iface of instance.interfaces.slice()) discard(cloud, iface)
  cloud.instances.delete(instance)
}

/** @throws EC2Error IncorrectInstanceState unless it runs, or stops or is stopped already */
export function stopInstance(cloud: Cloud, instance: Instance): void {
  const { name } = instanceState(instance, cloud.now())
  if (name === 'stopping' || name === 'stopped') return
  if (name !== 'running') throw incorrect(instance, name)
  instance.phase = { name: 'stopping', stoppedAtMs: cloud.now() + cloud.settings.stopMs }
}

/** @throws EC2Error IncorrectInstanceState unless it is stopped or runs already */
export function startInstance(cloud: Cloud, instance: Instance): void {
  const { name } = instanceState(instance, cloud.now())
  if (name === 'running' || name === 'pending') return
  if (name !== 'stopped') throw incorrect(instance, name)
  instance.phase = { name: 'launching', runningAtMs: cloud.now() + cloud.settings.launchMs }
}

function incorrect(instance: Instance, name: string): Error {
  return fault(
    'IncorrectInstanceState',
    `The instance '${instance.id}' is not in a state from which this is possible: ${name}`,
  )
}

/** Whether listings show it yet. */
export function isInstanceListed(instance: Instance, nowMs: number): boolean {
  return nowMs >= instance.visibleAtMs
}

/** An instance that a listing names by its id. @throws EC2Error InvalidInstanceID.NotFound */
export function listedInstance(cloud: Cloud, id: string): Instance {
  const found = cloud.instances.get(id)
  if (found === undefined || !isInstanceListed(found, cloud.now())) throw fault('InvalidInstanceID.NotFound', id)
  return found
}

/** Instances whose time in the listings is over leave the account. */
export function forgetTerminated(cloud: Cloud): void {
  const nowMs = cloud.now()
  for (;;) {
    const [first] = cloud.terminated
    if (first === undefined || first.phase.name !== 'terminating') return
    if (first.phase.terminatedAtMs + cloud.settings.terminatedListedMs > nowMs) return
    cloud.terminated.shift()
    cloud.instances.delete(first)
  }
}
