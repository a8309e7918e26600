import { CloudAPIError } from '../../src/ipam/errors.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import type { CallContext } from '../../src/runtime/call-priority.ts'
import type { ARMCaller } from './arm-caller.ts'
import type { ARMResponse } from './client.ts'
import { numberAt, objectAt, textAt } from './json.ts'
import { keyOf, parseNICID, type MachinePlace, type SubnetPlace } from './resource-id.ts'

/**
 * What the SDK's clients send: `@azure/arm-network` 39, `@azure/arm-compute` 25. Interfaces of scale sets have been frozen at a version
 * of their own.
 */
const NETWORK_VERSION = '2026-01-01'
const COMPUTE_VERSION = '2026-04-01'
const SCALE_SET_NETWORK_VERSION = '2018-10-01'

/** A scale set of the group. */
export interface ScaleSet {
  readonly name: string
  /** Machines that it is to have (count); undefined when Azure does not say. */
  readonly capacity: number | undefined
}

/** A document that is read, changed and written: the model of a scale-set VM, or an interface. */
export interface WriteTarget {
  readonly kind: 'scaleSetVM' | 'interface'
  /** Path behind the endpoint. */
  readonly path: string
  /** For queues and buckets. */
  readonly key: string
}

const READ_LABELS = { scaleSetVM: 'VirtualMachineScaleSetVMs.Get', interface: 'Interfaces.Get' } as const
export const WRITE_LABELS = {
  scaleSetVM: 'VirtualMachineScaleSetVMs.Update',
  interface: 'Interfaces.CreateOrUpdate',
} as const
export const POLL_LABELS = { scaleSetVM: 'Operations.GetCompute', interface: 'Operations.GetNetwork' } as const

/**
 * The calls to Resource Manager that the provider makes, by their meaning. Documents come and go as raw JSON.
 *
 * @source cilium pkg/azure/api/api.go
 */
export class AzureAPI {
  readonly caller: ARMCaller
  readonly #subscriptionID: string
  readonly #resourceGroup: string

  constructor(caller: ARMCaller, scope: { readonly subscriptionID: string; readonly resourceGroup: string }) {
    this.caller = caller
    this.#subscriptionID = scope.subscriptionID
    this.#resourceGroup = scope.resourceGroup
  }

  /** Scale sets of the configured group, in Azure's order. @throws CloudAPIError */
  async listScaleSets(context: CallContext): Promise<readonly ScaleSet[]> {
    const url = `${this.#group()}/Microsoft.Compute/virtualMachineScaleSets?api-version=${COMPUTE_VERSION}`
    const documents = await this.caller.list({ operation: 'VirtualMachineScaleSets.List', url }, context)
    return documents.map((document) => ({
      name: textAt(document, 'name'),
      capacity: numberAt(objectAt(document, 'sku'), 'capacity'),
    }))
  }

  /** Interfaces of a scale set; none for one without machines, which AKS answers with 404. @throws CloudAPIError */
  async listScaleSetInterfaces(scaleSetName: string, context: CallContext): Promise<readonly JSONObject[]> {
    const path = `${this.#group()}/Microsoft.Compute/virtualMachineScaleSets/${encode(scaleSetName)}/networkInterfaces`
    const documents = await orUndefined(
      this.caller.list(
        {
          operation: 'Interfaces.ListVirtualMachineScaleSetNetworkInterfaces',
          url: `${path}?api-version=${SCALE_SET_NETWORK_VERSION}`,
        },
        context,
      ),
    )
    return documents ?? []
  }

  /** Ordinary interfaces of the configured group: of standalone machines, of flexible scale sets, of none. @throws CloudAPIError */
  async listInterfaces(context: CallContext): Promise<readonly JSONObject[]> {
    const url = `${this.#group()}/Microsoft.Network/networkInterfaces?api-version=${NETWORK_VERSION}`
    return this.caller.list({ operation: 'Interfaces.List', url }, context)
  }

  /** Interfaces of one machine; undefined when Azure does not know the machine. @throws CloudAPIError */
  async listMachineInterfaces(machine: MachinePlace, context: CallContext): Promise<readonly JSONObject[] | undefined> {
    if (machine.kind === 'standalone') return this.#readMachineInterfaces(machine, context)
    return orUndefined(
      this.caller.list(
        {
          operation: 'Interfaces.ListVirtualMachineScaleSetVMNetworkInterfaces',
          url: `${this.machinePath(machine)}/networkInterfaces?api-version=${SCALE_SET_NETWORK_VERSION}`,
        },
        context,
      ),
    )
  }

  /** A standalone machine names its interfaces; one that is gone meanwhile is left out. */
  async #readMachineInterfaces(
    machine: MachinePlace,
    context: CallContext,
  ): Promise<readonly JSONObject[] | undefined> {
    const vm = await orUndefined(this.getMachine(machine, context))
    if (vm === undefined) return undefined
    const network = objectAt(objectAt(vm, 'properties'), 'networkProfile')
    const listed = network?.['networkInterfaces']
    const ids = Array.isArray(listed) ? (listed as readonly JSONObject[]).map((one) => textAt(one, 'id')) : []
    const documents = await Promise.all(
      ids.filter((id) => id !== '').map((id) => orUndefined(this.getInterface(id, context))),
    )
    return documents.filter((document) => document !== undefined)
  }

  /** A machine with its instance view. @throws CloudAPIError */
  async getMachine(machine: MachinePlace, context: CallContext): Promise<JSONObject> {
    const path = this.machinePath(machine)
    const { document } = await this.caller.get(
      {
        operation: machine.kind === 'standalone' ? 'VirtualMachines.Get' : 'VirtualMachineScaleSetVMs.Get',
        url: `${path}?$expand=instanceView&api-version=${COMPUTE_VERSION}`,
        resource: keyOf(path),
      },
      context,
    )
    return document
  }

  /** An ordinary interface. @param id its ARM ID. @throws CloudAPIError */
  async getInterface(id: string, context: CallContext): Promise<JSONObject> {
    const { document } = await this.caller.get(
      { operation: 'Interfaces.Get', url: `${encodePath(id)}?api-version=${NETWORK_VERSION}` },
      context,
    )
    return document
  }

  /** @throws CloudAPIError */
  async getSubnet(place: SubnetPlace, context: CallContext): Promise<JSONObject> {
    const url = `${networkPath(place)}/subnets/${encode(place.subnet)}?api-version=${NETWORK_VERSION}`
    return (await this.caller.get({ operation: 'Subnets.Get', url }, context)).document
  }

  /** How many addresses each subnet of a virtual network uses. @throws CloudAPIError */
  async listUsages(place: Omit<SubnetPlace, 'subnet'>, context: CallContext): Promise<readonly JSONObject[]> {
    const url = `${networkPath(place)}/usages?api-version=${NETWORK_VERSION}`
    return this.caller.list({ operation: 'VirtualNetworks.ListUsage', url }, context)
  }

  /** Public prefixes of the configured group. @throws CloudAPIError */
  async listPublicPrefixes(context: CallContext): Promise<readonly JSONObject[]> {
    const url = `${this.#group()}/Microsoft.Network/publicIPPrefixes?api-version=${NETWORK_VERSION}`
    return this.caller.list({ operation: 'PublicIPPrefixes.List', url }, context)
  }

  /** @param id ARM ID. @throws CloudAPIError */
  async getPublicAddress(id: string, context: CallContext): Promise<JSONObject> {
    const url = `${encodePath(id)}?api-version=${NETWORK_VERSION}`
    return (await this.caller.get({ operation: 'PublicIPAddresses.Get', url }, context)).document
  }

  /** Public addresses of one configuration of a scale-set VM's interface. @throws CloudAPIError */
  async listPublicAddresses(
    nicID: string,
    configurationName: string,
    context: CallContext,
  ): Promise<readonly JSONObject[]> {
    const path = `${encodePath(nicID)}/ipconfigurations/${encode(configurationName)}/publicipaddresses`
    return this.caller.list(
      {
        operation: 'PublicIPAddresses.ListVirtualMachineScaleSetVMPublicIPAddresses',
        url: `${path}?api-version=${SCALE_SET_NETWORK_VERSION}`,
      },
      context,
    )
  }

  /** @throws CloudAPIError */
  async readTarget(target: WriteTarget, context: CallContext): Promise<JSONObject> {
    const isScaleSetVM = target.kind === 'scaleSetVM'
    const { document } = await this.caller.get(
      {
        operation: READ_LABELS[target.kind],
        url: isScaleSetVM
          ? `${target.path}?$expand=instanceView&api-version=${COMPUTE_VERSION}`
          : `${target.path}?api-version=${NETWORK_VERSION}`,
        resource: target.key,
      },
      context,
    )
    return document
  }

  /**
   * Writes a document over the one it was made from, and no other.
   *
   * @param admit asked each time it is about to be sent; what it throws keeps it from being sent
   * @throws CloudAPIError
   */
  async writeTarget(
    target: WriteTarget,
    document: JSONObject,
    context: CallContext,
    admit?: () => void,
  ): Promise<ARMResponse> {
    const etag = textAt(document, 'etag')
    return this.caller.put(
      {
        operation: WRITE_LABELS[target.kind],
        url: `${target.path}?api-version=${target.kind === 'scaleSetVM' ? COMPUTE_VERSION : NETWORK_VERSION}`,
        resource: target.key,
        document,
        ...(etag !== '' && { ifMatch: etag }),
        ...(admit !== undefined && { admit }),
      },
      context,
    )
  }

  /** One look at a long-running operation. @throws CloudAPIError */
  async pollOperation(target: WriteTarget, url: string, context: CallContext): Promise<ARMResponse> {
    return this.caller.poll({ operation: POLL_LABELS[target.kind], url, resource: target.key }, context)
  }

  /** What is written when an interface changes: its machine's model for one of a scale set, else the interface itself. */
  targetOf(nicID: string, machine: MachinePlace | undefined): WriteTarget {
    const { scaleSetName, vmID, resourceGroup } = parseNICID(nicID)
    if (scaleSetName === '') return { kind: 'interface', path: encodePath(nicID), key: keyOf(nicID) }
    const subscriptionID = machine?.subscriptionID ?? this.#subscriptionID
    const path = this.machinePath({ kind: 'scaleSetVM', subscriptionID, resourceGroup, scaleSetName, vmID })
    return { kind: 'scaleSetVM', path, key: keyOf(path) }
  }

  /** Path of a machine behind the endpoint. */
  machinePath(machine: MachinePlace): string {
    const group = `/subscriptions/${encode(machine.subscriptionID)}/resourceGroups/${encode(machine.resourceGroup)}/providers`
    if (machine.kind === 'standalone') return `${group}/Microsoft.Compute/virtualMachines/${encode(machine.name)}`
    const { scaleSetName, vmID } = machine
    return `${group}/Microsoft.Compute/virtualMachineScaleSets/${encode(scaleSetName)}/virtualMachines/${encode(vmID)}`
  }

  /** Whether the lists of the configured group show this machine. */
  isListed(machine: MachinePlace): boolean {
    return (
      keyOf(machine.subscriptionID) === keyOf(this.#subscriptionID) &&
      keyOf(machine.resourceGroup) === keyOf(this.#resourceGroup)
    )
  }

  #group(): string {
    return `/subscriptions/${encode(this.#subscriptionID)}/resourceGroups/${encode(this.#resourceGroup)}/providers`
  }
}

function networkPath({ subscriptionID, resourceGroup, virtualNetwork }: Omit<SubnetPlace, 'subnet'>): string {
  const group = `/subscriptions/${encode(subscriptionID)}/resourceGroups/${encode(resourceGroup)}/providers`
  return `${group}/Microsoft.Network/virtualNetworks/${encode(virtualNetwork)}`
}

function encode(name: string): string {
  return encodeURIComponent(name)
}

function encodePath(id: string): string {
  return id.split('/').map(encode).join('/')
}

/** Undefined when Azure does not know what was asked for. */
async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (error instanceof CloudAPIError && error.kind === 'notFound') return undefined
    throw error
  }
}
