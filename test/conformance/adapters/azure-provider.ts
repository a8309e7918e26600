import { INTERFACE_NOT_IN_MODEL, PRIMARY_RELEASE_REFUSED } from '../../../providers/azure/edit-document.ts'
import { createAzureProvider, DEFAULT_AZURE_TIMES } from '../../../providers/azure/index.ts'
import type { AzureProviderConfig } from '../../../providers/azure/index.ts'
import type { CiliumNode } from '../../../src/ipam/cilium-node.ts'
import { CloudAPIError, InstanceNotFoundError } from '../../../src/ipam/errors.ts'
import type { JSONObject, Tags } from '../../../src/ipam/types.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { resourceOf, SILENT, UNLIMITED, UNMEASURED } from './aws-node.ts'
import type { ScriptedARM } from './azure-scripted-arm.ts'

export const SUBSCRIPTION_ID = '00000000-0000-0000-0000-0000000000aa'
export const RESOURCE_GROUP = 'MC_demo_demo_westeurope'
export const GROUP_PATH = `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers`

/** As Cilium's defaults, but that addresses may be given back. */
export const PLAIN_AZURE_CONFIG: AzureProviderConfig = {
  subscriptionID: SUBSCRIPTION_ID,
  resourceGroup: RESOURCE_GROUP,
  usePrimaryAddress: false,
  releaseExcessIPs: true,
  prefixes: false,
  subnetIDsFilter: [],
  profile: 'latest',
  ...DEFAULT_AZURE_TIMES,
}

/** A provider that speaks to a script, on a clock of its own. */
export function providerOn(arm: ScriptedARM, config: Partial<AzureProviderConfig> = {}) {
  const clock = new ManualClock()
  const provider = createAzureProvider(
    { ...PLAIN_AZURE_CONFIG, ...config },
    {
      client: arm.client,
      budget: { ...UNLIMITED, observeRemaining() {} },
      clock,
      random: seededRandom(1),
      log: SILENT,
      metrics: UNMEASURED,
    },
  )
  return { provider, clock }
}

/** A resource with just what the provider reads. @param parts.interfaces as `status.azure.interfaces` has them */
export function azureResourceOf(parts: {
  readonly name?: string
  readonly instanceID: string
  readonly interfaces?: readonly JSONObject[]
  readonly interfaceName?: string
  readonly staticIPTags?: Tags
}): CiliumNode {
  const resource = resourceOf({ name: parts.name ?? 'node1', instanceID: parts.instanceID })
  const { interfaceName = '', interfaces = [] } = parts
  return {
    ...resource,
    spec: {
      ...resource.spec,
      azure: interfaceName === '' ? {} : { 'interface-name': interfaceName },
      ipam: { ...resource.spec.ipam, staticIPTags: parts.staticIPTags ?? {} },
    },
    status: { ...resource.status, azure: { interfaces } },
  }
}

/** The instance ID of the machine that a scale-set interface belongs to; of another one, the ID given. */
export function instanceOf(nicID: string, otherwise = `${GROUP_PATH}/Microsoft.Compute/virtualMachines/vm-1`): string {
  const at = nicID.toLowerCase().indexOf('/networkinterfaces/')
  return (/\/virtualmachines\//i.test(nicID) ? nicID.slice(0, at) : otherwise).toLowerCase()
}

/** The files' words for what went wrong, as far as ours tell it apart. */
const REASONS: Readonly<Record<string, (error: Error) => boolean>> = {
  'interface-not-in-vm': (error) => error instanceof CloudAPIError && error.code === INTERFACE_NOT_IN_MODEL,
  'primary-release-refused': (error) => error instanceof CloudAPIError && error.code === PRIMARY_RELEASE_REFUSED,
  'instance-unknown': (error) => error instanceof InstanceNotFoundError,
}

/**
 * An error in the form of the files. A reason that is not in the table stands for any error.
 *
 * @param expected `expect.error` of the vector
 */
export function errorVector(error: Error | undefined, expected: unknown): unknown {
  if (error === undefined) return null
  if (expected === true) return true
  const { reason = '' } = (expected ?? {}) as { readonly reason?: string }
  const isMeant = REASONS[reason] ?? (() => reason !== '')
  const items = /(?:Cannot release|no configuration has) ([^:]+)/.exec(error.message)?.[1]?.split(', ')
  return { reason: isMeant(error) ? reason : error.message, ...(items !== undefined && { items }) }
}
