import type { AddressSpace } from './address-space.ts'
import type { JSONObject } from './json.ts'
import type { ResourceStore } from './resource-store.ts'

export type ProvisioningState = 'Succeeded' | 'Failed' | 'Canceled' | 'Creating' | 'Updating' | 'Deleting'

/** What every resource has. */
export interface Resource {
  /** The ARM ID in the spelling of its creation. */
  readonly id: string
  /** The ID lower-cased: what it is found by. */
  readonly key: string
  readonly name: string
}

export interface VirtualNetwork extends Resource {
  readonly group: string
  readonly document: JSONObject
  readonly etag: string
  readonly addressPrefixes: readonly string[]
  readonly subnets: Subnet[]
  /** IP configurations in all its subnets (count). */
  configurationCount: number
}

export interface Subnet extends Resource {
  readonly network: VirtualNetwork
  /** The properties as they were given, without what is worked out. */
  readonly properties: JSONObject
  readonly etag: string
  readonly space: AddressSpace
  /** Those whose address it gave, ones on their way out among them. */
  readonly configurations: Set<IPConfiguration>
  /** How many of them hold a /28 (count). */
  prefixCount: number
}

/** An address, or a /28, on an interface. What a write may change is not readonly. */
export interface IPConfiguration {
  readonly nic: NIC
  readonly name: string
  readonly subnet: Subnet
  /** The address, or the first one of the block. */
  readonly address: number
  /** 1, or 16 for a /28 (count). */
  readonly addressCount: number
  primary: boolean
  /** The properties as they were written, without what is worked out. */
  properties: JSONObject
  method: 'Dynamic' | 'Static'
  publicIP: PublicIPAddress | undefined
  state: ProvisioningState
  etag: string
}

export interface NIC extends Resource {
  /** The resource as it was written, without what is worked out. Replaced, never edited. */
  document: JSONObject
  etag: string
  state: ProvisioningState
  readonly resourceGuid: string
  /** `00-0D-3A-11-22-33`; shown once it is attached. */
  readonly macAddress: string
  configurations: readonly IPConfiguration[]
  readonly group: string
  /** Whose interface it is. */
  owner: ScaleSetVM | VirtualMachine | undefined
  /** First interface of its machine. */
  isPrimary: boolean
  /** The write under way. */
  operation: AsyncOperation | undefined
  /** Taken off the interface; their addresses become free when the write under way ends. */
  releasing: readonly IPConfiguration[]
  /** The document as text, kept until something changes. */
  rendered: string | undefined
}

export interface ScaleSet extends Resource {
  readonly group: string
  readonly document: JSONObject
  readonly orchestration: 'Uniform' | 'Flexible'
  readonly vmSize: string
  /** Of a uniform set. */
  readonly machines: ResourceStore<ScaleSetVM>
  /** Of a flexible set. */
  readonly flexible: Set<VirtualMachine>
  /** All interfaces of a uniform set, in order of creation. */
  readonly nics: ResourceStore<NIC>
  nextInstance: number
  /** Writes to its machines that are under way (count). */
  writesRunning: number
}

/** A machine of a uniform scale set. */
export interface ScaleSetVM extends Resource {
  readonly kind: 'scale-set-vm'
  readonly scaleSet: ScaleSet
  readonly instanceID: string
  readonly vmID: string
  /** The model as it was asked for, without what is worked out. Replaced, never edited. */
  document: JSONObject
  /** The model in force: differs from `document` while a write runs, and after a failed one that was kept. */
  applied: JSONObject
  etag: number
  state: ProvisioningState
  /** Code of the last failed write, for the instance view. */
  failure: { readonly code: string; readonly message: string } | undefined
  readonly nics: NIC[]
  operation: AsyncOperation | undefined
}

/** A machine of its own, or of a flexible scale set. */
export interface VirtualMachine extends Resource {
  readonly kind: 'vm'
  readonly group: string
  readonly vmID: string
  readonly vmSize: string
  readonly document: JSONObject
  readonly scaleSet: ScaleSet | undefined
  readonly nics: NIC[]
}

export interface PublicIPPrefix extends Resource {
  readonly group: string
  readonly document: JSONObject
  /** The addresses it has (count) and which are given out, by number from the first. */
  readonly base: number
  readonly size: number
  readonly addresses: Map<number, PublicIPAddress>
}

export interface PublicIPAddress extends Resource {
  readonly group: string
  readonly document: JSONObject
  readonly address: number
  readonly prefix: PublicIPPrefix | undefined
  readonly resourceGuid: string
  /** The configuration's ID that it is on. */
  holder: string | undefined
}

export type OperationStatus = 'InProgress' | 'Succeeded' | 'Failed' | 'Canceled'

/** A long-running write, as its polling URLs show it. */
export interface AsyncOperation {
  readonly id: string
  readonly service: 'Microsoft.Network' | 'Microsoft.Compute'
  /** Key of what it writes: whose bucket a poll draws on. */
  readonly resourceKey: string
  readonly startTime: string
  readonly startMs: number
  readonly dueMs: number
  endTime: string | undefined
  status: OperationStatus
  error: OperationError | undefined
  /** The resource as text, for who polls by `Location`. */
  readonly result: () => string
}

export interface OperationError {
  readonly code: string
  readonly message: string
  readonly details?: readonly { readonly code: string; readonly message: string; readonly target?: string }[]
}
