import { parseIPv4CIDR, cidrSize, isIPAddress } from '../../src/ipam/ip-range.ts'
import { tagsMatch } from '../../src/ipam/subnets.ts'
import type { JSONObject, Tags } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { AzureAPI, WriteTarget } from './api.ts'
import type { DocumentWriter } from './document-writer.ts'
import { configurationsOf, modelEntries, replaceConfigurations, type NICDocument } from './edit-document.ts'
import { PUBLIC_PREFIX_EXHAUSTED } from './errors.ts'
import { objectAt, objectsAt, textAt, without } from './json.ts'
import { isPrimaryConfiguration } from './parse-interface.ts'
import type { MachinePlace } from './resource-id.ts'

/** The name of a public address that we ask for. @source cilium pkg/azure/api, publicIPAddressConfigurationName */
const PUBLIC_ADDRESS_NAME = 'cilium-managed-public-ip'

export interface StaticIPDependencies {
  readonly api: AzureAPI
  readonly writer: DocumentWriter
  readonly resourceGroup: string
}

/** Where a machine's public address is described, and how. */
interface PublicPlace {
  readonly target: WriteTarget
  readonly place: NICDocument
  /** Member of the primary configuration that describes it. */
  readonly member: 'publicIPAddressConfiguration' | 'publicIPAddress'
  /** ID of the machine's first interface. */
  readonly nicID: string
  /** Whether the machine failed because the prefix of its public address is used up. */
  readonly isPrefixExhausted: boolean
}

/**
 * A public address for the primary address of a machine, from the first prefix with these tags. One that it has already is read, not
 * asked for again; one whose prefix turned out to be used up is taken off first, as Azure keeps such machines failed
 * (cilium/cilium#43598).
 *
 * @returns the address
 * @throws CloudAPIError; Error when no prefix matches, or the machine lacks what has to carry the address
 * @source cilium pkg/azure/api, AssignPublicIPAddressesVMSS and AssignPublicIPAddressesVM
 */
export async function allocateStaticIP(
  machine: MachinePlace,
  tags: Tags,
  deps: StaticIPDependencies,
  context: CallContext,
): Promise<string> {
  const found =
    machine.kind === 'scaleSetVM' ? await inScaleSet(machine, deps, context) : await standalone(machine, deps, context)
  const document = await deps.api.readTarget(found.target, context)
  const isDescribed = publicPart(document, found) !== undefined
  if (isDescribed && found.isPrefixExhausted)
    await deps.writer.change(found.target, { edit: (now) => withPublicPart(now, found, undefined) }, context)
  if (!isDescribed || found.isPrefixExhausted) {
    const prefixID = choosePublicPrefix(await deps.api.listPublicPrefixes(context), tags)
    if (prefixID === undefined) {
      const wanted = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
      throw new Error(`no public IP prefix with room and tags ${wanted.join(', ')} in ${deps.resourceGroup}`)
    }
    await deps.writer.change(
      found.target,
      { edit: (now) => (publicPart(now, found) === undefined ? withPublicPart(now, found, prefixID) : undefined) },
      context,
    )
  }
  return machine.kind === 'scaleSetVM'
    ? readScaleSetAddress(machine, deps, context)
    : readStandaloneAddress(found, deps, context)
}

/**
 * The first prefix that carries all tags, is provisioned and has room, in Azure's order.
 *
 * @param prefixes documents of public prefixes
 * @returns its ID; undefined when there is none
 * @source cilium pkg/azure/api, getPublicIPPrefixByTags
 */
export function choosePublicPrefix(prefixes: readonly JSONObject[], tags: Tags): string | undefined {
  const chosen = prefixes.find((prefix) => {
    const properties = objectAt(prefix, 'properties')
    const range = parseIPv4CIDR(textAt(properties, 'ipPrefix'))
    const taken = objectsAt(properties, 'publicIPAddresses')?.length ?? 0
    const isFull = range !== undefined && taken >= cidrSize(range)
    return tagsMatch(tags, tagsOf(prefix)) && textAt(properties, 'provisioningState') === 'Succeeded' && !isFull
  })
  return chosen === undefined ? undefined : textAt(chosen, 'id')
}

function tagsOf(document: JSONObject): Tags {
  const tags = Object.entries(objectAt(document, 'tags') ?? {})
  return Object.fromEntries(tags.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

async function inScaleSet(
  machine: MachinePlace,
  { api }: StaticIPDependencies,
  context: CallContext,
): Promise<PublicPlace> {
  const vm = await api.getMachine(machine, context)
  const entries = modelEntries(vm)
  const nicName = textAt(primaryOf(entries), 'name')
  if (nicName === '') throw new Error(`machine ${textAt(vm, 'id')} has no primary interface in its model`)
  const nicID = `${api.machinePath(machine)}/networkInterfaces/${nicName}`
  return {
    target: api.targetOf(nicID, machine),
    place: { kind: 'scaleSetVM', nicName },
    member: 'publicIPAddressConfiguration',
    nicID,
    isPrefixExhausted: hasExhaustedPrefix(vm),
  }
}

async function standalone(
  machine: MachinePlace,
  { api }: StaticIPDependencies,
  context: CallContext,
): Promise<PublicPlace> {
  const vm = await api.getMachine(machine, context)
  const listed = objectsAt(objectAt(objectAt(vm, 'properties'), 'networkProfile'), 'networkInterfaces') ?? []
  const nicID = textAt(primaryOf(listed), 'id')
  if (nicID === '') throw new Error(`machine ${textAt(vm, 'id')} has no primary interface`)
  return {
    target: api.targetOf(nicID, machine),
    place: { kind: 'standalone' },
    member: 'publicIPAddress',
    nicID,
    isPrefixExhausted: hasExhaustedPrefix(vm),
  }
}

/** The entry that is flagged primary; a single one needs no flag. */
function primaryOf(entries: readonly JSONObject[]): JSONObject | undefined {
  const flagged = entries.find((entry) => isPrimaryConfiguration(entry))
  return flagged ?? (entries.length === 1 ? entries[0] : undefined)
}

function hasExhaustedPrefix(vm: JSONObject): boolean {
  const statuses = objectsAt(objectAt(objectAt(vm, 'properties'), 'instanceView'), 'statuses') ?? []
  return statuses.some((status) => textAt(status, 'code') === `ProvisioningState/failed/${PUBLIC_PREFIX_EXHAUSTED}`)
}

/** What describes the public address of the primary configuration. */
function publicPart(document: JSONObject, { place, member }: PublicPlace): JSONObject | undefined {
  return objectAt(objectAt(primaryConfiguration(document, place), 'properties'), member)
}

function primaryConfiguration(document: JSONObject, place: NICDocument): JSONObject {
  const primary = primaryOf(configurationsOf(document, place))
  if (primary === undefined) throw new Error(`${textAt(document, 'id')} has no primary configuration`)
  return primary
}

/** @param prefixID undefined takes the public address away. @returns undefined when there is none to take away */
function withPublicPart(
  document: JSONObject,
  found: PublicPlace,
  prefixID: string | undefined,
): JSONObject | undefined {
  const { place, member } = found
  const primary = primaryConfiguration(document, place)
  const properties = objectAt(primary, 'properties') ?? {}
  if (prefixID === undefined && objectAt(properties, member) === undefined) return undefined
  const changed: JSONObject =
    prefixID === undefined
      ? without(properties, member)
      : {
          ...properties,
          [member]: {
            name: PUBLIC_ADDRESS_NAME,
            properties: {
              ...(member === 'publicIPAddress' && { publicIPAllocationMethod: 'Static' }),
              publicIPPrefix: { id: prefixID },
            },
          },
        }
  return replaceConfigurations(
    document,
    place,
    configurationsOf(document, place).map((one) => (one === primary ? { ...primary, properties: changed } : one)),
  )
}

/** The model does not tell addresses: the interface's configuration does. */
async function readScaleSetAddress(
  machine: MachinePlace,
  { api }: StaticIPDependencies,
  context: CallContext,
): Promise<string> {
  const nics = (await api.listMachineInterfaces(machine, context)) ?? []
  const nic = primaryOf(nics)
  const name = textAt(nic && primaryOf(configurationsOf(nic, { kind: 'standalone' })), 'name')
  const addresses =
    nic === undefined || name === '' ? [] : await api.listPublicAddresses(textAt(nic, 'id'), name, context)
  return firstAddress(addresses, api.machinePath(machine))
}

async function readStandaloneAddress(
  found: PublicPlace,
  { api }: StaticIPDependencies,
  context: CallContext,
): Promise<string> {
  const id = textAt(publicPart(await api.readTarget(found.target, context), found), 'id')
  return firstAddress(id === '' ? [] : [await api.getPublicAddress(id, context)], found.nicID)
}

function firstAddress(documents: readonly JSONObject[], where: string): string {
  for (const document of documents) {
    const address = textAt(objectAt(document, 'properties'), 'ipAddress')
    if (isIPAddress(address)) return address
  }
  throw new Error(`the public address of ${where} is not known yet`)
}
