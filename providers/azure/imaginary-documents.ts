import type { InterfaceTally } from '../../src/ipam/dry-run-observer.ts'
import { ImaginarySpace } from '../../src/ipam/imaginary-space.ts'
import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { modelEntries, replaceConfigurations } from './edit-document.ts'
import { numberAt, objectAt, objectsAt, textAt, without } from './json.ts'
import { readProvisioning } from './operation-state.ts'
import { configurationBlock, configurationIP, isPrimaryConfiguration, parseInterface } from './parse-interface.ts'
import { PREFIX_LENGTH } from './plan.ts'
import { instanceIDOf, keyOf } from './resource-id.ts'

/** The member of a configuration that describes its public address: in the model of a machine, and in the interface itself. */
export type PublicMember = 'publicIPAddressConfiguration' | 'publicIPAddress'

/** The truth about one interface, as the last read of it had it. */
interface Real {
  readonly instanceID: string
  readonly subnetID: string
  /** Address or block by name of the configuration; empty while there is none. */
  readonly texts: ReadonlyMap<string, string>
}

/** What a dry run pretends about one interface, by names of configurations. */
interface Pretence {
  readonly member: PublicMember
  /** As written, with the address or block that it is to have; the oldest first. */
  readonly added: Map<string, { readonly document: JSONObject; readonly text: string }>
  readonly removed: Set<string>
  /** The public address of the primary configuration, as written last; undefined: none. */
  publicAddress: JSONObject | undefined
}

/**
 * The documents as they would be, had the writes of a dry run been made: what reads show, and on top of it what was written.
 *
 * A read of an interface that shows that its configurations have changed in reality means that somebody else has acted: as many as came
 * or went so are no longer pretended. The model of its machine does not tell: it changes before the addresses are there. Interfaces
 * neither come nor go, as nobody here makes any. Whatever was seen is kept: a dry run is short.
 */
export class ImaginaryDocuments {
  readonly space = new ImaginarySpace()
  readonly #onObserved: (instanceID: string, tally: InterfaceTally) => void
  /** By `keyOf` of the interface's ID, as all that follow. */
  readonly #real = new Map<string, Real>()
  /** Names of configurations in the models of scale-set machines, as they were shown last. */
  readonly #models = new Map<string, readonly string[]>()
  readonly #pretended = new Map<string, Pretence>()

  /** @param onObserved told of what others did to interfaces that were known before, as reads show it */
  constructor(onObserved: (instanceID: string, tally: InterfaceTally) => void) {
    this.#onObserved = onObserved
  }

  /** @returns empty when the interface is not known, or hangs on no machine */
  instanceOf(nicID: string): string {
    return this.#real.get(keyOf(nicID))?.instanceID ?? ''
  }

  /**
   * A write of an interface's configurations. Those that are new get addresses of their subnet.
   *
   * @param member what the written document calls a public address
   * @returns what it changes; undefined when the subnet has no room, and nothing is changed then
   */
  write(nicID: string, member: PublicMember, configurations: readonly JSONObject[]): InterfaceTally | undefined {
    const key = keyOf(nicID)
    const current = this.#textsOf(key)
    const missing = configurations.filter((one) => !current.has(textAt(one, 'name')))
    const found = this.#choose(missing)
    if (found === undefined) return undefined
    const primary = configurations.find((one) => isPrimaryConfiguration(one))
    const pretence = this.#pretended.get(key) ?? {
      member,
      added: new Map(),
      removed: new Set(),
      publicAddress: undefined,
    }
    pretence.publicAddress = objectAt(objectAt(primary, 'properties'), member)
    this.#pretended.set(key, pretence)
    const names = new Set(configurations.map((one) => textAt(one, 'name')))
    const gone = [...current].filter(([name]) => !names.has(name))
    for (const [name, text] of gone) {
      if (!pretence.added.delete(name)) pretence.removed.add(name)
      this.#free(this.#subnetOf(key), text)
    }
    for (const document of missing) {
      const name = textAt(document, 'name')
      pretence.added.set(name, { document, text: found.get(name) ?? '' })
    }
    return { interfaces: 0, addresses: sizeOf([...found.values()]), released: sizeOf(gone.map(([, text]) => text)) }
  }

  /** Whether the configuration of a scale-set machine's interface would have a public address; undefined where nothing is pretended. */
  hasPublicAddress(nicID: string): boolean | undefined {
    const pretence = this.#pretended.get(keyOf(nicID))
    return pretence && pretence.publicAddress !== undefined
  }

  /** An interface's document, as it would be. The same object when nothing is pretended. */
  overlayInterface(document: JSONObject): JSONObject {
    const listed = parseInterface(document)
    if (listed === undefined) return document
    const { id: nicID, subnet } = listed.nic
    const key = keyOf(nicID)
    const properties = objectAt(document, 'properties') ?? {}
    const real = objectsAt(properties, 'ipConfigurations') ?? []
    const texts = new Map(real.map((one) => [textAt(one, 'name'), textOf(one)]))
    this.#learn(key, { instanceID: listed.instanceID, subnetID: keyOf(subnet.id), texts })
    const pretence = this.#pretended.get(key)
    for (const [name, text] of texts) if (pretence?.removed.has(name) !== true) this.#take(keyOf(subnet.id), text)
    if (pretence === undefined) return document
    const added = [...pretence.added.values()].map(({ document: one, text }) => imagined(nicID, one, text))
    const configurations = [...shownOf(real, pretence, 'publicIPAddress'), ...added]
    return { ...document, properties: { ...properties, ipConfigurations: configurations } }
  }

  /**
   * The model of a scale-set machine, as it would be. The same object when nothing is pretended. A write of somebody else's that is under
   * way does not show: a real run alone would not meet it, and what comes of it the interfaces will tell.
   *
   * @param path ARM ID of the machine
   */
  overlayModel(path: string, document: JSONObject): JSONObject {
    const isChanging = readProvisioning(document).kind === 'running'
    let shown = document
    for (const entry of modelEntries(document)) {
      const nicName = textAt(entry, 'name')
      const key = keyOf(interfaceIDOf(path, nicName))
      const own = objectsAt(objectAt(entry, 'properties'), 'ipConfigurations') ?? []
      const real = isChanging ? this.#real.get(key)?.texts : undefined
      const present = real === undefined ? own : own.filter((one) => real.has(textAt(one, 'name')))
      const configurations = this.#model(key, present)
      const names = configurations.map((one) => textAt(one, 'name'))
      this.#models.set(key, names)
      if (configurations !== own) shown = replaceConfigurations(shown, { kind: 'scaleSetVM', nicName }, configurations)
    }
    return shown === document ? document : atRest(shown)
  }

  /** A subnet's document with what would be in it, where it tells. */
  overlaySubnet(document: JSONObject): JSONObject {
    const properties = objectAt(document, 'properties') ?? {}
    const listed = objectsAt(properties, 'ipConfigurations')
    const { added, removed } = this.#differenceOf(textAt(document, 'id'))
    if (listed === undefined || added.size + removed.size === 0) return document
    const kept = listed.filter((one) => !removed.has(keyOf(textAt(one, 'id'))))
    const shown = [...kept, ...[...added.keys()].map((id) => ({ id }))]
    return { ...document, properties: { ...properties, ipConfigurations: shown } }
  }

  /** An entry of a network's usages with what would be in the subnet. */
  overlayUsage(usage: JSONObject): JSONObject {
    const used = numberAt(usage, 'currentValue')
    const { added, removed } = this.#differenceOf(textAt(usage, 'id'))
    const difference = sizeOf([...added.values()]) - sizeOf([...removed.values()])
    return used === undefined || difference === 0 ? usage : { ...usage, currentValue: Math.max(used + difference, 0) }
  }

  /** The configurations of a model as they would be; the same list when nothing is pretended. */
  #model(key: string, real: readonly JSONObject[]): readonly JSONObject[] {
    const pretence = this.#pretended.get(key)
    if (pretence === undefined) return real
    const added = [...pretence.added.values()].map(({ document }) => document)
    return [...shownOf(real, pretence, 'publicIPAddressConfiguration'), ...added]
  }

  /** Address or block by `keyOf` of the configuration's ID: of those that exist only here, and of those that would be gone. */
  #differenceOf(subnetID: string): {
    readonly added: ReadonlyMap<string, string>
    readonly removed: ReadonlyMap<string, string>
  } {
    const [came, went] = [new Map<string, string>(), new Map<string, string>()]
    for (const [key, { added, removed }] of this.#pretended) {
      if (this.#subnetOf(key) !== keyOf(subnetID)) continue
      for (const [name, { text }] of added) came.set(keyOf(`${key}/ipConfigurations/${name}`), text)
      for (const name of removed)
        went.set(keyOf(`${key}/ipConfigurations/${name}`), this.#real.get(key)?.texts.get(name) ?? '')
    }
    return { added: came, removed: went }
  }

  /** What a write finds: address or block by name. A model tells the names, the interface the rest. */
  #textsOf(key: string): ReadonlyMap<string, string> {
    const { added, removed } = this.#pretended.get(key) ?? {}
    const real = [...(this.#real.get(key)?.texts ?? [])].filter(([name]) => removed?.has(name) !== true)
    const texts = new Map([...real, ...[...(added ?? [])].map(([name, { text }]) => [name, text] as const)])
    const names = this.#models.get(key)
    return names === undefined ? texts : new Map(names.map((name) => [name, texts.get(name) ?? '']))
  }

  /** Blocks first, as they need the room. @returns address or block by name; undefined when there is no room */
  #choose(missing: readonly JSONObject[]): ReadonlyMap<string, string> | undefined {
    const names = (areBlocks: boolean): readonly string[] =>
      missing.filter((one) => asksForBlock(one) === areBlocks).map((one) => textAt(one, 'name'))
    const subnetID = keyOf(missing.map(subnetIDOf).find((id) => id !== '') ?? '')
    const [blockNames, singleNames] = [names(true), names(false)]
    const blocks = blockNames.length === 0 ? [] : this.space.blocks(subnetID, blockNames.length)
    if (blocks === undefined) return undefined
    const singles = singleNames.length === 0 ? [] : this.space.addresses(subnetID, singleNames.length)
    if (singles !== undefined) return new Map(zip([...blockNames, ...singleNames], [...blocks, ...singles]))
    for (const block of blocks) this.space.freeBlock(subnetID, block)
    return undefined
  }

  #learn(key: string, now: Real): void {
    const before = this.#real.get(key)
    this.#real.set(key, now)
    if (before === undefined) return
    const came = [...now.texts].filter(([name, text]) => before.texts.get(name) !== text)
    const went = [...before.texts].filter(([name, text]) => now.texts.get(name) !== text)
    if (came.length + went.length === 0) return
    for (const [, text] of went) this.#free(before.subnetID, text)
    this.#endPretences(key, came.length, new Set(went.map(([name]) => name)))
    const [addresses, released] = [sizeOf(came.map(([, text]) => text)), sizeOf(went.map(([, text]) => text))]
    if (now.instanceID !== '' && addresses + released > 0)
      this.#onObserved(now.instanceID, { interfaces: 0, addresses, released })
  }

  /** Somebody else has done what was pretended, as far as it goes. @param cameCount configurations */
  #endPretences(key: string, cameCount: number, went: ReadonlySet<string>): void {
    const pretence = this.#pretended.get(key)
    if (pretence === undefined) return
    const { added, removed } = pretence
    for (const [name, { text }] of [...added].slice(0, cameCount)) {
      added.delete(name)
      this.#free(this.#subnetOf(key), text)
    }
    const others = [...went].filter((name) => !removed.delete(name))
    for (const name of [...removed].slice(0, others.length)) removed.delete(name)
    if (added.size + removed.size === 0 && pretence.publicAddress === undefined) this.#pretended.delete(key)
  }

  #subnetOf(key: string): string {
    return this.#real.get(key)?.subnetID ?? ''
  }

  #take(subnetID: string, text: string): void {
    if (text.includes('/')) this.space.takeBlock(subnetID, text)
    else this.space.take(subnetID, text)
  }

  #free(subnetID: string, text: string): void {
    if (text.includes('/')) this.space.freeBlock(subnetID, text)
    else this.space.free(subnetID, text)
  }
}

/** ARM ID of an interface of a scale-set machine. */
export function interfaceIDOf(machinePath: string, nicName: string): string {
  return `${instanceIDOf(machinePath)}/networkInterfaces/${nicName}`
}

/** Configurations without those that would be gone, the primary one with its public address as written. */
function shownOf(real: readonly JSONObject[], pretence: Pretence, member: PublicMember): readonly JSONObject[] {
  const kept = real.filter((one) => !pretence.removed.has(textAt(one, 'name')))
  // An interface whose machine's model was written does not describe its public address.
  if (pretence.member !== member) return kept
  const { publicAddress } = pretence
  return kept.map((one) => {
    if (!isPrimaryConfiguration(one)) return one
    const rest = without(objectAt(one, 'properties') ?? {}, member)
    return { ...one, properties: publicAddress === undefined ? rest : { ...rest, [member]: publicAddress } }
  })
}

/** A configuration that exists only here, as its interface would show it. */
function imagined(nicID: string, written: JSONObject, text: string): JSONObject {
  const name = textAt(written, 'name')
  return {
    name,
    id: `${nicID}/ipConfigurations/${name}`,
    properties: {
      ...objectAt(written, 'properties'),
      provisioningState: 'Succeeded',
      privateIPAddress: text,
      privateIPAllocationMethod: 'Dynamic',
      privateIPAddressVersion: 'IPv4',
      primary: false,
    },
  }
}

/** Writes of a dry run have succeeded at once. */
function atRest(model: JSONObject): JSONObject {
  if (readProvisioning(model).kind === 'succeeded') return model
  const properties = without(objectAt(model, 'properties') ?? {}, 'instanceView')
  return { ...model, properties: { ...properties, provisioningState: 'Succeeded' } }
}

/** Address, or block; empty while there is none. */
function textOf(configuration: JSONObject): string {
  return configurationBlock(configuration) || configurationIP(configuration)
}

function asksForBlock(configuration: JSONObject): boolean {
  return numberAt(objectAt(configuration, 'properties'), 'privateIPAddressPrefixLength') === PREFIX_LENGTH
}

function subnetIDOf(configuration: JSONObject): string {
  return textAt(objectAt(objectAt(configuration, 'properties'), 'subnet'), 'id')
}

/** Addresses (count). */
function sizeOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + (text.includes('/') ? PREFIX_SIZE : Number(text !== '')), 0)
}

function zip(keys: readonly string[], values: readonly string[]): readonly (readonly [string, string])[] {
  return keys.map((key, at) => [key, values[at] ?? ''] as const)
}
