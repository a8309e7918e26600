import { PREFIX_LENGTH } from './plan.ts'
import type { CloudAPIError } from '../../src/ipam/errors.ts'
import type { JSONObject, JSONValue } from '../../src/ipam/types.ts'
import type { Random } from '../../src/runtime/random.ts'
import { refusedByUs } from './errors.ts'
import { objectAt, objectsAt, textAt, without } from './json.ts'
import { configurationIP, isPrimaryConfiguration } from './parse-interface.ts'

/**
 * Which document holds an interface's configurations: its own, or for one of a scale set the model of its machine, under the
 * interface's name. Every edit gives a new document; what it does not concern stays as it was, known or not.
 */
export type NICDocument = { readonly kind: 'standalone' } | { readonly kind: 'scaleSetVM'; readonly nicName: string }

const NAME_PREFIX = 'Cilium-'
const NAME_LENGTH = 8
/** Letters and digits that make neither words nor mistakes. @source cilium pkg/azure/api, generateIpConfigName */
const NAME_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

/** Names for new configurations, all different. Whether a write had its effect is told by them. @param count of names */
export function newConfigurationNames(count: number, random: Random): readonly string[] {
  const names = new Set<string>()
  while (names.size < count) {
    let name = NAME_PREFIX
    for (let at = 0; at < NAME_LENGTH; at++) name += NAME_ALPHABET[Math.floor(random.next() * NAME_ALPHABET.length)]
    names.add(name)
  }
  return [...names]
}

export interface AddedConfigurations {
  readonly names: readonly string[]
  readonly subnetID: string
  /** Each one a /28 block in place of a single address. */
  readonly arePrefixes: boolean
}

/**
 * The document with further configurations behind the present ones. Names that are there already are not added again, so that a
 * write whose answer was lost can be repeated. The application security groups are those of the first configuration, as Azure
 * wants the same ones on all (cilium issue 15194).
 *
 * @returns undefined when all of them are there
 * @throws CloudAPIError `invalid` for a machine that has no such interface
 * @source cilium pkg/azure/api, AssignPrivateIpAddressesVM and AssignPrivateIpAddressesVMSS
 */
export function withConfigurations(
  document: JSONObject,
  place: NICDocument,
  { names, subnetID, arePrefixes }: AddedConfigurations,
): JSONObject | undefined {
  const present = configurationsOf(document, place)
  const taken = new Set(present.map((one) => textAt(one, 'name')))
  const missing = names.filter((name) => !taken.has(name))
  if (missing.length === 0) return undefined
  const groups = objectAt(present[0], 'properties')?.['applicationSecurityGroups']
  const properties: JSONObject = {
    ...(Array.isArray(groups) && { applicationSecurityGroups: groups }),
    ...(place.kind === 'standalone' ? { privateIPAllocationMethod: 'Dynamic' } : { privateIPAddressVersion: 'IPv4' }),
    ...(arePrefixes && { privateIPAddressPrefixLength: PREFIX_LENGTH }),
    subnet: { id: subnetID },
  }
  return replaceConfigurations(document, place, [...present, ...missing.map((name) => ({ name, properties }))])
}

/**
 * The document without some configurations. Names that are not there are gone already.
 *
 * @returns undefined when none of them is there
 * @throws CloudAPIError `invalid` when one is the primary configuration, or for a machine that has no such interface
 * @source cilium pkg/azure/api, UnassignPrivateIpAddressesVM (cilium/cilium#48449)
 */
export function withoutConfigurations(
  document: JSONObject,
  place: NICDocument,
  names: ReadonlySet<string>,
): JSONObject | undefined {
  const present = configurationsOf(document, place)
  const gone = present.filter((one) => names.has(textAt(one, 'name')))
  const primary = gone.filter((one) => isPrimaryConfiguration(one)).map((one) => textAt(one, 'name'))
  if (primary.length > 0) throw primaryRefused(primary)
  if (gone.length === 0) return undefined
  return replaceConfigurations(
    document,
    place,
    present.filter((one) => !gone.includes(one)),
  )
}

/**
 * The document without what a write of ours that failed has left: such configurations take slots, and a further write would bring them
 * after all. Those that something has made usable since stay. An interface tells the state of each configuration; a model is as its
 * last write left it, so that only one that is still failed can have them.
 *
 * @param names of configurations that no pod can have (`UnfinishedNames`)
 * @returns undefined when there is nothing to take away
 */
export function withoutUnfinished(
  document: JSONObject,
  place: NICDocument,
  names: ReadonlySet<string>,
): JSONObject | undefined {
  if (names.size === 0 || (place.kind === 'scaleSetVM' && hasSucceeded(document))) return undefined
  const present = configurationsOf(document, place)
  const kept = present.filter(
    (one) => !names.has(textAt(one, 'name')) || (place.kind === 'standalone' && hasSucceeded(one)),
  )
  return kept.length === present.length ? undefined : replaceConfigurations(document, place, kept)
}

function hasSucceeded(document: JSONObject): boolean {
  return textAt(objectAt(document, 'properties'), 'provisioningState').toLowerCase() === 'succeeded'
}

/** What the addresses of a release are called, as the interface's own document tells. */
export interface ResolvedAddresses {
  readonly names: ReadonlySet<string>
  /** Addresses that the interface does not have. */
  readonly missing: readonly string[]
}

/**
 * @param nic document of the interface itself: a scale-set model has names alone
 * @param addresses of configurations; of a block its first one
 * @throws CloudAPIError `invalid` naming every primary address among them: then nothing of the batch may go
 */
export function resolveAddresses(nic: JSONObject, addresses: readonly string[]): ResolvedAddresses {
  const byAddress = new Map(
    configurationsOf(nic, { kind: 'standalone' }).map((one) => [configurationIP(one), one] as const),
  )
  const primary = addresses.filter((address) => {
    const found = byAddress.get(address)
    return found !== undefined && isPrimaryConfiguration(found)
  })
  if (primary.length > 0) throw primaryRefused(primary)
  const names = new Set<string>()
  const missing: string[] = []
  for (const address of addresses) {
    const found = byAddress.get(address)
    if (found === undefined) missing.push(address)
    else names.add(textAt(found, 'name'))
  }
  return { names, missing }
}

/** The code by which a release that names a primary address is told from other refusals of ours. */
export const PRIMARY_RELEASE_REFUSED = 'PrimaryReleaseRefused'
/** The code for a machine whose model lacks the interface. */
export const INTERFACE_NOT_IN_MODEL = 'InterfaceNotInModel'

function primaryRefused(items: readonly string[]): CloudAPIError {
  return refusedByUs(
    'release',
    `Cannot release ${items.join(', ')}: the primary address of an interface stays`,
    PRIMARY_RELEASE_REFUSED,
    'invalid',
  )
}

/** @throws CloudAPIError for a machine that has no such interface */
export function configurationsOf(document: JSONObject, place: NICDocument): readonly JSONObject[] {
  const properties = objectAt(document, 'properties')
  if (place.kind === 'standalone') return objectsAt(properties, 'ipConfigurations') ?? []
  const entry = modelEntries(document).find((one) => textAt(one, 'name') === place.nicName)
  if (entry === undefined) throw interfaceMissing(document, place.nicName)
  return objectsAt(objectAt(entry, 'properties'), 'ipConfigurations') ?? []
}

/** The interfaces of a machine's model. */
export function modelEntries(document: JSONObject): readonly JSONObject[] {
  const network = objectAt(objectAt(document, 'properties'), 'networkProfileConfiguration')
  return objectsAt(network, 'networkInterfaceConfigurations') ?? []
}

/** The same document with other configurations. */
export function replaceConfigurations(
  document: JSONObject,
  place: NICDocument,
  configurations: readonly JSONValue[],
): JSONObject {
  const properties = objectAt(document, 'properties') ?? {}
  if (place.kind === 'standalone')
    return { ...document, properties: { ...properties, ipConfigurations: configurations } }
  const network = objectAt(properties, 'networkProfileConfiguration') ?? {}
  const entries = modelEntries(document).map((entry) =>
    textAt(entry, 'name') === place.nicName
      ? { ...entry, properties: { ...objectAt(entry, 'properties'), ipConfigurations: configurations } }
      : entry,
  )
  return withoutImageReference({
    ...document,
    properties: { ...properties, networkProfileConfiguration: { ...network, networkInterfaceConfigurations: entries } },
  })
}

/**
 * A model without its image: left out means unchanged. Sent back, Azure wants the right to read the image, which for the images of
 * AKS nobody has (cilium issue 19695).
 */
function withoutImageReference(document: JSONObject): JSONObject {
  const properties = objectAt(document, 'properties')
  const storage = objectAt(properties, 'storageProfile')
  if (storage === undefined) return document
  return { ...document, properties: { ...properties, storageProfile: without(storage, 'imageReference') } }
}

function interfaceMissing(document: JSONObject, nicName: string): CloudAPIError {
  return refusedByUs(
    'edit',
    `Machine ${textAt(document, 'id')} has no interface ${nicName} in its model`,
    INTERFACE_NOT_IN_MODEL,
    'invalid',
  )
}
