import type { JSONObject } from '../ipam/types.ts'
import type { KubernetesClient } from './client.ts'
import { KubernetesAPIError } from './errors.ts'
import { isObject } from './json.ts'
import { leasesPath } from './paths.ts'

/** What election reads of a Lease. Times of the holder are written for people and never compared. */
export interface LeaseRecord {
  readonly resourceVersion: string
  /** Empty: released. */
  readonly holderIdentity: string
  /** How long the holder claims it for, from each renewal (ms). */
  readonly durationMs: number
  /** Changes of holder (count). */
  readonly transitions: number
}

/** What a candidate writes. */
export interface LeaseClaim {
  readonly holderIdentity: string
  readonly durationMs: number
  readonly transitions: number
  readonly renewedAt: Date
  /** Absent: the holder stays, and so does the time since which it holds. */
  readonly acquiredAt?: Date
}

/**
 * One Lease of `coordination.k8s.io/v1`. Writes are conditional on the version that was read, so that of two candidates one wins.
 *
 * @source Kubernetes api/coordination/v1/types.go, LeaseSpec
 */
export class LeaseAPI {
  readonly #client: KubernetesClient
  readonly #collection: string
  readonly #name: string

  constructor(client: KubernetesClient, namespace: string, name: string) {
    this.#client = client
    this.#collection = leasesPath(namespace)
    this.#name = name
  }

  /** @returns undefined when there is none. @throws KubernetesAPIError */
  async get(signal: AbortSignal): Promise<LeaseRecord | undefined> {
    try {
      return decodeLease(await this.#client.get(this.#path, { signal }))
    } catch (error) {
      if (error instanceof KubernetesAPIError && error.kind === 'notFound') return undefined
      throw error
    }
  }

  /** @throws KubernetesAPIError (alreadyExists) when another candidate was first */
  async create(claim: LeaseClaim, signal: AbortSignal): Promise<LeaseRecord> {
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: this.#name },
      spec: specOf(claim),
    }
    return decodeLease(await this.#client.create(this.#collection, lease, signal))
  }

  /** @throws KubernetesAPIError (conflict) when the Lease has changed since `seen` */
  async update(seen: LeaseRecord, claim: LeaseClaim, signal: AbortSignal): Promise<LeaseRecord> {
    const patch = { metadata: { resourceVersion: seen.resourceVersion }, spec: specOf(claim) }
    return decodeLease(await this.#client.mergePatch(this.#path, patch, signal))
  }

  get #path(): string {
    return `${this.#collection}/${encodeURIComponent(this.#name)}`
  }
}

function specOf(claim: LeaseClaim): JSONObject {
  return {
    holderIdentity: claim.holderIdentity,
    // The API wants at least 1.
    leaseDurationSeconds: Math.max(1, Math.ceil(claim.durationMs / 1000)),
    leaseTransitions: claim.transitions,
    renewTime: microTime(claim.renewedAt),
    ...(claim.acquiredAt !== undefined && { acquireTime: microTime(claim.acquiredAt) }),
  }
}

/** @source Kubernetes apimachinery/pkg/apis/meta/v1/micro_time.go, RFC3339Micro */
function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z')
}

function decodeLease(json: JSONObject): LeaseRecord {
  const metadata = isObject(json['metadata']) ? json['metadata'] : {}
  const spec = isObject(json['spec']) ? json['spec'] : {}
  const { resourceVersion } = metadata
  if (typeof resourceVersion !== 'string') {
    throw new KubernetesAPIError('the answer is not a Lease', { kind: 'malformed' })
  }
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = spec
  return {
    resourceVersion,
    holderIdentity: typeof holderIdentity === 'string' ? holderIdentity : '',
    durationMs: typeof leaseDurationSeconds === 'number' ? leaseDurationSeconds * 1000 : 0,
    transitions: typeof leaseTransitions === 'number' ? leaseTransitions : 0,
  }
}
