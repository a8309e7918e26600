/** The simulated world at one moment, as it really is: from the cloud's own records and the agents' books. */
export interface WorldView {
  readonly interfaces: readonly InterfaceView[]
  readonly nodes: readonly NodeView[]
}

/** An interface of the cloud, attached or not. */
export interface InterfaceView {
  readonly id: string
  /** Undefined while it is attached to nothing. */
  readonly instanceID: string | undefined
  /** Single IPv4 addresses, the primary first. */
  readonly addresses: readonly string[]
  /** Delegated IPv4 blocks, each of 16 addresses. */
  readonly prefixes: readonly string[]
}

/** An address in a pod's hands, as its node's agent has it on its books. */
export interface HoldingView {
  readonly address: string
  readonly owner: string
}

export interface NodeView {
  readonly name: string
  readonly instanceID: string
  /** What the instance type takes (counts); addresses and prefixes of one interface share its slots, the primary included. */
  readonly limits: { readonly interfaces: number; readonly slotsPerInterface: number }
  /** `spec.ipam.max-allocate` (count of addresses); 0 = none. */
  readonly maxAllocate: number
  readonly holdings: readonly HoldingView[]
  /** Addresses that the resource opens to pods. */
  readonly open: ReadonlySet<string>
  /** Versions of the resource in which somebody else's fields had been overwritten, so far (count). */
  readonly overwrites: number
}

/** Addresses of a delegated prefix (count). */
export const PREFIX_ADDRESSES = 16

/** Every address of the interface that a pod could use: all but the primary, prefixes written out. */
export function podAddresses(iface: InterfaceView): readonly string[] {
  return [...iface.addresses.slice(1), ...iface.prefixes.flatMap(addressesOf)]
}

/** The addresses of a /28 block. */
export function addressesOf(prefix: string): readonly string[] {
  const [first = ''] = prefix.split('/')
  const dot = first.lastIndexOf('.')
  const last = Number(first.slice(dot + 1))
  return Array.from({ length: PREFIX_ADDRESSES }, (_, index) => `${first.slice(0, dot)}.${last + index}`)
}
