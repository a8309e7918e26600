import type { Cloud } from '../cloud.ts'
import { fault } from '../errors.ts'
import { keyOf, parseARMPath } from './arm-id.ts'
import { formatIPv4 } from '../../kit/ipv4.ts'
import { objectAt } from './json.ts'
import type { JSONObject } from './json.ts'
import type { PublicIPAddress, PublicIPPrefix } from './types.ts'

/** First of the addresses that are given out without a prefix: 20.50.0.0. Not of any world's prefixes, by convention. */
const POOL_BASE = 20 * 2 ** 24 + 50 * 2 ** 16

/** @throws ARMError InvalidResourceReference */
export function findPublicPrefix(cloud: Cloud, id: string, from: string): PublicIPPrefix {
  const group = parseARMPath(id)?.resourceGroup
  const found = group === undefined ? undefined : cloud.findGroup(group)?.publicPrefixes.get(keyOf(id))
  if (found === undefined) throw fault('InvalidResourceReference', id, from)
  return found
}

/** @throws ARMError InvalidResourceReference */
export function findPublicIP(cloud: Cloud, id: string, from: string): PublicIPAddress {
  const group = parseARMPath(id)?.resourceGroup
  const found = group === undefined ? undefined : cloud.findGroup(group)?.publicIPs.get(keyOf(id))
  if (found === undefined) throw fault('InvalidResourceReference', id, from)
  return found
}

/** Addresses of a prefix that nobody has (count). */
export function freePublicIPs(prefix: PublicIPPrefix): number {
  return prefix.size - prefix.addresses.size
}

export interface WantedPublicIP {
  readonly group: string
  readonly name: string
  readonly id: string
  readonly document: JSONObject
  readonly prefix: PublicIPPrefix | undefined
  readonly holder: string | undefined
  /** As an unsigned integer; the lowest free one of the prefix otherwise. */
  readonly address?: number
  /** Of a snapshot; drawn otherwise. */
  readonly resourceGuid?: string
}

/**
 * Makes a public address, of its prefix or of the simulator's own range. It is listed among those of the group unless it belongs to a
 * scale-set VM.
 *
 * @returns undefined when the prefix has none left
 */
export function makePublicIP(cloud: Cloud, wanted: WantedPublicIP, isListed: boolean): PublicIPAddress | undefined {
  const { prefix } = wanted
  const index = prefix === undefined ? undefined : indexIn(prefix, wanted.address)
  if (prefix !== undefined && index === undefined) return undefined
  const group = cloud.addGroup(wanted.group)
  const made: PublicIPAddress = {
    id: wanted.id,
    key: keyOf(wanted.id),
    name: wanted.name,
    group: group.name,
    document: wanted.document,
    address: prefix === undefined ? (wanted.address ?? POOL_BASE + cloud.nextPublicIP()) : prefix.base + (index ?? 0),
    prefix,
    resourceGuid: wanted.resourceGuid ?? cloud.newUUID(),
    holder: wanted.holder,
  }
  if (prefix !== undefined && index !== undefined) prefix.addresses.set(index, made)
  if (isListed) group.publicIPs.add(made)
  return made
}

function indexIn(prefix: PublicIPPrefix, address: number | undefined): number | undefined {
  if (address !== undefined) {
    const index = address - prefix.base
    return index >= 0 && index < prefix.size && !prefix.addresses.has(index) ? index : undefined
  }
  for (let index = 0; index < prefix.size; index++) if (!prefix.addresses.has(index)) return index
  return undefined
}

/** The public address leaves its configuration; one that was made for a scale-set VM is gone with it. */
export function releasePublicIP(publicIP: PublicIPAddress, isListed: boolean): void {
  publicIP.holder = undefined
  if (!isListed && publicIP.prefix !== undefined)
    publicIP.prefix.addresses.delete(publicIP.address - publicIP.prefix.base)
}

export function presentPublicIP(cloud: Cloud, publicIP: PublicIPAddress): JSONObject {
  const { document, holder, prefix } = publicIP
  return {
    name: publicIP.name,
    id: publicIP.id,
    type: 'Microsoft.Network/publicIPAddresses',
    location: cloud.settings.location,
    sku: { name: 'Standard', tier: 'Regional' },
    ...document,
    properties: {
      publicIPAddressVersion: 'IPv4',
      publicIPAllocationMethod: 'Static',
      idleTimeoutInMinutes: 4,
      ...objectAt(document, 'properties'),
      provisioningState: 'Succeeded',
      resourceGuid: publicIP.resourceGuid,
      ipAddress: formatIPv4(publicIP.address),
      ...(prefix === undefined ? {} : { publicIPPrefix: { id: prefix.id } }),
      ...(holder === undefined ? {} : { ipConfiguration: { id: holder } }),
    },
  }
}

export function presentPublicPrefix(cloud: Cloud, prefix: PublicIPPrefix): JSONObject {
  const bits = 32 - Math.log2(prefix.size)
  return {
    name: prefix.name,
    id: prefix.id,
    type: 'Microsoft.Network/publicIPPrefixes',
    location: cloud.settings.location,
    sku: { name: 'Standard', tier: 'Regional' },
    ...prefix.document,
    properties: {
      provisioningState: 'Succeeded',
      publicIPAddressVersion: 'IPv4',
      ...objectAt(prefix.document, 'properties'),
      prefixLength: bits,
      ipPrefix: `${formatIPv4(prefix.base)}/${bits}`,
      publicIPAddresses: [...prefix.addresses].sort(([a], [b]) => a - b).map(([, { id }]) => ({ id })),
    },
  }
}
