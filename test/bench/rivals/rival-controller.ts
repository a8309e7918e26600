import { APIClient, CILIUM_NODES_PATH } from '../../../simulators/kubernetes/index.ts'
import type { JSONObject } from '../../../simulators/kubernetes/index.ts'
import type { VirtualFleet } from '../../../src/fleet/virtual-fleet.ts'
import { addressesOf } from '../../../src/fleet/world-view.ts'
import { RivalAccount } from './rival-account.ts'

/** A node as a rival learns of it. */
export interface RivalNode {
  readonly name: string
  readonly instanceID: string
}

/** What a node was given. */
export interface RivalGrant {
  readonly interfaceID: string
  readonly primaryAddress: string
  /** A /28 block. */
  readonly prefix: string
}

/** How a rival brings a node its first addresses; resolves when it has. */
export type RivalPolicy = (node: RivalNode, account: RivalAccount) => Promise<RivalGrant>

/**
 * What every rival needs around its policy: it follows the CiliumNodes, lets the policy serve each once, and publishes the result for the
 * same agents. All of that is free of charge: no limit on calls to the API server, no work for the processor that counts.
 */
export class RivalController {
  readonly #fleet: VirtualFleet
  readonly #client: APIClient
  readonly #account: RivalAccount
  readonly #policy: RivalPolicy
  readonly #seen = new Set<string>()

  constructor(fleet: VirtualFleet, policy: RivalPolicy) {
    this.#fleet = fleet
    this.#client = new APIClient(fleet.simulators.kubernetes.router, 'rival')
    this.#account = new RivalAccount(fleet.simulators.cloud.router, fleet.closing)
    this.#policy = policy
  }

  /** Until the fleet ends. */
  async run(): Promise<void> {
    const { closing } = this.#fleet
    const list = await this.#client.request('GET', CILIUM_NODES_PATH, {}, closing)
    for (const item of list['items'] as readonly JSONObject[]) this.#meet(item)
    const { resourceVersion } = list['metadata'] as { readonly resourceVersion: string }
    for await (const { type, object } of this.#client.watch(CILIUM_NODES_PATH, { resourceVersion }, closing))
      if (type === 'ADDED') this.#meet(object)
  }

  #meet(object: JSONObject): void {
    const { name } = object['metadata'] as { readonly name: string }
    const { 'instance-id': instanceID } = object['spec'] as { readonly 'instance-id': string }
    if (this.#seen.has(name)) return
    this.#seen.add(name)
    void this.#serve({ name, instanceID })
  }

  async #serve(node: RivalNode): Promise<void> {
    const grant = await this.#policy(node, this.#account)
    await this.#publish(node.name, grant)
  }

  async #publish(name: string, { interfaceID, primaryAddress, prefix }: RivalGrant): Promise<void> {
    const addresses = [...addressesOf(prefix)]
    const eni = { id: interfaceID, ip: primaryAddress, number: 0, addresses, prefixes: [prefix] }
    const pool = Object.fromEntries(addresses.map((address) => [address, { resource: interfaceID }]))
    await this.#patch(`${CILIUM_NODES_PATH}/${name}/status`, { status: { eni: { enis: { [interfaceID]: eni } } } })
    await this.#patch(`${CILIUM_NODES_PATH}/${name}`, { spec: { ipam: { pool } } })
  }

  async #patch(path: string, body: JSONObject): Promise<void> {
    const contentType = 'application/merge-patch+json'
    await this.#client.request('PATCH', path, { body, contentType }, this.#fleet.closing)
  }
}
