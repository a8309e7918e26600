import { choosePublicPrefix } from '../../../providers/azure/static-ip.ts'
import type { JSONObject, Tags } from '../../../src/ipam/types.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { contextOf, driven } from './aws-node.ts'
import { MachineScript, modelInterfaces, objects, textAt, textIn } from './azure-machine-script.ts'
import { azureResourceOf, errorVector, providerOn } from './azure-provider.ts'
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

/** Kinds about public addresses. */
export const azureStaticIPAdapters: AdapterRegistry = {
  'public-prefix-by-tags': adapt<{ readonly prefixes: readonly JSONObject[]; readonly tags: Tags }>(
    ({ prefixes, tags }) => ({ prefixId: choosePublicPrefix(prefixes, tags) }),
  ),
  'static-ip': {
    comparison: { partial: ['puts.*', 'puts.*.*', 'error'], ordered: ['puts'] },
    run: adapt<{
      readonly vm: JSONObject
      readonly prefixes: readonly JSONObject[]
      readonly tags: Readonly<Record<string, string>>
      readonly publicIPs?: readonly JSONObject[]
    }>(async ({ vm, prefixes, tags, publicIPs }, { testCase }) => {
      const machine = new MachineScript(vm, { prefixes, publicIPs })
      const { provider, clock } = providerOn(machine.arm)
      const interfaces = modelInterfaces(vm).map((entry) => ({
        id: `${machine.path}/networkInterfaces/${textAt(entry, 'name')}`,
        name: textAt(entry, 'name'),
        ip: '10.250.0.4',
      }))
      const node = provider.createNode(
        azureResourceOf({ instanceID: machine.path.toLowerCase(), interfaces, staticIPTags: tags }),
      )
      const expect = testCase.expect as { readonly error?: unknown; readonly address?: string }
      let address: string | undefined
      let error: Error | undefined
      try {
        const work = node.staticIP?.allocateStaticIP(tags, contextOf())
        address = await driven(work ?? Promise.reject(new Error('no static addresses')), clock)
      } catch (thrown) {
        error = thrown as Error
      }
      const puts = machine.arm.sent('PUT').map(({ body = {} }) => body)
      return {
        puts: puts.map(publicConfigurationOf),
        imageReferenceAbsent: puts.every(
          (body) => textIn(body, 'properties', 'storageProfile', 'imageReference') === undefined,
        ),
        address,
        error: errorVector(error, expect.error),
      }
    }),
  },
}
