import type { Cloud } from '../cloud.ts'
import { deviceIndexTaken, fault } from '../errors.ts'
import { checkPrefixSupport, ipv4Slots, ipv6Slots } from './addressing.ts'
import { instanceType, interfacesPerCard } from './instance-types.ts'
import type { InstanceType } from './instance-types.ts'
import { instanceState } from './instances.ts'
import type { Attachment, Instance, NetworkInterface } from './types.ts'

export interface AttachInput {
  readonly iface: NetworkInterface
  readonly instance: Instance
  readonly deviceIndex: number
  /** Undefined: card 0. */
  readonly networkCardIndex: number | undefined
}

/**
 * Attaches a loose interface to an instance that runs or is stopped. The subnets may differ, the zones may not.
 *
 * @throws EC2Error IncorrectState, InvalidNetworkInterface.InUse, InvalidParameterCombination (zones), InvalidParameterValue (index,
 *   card), AttachmentLimitExceeded, InvalidInterface.IpAddressLimitExceeded
 */
export function attachInterface(cloud: Cloud, input: AttachInput): Attachment {
  const { iface, instance, deviceIndex } = input
  const state = instanceState(instance, cloud.now()).name
  if (state !== 'running' && state !== 'stopped') throw fault('IncorrectState', instance.id)
  if (iface.attachment !== undefined) throw fault('InvalidNetworkInterface.InUse', iface.id)
  if (iface.subnet.vpc !== instance.subnet.vpc || iface.subnet.availabilityZone !== instance.subnet.availabilityZone) {
    throw fault(
      'InvalidParameterCombination',
      'You may not attach a network interface to an instance if they are not in the same availability zone',
    )
  }
  const type = typeOf(instance)
  for (const other of instance.interfaces.slice()) cloud.settle(other)
  checkPlace(cloud, type, input)
  checkSlots(iface, type)
  const nowMs = cloud.now()
  const attachment: Attachment = {
    id: cloud.newID('attachment'),
    instance,
    deviceIndex,
    networkCardIndex: input.networkCardIndex ?? 0,
    attachTime: cloud.clock.wallTime(),
    attachedAtMs: nowMs + cloud.duration(cloud.settings.attachMs),
    deleteOnTermination: false,
    detachedAtMs: undefined,
  }
  iface.attachment = attachment
  cloud.interfaces.attached(iface, attachment.id, instance)
  return attachment
}

function checkPlace(cloud: Cloud, type: InstanceType, { instance, deviceIndex, networkCardIndex }: AttachInput): void {
  const card = networkCardIndex ?? 0
  if (card >= type.cards) {
    throw fault('InvalidParameterValue', `Network card index ${card} is not valid for instance type ${type.name}`)
  }
  const looksAtAllCards = networkCardIndex === undefined && cloud.settings.networkCardDefect
  let onCard = 0
  for (const { attachment } of instance.interfaces) {
    if (attachment === undefined) continue
    const isOnCard = attachment.networkCardIndex === card
    if (isOnCard) onCard++
    if (attachment.deviceIndex === deviceIndex && (isOnCard || looksAtAllCards)) {
      throw deviceIndexTaken(instance.id, deviceIndex)
    }
  }
  const total = instance.interfaces.length
  if (total >= type.adapters || onCard >= interfacesPerCard(type)) {
    throw fault('AttachmentLimitExceeded', String(total + 1), type.name)
  }
}

function checkSlots(iface: NetworkInterface, type: InstanceType): void {
  const ipv4Count = ipv4Slots(iface.addresses)
  if (ipv4Count > type.ipv4) {
    throw fault('InvalidInterface.IpAddressLimitExceeded', String(ipv4Count), iface.id, type.name)
  }
  const ipv6Count = ipv6Slots(iface.addresses)
  if (ipv6Count > type.ipv6) {
    throw fault('InvalidInterface.IpAddressLimitExceeded', String(ipv6Count), iface.id, type.name)
  }
  if (iface.addresses.ipv4Prefixes.length + iface.addresses.ipv6Prefixes.length > 0) checkPrefixSupport(type)
}

/** Types are checked when an instance is made. */
function typeOf(instance: Instance): InstanceType {
  const type = instanceType(instance.instanceType)
  if (type === undefined) throw new Error(`instance ${instance.id} has the unknown type ${instance.instanceType}`)
  return type
}

/**
 * Starts a detachment; the interface is loose once it is done.
 *
 * @param force done at once
 * @throws EC2Error OperationNotPermitted for the primary interface
 */
export function detachInterface(cloud: Cloud, iface: NetworkInterface, attachment: Attachment, force: boolean): void {
  const { deviceIndex, networkCardIndex } = attachment
  if (deviceIndex === 0) {
    throw fault(
      'OperationNotPermitted',
      `The network interface at device index ${deviceIndex} and networkCard index ${networkCardIndex} cannot be detached.`,
    )
  }
  if (force) {
    cloud.interfaces.detach(iface)
    return
  }
  // A second call while detaching changes nothing.
  attachment.detachedAtMs ??= cloud.now() + cloud.duration(cloud.settings.detachMs)
  cloud.interfaces.detaching(iface)
  cloud.settle(iface)
}

/** As `DescribeNetworkInterfaces` names it. */
export function attachmentStatus(attachment: Attachment, nowMs: number): 'attaching' | 'attached' | 'detaching' {
  if (attachment.detachedAtMs !== undefined) return 'detaching'
  return nowMs < attachment.attachedAtMs ? 'attaching' : 'attached'
}
