import { forgetTerminated, instanceState, isInstanceListed, listedInstance } from '../cloud/instances.ts'
import type { Instance } from '../cloud/types.ts'
import type { FilterTable } from '../filters.ts'
import { listPage } from '../listing.ts'
import { operation } from '../operation.ts'
import { filterField, flag, id, integer, list, required, text } from '../wire/parameters.ts'
import type { XMLObject } from '../wire/xml.ts'

const FILTERS: FilterTable<Instance> = {
  'availability-zone': (instance) => instance.subnet.availabilityZone,
  'instance-state-name': (instance, nowMs) => instanceState(instance, nowMs).name,
  'instance-state-code': (instance, nowMs) => String(instanceState(instance, nowMs).code),
  'instance-status.status': (instance, nowMs) => checksOf(instance, nowMs).status,
  'system-status.status': (instance, nowMs) => checksOf(instance, nowMs).status,
}

/** Running instances only, unless all are asked for. The checks of a running instance are passed at once. */
export const describeInstanceStatus = operation({
  action: 'DescribeInstanceStatus',
  changes: false,
  parameters: {
    InstanceId: list(required(id('instance'))),
    IncludeAllInstances: flag(),
    Filter: filterField,
    MaxResults: integer({ min: 0 }),
    NextToken: text(),
  },
  execute(cloud, parameters) {
    forgetTerminated(cloud)
    const nowMs = cloud.now()
    const isShown = (instance: Instance): boolean =>
      isInstanceListed(instance, nowMs) &&
      (parameters.IncludeAllInstances === true || instanceState(instance, nowMs).name === 'running')
    const { items, nextToken } = listPage(
      parameters,
      {
        action: 'DescribeInstanceStatus',
        filters: FILTERS,
        pageSize: { min: 5, max: 1000 },
        ids: {
          parameter: 'instancesSet',
          values: parameters.InstanceId,
          find: (instanceID) => listedInstance(cloud, instanceID),
        },
        candidates: () => ({
          *after(ordinal) {
            for (const instance of cloud.instances.ordered.after(ordinal)) if (isShown(instance)) yield instance
          },
        }),
        shortPages: cloud.settings.shortPages,
      },
      nowMs,
    )
    return { instanceStatusSet: items.filter(isShown).map((instance) => presentStatus(instance, nowMs)), nextToken }
  },
})

function presentStatus(instance: Instance, nowMs: number): XMLObject {
  const { code, name } = instanceState(instance, nowMs)
  const checks = checksOf(instance, nowMs)
  const summary = {
    status: checks.status,
    details: checks.result === undefined ? [] : [{ name: 'reachability', status: checks.result }],
  }
  return {
    instanceId: instance.id,
    availabilityZone: instance.subnet.availabilityZone,
    instanceState: { code, name },
    systemStatus: summary,
    instanceStatus: summary,
  }
}

function checksOf(instance: Instance, nowMs: number): { readonly status: string; readonly result?: string } {
  const state = instanceState(instance, nowMs).name
  if (state === 'running') return { status: 'ok', result: 'passed' }
  if (state === 'pending') return { status: 'initializing', result: 'initializing' }
  return { status: 'not-applicable' }
}
