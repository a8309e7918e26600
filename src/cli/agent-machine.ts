import type { Machine, OwnNodeFacts } from '../agent/node-resource.ts'
import type { JSONObject, JSONValue } from '../ipam/types.ts'
import type { KubernetesClient } from '../kubernetes/client.ts'
import { isObject } from '../kubernetes/json.ts'
import { NODES_PATH } from '../kubernetes/paths.ts'
import type { AgentSettings } from './agent-options.ts'
import type { MetadataReader } from './controller-metadata.ts'

export interface OwnNodeFactsOptions {
  readonly settings: Pick<AgentSettings, 'ipam' | 'nodeName' | 'autoCreateCiliumNodeResource'>
  readonly client: KubernetesClient
  readonly readMetadata?: MetadataReader
}

/** Device index of the first interface that the operator manages. @source cilium pkg/defaults/node.go, ENIFirstInterfaceIndex */
const FIRST_INTERFACE_INDEX = 0

const AZURE_PREFIX = 'azure://'

/**
 * What the own CiliumNode is made of: the Kubernetes node, which owns it, and in the clouds the machine.
 *
 * @returns undefined where the resource is somebody else's to create: it is switched off, or the machine cannot be asked
 * @source cilium pkg/nodediscovery/nodediscovery.go, mutateNodeResource
 */
export function ownNodeFacts(
  options: OwnNodeFactsOptions,
): ((signal: AbortSignal) => Promise<OwnNodeFacts>) | undefined {
  const { settings, client, readMetadata } = options
  const { ipam, nodeName: name } = settings
  if (settings.autoCreateCiliumNodeResource === 'false' || ipam === 'alibabacloud') return undefined
  if (ipam === 'eni' && readMetadata === undefined) return undefined
  return (signal) => readFacts(client, name, (providerID) => machineOf(ipam, providerID, readMetadata, signal), signal)
}

/**
 * What the Kubernetes node tells of the own CiliumNode, with the machine.
 *
 * @param machine asked with `spec.providerID` of the node, empty when it has none
 * @throws KubernetesAPIError, and what `machine` rejects with
 */
export async function readFacts(
  client: KubernetesClient,
  name: string,
  machine: (providerID: string) => Machine | Promise<Machine>,
  signal: AbortSignal,
): Promise<OwnNodeFacts> {
  const node = await client.get(`${NODES_PATH}/${encodeURIComponent(name)}`, { signal })
  const metadata = objectAt(node, 'metadata')
  const labels = objectAt(metadata, 'labels')
  return {
    name,
    nodeUID: textOf(metadata['uid']),
    labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, textOf(value)])),
    addresses: addressesOf(node),
    machine: await machine(textOf(objectAt(node, 'spec')['providerID'])),
  }
}

/** @throws Error when the machine cannot be told: a resource without it would never be served */
async function machineOf(
  ipam: AgentSettings['ipam'],
  providerID: string,
  readMetadata: MetadataReader | undefined,
  signal: AbortSignal,
): Promise<Machine> {
  if (ipam === 'eni' && readMetadata !== undefined) return awsMachine(readMetadata, signal)
  if (ipam !== 'azure') return { cloud: 'none' }
  if (!providerID.startsWith(AZURE_PREFIX) || providerID === AZURE_PREFIX)
    throw new Error(`the Kubernetes node has no provider ID of Azure, but ${JSON.stringify(providerID)}`)
  return { cloud: 'azure', instanceID: providerID.slice(AZURE_PREFIX.length).toLowerCase() }
}

/** @source AWS documentation, Amazon EC2 User Guide, Instance metadata categories */
async function awsMachine(read: MetadataReader, signal: AbortSignal): Promise<Machine> {
  const mac = (await read('/meta-data/mac', signal)).replace(/\/$/, '')
  const ofInterface = `/meta-data/network/interfaces/macs/${mac}`
  const [instanceID, instanceType, availabilityZone, vpcID, subnetID] = await Promise.all([
    read('/meta-data/instance-id', signal),
    read('/meta-data/instance-type', signal),
    read('/meta-data/placement/availability-zone', signal),
    read(`${ofInterface}/vpc-id`, signal),
    read(`${ofInterface}/subnet-id`, signal),
  ])
  const firstInterfaceIndex = FIRST_INTERFACE_INDEX
  return { cloud: 'aws', instanceID, instanceType, availabilityZone, vpcID, subnetID, firstInterfaceIndex }
}

/** Internal and external ones, as Kubernetes knows them. */
function addressesOf(node: JSONObject): OwnNodeFacts['addresses'] {
  const list = objectAt(node, 'status')['addresses']
  const entries = Array.isArray(list) ? (list as readonly JSONValue[]) : []
  return entries.filter(isObject).flatMap((entry) => {
    const type = textOf(entry['type'])
    const ip = textOf(entry['address'])
    return ip !== '' && (type === 'InternalIP' || type === 'ExternalIP') ? [{ type, ip }] : []
  })
}

function objectAt(parent: JSONObject, key: string): JSONObject {
  const value = parent[key]
  return isObject(value) ? value : {}
}

function textOf(value: JSONValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
