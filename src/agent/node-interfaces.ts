import { parseAddress } from '../ipam/ip-range.ts'
import type { JSONObject, JSONValue } from '../ipam/types.ts'
import { countIn, isObject, listIn, objectIn, textIn, textsIn } from './read-json.ts'

/** One interface of the node as its cloud's section of the status tells, in one form for all clouds. CIDRs are as written. */
export interface NodeInterface {
  readonly id: string
  readonly mac: string
  /** Device index as decimal text. */
  readonly number: string
  /** Its own first address, as written; empty when not told. */
  readonly primaryIP: string
  /** Addresses for pods, canonical. */
  readonly addresses: ReadonlySet<string>
  /** Delegated blocks, as written; their addresses are among those above. */
  readonly prefixes: readonly string[]
  /** Empty when not told. */
  readonly subnetCIDR: string
  /** As reported; empty where it follows from the subnet. */
  readonly gateway: string
  readonly vpcPrimaryCIDR: string
  readonly vpcSecondaryCIDRs: readonly string[]
  readonly tags: JSONObject
}

/** Alibaba Cloud has no device index: the operator tags it. Cilium pkg/alibabacloud/types, ENI index tag. */
const ALIBABA_CLOUD_INDEX_TAG = 'cilium-eni-index'

/** @param enis `status.eni.enis` */
export function eniInterfaces(enis: JSONObject): ReadonlyMap<string, NodeInterface> {
  return byID(
    objectsOf(enis).map(([key, eni]) => {
      const vpc = objectIn(eni, 'vpc')
      return {
        id: textIn(eni, 'id') || key,
        mac: textIn(eni, 'mac'),
        number: String(countIn(eni, 'number')),
        primaryIP: textIn(eni, 'ip'),
        addresses: addressesOf(textsIn(eni, 'addresses')),
        prefixes: textsIn(eni, 'prefixes'),
        subnetCIDR: textIn(objectIn(eni, 'subnet'), 'cidr'),
        gateway: '',
        vpcPrimaryCIDR: textIn(vpc, 'primary-cidr'),
        vpcSecondaryCIDRs: textsIn(vpc, 'cidrs'),
        tags: objectIn(eni, 'tags'),
      }
    }),
  )
}

/** @param interfaces `status.azure.interfaces`; `cidr` until 1.18, `subnet.cidr` later */
export function azureInterfaces(interfaces: readonly JSONValue[]): ReadonlyMap<string, NodeInterface> {
  return byID(
    interfaces.filter(isObject).map((iface) => {
      const cidr = textIn(objectIn(iface, 'subnet'), 'cidr') || textIn(iface, 'cidr')
      const addresses = listIn(iface, 'addresses').filter(isObject)
      return {
        id: textIn(iface, 'id'),
        mac: textIn(iface, 'mac'),
        // Azure has no such number; whoever reads the result parses one and does not use it.
        number: '0',
        primaryIP: textIn(iface, 'ip'),
        addresses: addressesOf(addresses.map((entry) => textIn(entry, 'ip'))),
        prefixes: [],
        subnetCIDR: cidr,
        gateway: textIn(iface, 'gateway') || textIn(iface, 'GatewayIP'),
        vpcPrimaryCIDR: cidr,
        vpcSecondaryCIDRs: [],
        tags: {},
      }
    }),
  )
}

/** @param enis `status.alibaba-cloud.enis` */
export function alibabaCloudInterfaces(enis: JSONObject): ReadonlyMap<string, NodeInterface> {
  return byID(
    objectsOf(enis).map(([key, eni]) => {
      const vpc = objectIn(eni, 'vpc')
      const tags = objectIn(eni, 'tags')
      const index = textIn(tags, ALIBABA_CLOUD_INDEX_TAG)
      const sets = listIn(eni, 'private-ipsets').filter(isObject)
      return {
        id: textIn(eni, 'network-interface-id') || key,
        mac: textIn(eni, 'mac-address'),
        number: /^\d+$/.test(index) ? index : '0',
        primaryIP: textIn(eni, 'primary-ip-address'),
        addresses: addressesOf(sets.map((entry) => textIn(entry, 'private-ip-address'))),
        prefixes: [],
        subnetCIDR: textIn(objectIn(eni, 'vswitch'), 'cidr'),
        gateway: '',
        vpcPrimaryCIDR: textIn(vpc, 'cidr'),
        vpcSecondaryCIDRs: textsIn(vpc, 'secondary-cidrs'),
        tags,
      }
    }),
  )
}

function objectsOf(map: JSONObject): readonly (readonly [key: string, value: JSONObject])[] {
  return Object.entries(map).flatMap(([key, value]) => (isObject(value) ? [[key, value] as const] : []))
}

function addressesOf(texts: readonly string[]): ReadonlySet<string> {
  return new Set(texts.flatMap((text) => parseAddress(text)?.text ?? []))
}

function byID(interfaces: readonly NodeInterface[]): ReadonlyMap<string, NodeInterface> {
  return new Map(
    interfaces
      .filter(({ id }) => id !== '')
      .sort((left, right) => (left.id < right.id ? -1 : 1))
      .map((iface) => [iface.id, iface]),
  )
}
