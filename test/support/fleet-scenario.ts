import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import type { Fleet, FleetNode, FleetOptions } from './fleet.ts'
import { startFleet } from './fleet.ts'
import { readResource } from './fleet-resource.ts'
import type { ResourceView } from './fleet-resource.ts'

export const MINUTE = 60_000
/** Two subnets of the first zone, and the one of the second. */
export const FIRST_SUBNET = 'subnet-0000000000000f000'
export const SIBLING_SUBNET = 'subnet-0000000000000f001'
export const OTHER_ZONE_SUBNET = 'subnet-0000000000000f002'

let fleet: Fleet | undefined

/** To be called after each test. */
export async function closeFleet(): Promise<void> {
  await fleet?.close()
  fleet = undefined
}

export async function start(options: Partial<FleetOptions> = {}): Promise<Fleet> {
  fleet = await startFleet({ seed: 1, nodeCount: 3, ...options })
  return fleet
}

/** A fleet in which every node has what it wants and holds so many pods. */
export async function settled(pods: number, options: Partial<FleetOptions> = {}): Promise<Fleet> {
  const of = await start(options)
  for (const node of of.nodes.values()) of.startPods(node, pods)
  await of.advance(2_000)
  await of.converge(30_000)
  await of.advance(2_000)
  await of.assertInvariants()
  return of
}

export async function resource(of: Fleet, name: string): Promise<ResourceView> {
  const found = (await of.resources()).map(readResource).find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no CiliumNode ${name}`)
  return found
}

export async function write(of: Fleet, method: string, path: string, body: JSONObject): Promise<JSONObject> {
  const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
  return of.observer.request(method, path, { body, contentType }, new AbortController().signal)
}

export function interfacesOf(of: Fleet, { facts }: FleetNode): number {
  return of.cloud.interfaces().filter(({ instanceID }) => instanceID === facts.instanceID).length
}

/** Until the condition holds, at most so long, asked at these intervals (ms). */
export async function until(
  of: Fleet,
  withinMs: number,
  everyMs: number,
  condition: () => Promise<boolean>,
): Promise<void> {
  const endMs = of.clock.now() + withinMs
  while (!(await condition())) {
    if (of.clock.now() >= endMs) throw new Error(`not within ${withinMs / 1000} s: ${condition.toString()}`)
    await of.advance(everyMs)
  }
}
