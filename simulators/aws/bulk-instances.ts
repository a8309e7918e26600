import { InputError, InputReader } from '../kit/input.ts'
import type { Cloud } from './cloud.ts'
import { isID } from './cloud/ids.ts'
import { instanceType } from './cloud/instance-types.ts'
import { attachAtLaunch, createInstance, withdrawInstance } from './cloud/instances.ts'
import { makeInterface } from './cloud/interfaces.ts'
import { formatIPv4 } from '../kit/ipv4.ts'
import type { Instance } from './cloud/types.ts'
import { EC2Error } from './errors.ts'

/** What the door tells of each instance made: what its node has to know of itself. */
export interface BulkInstance {
  readonly instanceId: string
  readonly instanceType: string
  readonly vpcId: string
  readonly subnetId: string
  readonly availabilityZone: string
  readonly networkInterfaceId: string
  readonly macAddress: string
  readonly privateIpAddress: string
}

/** Most instances of one request (count). */
const MAX_COUNT = 100_000

/**
 * Makes many running instances at once, each with a primary interface: `{"instanceType", "subnetId", "count" or "ids", "tags",
 * "groupIds", "imageId"}`, the last three optional. Not metered, not limited by quotas; all or none.
 *
 * @throws InputError also when the subnet is too small
 */
export function makeInstances(cloud: Cloud, body: unknown): { readonly instances: readonly BulkInstance[] } {
  const reader = new InputReader('instances')
  const input = reader.object(body, 'body', ['instanceType', 'subnetId', 'count', 'ids', 'tags', 'groupIds', 'imageId'])
  const type = reader.string(input['instanceType'], 'instanceType')
  if (type !== '' && instanceType(type) === undefined)
    reader.fault('instanceType', `${type} is not known to this simulator`)
  const ids =
    input['ids'] === undefined
      ? undefined
      : reader.array(input['ids'], 'ids').map((id, at) => reader.string(id, `ids[${at}]`))
  for (const id of ids ?? []) {
    if (!isID('instance', id)) reader.fault('ids', `${id} is not an instance id`)
    else if (cloud.instances.get(id) !== undefined) reader.fault('ids', `${id} exists`)
  }
  if (new Set(ids).size !== (ids ?? []).length) reader.fault('ids', 'must differ from each other')
  const count = ids === undefined ? reader.integer(input['count'], 'count', { min: 1, max: MAX_COUNT }) : ids.length
  const tags = input['tags'] === undefined ? {} : reader.texts(input['tags'], 'tags')
  const groupIDs = reader
    .array(input['groupIds'] ?? [], 'groupIds')
    .map((id, at) => reader.string(id, `groupIds[${at}]`))
  const subnetID = reader.string(input['subnetId'], 'subnetId')
  const imageID = reader.string(input['imageId'] ?? 'ami-00000000000000000', 'imageId')
  reader.finish()
  const made: Instance[] = []
  try {
    const subnet = cloud.subnet(subnetID)
    const groups = groupIDs.map((id) => cloud.group(id, subnet.vpc))
    for (let index = 0; index < count; index++) {
      const iface = makeInterface(cloud, {
        subnet,
        interfaceType: 'interface',
        description: '',
        groups,
        tags: new Map(),
        primary: undefined,
        ipv4: { addresses: [], addressCount: 0, prefixes: [], prefixCount: 0 },
        ipv6: { addressCount: 0, prefixCount: 0 },
      })
      const instance = createInstance(cloud, {
        id: ids?.[index],
        instanceType: type,
        imageID,
        subnet,
        tags: new Map(Object.entries(tags)),
        reservationID: cloud.newID('reservation'),
      })
      instance.phase = { name: 'launching', runningAtMs: cloud.now() }
      attachAtLaunch(cloud, instance, iface, { deviceIndex: 0, networkCardIndex: 0, deleteOnTermination: true })
      made.push(instance)
    }
  } catch (error) {
    for (const instance of made) withdrawInstance(cloud, instance)
    if (error instanceof EC2Error) throw new InputError('instances', [`${error.message} (${error.code})`])
    throw error
  }
  return { instances: made.map(describe) }
}

function describe(instance: Instance): BulkInstance {
  const [iface] = instance.interfaces
  return {
    instanceId: instance.id,
    instanceType: instance.instanceType,
    vpcId: instance.subnet.vpc.id,
    subnetId: instance.subnet.id,
    availabilityZone: instance.subnet.availabilityZone,
    networkInterfaceId: iface?.id ?? '',
    macAddress: iface?.macAddress ?? '',
    privateIpAddress: formatIPv4(iface?.addresses.ipv4[0] ?? 0),
  }
}
