import type { JSONObject } from '../../../src/ipam/types.ts'
import type { ScriptedCall } from './aws-scripted-ec2.ts'

/** A call as a vector writes it: parameters of interest by their camel-case names, absent ones left out. */
export function callVector({ action, input }: ScriptedCall): JSONObject {
  const fields: Record<string, unknown> = {
    action,
    subnetId: input['SubnetId'],
    description: input['Description'],
    groups: input['Groups'],
    secondaryPrivateIpAddressCount: input['SecondaryPrivateIpAddressCount'],
    ipv4PrefixCount: input['Ipv4PrefixCount'],
    ipv6PrefixCount: input['Ipv6PrefixCount'],
    tags: tagsOf(input['TagSpecifications']),
    networkInterfaceId: input['NetworkInterfaceId'],
    instanceId: input['InstanceId'],
    deviceIndex: input['DeviceIndex'],
    networkCardIndex: input['NetworkCardIndex'],
    deleteOnTermination: (input['Attachment'] as { DeleteOnTermination?: boolean } | undefined)?.DeleteOnTermination,
    privateIpAddresses: input['PrivateIpAddresses'],
    ipv4Prefixes: input['Ipv4Prefixes'],
    allocationId: input['AllocationId'],
    allowReassociation: input['AllowReassociation'],
    filters: filtersOf(input['Filters']),
    networkInterfaceIds: input['NetworkInterfaceIds'],
    maxResults: input['MaxResults'],
    nextToken: input['NextToken'],
    vpcId: input['VpcId'],
    vpcIds: input['VpcIds'],
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as JSONObject
}

function filtersOf(filters: unknown): JSONObject[] | undefined {
  if (!Array.isArray(filters)) return undefined
  return (filters as { Name: string; Values: string[] }[]).map(({ Name, Values }) => ({ name: Name, values: Values }))
}

function tagsOf(specifications: unknown): JSONObject | undefined {
  if (!Array.isArray(specifications)) return undefined
  const tags = (specifications as { Tags: { Key: string; Value: string }[] }[]).flatMap((entry) => entry.Tags)
  return Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]))
}
