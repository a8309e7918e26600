import type { DryRunObserver, InterfaceTally } from '../../src/ipam/dry-run-observer.ts'
import { parseIPv4CIDR } from '../../src/ipam/ip-range.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { WRITE_LABELS } from './api.ts'
import type { ARMClient, ARMRequest, ARMResponse } from './client.ts'
import { modelEntries } from './edit-document.ts'
import { ImaginaryDocuments, interfaceIDOf } from './imaginary-documents.ts'
import { objectAt, objectsAt, parseObject, textAt, without } from './json.ts'
import { parseSubnet } from './parse-subnet.ts'
import { instanceIDOf, keyOf, parseMachineID } from './resource-id.ts'

const NOTHING: InterfaceTally = { interfaces: 0, addresses: 0, released: 0 }

/** Hosts of 203.0.113.0/24, the block for documentation (RFC 5737), from which imagined public addresses are (count). */
const DOCUMENTATION_HOSTS = 254

/** Public addresses of a configuration; only primary ones have any. */
const PUBLIC_ADDRESSES = /^(?<nicID>.*)\/ipconfigurations\/[^/]+\/publicipaddresses$/i

/**
 * A client that reads for real and only pretends to change: every write is answered as one that has succeeded at once, and nothing of it
 * is sent. Reads show the documents as they would be. So the provider plans on as if its writes had been made, and those that a real run
 * would make can be counted.
 */
export function dryRunARMClient(client: ARMClient, observer: DryRunObserver): ARMClient {
  const subscription = new DryRunSubscription(client, observer)
  return {
    endpoint: client.endpoint,
    ...(client.audience !== undefined && { audience: client.audience }),
    send: (request) => subscription.send(request),
  }
}

class DryRunSubscription {
  readonly #client: ARMClient
  readonly #observer: DryRunObserver
  readonly #documents: ImaginaryDocuments
  /** Public addresses that exist only here, by `keyOf` of their ID. */
  readonly #publicAddresses = new Map<string, string>()

  constructor(client: ARMClient, observer: DryRunObserver) {
    this.#client = client
    this.#observer = observer
    this.#documents = new ImaginaryDocuments((instanceID, tally) => observer.observed(instanceID, tally))
  }

  /** @throws Error for a write that is not pretended: it is not sent either */
  async send(request: ARMRequest): Promise<ARMResponse> {
    request.signal.throwIfAborted()
    const path = pathOf(request.url)
    if (request.method !== 'GET') return this.#pretend(path, request)
    const address = this.#publicAddresses.get(keyOf(path))
    if (address !== undefined) return answer(200, { id: path, properties: { ipAddress: address } })
    const response = await this.#client.send(request)
    const document = response.status === 200 ? parseObject(response.body) : undefined
    if (document === undefined) return response
    const shown = this.#overlay(path, document)
    if (shown === document) return response
    return { status: response.status, header: (name) => response.header(name), body: JSON.stringify(shown) }
  }

  /** The same document when nothing of it is pretended. */
  #overlay(path: string, document: JSONObject): JSONObject {
    const documents = this.#documents
    const [type = '', name = ''] = lastSegments(path)
    if (name === 'networkinterfaces')
      return withItems(document, (items) => items.map((one) => documents.overlayInterface(one)))
    if (name === 'usages') return withItems(document, (items) => items.map((one) => documents.overlayUsage(one)))
    if (name === 'publicipaddresses') return withItems(document, (items) => this.#publicItems(path, items))
    if (type === 'networkinterfaces') return documents.overlayInterface(document)
    if (type === 'subnets') return this.#overlaySubnet(document)
    if (parseMachineID(path)?.kind === 'scaleSetVM') return documents.overlayModel(path, document)
    return document
  }

  #overlaySubnet(document: JSONObject): JSONObject {
    const subnet = parseSubnet(document, 'latest')
    if (subnet !== undefined && parseIPv4CIDR(subnet.cidr) !== undefined)
      this.#documents.space.learn(keyOf(subnet.id), subnet.cidr)
    return this.#documents.overlaySubnet(document)
  }

  /** Public addresses of a configuration of a scale-set machine, as its model asks for them. */
  #publicItems(path: string, items: readonly JSONObject[]): readonly JSONObject[] {
    const { nicID = '' } = PUBLIC_ADDRESSES.exec(path)?.groups ?? {}
    const isWanted = this.#documents.hasPublicAddress(nicID)
    if (isWanted !== true) return isWanted === undefined ? items : []
    return items.length > 0 ? items : [{ properties: { ipAddress: this.#publicAddressOf(`${path}/imagined`) } }]
  }

  #pretend(path: string, { method, body = '' }: ARMRequest): ARMResponse {
    const document = parseObject(body)
    const [type = ''] = lastSegments(path)
    const isModel = parseMachineID(path)?.kind === 'scaleSetVM'
    if (document === undefined || method !== 'PUT' || (!isModel && type !== 'networkinterfaces'))
      throw new Error(`${method} ${path} is not known to the dry run: nothing was sent`)
    return isModel ? this.#putModel(path, document) : this.#putInterface(path, document)
  }

  #putModel(path: string, document: JSONObject): ARMResponse {
    const tallies = modelEntries(document).map((entry) => {
      const configurations = objectsAt(objectAt(entry, 'properties'), 'ipConfigurations') ?? []
      return this.#documents.write(
        interfaceIDOf(path, textAt(entry, 'name')),
        'publicIPAddressConfiguration',
        configurations,
      )
    })
    return this.#written(WRITE_LABELS.scaleSetVM, instanceIDOf(path), tallies, document)
  }

  #putInterface(path: string, document: JSONObject): ARMResponse {
    const configurations = objectsAt(objectAt(document, 'properties'), 'ipConfigurations') ?? []
    const instanceID = this.#documents.instanceOf(path)
    const tally = this.#documents.write(
      path,
      'publicIPAddress',
      configurations.map((one) => this.#withPublicID(path, one)),
    )
    return this.#written(WRITE_LABELS.interface, instanceID, [tally], document)
  }

  /** A public address that is described in place becomes a resource of its own. */
  #withPublicID(nicID: string, configuration: JSONObject): JSONObject {
    const properties = objectAt(configuration, 'properties')
    const wanted = objectAt(properties, 'publicIPAddress')
    if (wanted === undefined || textAt(wanted, 'id') !== '') return configuration
    const [, nicName = ''] = lastSegments(nicID)
    const group = nicID.slice(0, keyOf(nicID).lastIndexOf('/networkinterfaces/'))
    const id = `${group}/publicIPAddresses/${textAt(wanted, 'name')}-${nicName}`
    this.#publicAddressOf(id)
    return { ...configuration, properties: { ...properties, publicIPAddress: { id } } }
  }

  #publicAddressOf(id: string): string {
    const known = this.#publicAddresses.get(keyOf(id))
    if (known !== undefined) return known
    const address = `203.0.113.${1 + (this.#publicAddresses.size % DOCUMENTATION_HOSTS)}`
    this.#publicAddresses.set(keyOf(id), address)
    return address
  }

  /** Counts a write that would have been sent. @param tallies undefined where a subnet has no room: Azure would refuse all of it */
  #written(
    operation: string,
    instanceID: string,
    tallies: readonly (InterfaceTally | undefined)[],
    document: JSONObject,
  ): ARMResponse {
    const made = tallies.filter((tally) => tally !== undefined)
    this.#observer.planned(operation, instanceID, made.reduce(sum, NOTHING))
    if (made.length < tallies.length) {
      const message = 'The subnet does not have enough capacity for the IP addresses that are wanted.'
      return answer(400, { error: { code: 'SubnetIsFull', message } })
    }
    const properties = without(objectAt(document, 'properties') ?? {}, 'instanceView')
    return answer(200, { ...document, properties: { ...properties, provisioningState: 'Succeeded' } })
  }
}

/** ARM ID that a URL leads to: whatever is in front of it belongs to the endpoint. */
function pathOf(url: string): string {
  const { pathname } = new URL(url)
  const from = Math.max(pathname.toLowerCase().indexOf('/subscriptions/'), 0)
  return pathname.slice(from).split('/').map(decodeURIComponent).join('/')
}

/** The last two segments of a path, in lower case: a type and a name, or a name and the type of a list. */
function lastSegments(path: string): readonly string[] {
  return keyOf(path).split('/').slice(-2)
}

/** A page of a list with other items; the same page when none is another. */
function withItems(page: JSONObject, change: (items: readonly JSONObject[]) => readonly JSONObject[]): JSONObject {
  const items = objectsAt(page, 'value')
  if (items === undefined) return page
  const changed = change(items)
  const isSame = changed.length === items.length && changed.every((one, at) => one === items[at])
  return isSame ? page : { ...page, value: changed }
}

function sum(left: InterfaceTally, right: InterfaceTally): InterfaceTally {
  return {
    interfaces: left.interfaces + right.interfaces,
    addresses: left.addresses + right.addresses,
    released: left.released + right.released,
  }
}

function answer(status: number, body: JSONObject): ARMResponse {
  return { status, header: () => undefined, body: JSON.stringify(body) }
}
