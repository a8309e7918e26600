import type { Cloud } from '../cloud.ts'
import { SUPERSEDED, fault, retryableError } from '../errors.ts'
import { PREFIX_BITS } from '../../kit/ipv4.ts'
import { keyOf } from './arm-id.ts'
import { endOperation, isCancellation, startOperation } from './async-operations.ts'
import type { ScriptedEnd } from './async-operations.ts'
import { addressText, applyConfigurations, configurationID, releaseConfigurations } from './ip-configurations.ts'
import type { PublicIPSource } from './ip-configurations.ts'
import { objectAt, objectsAt, textAt, without } from './json.ts'
import type { JSONObject } from './json.ts'
import { findPublicIP, findPublicPrefix, makePublicIP, releasePublicIP } from './public-ips.ts'
import type {
  AsyncOperation,
  IPConfiguration,
  NIC,
  OperationError,
  PublicIPAddress,
  ScaleSetVM,
  VirtualMachine,
} from './types.ts'
import { readConfigurations } from './wanted-configurations.ts'

/** Read-only members of an interface and of its properties; a write that holds them is not refused, they are passed over. */
const READ_ONLY = ['id', 'name', 'type', 'etag']
const READ_ONLY_PROPERTIES = [
  'provisioningState',
  'macAddress',
  'primary',
  'virtualMachine',
  'resourceGuid',
  'hostedWorkloads',
  'tapConfigurations',
  'ipConfigurations',
]

export const NIC_TYPE = 'Microsoft.Network/networkInterfaces'

/** Conditions of a write, as its headers give them. */
export interface Conditions {
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: string | undefined
}

/** @throws ARMError PreconditionFailed. @param current the entity tag; undefined when the resource does not exist */
export function checkConditions({ ifMatch, ifNoneMatch }: Conditions, current: string | undefined): void {
  if (ifMatch !== undefined && (current === undefined || (ifMatch !== '*' && ifMatch !== current))) {
    throw fault('PreconditionFailed', ifMatch, current ?? 'of no')
  }
  if (ifNoneMatch !== undefined && current !== undefined && (ifNoneMatch === '*' || ifNoneMatch === current)) {
    throw fault('PreconditionFailed', ifNoneMatch, current)
  }
}

export interface WrittenNIC {
  readonly nic: NIC
  readonly created: boolean
  readonly operation: AsyncOperation
}

/**
 * Creates or replaces a standalone interface. Addresses are allocated at once and stay with their configurations; those taken off
 * become free when the operation ends.
 *
 * @throws ARMError
 */
export function putNIC(
  cloud: Cloud,
  where: { readonly group: string; readonly name: string },
  body: JSONObject,
  conditions: Conditions,
  scripted: () => ScriptedEnd,
): WrittenNIC {
  const group = cloud.group(where.group)
  const id = cloud.resourceID(group.name, NIC_TYPE, where.name)
  const existing = cloud.nics.get(keyOf(id))
  if (cloud.settings.enforceInterfaceETag) checkConditions(conditions, existing?.etag)
  const location = textAt(body, 'location')
  if (location === undefined) throw fault('LocationRequired')
  if (!isSameLocation(location, cloud.settings.location)) {
    throw fault('InvalidResourceLocation', where.name, cloud.settings.location, location)
  }
  const wanted = readConfigurations(cloud, id, objectsAt(objectAt(body, 'properties'), 'ipConfigurations'), 'interface')
  if (existing !== undefined) {
    const network = existing.configurations[0]?.subnet.network
    if (network !== undefined && wanted[0]?.subnet.network !== network) {
      throw fault(
        'InvalidParameter',
        `Network interface ${id} cannot move to a virtual network other than ${network.id}.`,
      )
    }
    if (existing.operation !== undefined) refuseOverlap(cloud, existing, existing.operation)
  } else if (cloud.nics.size >= cloud.settings.quotas.networkInterfaces) {
    throw fault('NetworkInterfaceCountLimitReached', `${cloud.settings.quotas.networkInterfaces}`)
  }
  const nic = existing ?? newNIC(cloud, { id, name: where.name, group: group.name, owner: undefined, isPrimary: false })
  applyConfigurations(cloud, nic, wanted, publicIPsOf(cloud, nic))
  if (existing?.operation !== undefined) supersede(cloud, existing.operation)
  nic.document = documentOf(body)
  nic.etag = cloud.newETag()
  for (const one of nic.configurations) one.etag = nic.etag
  nic.state = 'Updating'
  nic.rendered = undefined
  if (existing === undefined) {
    cloud.nics.set(nic.key, nic)
    group.nics.add(nic)
  }
  const operation = startOperation(cloud, {
    service: 'Microsoft.Network',
    resourceKey: nic.key,
    durationMs: cloud.duration(cloud.settings.networkOperationMs),
    result: () => renderNIC(cloud, nic),
    scripted: scripted(),
    complete: (error) => {
      completeNIC(nic, error)
      return error
    },
  })
  nic.operation = operation
  return { nic, created: existing === undefined, operation }
}

function refuseOverlap(cloud: Cloud, nic: NIC, running: AsyncOperation): void {
  switch (cloud.settings.overlappingInterfaceWrites) {
    case 'supersede':
      return
    case 'conflict':
      throw fault('AnotherOperationInProgress', running.id)
    case 'retryable':
      throw retryableError(nic.id, running.id)
  }
}

function supersede(cloud: Cloud, running: AsyncOperation): void {
  endOperation(cloud, running, SUPERSEDED)
}

function completeNIC(nic: NIC, error: OperationError | undefined): void {
  const state = error === undefined ? 'Succeeded' : isCancellation(error) ? 'Canceled' : 'Failed'
  nic.state = state
  for (const one of nic.configurations) if (one.state !== 'Succeeded') one.state = state
  releaseConfigurations(nic)
  nic.operation = undefined
  nic.rendered = undefined
}

/** Takes an interface out of the world: its addresses are free at once. */
export function removeNIC(cloud: Cloud, nic: NIC): void {
  if (nic.operation !== undefined) supersede(cloud, nic.operation)
  nic.operation = undefined
  nic.releasing = [...nic.releasing, ...nic.configurations]
  nic.configurations = []
  releaseConfigurations(nic)
  cloud.nics.delete(nic.key)
}

export function newNIC(
  cloud: Cloud,
  given: {
    readonly id: string
    readonly name: string
    readonly group: string
    readonly owner: ScaleSetVM | VirtualMachine | undefined
    readonly isPrimary: boolean
  },
): NIC {
  return {
    ...given,
    key: keyOf(given.id),
    document: {},
    etag: cloud.newETag(),
    state: 'Succeeded',
    resourceGuid: cloud.newUUID(),
    macAddress: cloud.newMAC(),
    configurations: [],
    operation: undefined,
    releasing: [],
    rendered: undefined,
  }
}

/** The body without what the service fills in; anything else is kept, known or not. */
export function documentOf(body: JSONObject): JSONObject {
  const properties = objectAt(body, 'properties') ?? {}
  return { ...without(body, ...READ_ONLY), properties: without(properties, ...READ_ONLY_PROPERTIES) }
}

/** Public addresses of a standalone interface: an existing one by ID, or a new one described in place. */
function publicIPsOf(cloud: Cloud, nic: NIC): PublicIPSource {
  const made = new Set<PublicIPAddress>()
  return {
    resolve({ name, publicIP: wanted }, current) {
      if (wanted === undefined) return undefined
      const holder = configurationID(nic, name)
      const id = textAt(wanted, 'id')
      if (id !== undefined) {
        const found = findPublicIP(cloud, id, nic.id)
        if (found.holder !== undefined && keyOf(found.holder) !== keyOf(holder)) {
          throw fault('PublicIPAddressInUse', found.id, found.holder)
        }
        found.holder = holder
        return found
      }
      if (current !== undefined) return current
      const wantedName = textAt(wanted, 'name')
      if (wantedName === undefined)
        throw fault('InvalidParameter', `The public address of ${holder} has neither id nor name.`)
      const properties = objectAt(wanted, 'properties') ?? {}
      const prefixID = textAt(objectAt(properties, 'publicIPPrefix'), 'id')
      const prefix = prefixID === undefined ? undefined : findPublicPrefix(cloud, prefixID, nic.id)
      const address = freeName(cloud, nic, wantedName)
      const one = makePublicIP(cloud, { ...address, group: nic.group, document: { properties }, prefix, holder }, true)
      if (one === undefined) throw fault('PublicIpPrefixOutOfIpAddresses', prefixID ?? '')
      made.add(one)
      return one
    },
    undo(publicIP) {
      const isMade = made.has(publicIP)
      releasePublicIP(publicIP, !isMade)
      if (isMade) cloud.group(nic.group).publicIPs.deleteAll(new Set([publicIP]))
    },
  }
}

/** The name as asked, or with the interface's when another address of the group has it already. */
function freeName(cloud: Cloud, nic: NIC, name: string): { readonly id: string; readonly name: string } {
  const id = cloud.resourceID(nic.group, 'Microsoft.Network/publicIPAddresses', name)
  if (cloud.group(nic.group).publicIPs.get(keyOf(id)) === undefined) return { id, name }
  return { id: `${id}-${nic.name}`, name: `${name}-${nic.name}` }
}

function isSameLocation(one: string, other: string): boolean {
  return keyOf(one).replaceAll(' ', '') === keyOf(other).replaceAll(' ', '')
}

/** The whole interface as JSON text; kept until it changes. */
export function renderNIC(cloud: Cloud, nic: NIC): string {
  nic.rendered ??= JSON.stringify(presentNIC(cloud, nic))
  return nic.rendered
}

function presentNIC(cloud: Cloud, nic: NIC): JSONObject {
  const { document, owner } = nic
  const isScaleSetNIC = owner?.kind === 'scale-set-vm'
  return {
    name: nic.name,
    id: nic.id,
    etag: nic.etag,
    type: isScaleSetNIC ? 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/networkInterfaces' : NIC_TYPE,
    ...(isScaleSetNIC ? {} : { location: cloud.settings.location }),
    ...document,
    properties: {
      ...objectAt(document, 'properties'),
      provisioningState: nic.state,
      resourceGuid: nic.resourceGuid,
      ...(owner === undefined
        ? {}
        : { macAddress: nic.macAddress, primary: nic.isPrimary, virtualMachine: { id: owner.id } }),
      ipConfigurations: nic.configurations.map(presentConfiguration),
    },
  }
}

export function presentConfiguration(one: IPConfiguration): JSONObject {
  const { nic, publicIP } = one
  return {
    name: one.name,
    id: configurationID(nic, one.name),
    etag: one.etag,
    type: `${NIC_TYPE}/ipConfigurations`,
    properties: {
      ...one.properties,
      provisioningState: one.state,
      privateIPAddress: addressText(one),
      ...(one.addressCount > 1 ? { privateIPAddressPrefixLength: PREFIX_BITS } : {}),
      privateIPAllocationMethod: one.method,
      privateIPAddressVersion: 'IPv4',
      subnet: { id: one.subnet.id },
      primary: one.primary,
      ...(publicIP === undefined ? {} : { publicIPAddress: { id: publicIP.id } }),
    },
  }
}
