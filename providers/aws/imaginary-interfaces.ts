import type { NetworkInterface } from '@aws-sdk/client-ec2'
import type { InterfaceTally } from '../../src/ipam/dry-run-observer.ts'
import { ImaginarySpace } from '../../src/ipam/imaginary-space.ts'
import { PREFIX_SIZE } from '../../src/ipam/ip-range.ts'

/** The truth about one interface, as the last listing had it. */
interface Real {
  readonly instanceID: string
  readonly subnetID: string
  readonly addresses: ReadonlySet<string>
  readonly prefixes: ReadonlySet<string>
}

/** What a dry run pretends about one interface that exists. */
interface Pretence {
  /** What the interface had when the pretence began; empty: no listing has shown it yet. */
  base: string
  readonly addedAddresses: Set<string>
  readonly addedPrefixes: Set<string>
  readonly removed: Set<string>
}

/**
 * The account as it would be, had the calls of a dry run been made: what listings show, and on top of it what was pretended. A
 * pretence about an interface ends when a listing shows that the interface has changed in reality: then somebody else has acted,
 * and what counts is what is there. Whatever was seen is kept: a dry run is short.
 */
export class ImaginaryInterfaces {
  readonly space = new ImaginarySpace()
  readonly #onObserved: (instanceID: string, tally: InterfaceTally) => void
  readonly #real = new Map<string, Real>()
  readonly #pretended = new Map<string, Pretence>()
  /** Interfaces that exist only here. */
  readonly #imagined = new Map<string, NetworkInterface>()
  readonly #deleted = new Set<string>()
  /** Instances that a listing has shown. */
  readonly #instances = new Set<string>()
  #created = 0

  /** @param onObserved told of what others did, as listings show it: by instance, interfaces that were known before only */
  constructor(onObserved: (instanceID: string, tally: InterfaceTally) => void) {
    this.#onObserved = onObserved
  }

  /** @returns empty when the interface is not known, or hangs on nothing */
  instanceOf(interfaceID: string): string {
    return this.#imagined.get(interfaceID)?.Attachment?.InstanceId ?? this.#real.get(interfaceID)?.instanceID ?? ''
  }

  subnetOf(interfaceID: string): string {
    return this.#imagined.get(interfaceID)?.SubnetId ?? this.#real.get(interfaceID)?.subnetID ?? ''
  }

  add(
    interfaceID: string,
    added: { readonly addresses?: readonly string[]; readonly prefixes?: readonly string[] },
  ): void {
    const { addresses = [], prefixes = [] } = added
    const own = this.#imagined.get(interfaceID)
    if (own !== undefined) {
      own.PrivateIpAddresses?.push(...addresses.map((PrivateIpAddress) => ({ PrivateIpAddress, Primary: false })))
      own.Ipv4Prefixes?.push(...prefixes.map((Ipv4Prefix) => ({ Ipv4Prefix })))
      return
    }
    const pretence = this.#pretenceOf(interfaceID)
    for (const address of addresses) pretence.addedAddresses.add(address)
    for (const prefix of prefixes) pretence.addedPrefixes.add(prefix)
  }

  remove(interfaceID: string, texts: readonly string[]): void {
    const own = this.#imagined.get(interfaceID)
    if (own !== undefined) {
      own.PrivateIpAddresses = (own.PrivateIpAddresses ?? []).filter(
        (one) => !texts.includes(one.PrivateIpAddress ?? ''),
      )
      own.Ipv4Prefixes = (own.Ipv4Prefixes ?? []).filter((one) => !texts.includes(one.Ipv4Prefix ?? ''))
      return
    }
    const pretence = this.#pretenceOf(interfaceID)
    for (const text of texts) {
      if (!pretence.addedAddresses.delete(text) && !pretence.addedPrefixes.delete(text)) pretence.removed.add(text)
    }
  }

  /** @returns the new interface, attached to nothing */
  create(parts: NetworkInterface): NetworkInterface {
    const id = `eni-d${(++this.#created).toString(16).padStart(16, '0')}`
    const iface = { ...parts, NetworkInterfaceId: id, PrivateIpAddresses: parts.PrivateIpAddresses ?? [] }
    this.#imagined.set(id, iface)
    return iface
  }

  attach(interfaceID: string, attachment: NonNullable<NetworkInterface['Attachment']>): void {
    const own = this.#imagined.get(interfaceID)
    if (own !== undefined) own.Attachment = attachment
  }

  /** Addresses of an imagined interface besides its primary one (count); a prefix counts as its 16. */
  secondaryCount(interfaceID: string): number {
    const { PrivateIpAddresses = [], Ipv4Prefixes = [] } = this.#imagined.get(interfaceID) ?? {}
    return Math.max(PrivateIpAddresses.length - 1, 0) + PREFIX_SIZE * Ipv4Prefixes.length
  }

  delete(interfaceID: string): void {
    if (!this.#imagined.delete(interfaceID)) this.#deleted.add(interfaceID)
  }

  /** A page of a listing → the same page as it would be. */
  overlay(page: readonly NetworkInterface[]): NetworkInterface[] {
    // An instance's first interfaces come together, in one page as a rule.
    const known = new Set(this.#instances)
    for (const iface of page) this.#learn(iface, known.has(iface.Attachment?.InstanceId ?? ''))
    return page
      .filter(({ NetworkInterfaceId: id = '' }) => !this.#deleted.has(id))
      .map((iface) => withPretence(iface, this.#pretended.get(iface.NetworkInterfaceId ?? '')))
  }

  /** Attached interfaces that exist only here. @param isListed whether a listing would show it */
  imagined(isListed: (iface: NetworkInterface) => boolean): NetworkInterface[] {
    return [...this.#imagined.values()]
      .filter((iface) => iface.Attachment !== undefined && isListed(iface))
      .map((iface) => structuredClone(iface))
  }

  #pretenceOf(interfaceID: string): Pretence {
    let pretence = this.#pretended.get(interfaceID)
    if (pretence === undefined) {
      const base = digestOf(this.#real.get(interfaceID))
      pretence = { base, addedAddresses: new Set(), addedPrefixes: new Set(), removed: new Set() }
      this.#pretended.set(interfaceID, pretence)
    }
    return pretence
  }

  #learn(iface: NetworkInterface, isInstanceKnown: boolean): void {
    const id = iface.NetworkInterfaceId ?? ''
    const before = this.#real.get(id)
    const now = realOf(iface)
    this.#real.set(id, now)
    for (const address of now.addresses) this.space.take(now.subnetID, address)
    for (const prefix of now.prefixes) this.space.takeBlock(now.subnetID, prefix)
    const state = digestOf(now)
    const pretence = this.#pretended.get(id)
    if (pretence !== undefined && pretence.base === '') pretence.base = state
    else if (pretence !== undefined && pretence.base !== state) this.#pretended.delete(id)
    if (now.instanceID === '') return
    this.#instances.add(now.instanceID)
    if ((before?.instanceID ?? '') === '') {
      if (isInstanceKnown) this.#noticeArrival(now)
      return
    }
    if (before !== undefined && digestOf(before) !== state) this.#noticeChange(before, now)
  }

  /** Another interface on an instance that was known: somebody else's doing, in place of what we pretend of it. */
  #noticeArrival(now: Real): void {
    const { instanceID, addresses, prefixes } = now
    this.#onObserved(instanceID, {
      interfaces: 1,
      addresses: addresses.size - 1 + PREFIX_SIZE * prefixes.size,
      released: 0,
    })
    const own = [...this.#imagined].find(([, { Attachment }]) => Attachment?.InstanceId === instanceID)
    if (own !== undefined) this.#imagined.delete(own[0])
  }

  #noticeChange(before: Real, now: Real): void {
    const came = (kind: 'addresses' | 'prefixes'): number => countMissing(now[kind], before[kind])
    const went = (kind: 'addresses' | 'prefixes'): number => countMissing(before[kind], now[kind])
    const addresses = came('addresses') + PREFIX_SIZE * came('prefixes')
    const released = went('addresses') + PREFIX_SIZE * went('prefixes')
    if (addresses + released > 0) this.#onObserved(now.instanceID, { interfaces: 0, addresses, released })
  }
}

function realOf(iface: NetworkInterface): Real {
  return {
    instanceID: iface.Attachment?.InstanceId ?? '',
    subnetID: iface.SubnetId ?? '',
    addresses: new Set((iface.PrivateIpAddresses ?? []).flatMap(({ PrivateIpAddress }) => PrivateIpAddress ?? [])),
    prefixes: new Set((iface.Ipv4Prefixes ?? []).flatMap(({ Ipv4Prefix }) => Ipv4Prefix ?? [])),
  }
}

/** Empty when the interface has not been seen. */
function digestOf(real: Real | undefined): string {
  if (real === undefined) return ''
  return [real.instanceID, ...[...real.addresses].sort(), ...[...real.prefixes].sort()].join(' ')
}

/** Members of `wanted` that `others` lacks (count). */
function countMissing(wanted: ReadonlySet<string>, others: ReadonlySet<string>): number {
  return [...wanted].filter((one) => !others.has(one)).length
}

function withPretence(iface: NetworkInterface, pretence: Pretence | undefined): NetworkInterface {
  if (pretence === undefined) return iface
  const { addedAddresses, addedPrefixes, removed } = pretence
  return {
    ...iface,
    PrivateIpAddresses: [
      ...(iface.PrivateIpAddresses ?? []).filter(({ PrivateIpAddress = '' }) => !removed.has(PrivateIpAddress)),
      ...[...addedAddresses].map((PrivateIpAddress) => ({ PrivateIpAddress, Primary: false })),
    ],
    Ipv4Prefixes: [
      ...(iface.Ipv4Prefixes ?? []).filter(({ Ipv4Prefix = '' }) => !removed.has(Ipv4Prefix)),
      ...[...addedPrefixes].map((Ipv4Prefix) => ({ Ipv4Prefix })),
    ],
  }
}
