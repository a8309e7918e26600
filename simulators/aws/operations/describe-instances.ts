import type { Cloud } from '../cloud.ts'
import { forgetTerminated, instanceState, isInstanceListed, listedInstance } from '../cloud/instances.ts'
import { formatIPv4 } from '../../kit/ipv4.ts'
import type { Instance } from '../cloud/types.ts'
import type { CompiledFilters, FilterTable } from '../filters.ts'
import { listPage, sourceOf } from '../listing.ts'
import type { Source } from '../listing.ts'
import { operation } from '../operation.ts'
import { presentReservations } from '../present.ts'
import { filterField, id, integer, list, required, text } from '../wire/parameters.ts'

const FILTERS: FilterTable<Instance> = {
  'image-id': (instance) => instance.imageID,
  'instance-id': (instance) => instance.id,
  'instance.group-id': (instance) => instance.interfaces[0]?.groups.map((group) => group.id),
  'launch-time': (instance) => instance.launchTime.toISOString(),
  'instance-state-name': (instance, nowMs) => instanceState(instance, nowMs).name,
  'instance-state-code': (instance, nowMs) => String(instanceState(instance, nowMs).code),
  'instance-type': (instance) => instance.instanceType,
  'availability-zone': (instance) => instance.subnet.availabilityZone,
  'subnet-id': (instance) => instance.subnet.id,
  'vpc-id': (instance) => instance.subnet.vpc.id,
  'reservation-id': (instance) => instance.reservationID,
  'network-interface.network-interface-id': (instance) => instance.interfaces.map((iface) => iface.id),
  'private-ip-address': (instance) => instance.interfaces[0]?.addresses.ipv4.slice(0, 1).map(formatIPv4),
}

export const describeInstances = operation({
  action: 'DescribeInstances',
  changes: false,
  parameters: {
    InstanceId: list(required(id('instance'))),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    forgetTerminated(cloud)
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeInstances',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: {
          parameter: 'instancesSet',
          values: parameters.InstanceId,
          find: (instanceID) => listedInstance(cloud, instanceID),
        },
        candidates: (filters) => candidates(cloud, filters),
        shortPages: cloud.settings.shortPages,
      },
      cloud.now(),
    )
    return { reservationSet: presentReservations(cloud, items), nextToken }
  },
})

/** The narrowest index for the filters, without what is not visible yet. */
function candidates(cloud: Cloud, filters: CompiledFilters<Instance>): Source<Instance> {
  const ids = filters.exact('instance-id')
  const source =
    ids === undefined
      ? cloud.instances.ordered
      : sourceOf([...new Set(ids)].flatMap((one) => cloud.instances.get(one) ?? []))
  if (cloud.settings.consistency.launchedInstanceMs === 0) return source
  const nowMs = cloud.now()
  return {
    *after(ordinal) {
      for (const instance of source.after(ordinal)) if (isInstanceListed(instance, nowMs)) yield instance
    },
  }
}
