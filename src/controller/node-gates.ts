import { dueCIDRs } from '../ipam/cidr-release.ts'
import type { NodeState } from '../ipam/node-state.ts'
import { maintenanceGates } from '../ipam/plan-maintenance.ts'
import type { SeenResource } from '../ipam/seen-resource.ts'
import type { ControllerConfig } from './options.ts'

/** Whether a pass has something to do for a node of this state. */
export function gatesOf(
  { statistics, resourceStates, cidrs, staleSinceMs }: NodeState,
  { demand }: SeenResource,
  config: ControllerConfig,
  nowMs: number,
): ReturnType<typeof maintenanceGates> {
  return maintenanceGates({
    isWaiting: false,
    isStale: staleSinceMs !== undefined,
    neededIPs: statistics.ipv4.neededIPs,
    neededIPv6Prefixes: statistics.ipv6.neededPrefixes,
    staticIPTagCount: Object.keys(demand.spec.ipam.staticIPTags).length,
    assignedStaticIP: statistics.assignedStaticIP,
    releaseEnabled: config.releaseExcessIPs,
    excessIPs: statistics.ipv4.excessIPs,
    releaseEntryCount: resourceStates.size,
    dueCIDRCount: dueCIDRs(cidrs, nowMs, config.excessIPReleaseDelayMs).length,
    profile: config.profile,
  })
}
