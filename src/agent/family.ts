import { parseAddress } from '../ipam/ip-range.ts'
import { IPAMError } from './errors.ts'

/** The texts are part of the contract: REST query, metric label. Cilium's `Family`, `IPv4`, `IPv6`. */
export type Family = 'ipv4' | 'ipv6'
export const IPv4: Family = 'ipv4'
export const IPv6: Family = 'ipv6'

/** In the order in which both are allocated: a failed IPv4 address gives the IPv6 one back. */
export const FAMILIES: readonly Family[] = [IPv6, IPv4]

export function isFamily(text: string): text is Family {
  return text === IPv4 || text === IPv6
}

/**
 * IPv4 when the address has a four-byte form, an IPv4-mapped IPv6 address included; IPv6 otherwise.
 *
 * @throws IPAMError INVALID_IP. The reference takes a text that is no address for IPv6.
 * @source cilium pkg/ipam/ipam.go, DeriveFamily
 */
export function deriveFamily(ip: string): Family {
  return canonicalIP(ip).family
}

/** An address in the one text by which everything is keyed: RFC 5952, an IPv4-mapped address as IPv4. */
export interface CanonicalIP {
  readonly ip: string
  readonly family: Family
}

/** @returns undefined when the text is no address */
export function parseIP(text: string): CanonicalIP | undefined {
  const address = parseAddress(text)
  return address === undefined ? undefined : { ip: address.text, family: address.family }
}

/** @throws IPAMError INVALID_IP, with the text */
export function canonicalIP(text: string): CanonicalIP {
  const address = parseIP(text)
  if (address === undefined) throw new IPAMError('INVALID_IP', `invalid IP address ${JSON.stringify(text)}`)
  return address
}

/** The family of an address; undefined when the text is none. */
export function parseFamily(text: string): Family | undefined {
  return parseAddress(text)?.family
}
