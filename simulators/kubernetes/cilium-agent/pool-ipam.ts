import type { Random } from '../../kit/random.ts'
import type { JSONObject } from '../json.ts'
import type { AgentIPAM, Holding, PendingWrite } from './ipam.ts'
import type { OwnResource } from './own-resource.ts'
import { answerReleases, isInReleaseHandshake } from './release-handshake.ts'

/**
 * The CRD allocator of agents up to Cilium 1.19: addresses come from `spec.ipam.pool`, what is used goes to `status.ipam.used`, and
 * the release handshake is answered in `status.ipam.release-ips`.
 *
 * A free address is drawn by chance, as the real agent walks a Go map.
 *
 * @source cilium pkg/ipam/crd.go, nodeStore and crdAllocator
 */
export class PoolIPAM implements AgentIPAM {
  readonly generation = 'pool'
  readonly #random: Random
  readonly #byOwner = new Map<string, Holding>()
  readonly #byAddress = new Map<string, Holding>()
  #resource: OwnResource | undefined
  /** Addresses that may be handed out now, in no order. */
  #free: string[] = []

  constructor(random: Random) {
    this.#random = random
  }

  get heldCount(): number {
    return this.#byOwner.size
  }

  get availableCount(): number {
    return this.#resource?.pool?.size ?? 0
  }

  openAddresses(): readonly string[] {
    return [...(this.#resource?.pool?.keys() ?? [])]
  }

  takeOver(resource: OwnResource): boolean {
    if (!isConsistent(resource)) return false
    this.#resource = resource
    this.#free = [...(resource.pool?.keys() ?? [])].filter(
      (address) => !this.#byAddress.has(address) && !isInReleaseHandshake(resource, address),
    )
    return true
  }

  allocate(owner: string, nowMs: number): Holding | undefined {
    const index = Math.floor(this.#random.next() * this.#free.length)
    const address = this.#free[index]
    const interfaceID = address === undefined ? undefined : this.#resource?.pool?.get(address)
    if (address === undefined || interfaceID === undefined) return undefined
    this.#free[index] = this.#free.at(-1) ?? address
    this.#free.pop()
    const holding = { address, owner, interfaceID, sinceMs: nowMs }
    this.#byOwner.set(owner, holding)
    this.#byAddress.set(address, holding)
    return holding
  }

  release(owner: string): boolean {
    const holding = this.#byOwner.get(owner)
    if (holding === undefined) return false
    const { address } = holding
    this.#byOwner.delete(owner)
    this.#byAddress.delete(address)
    const resource = this.#resource
    if (resource?.pool?.has(address) === true && !isInReleaseHandshake(resource, address)) this.#free.push(address)
    return true
  }

  /** Waiting pods are not part of what this generation reports. */
  setWaiting(): void {}

  pendingWrite(): PendingWrite | undefined {
    const resource = this.#resource
    if (resource === undefined) return undefined
    const used = this.#usedPatch(resource)
    const releases = answerReleases(resource, (address) => this.#byAddress.has(address))
    if (used === undefined && releases.size === 0) return undefined
    const ipam: JSONObject = {
      ...(used === undefined ? {} : { used }),
      ...(releases.size === 0 ? {} : { 'release-ips': Object.fromEntries(releases) }),
    }
    return { subresource: 'status', patch: { status: { ipam } } }
  }

  sameOwnFields(seen: OwnResource, written: OwnResource): boolean {
    if (seen.used.size !== written.used.size) return false
    for (const [address, owner] of written.used) if (seen.used.get(address) !== owner) return false
    return true
  }

  holding(owner: string): Holding | undefined {
    return this.#byOwner.get(owner)
  }

  holdings(): Iterable<Holding> {
    return this.#byOwner.values()
  }

  /** The difference between `status.ipam.used` and what is held; undefined when there is none. */
  #usedPatch(resource: OwnResource): JSONObject | undefined {
    const patch: Record<string, JSONObject | null> = {}
    for (const [address, { owner, interfaceID }] of this.#byAddress)
      if (resource.used.get(address) !== owner) patch[address] = { owner, resource: interfaceID }
    for (const address of resource.used.keys()) if (!this.#byAddress.has(address)) patch[address] = null
    return Object.keys(patch).length === 0 ? undefined : patch
  }
}

/**
 * Whether every address of the pool is listed by the interface it names. An update that is not so is ignored as a whole.
 *
 * @source cilium pkg/ipam/crd.go, validateENIConfig
 */
function isConsistent(resource: OwnResource): boolean {
  const listed = new Map<string, ReadonlySet<string>>()
  for (const [address, interfaceID] of resource.pool ?? []) {
    let addresses = listed.get(interfaceID)
    if (addresses === undefined) {
      addresses = new Set(resource.interfaces.get(interfaceID)?.addresses)
      listed.set(interfaceID, addresses)
    }
    if (!addresses.has(address)) return false
  }
  return true
}
