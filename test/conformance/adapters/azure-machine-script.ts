import type { JSONObject } from '../../../src/ipam/types.ts'
import { isPath, ok, page, ScriptedARM } from './azure-scripted-arm.ts'
import type { ScriptedAnswer, ScriptedRequest } from './azure-scripted-arm.ts'

export const UNPROVISIONED = { provisioningState: 'Succeeded' }

export function textIn(document: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as JSONObject | undefined)?.[key], document)
}

/** A text in a document; empty where there is none. */
export function textAt(document: unknown, ...path: readonly string[]): string {
  const value = textIn(document, ...path)
  return typeof value === 'string' ? value : ''
}

export function objects(value: unknown): readonly JSONObject[] {
  return Array.isArray(value) ? (value as JSONObject[]) : []
}

/** Interfaces of a machine's model. */
export function modelInterfaces(vm: JSONObject): readonly JSONObject[] {
  return objects(textIn(vm, 'properties', 'networkProfileConfiguration', 'networkInterfaceConfigurations'))
}

/** An interface as Azure shows it once these configurations are on it: an address for each. */
export function shownNIC(id: string, vmID: string, configurations: readonly JSONObject[]): JSONObject {
  return {
    id,
    name: id.slice(id.lastIndexOf('/') + 1),
    properties: {
      ...UNPROVISIONED,
      virtualMachine: { id: vmID },
      ipConfigurations: configurations.map((one, index) => {
        const properties = one['properties'] as JSONObject | undefined
        const privateIPAddress = textAt(properties, 'privateIPAddress') || `10.250.0.${index + 4}`
        return { ...one, properties: { ...UNPROVISIONED, ...properties, privateIPAddress } }
      }),
    },
  }
}

/** A scale-set VM with its interfaces, as far as the provider looks at it. Writes have their effect at once. */
export class MachineScript {
  readonly arm: ScriptedARM
  vm: JSONObject
  readonly path: string
  #prefixes: readonly JSONObject[]
  #publicIPs: readonly JSONObject[]

  constructor(
    vm: JSONObject,
    parts: { readonly prefixes?: readonly JSONObject[]; readonly publicIPs?: readonly JSONObject[] | undefined } = {},
  ) {
    this.vm = vm
    this.path = textAt(vm, 'id')
    this.#prefixes = parts.prefixes ?? []
    this.#publicIPs = parts.publicIPs ?? [{ name: 'one', properties: { ipAddress: '20.0.9.9' } }]
    this.arm = new ScriptedARM((request) => this.#answer(request))
  }

  #answer({ method, path, body }: ScriptedRequest): ScriptedAnswer | undefined {
    if (method === 'PUT' && isPath(path, this.path)) {
      this.vm = { ...body, properties: { ...(body?.['properties'] as JSONObject), ...UNPROVISIONED } }
      return ok(this.vm)
    }
    if (isPath(path, this.path)) return ok(this.vm)
    const nics = modelInterfaces(this.vm).map((entry): JSONObject => {
      const id = `${this.path}/networkInterfaces/${textAt(entry, 'name')}`
      const nic = shownNIC(id, this.path, objects(textIn(entry, 'properties', 'ipConfigurations')))
      const isPrimary = textIn(entry, 'properties', 'primary') === true
      return { ...nic, properties: { ...(nic['properties'] as JSONObject), primary: isPrimary } }
    })
    const scaleSet = this.path.replace(/\/virtualMachines\/[^/]+$/i, '')
    if (isPath(path, `${this.path}/networkInterfaces`) || isPath(path, `${scaleSet}/networkInterfaces`))
      return page(nics)
    if (/\/publicipprefixes$/i.test(path)) return page(this.#prefixes)
    if (/\/publicipaddresses$/i.test(path)) return page(this.#publicIPs)
    return isPath(path, `${this.path}/networkInterfaces/${path.split('/').at(-1) ?? ''}`)
      ? ok(nics.find((nic) => isPath(textAt(nic, 'id'), path)))
      : undefined
  }
}

/** A standalone interface, likewise. */
export function nicScript(nic: JSONObject): ScriptedARM {
  let current = nic
  const path = textAt(nic, 'id')
  return new ScriptedARM((request) => {
    if (!isPath(request.path, path)) return undefined
    if (request.method === 'PUT') {
      const { properties } = shownNIC(
        path,
        textAt(nic, 'properties', 'virtualMachine', 'id'),
        objects(textIn(request.body, 'properties', 'ipConfigurations')),
      )
      current = { ...request.body, properties }
    }
    return ok(current)
  })
}
