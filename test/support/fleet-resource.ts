import { addressesOf } from '../../src/fleet/world-view.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'

/** What a test reads of a CiliumNode in its wire form, apart from the controller's own decoder. */
export interface ResourceView {
  readonly name: string
  readonly uid: string
  readonly instanceID: string
  /** Addresses that an agent may hand out: those of the pool, or of the interfaces for a multi-pool agent. */
  readonly open: readonly string[]
  readonly pool: readonly string[]
  readonly used: number
  /** What a multi-pool agent asks for (count of addresses). */
  readonly requested: number
  readonly preAllocate: number
  readonly minAllocate: number
  readonly maxAllocate: number
  readonly releaseIPs: ReadonlyMap<string, string>
  readonly operatorError: string
  /** The fields of `foreignEdit`, each as the number it was made of, as far as that shows. */
  readonly toolValues: readonly number[]
}

interface Wire {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly spec?: {
    readonly 'instance-id'?: string
    readonly encryption?: { readonly key?: number }
    readonly health?: { readonly ipv4?: string }
    readonly ipam?: {
      readonly pool?: object
      readonly pools?: { readonly requested?: readonly { readonly needed?: { readonly 'ipv4-addrs'?: number } }[] }
      readonly 'pre-allocate'?: number
      readonly 'min-allocate'?: number
      readonly 'max-allocate'?: number
    }
  }
  readonly status?: {
    readonly eni?: {
      readonly enis?: Readonly<
        Record<
          string,
          { readonly ip?: string; readonly addresses?: readonly string[]; readonly prefixes?: readonly string[] }
        >
      >
    }
    readonly ipam?: {
      readonly used?: object
      readonly 'release-ips'?: Readonly<Record<string, string>>
      readonly 'operator-status'?: { readonly error?: string }
    }
  }
}

export function readResource(resource: JSONObject): ResourceView {
  const { metadata, spec = {}, status = {} } = resource as unknown as Wire
  const ipam = spec.ipam ?? {}
  const pool = Object.keys(ipam.pool ?? {})
  const enis = Object.values(status.eni?.enis ?? {})
  const listed = new Set(
    enis.flatMap(({ ip, addresses = [], prefixes = [] }) => [
      ...addresses.filter((address) => address !== ip),
      ...prefixes.flatMap(addressesOf),
    ]),
  )
  const requested = (ipam.pools?.requested ?? []).reduce((sum, { needed }) => sum + (needed?.['ipv4-addrs'] ?? 0), 0)
  const value = Number(metadata.annotations?.['tool.example.com/value'] ?? NaN)
  const isRestIntact =
    metadata.labels?.['tool.example.com/value'] === String(value) &&
    spec.encryption?.key === value % 255 &&
    spec.health?.ipv4 === `192.0.2.${value % 255}`
  return {
    name: metadata.name,
    uid: metadata.uid,
    instanceID: spec['instance-id'] ?? '',
    open: requested > 0 ? [...listed] : pool,
    pool,
    used: Object.keys(status.ipam?.used ?? {}).length,
    requested,
    preAllocate: ipam['pre-allocate'] ?? 0,
    minAllocate: ipam['min-allocate'] ?? 0,
    maxAllocate: ipam['max-allocate'] ?? 0,
    releaseIPs: new Map(Object.entries(status.ipam?.['release-ips'] ?? {})),
    operatorError: status.ipam?.['operator-status']?.error ?? '',
    toolValues: [isRestIntact ? value : NaN],
  }
}
