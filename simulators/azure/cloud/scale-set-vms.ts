import type { Cloud } from '../cloud.ts'
import { ARMError, fault } from '../errors.ts'
import { isCancellation, startOperation } from './async-operations.ts'
import type { ScriptedEnd } from './async-operations.ts'
import { applyConfigurations, configurationID, releaseConfigurations } from './ip-configurations.ts'
import type { PublicIPSource } from './ip-configurations.ts'
import { objectAt, textAt } from './json.ts'
import type { JSONObject } from './json.ts'
import { checkConditions } from './nics.ts'
import type { Conditions } from './nics.ts'
import { findPublicPrefix, makePublicIP, releasePublicIP } from './public-ips.ts'
import { interfacesOf, missingAddresses, modelOf } from './scale-set-model.ts'
import type { WantedInterface } from './scale-set-model.ts'
import type { AsyncOperation, IPConfiguration, NIC, OperationError, ScaleSetVM } from './types.ts'
import { prefixText } from './wanted-configurations.ts'

/** The entity tag as headers and documents show it: a small counter in quotes. */
export function etagOf(vm: ScaleSetVM): string {
  return `"${vm.etag}"`
}

/**
 * Replaces the model of a scale-set VM. Its interfaces follow when the operation ends, which may fail for want of addresses.
 *
 * @param client named in refusals
 * @throws ARMError
 */
export function putScaleSetVM(
  cloud: Cloud,
  vm: ScaleSetVM,
  body: JSONObject,
  conditions: Conditions,
  more: { readonly client: string; readonly scripted: () => ScriptedEnd },
): AsyncOperation {
  checkConditions(conditions, etagOf(vm))
  if (textAt(body, 'location') === undefined) throw fault('LocationRequired')
  const isBusy = cloud.settings.scaleSetWriteScope === 'vm' ? vm.operation !== undefined : vm.scaleSet.writesRunning > 0
  if (isBusy) throw fault('Conflict')
  const model = modelOf(cloud, vm, body, more.client)
  const wanted = interfacesOf(cloud, vm, model)
  if (cloud.settings.scaleSetSubnetFull === 'request') checkRoom(wanted)
  vm.document = model
  vm.etag++
  vm.state = 'Updating'
  vm.failure = undefined
  vm.scaleSet.writesRunning++
  const operation = startOperation(cloud, {
    service: 'Microsoft.Compute',
    resourceKey: vm.key,
    durationMs: cloud.duration(cloud.settings.computeOperationMs),
    result: () => JSON.stringify(presentScaleSetVM(cloud, vm, false)),
    scripted: more.scripted(),
    complete: (error) => complete(cloud, vm, wanted, error),
  })
  vm.operation = operation
  return operation
}

function checkRoom(wanted: readonly WantedInterface[]): void {
  const subnet = wanted[0]?.wanted[0]?.subnet
  const missing = missingAddresses(wanted)
  if (subnet !== undefined && missing > subnet.space.free) {
    throw fault('SubnetIsFull', subnet.name, prefixText(subnet), `${missing}`)
  }
}

/** @returns the error, the scripted one or the one that is met now */
function complete(
  cloud: Cloud,
  vm: ScaleSetVM,
  wanted: readonly WantedInterface[],
  scripted: OperationError | undefined,
): OperationError | undefined {
  vm.operation = undefined
  vm.scaleSet.writesRunning--
  const error = scripted ?? applyInterfaces(cloud, vm, wanted)
  if (error === undefined) {
    vm.applied = vm.document
    vm.state = 'Succeeded'
    return undefined
  }
  vm.state = isCancellation(error) ? 'Canceled' : 'Failed'
  vm.failure = { code: error.code, message: error.message }
  const isKept = cloud.settings.failedModel === 'kept' || error.code === 'PublicIpPrefixOutOfIpAddressesForVMScaleSet'
  if (!isKept) vm.document = vm.applied
  return error
}

/**
 * What is changed on a first interface stays when a second one fails: the model then differs from it until the next write.
 * Interfaces of the project's nodes are one each.
 */
function applyInterfaces(cloud: Cloud, vm: ScaleSetVM, wanted: readonly WantedInterface[]): OperationError | undefined {
  try {
    for (const one of wanted) applyInterface(cloud, vm, one)
    return undefined
  } catch (error) {
    if (error instanceof ARMError) return error.toOperationError()
    throw error
  }
}

function applyInterface(cloud: Cloud, vm: ScaleSetVM, { nic, wanted, document }: WantedInterface): void {
  const added = applyConfigurations(cloud, nic, wanted, publicIPsOf(cloud, vm, nic))
  nic.document = document
  nic.etag = cloud.newETag()
  for (const one of nic.configurations) one.etag = nic.etag
  releaseConfigurations(nic)
  settleConfigurations(cloud, nic, added)
  nic.rendered = undefined
}

function settleConfigurations(cloud: Cloud, nic: NIC, added: readonly IPConfiguration[]): void {
  const settled = (): void => {
    for (const one of added) one.state = 'Succeeded'
    nic.state = 'Succeeded'
    nic.rendered = undefined
  }
  const { configurationSettlesMs } = cloud.settings
  if (added.length === 0 || configurationSettlesMs <= 0) return settled()
  nic.state = 'Updating'
  cloud.schedule.add(cloud.now() + configurationSettlesMs, settled)
}

/** Public addresses that the model describes: made for the configuration, gone with it. */
function publicIPsOf(cloud: Cloud, vm: ScaleSetVM, nic: NIC): PublicIPSource {
  return {
    resolve({ name, publicIP: wanted }, current) {
      if (wanted === undefined) return undefined
      if (current !== undefined) return current
      const properties = objectAt(wanted, 'properties') ?? {}
      const prefixID = textAt(objectAt(properties, 'publicIPPrefix'), 'id')
      const prefix = prefixID === undefined ? undefined : findPublicPrefix(cloud, prefixID, vm.id)
      const holder = configurationID(nic, name)
      const publicName = textAt(wanted, 'name') ?? 'publicip'
      const made = makePublicIP(
        cloud,
        {
          group: vm.scaleSet.group,
          name: publicName,
          id: `${holder}/publicIPAddresses/${publicName}`,
          document: { properties },
          prefix,
          holder,
        },
        false,
      )
      if (made === undefined) throw fault('PublicIpPrefixOutOfIpAddressesForVMScaleSet', prefixID ?? '')
      return made
    },
    undo: (publicIP) => releasePublicIP(publicIP, false),
  }
}

/** The VM's document: the model as asked, never an address. */
export function presentScaleSetVM(cloud: Cloud, vm: ScaleSetVM, withInstanceView: boolean): JSONObject {
  const { document, scaleSet } = vm
  return {
    name: vm.name,
    id: vm.id,
    type: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines',
    location: cloud.settings.location,
    ...document,
    instanceId: vm.instanceID,
    etag: etagOf(vm),
    sku: { name: scaleSet.vmSize, tier: 'Standard' },
    properties: {
      ...objectAt(document, 'properties'),
      networkProfile: { networkInterfaces: vm.nics.map(({ id }) => ({ id })) },
      latestModelApplied: true,
      modelDefinitionApplied: 'VirtualMachineScaleSet',
      vmId: vm.vmID,
      provisioningState: vm.state,
      ...(withInstanceView ? { instanceView: presentInstanceView(vm) } : {}),
    },
  }
}

export function presentInstanceView(vm: ScaleSetVM): JSONObject {
  const { failure, state } = vm
  return {
    statuses: [
      failure === undefined
        ? {
            code: `ProvisioningState/${state.toLowerCase()}`,
            level: 'Info',
            displayStatus: `Provisioning ${state.toLowerCase()}`,
          }
        : {
            code: `ProvisioningState/failed/${failure.code}`,
            level: 'Error',
            displayStatus: 'Provisioning failed',
            message: failure.message,
          },
      { code: 'PowerState/running', level: 'Info', displayStatus: 'VM running' },
    ],
  }
}
