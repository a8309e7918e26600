import type { DurationRange } from '../../kit/latency.ts'
import type { AddressChoice } from './address-space.ts'

/** Limits of the account in its region. */
export interface Quotas {
  readonly interfaces: number
  readonly securityGroupsPerInterface: number
  readonly elasticIPs: number
  readonly subnetsPerVPC: number
  readonly tagsPerResource: number
}

/** How late changes become visible to listings, in milliseconds; 0 means at once. */
export interface Consistency {
  readonly createdInterfaceMs: number
  /** Deleted interfaces stay listed for this long. */
  readonly deletedInterfaceMs: number
  /** Addresses and prefixes assigned to or taken from an interface. */
  readonly addressesMs: number
  /** A launched instance is not listed for this long. */
  readonly launchedInstanceMs: number
  /** `availableIpAddressCount`. */
  readonly availableCountMs: number
  /** Chance, in [0, 1], that an action on an interface or instance that is not yet visible answers NotFound. */
  readonly notFoundProbability: number
}

/** How the simulated account behaves. All of it is plain data, so that a report can print it. */
export interface CloudSettings {
  readonly region: string
  readonly accountID: string
  readonly addressChoice: AddressChoice
  readonly quotas: Quotas
  readonly consistency: Consistency
  /** A created interface is `pending` for this long. */
  readonly interfacePendingMs: number
  readonly attachMs: DurationRange
  readonly detachMs: DurationRange
  readonly launchMs: number
  readonly stopMs: number
  readonly terminateMs: number
  /** A terminated instance stays listed for this long. */
  readonly terminatedListedMs: number
  /**
   * A listing of interfaces without page size, ids and narrowing filter is refused when there are more than this many (count);
   * undefined never refuses.
   */
  readonly unpagedInterfaceLimit: number | undefined
  /** Pages count the items looked at, not those that match, so that filtered pages come short or empty. */
  readonly shortPages: boolean
  /** The service's defect of 2025: an attach without card index looks at the device indexes of all cards. */
  readonly networkCardDefect: boolean
  /** Requests whose signature is dated further from the simulator's wall clock are refused; undefined never refuses. */
  readonly maxClockSkewMs: number | undefined
}

/** @source Amazon EC2 and VPC quotas (defaults of a new account); state delays as observed in public reports */
export const DEFAULT_SETTINGS: CloudSettings = {
  region: 'us-east-1',
  accountID: '123456789012',
  addressChoice: 'random',
  quotas: {
    interfaces: 5000,
    securityGroupsPerInterface: 5,
    elasticIPs: 5,
    subnetsPerVPC: 200,
    tagsPerResource: 50,
  },
  consistency: {
    createdInterfaceMs: 0,
    deletedInterfaceMs: 0,
    addressesMs: 0,
    launchedInstanceMs: 0,
    availableCountMs: 0,
    notFoundProbability: 0,
  },
  interfacePendingMs: 0,
  attachMs: { min: 1000, max: 3000 },
  detachMs: { min: 2000, max: 3000 },
  launchMs: 0,
  stopMs: 0,
  terminateMs: 0,
  terminatedListedMs: 3_600_000,
  unpagedInterfaceLimit: undefined,
  shortPages: false,
  networkCardDefect: false,
  maxClockSkewMs: undefined,
}

/** How far the date of a signature may be off. @source AWS documentation, Signature Version 4, date handling */
export const USUAL_CLOCK_SKEW_MS = 900_000

/** Settings that differ from the defaults; quotas and consistency may be given in part. */
export type SettingsInput = Partial<Omit<CloudSettings, 'quotas' | 'consistency'>> & {
  readonly quotas?: Partial<Quotas>
  readonly consistency?: Partial<Consistency>
}

export function settingsFrom(input: SettingsInput): CloudSettings {
  return {
    ...DEFAULT_SETTINGS,
    ...input,
    quotas: { ...DEFAULT_SETTINGS.quotas, ...input.quotas },
    consistency: { ...DEFAULT_SETTINGS.consistency, ...input.consistency },
  }
}
