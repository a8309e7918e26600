import type { Logger } from '../ipam/contracts.ts'
import { formatCIDR, parseCIDR } from '../ipam/ip-range.ts'
import type { LocalRouteReader } from './configuration.ts'

/** The agent's own device: its routes lead to pods. Cilium pkg/defaults/defaults.go, HostDevice. */
const HOST_DEVICE = 'cilium_host'

/**
 * Networks that the host routes elsewhere, with the text that names the route to those who are refused an address.
 *
 * Left out: routes of the agent's own device, the default route, and routes with neither source nor gateway (taken for black
 * holes). Nothing at all where the device does not exist yet or the routes cannot be read.
 *
 * @source cilium 1.6 pkg/ipam/ipam.go, reserveLocalRoutes
 */
export function conflictingRoutes(
  reader: LocalRouteReader,
  log: Logger,
): readonly { readonly cidr: string; readonly owner: string }[] {
  try {
    if (!reader.hasDevice(HOST_DEVICE)) {
      log.warn({ device: HOST_DEVICE }, 'Unable to find the host device: no local route is reserved')
      return []
    }
    return reader.listIPv4Routes().flatMap(({ dst, src, gw, dev }) => {
      const cidr = dst === undefined ? undefined : parseCIDR(dst)
      if (cidr === undefined || cidr.prefixLength === 0 || dev === HOST_DEVICE) return []
      if (src === undefined && gw === undefined) return []
      const text = formatCIDR(cidr)
      return [{ cidr: text, owner: `local route: ${text}` }]
    })
  } catch (error) {
    log.warn({ error }, 'Unable to list the routes of the host: no local route is reserved')
    return []
  }
}
