import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from './client.ts'
import { KubernetesAPIError } from './errors.ts'
import { FieldReader } from './field-reader.ts'
import type { Informer, InformerOptions } from './informer.ts'
import { startInformer } from './informer.ts'
import { POD_IP_POOLS_PATH } from './paths.ts'

/** One family of a CiliumPodIPPool. */
export interface PodIPPoolFamily {
  /** As written. */
  readonly cidrs: readonly string[]
  /** Prefix length of a node's CIDR. */
  readonly maskSize: number
}

/**
 * A CiliumPodIPPool. Only the form was looked at; whether its CIDRs make sense is the allocator's to say.
 *
 * @source cilium pkg/k8s/apis/cilium.io/v2alpha1/ippool_types.go, IPPoolSpec
 */
export interface PodIPPool {
  readonly name: string
  readonly ipv4?: PodIPPoolFamily
  readonly ipv6?: PodIPPoolFamily
  readonly allowFirstIP: boolean
  readonly allowLastIP: boolean
}

/** A pool that cannot be read. */
export interface MalformedPodIPPool {
  readonly name: string
  /** Path and what is wrong, one entry for each fault. */
  readonly faults: readonly string[]
}

const FAMILIES = ['ipv4', 'ipv6'] as const
const API_VERSION = 'cilium.io/v2alpha1'
const MAX_FAULTS = 10

/** Lists and watches all CiliumPodIPPools, malformed ones too. A deletion is told by name. */
export function watchPodIPPools(
  options: Pick<
    InformerOptions<PodIPPool | MalformedPodIPPool, string, never>,
    'client' | 'clock' | 'random' | 'log' | 'signal' | 'handlers'
  >,
): Informer {
  return startInformer<PodIPPool | MalformedPodIPPool, string>({
    ...options,
    path: POD_IP_POOLS_PATH,
    decode: (json, { key: name }) => ({ kind: 'ok', object: decodePodIPPool(json), digest: name }),
  })
}

export function decodePodIPPool(json: JSONObject): PodIPPool | MalformedPodIPPool {
  const reader = new FieldReader()
  const name = reader.text(reader.object(json, 'metadata', 'metadata'), 'name', 'metadata.name')
  const spec = reader.object(json, 'spec', 'spec')
  if (spec === undefined && reader.faults.length === 0) reader.fault('spec', 'is missing')
  const families = Object.fromEntries(
    FAMILIES.flatMap((family) => {
      const section = reader.object(spec, family, `spec.${family}`)
      if (section === undefined) return []
      const path = `spec.${family}.cidrs`
      const cidrs = reader.list(section, 'cidrs', path).flatMap((value, index) => {
        if (typeof value === 'string') return [value]
        reader.fault(`${path}[${index}]`, `expected a CIDR, found ${JSON.stringify(value)}`)
        return []
      })
      if (cidrs.length === 0) reader.fault(path, 'is empty')
      const maskSize = reader.count(section, 'maskSize', `spec.${family}.maskSize`)
      if (maskSize === 0) reader.fault(`spec.${family}.maskSize`, 'is missing')
      return [[family, { cidrs, maskSize }]]
    }),
  ) as Pick<PodIPPool, 'ipv4' | 'ipv6'>
  if (reader.faults.length > 0) return { name, faults: reader.faults.slice(0, MAX_FAULTS) }
  return {
    name,
    ...families,
    allowFirstIP: spec?.['allowFirstIP'] === true,
    allowLastIP: spec?.['allowLastIP'] === true,
  }
}

/**
 * Creates a pool unless there is one of its name, which then stays as it is.
 *
 * @returns whether it was created. @throws KubernetesAPIError
 */
export async function createPodIPPool(
  client: KubernetesClient,
  { name, ipv4, ipv6 }: Pick<PodIPPool, 'name' | 'ipv4' | 'ipv6'>,
  signal: AbortSignal,
): Promise<boolean> {
  const section = ({ cidrs, maskSize }: PodIPPoolFamily): JSONObject => ({ cidrs: [...cidrs], maskSize })
  const spec = {
    ...(ipv4 !== undefined && { ipv4: section(ipv4) }),
    ...(ipv6 !== undefined && { ipv6: section(ipv6) }),
  }
  const object = { apiVersion: API_VERSION, kind: 'CiliumPodIPPool', metadata: { name }, spec }
  try {
    await client.create(POD_IP_POOLS_PATH, object, signal)
    return true
  } catch (error) {
    if (error instanceof KubernetesAPIError && error.kind === 'alreadyExists') return false
    throw error
  }
}
