import { parseARMPath } from '../cloud/arm-id.ts'
import type { ARMPath } from '../cloud/arm-id.ts'
import type { Operation } from '../operation.ts'
import { INTERFACES } from './interfaces.ts'
import { POLLING } from './polling.ts'
import { PUBLIC_IPS } from './public-ips.ts'
import { SCALE_SETS } from './scale-sets.ts'
import { SCALE_SET_INTERFACES } from './scale-set-interfaces.ts'
import { VIRTUAL_MACHINES } from './virtual-machines.ts'
import { VIRTUAL_NETWORKS } from './virtual-networks.ts'

/** Every operation by its route, lower-cased: method, scope, types, a star for each name. */
const ROUTES: ReadonlyMap<string, Operation> = new Map(
  [INTERFACES, POLLING, PUBLIC_IPS, SCALE_SETS, SCALE_SET_INTERFACES, VIRTUAL_MACHINES, VIRTUAL_NETWORKS].flatMap(
    (list) => list.map(([route, operation]) => [route.toLowerCase(), operation] as const),
  ),
)

export interface Routed {
  readonly path: ARMPath
  /** Undefined for what the simulator lacks. */
  readonly operation: Operation | undefined
}

/** Finds the operation of a request; letter case does not count. @returns undefined for what is no path of Resource Manager */
export function routeOf(method: string, rawPath: string): Routed | undefined {
  const path = parseARMPath(rawPath)
  if (path === undefined) return undefined
  const { namespace, types, names, resourceGroup } = path
  const shape = types.map((type, index) => (index < names.length ? `${type}/*` : type)).join('/')
  const scope = resourceGroup === undefined ? 'subscription' : 'group'
  return { path, operation: ROUTES.get(`${method} ${scope} ${namespace ?? ''}/${shape}`.toLowerCase()) }
}

export { ROUTES as OPERATIONS }
