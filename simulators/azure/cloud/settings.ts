import type { DurationRange } from '../../kit/latency.ts'
import type { AddressChoice } from './address-space.ts'

/** @source Azure subscription and service limits, networking */
export interface Quotas {
  readonly configurationsPerNIC: number
  readonly configurationsPerVM: number
  readonly configurationsPerNetwork: number
  readonly networkInterfaces: number
  readonly securityGroupsPerConfiguration: number
  readonly publicIPsPerVM: number
}

export type PollingHeaders = 'async-operation' | 'location' | 'both' | 'none'

/** How the simulated subscription behaves. All of it is plain data, so that a report can print it. */
export interface CloudSettings {
  readonly location: string
  readonly subscriptionID: string
  readonly tenantID: string
  /** The group that the metadata service names, and where instances are made unless told otherwise. */
  readonly resourceGroup: string
  /** `azEnvironment` of the metadata service. */
  readonly environment: 'AzurePublicCloud' | 'AzureUSGovernmentCloud' | 'AzureChinaCloud'
  readonly addressChoice: AddressChoice
  readonly quotas: Quotas
  /** Items of a page (count). */
  readonly pageSize: number
  /** How long a write runs: of an interface, of a scale-set VM. */
  readonly networkOperationMs: DurationRange
  readonly computeOperationMs: DurationRange
  /** New configurations of a scale-set interface stay `Updating` for this long after the write has ended. */
  readonly configurationSettlesMs: number
  /** `Retry-After` of accepted writes and of polls, in seconds; undefined sends none. */
  readonly networkRetryAfterSeconds: number | undefined
  readonly computeRetryAfterSeconds: number | undefined
  readonly networkPolling: PollingHeaders
  readonly computePolling: PollingHeaders
  /** Whether `If-Match` counts on interfaces; on scale-set VMs it always does. */
  readonly enforceInterfaceETag: boolean
  /**
   * A write to an interface that is being written: `supersede` cancels the older one, `conflict` is 409 `AnotherOperationInProgress`,
   * `retryable` 429 `RetryableError`.
   */
  readonly overlappingInterfaceWrites: 'supersede' | 'conflict' | 'retryable'
  /** What a write to a scale-set VM excludes meanwhile (409): writes to the same VM, or to any VM of its scale set. */
  readonly scaleSetWriteScope: 'vm' | 'scale-set'
  /** Where a scale-set VM write learns that its subnet is full: 400 at once, or a failed operation. */
  readonly scaleSetSubnetFull: 'request' | 'operation'
  /** What the VM's model is after a failed write: what it was, or what was asked. */
  readonly failedModel: 'restored' | 'kept'
  /** A subnet with more configurations than this leaves `ipConfigurations` out (count). */
  readonly listedConfigurations: number
  /** What a /28 on a configuration counts for in the usages of a network (count). */
  readonly prefixUsage: number
  /** Any date is an api-version, or only those of `wire/api-versions.ts`. */
  readonly apiVersions: 'any' | 'known'
  readonly tokenLifetimeSeconds: number
}

/** @source Azure documentation where it says; durations from public reports of the order of magnitude */
export const DEFAULT_SETTINGS: CloudSettings = {
  location: 'westeurope',
  subscriptionID: '00000000-0000-0000-0000-0000000000aa',
  tenantID: '00000000-0000-0000-0000-0000000000bb',
  resourceGroup: 'MC_berth_berth_westeurope',
  environment: 'AzurePublicCloud',
  addressChoice: 'lowest',
  quotas: {
    configurationsPerNIC: 256,
    configurationsPerVM: 256,
    configurationsPerNetwork: 65_536,
    networkInterfaces: 65_536,
    securityGroupsPerConfiguration: 20,
    publicIPsPerVM: 256,
  },
  pageSize: 100,
  networkOperationMs: { min: 1000, max: 4000 },
  computeOperationMs: { min: 5000, max: 30_000 },
  configurationSettlesMs: 0,
  networkRetryAfterSeconds: 10,
  computeRetryAfterSeconds: 10,
  networkPolling: 'async-operation',
  computePolling: 'both',
  enforceInterfaceETag: true,
  overlappingInterfaceWrites: 'supersede',
  scaleSetWriteScope: 'vm',
  scaleSetSubnetFull: 'operation',
  failedModel: 'restored',
  listedConfigurations: 1000,
  prefixUsage: 16,
  apiVersions: 'any',
  tokenLifetimeSeconds: 3600,
}

/** Settings that differ from the defaults; quotas may be given in part. */
export type SettingsInput = Partial<Omit<CloudSettings, 'quotas'>> & { readonly quotas?: Partial<Quotas> }

export function settingsFrom(input: SettingsInput): CloudSettings {
  return { ...DEFAULT_SETTINGS, ...input, quotas: { ...DEFAULT_SETTINGS.quotas, ...input.quotas } }
}
