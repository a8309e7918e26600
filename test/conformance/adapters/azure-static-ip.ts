import { choosePublicPrefix } from '../../../providers/azure/static-ip.ts'
import type { JSONObject, Tags } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven } from './aws-node.ts'
import { MachineScript, modelInterfaces, objects, textAt, textIn } from './azure-machine-script.ts'
import { azureResourceOf, errorVector, providerOn } from './azure-provider.ts'
import { isPath, ok, page, ScriptedARM } from './azure-scripted-arm.ts'
import { adapt } from './core-arithmetic.ts'

/** What a written model says of the public address of its primary configuration. */
function publicConfigurationOf(vm: JSONObject): JSONObject {
  const entry = modelInterfaces(vm).find((one) => textIn(one, 'properties', 'primary') === true)
  const primary = objects(textIn(entry, 'properties', 'ipConfigurations')).find(
    (one) => textIn(one, 'properties', 'primary') === true,
  )
  const configuration = textIn(primary, 'properties', 'publicIPAddressConfiguration') as JSONObject | undefined
  return {
    interface: textAt(entry, 'name'),
    ipConfiguration: textAt(primary, 'name'),
    publicIPAddressConfiguration:
      configuration === undefined || configuration === null
        ? null
        : {
            name: textAt(configuration, 'name'),
            publicIPPrefixId: textAt(configuration, 'properties', 'publicIPPrefix', 'id'),
          },
  }
}

/** Who answers for a machine and its interfaces, and which interfaces its node has. */
interface StaticIPScript {
  readonly arm: ScriptedARM
  readonly interfaces: readonly JSONObject[]
  /** What each write says of the public address of the primary configuration. */
  puts(): readonly JSONObject[]
}

interface StaticIPInput {
  readonly vm: JSONObject
  /** Of a standalone machine. */
  readonly nic?: JSONObject
  readonly nics?: readonly JSONObject[]
  readonly prefixes: readonly JSONObject[]
  readonly tags: Tags
  readonly publicIPs?: readonly JSONObject[]
}

function scaleSetScript({ vm, prefixes, publicIPs }: StaticIPInput): StaticIPScript {
  const machine = new MachineScript(vm, { prefixes, publicIPs })
  return {
    arm: machine.arm,
    interfaces: modelInterfaces(vm).map((entry) => ({
      id: `${machine.path}/networkInterfaces/${textAt(entry, 'name')}`,
      name: textAt(entry, 'name'),
      ip: '10.250.0.4',
    })),
    puts: () => machine.arm.sent('PUT').map(({ body = {} }) => publicConfigurationOf(body)),
  }
}

const PUBLIC_ADDRESS = '/publicIPAddresses/cilium-managed-public-ip'
const PLAUSIBLE_ADDRESS = { name: 'one', properties: { ipAddress: '20.0.9.9' } }

/** Azure makes the address that an interface's document describes, and refers to it from then on. */
function standaloneScript(input: StaticIPInput): StaticIPScript {
  const { vm, prefixes, publicIPs = [PLAUSIBLE_ADDRESS] } = input
  const documents = new Map(
    [...(input.nics ?? []), ...(input.nic === undefined ? [] : [input.nic])].map((nic) => [textAt(nic, 'id'), nic]),
  )
  const arm = new ScriptedARM(({ method, path, body }) => {
    if (isPath(path, textAt(vm, 'id'))) return ok(vm)
    if (/\/publicipprefixes$/i.test(path)) return page(prefixes)
    if (/\/publicipaddresses\//i.test(path)) return publicIPs[0] === undefined ? undefined : ok(publicIPs[0])
    const id = [...documents.keys()].find((known) => isPath(known, path))
    if (id === undefined) return undefined
    if (method === 'PUT') documents.set(id, withReferences(body ?? {}))
    return ok(documents.get(id))
  })
  return {
    arm,
    interfaces: [...documents].map(([id, nic]) => ({ id, name: textAt(nic, 'name'), ip: '10.250.0.4' })),
    puts: () => arm.sent('PUT').map(({ body = {} }) => publicAddressOf(body)),
  }
}

function withReferences(nic: JSONObject): JSONObject {
  const ipConfigurations = objects(textIn(nic, 'properties', 'ipConfigurations')).map((one) => {
    const properties = one['properties'] as JSONObject
    if (textIn(properties, 'publicIPAddress') === undefined) return one
    return { ...one, properties: { ...properties, publicIPAddress: { id: PUBLIC_ADDRESS } } }
  })
  const properties = { ...(nic['properties'] as JSONObject), provisioningState: 'Succeeded', ipConfigurations }
  return { ...nic, properties }
}

/** What a written interface says of the public address of its primary configuration. */
function publicAddressOf(nic: JSONObject): JSONObject {
  const primary = objects(textIn(nic, 'properties', 'ipConfigurations')).find(
    (one) => textIn(one, 'properties', 'primary') === true,
  )
  const described = textIn(primary, 'properties', 'publicIPAddress')
  return {
    interface: textAt(nic, 'name'),
    ipConfiguration: textAt(primary, 'name'),
    publicIPAddress:
      described === undefined || described === null
        ? null
        : {
            name: textAt(described, 'name'),
            publicIPAllocationMethod: textAt(described, 'properties', 'publicIPAllocationMethod'),
            publicIPPrefixId: textAt(described, 'properties', 'publicIPPrefix', 'id'),
          },
  }
}

/** Kinds about public addresses. */
export const azureStaticIPAdapters: AdapterRegistry = {
  'public-prefix-by-tags': adapt<{ readonly prefixes: readonly JSONObject[]; readonly tags: Tags }>(
    ({ prefixes, tags }) => ({ prefixId: choosePublicPrefix(prefixes, tags) }),
  ),
  'static-ip': {
    comparison: { partial: ['puts.*', 'puts.*.*', 'error'], ordered: ['puts'] },
    run: adapt<StaticIPInput>(async (input, { testCase }) => {
      const instanceID = textAt(input.vm, 'id').toLowerCase()
      const isOfScaleSet = instanceID.includes('/virtualmachinescalesets/')
      const script = isOfScaleSet ? scaleSetScript(input) : standaloneScript(input)
      const { provider, clock } = providerOn(script.arm)
      const { interfaces } = script
      const node = provider.createNode(azureResourceOf({ instanceID, interfaces, staticIPTags: input.tags }))
      const expect = testCase.expect as { readonly error?: unknown }
      let address: string | undefined
      let error: Error | undefined
      try {
        const work = node.staticIP?.allocateStaticIP(input.tags, contextOf())
        address = await driven(work ?? Promise.reject(new Error('no static addresses')), clock)
      } catch (thrown) {
        error = thrown as Error
      }
      return {
        puts: script.puts(),
        imageReferenceAbsent: script.arm
          .sent('PUT')
          .every(({ body }) => textIn(body, 'properties', 'storageProfile', 'imageReference') === undefined),
        address,
        error: errorVector(error, expect.error),
      }
    }),
  },
}
