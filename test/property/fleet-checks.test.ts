import { afterEach, describe, expect, test } from 'vitest'
import type { NetworkInterface, Subnet } from '../../simulators/aws/cloud/types.ts'
import { makeInterface } from '../../simulators/aws/cloud/interfaces.ts'
import { CILIUM_NODES_PATH } from '../../simulators/kubernetes/index.ts'
import type { JSONObject } from '../../simulators/kubernetes/index.ts'
import type { Fleet, FleetNode, FleetOptions } from '../support/fleet.ts'
import { startFleet } from '../support/fleet.ts'
import { randomRun } from '../support/fleet-run.ts'
import type { TimedStep } from '../support/fleet-steps.ts'
import { FleetViolation } from '../support/fleet-violation.ts'

/** Each check of the simulation is shown to fire: a sound world is broken by hand, and the check must say so and nothing else. */

let fleet: Fleet | undefined

afterEach(async () => {
  await fleet?.close()
  fleet = undefined
})

async function settledFleet(options: Partial<FleetOptions> = {}): Promise<Fleet> {
  fleet = await startFleet({ seed: 1, nodeCount: 3, ...options })
  for (const node of fleet.nodes.values()) fleet.startPods(node, 4)
  await fleet.advance(2_000)
  await fleet.converge(30_000)
  await fleet.assertInvariants()
  return fleet
}

/** The violations that are found, by kind. */
async function kindsFound(of: Fleet): Promise<readonly string[]> {
  const error: unknown = await of.assertInvariants().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error === undefined) return []
  if (!(error instanceof FleetViolation)) throw error
  return [...new Set(error.violations.map((text) => text.split(':', 1)[0]!))].sort()
}

/** A call of somebody else to EC2. */
async function callEC2(of: Fleet, action: string, parameters: Readonly<Record<string, string>>): Promise<void> {
  const body = new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters }).toString()
  const headers = { authorization: 'AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/ec2/aws4_request' }
  const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body }
  const answered = of.cloud.ec2.router(request, new AbortController().signal)
  await of.clock.advance(1_000)
  const { status, body: text } = await answered
  if (status !== 200) throw new Error(`${action} was answered ${status}: ${JSON.stringify(text)}`)
}

async function patch(of: Fleet, node: FleetNode, body: JSONObject): Promise<void> {
  const path = `${CILIUM_NODES_PATH}/${node.facts.name}`
  const contentType = 'application/merge-patch+json'
  await of.observer.request('PATCH', path, { body, contentType }, new AbortController().signal)
}

function interfacesOf(of: Fleet, { facts }: FleetNode): readonly string[] {
  return of.cloud
    .interfaces()
    .filter(({ instanceID }) => instanceID === facts.instanceID)
    .map(({ id }) => id)
}

/** Plays the steps; after so many of them nobody serves the first node any more, and pods go on coming to it. */
async function playForgetting(of: Fleet, steps: readonly TimedStep[], before: number): Promise<void> {
  for (const [index, { thenMs, ...step }] of steps.entries()) {
    const node = of.node(0)!
    if (index === before) await patch(of, node, { metadata: { annotations: { 'ipam.cilium.io/ignore': 'true' } } })
    if (index >= before) of.startPods(node, 2)
    await of.apply(step)
    await of.advance(thenMs)
    await of.assertInvariants()
  }
}

/** An interface of somebody else with so many secondary addresses (count). */
function looseInterface(of: Fleet, subnet: Subnet, addressCount: number): NetworkInterface {
  return makeInterface(of.cloud.ec2.cloud, {
    subnet,
    interfaceType: 'interface',
    description: '',
    groups: [],
    tags: new Map(),
    primary: undefined,
    ipv4: { addresses: [], addressCount, prefixes: [], prefixCount: 0 },
    ipv6: { addressCount: 0, prefixCount: 0 },
  })
}

describe('the check for', () => {
  test('an address on two interfaces', async () => {
    const of = await settledFleet()
    const [one, other] = [...of.cloud.ec2.cloud.interfaces.existing()]
    other!.addresses = { ...other!.addresses, ipv4: [...other!.addresses.ipv4, one!.addresses.ipv4[1]!] }
    expect(await kindsFound(of)).toContain('address-on-two-interfaces')
  })

  test('an address that a pod holds and that is taken from its interface', async () => {
    const of = await settledFleet()
    const [holding] = [...of.node(0)!.agent.agent.ipam.holdings()]
    const { interfaceID, address } = holding!
    await callEC2(of, 'UnassignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      'PrivateIpAddress.1': address,
    })
    expect(await kindsFound(of)).toEqual(['address-in-use-not-attached'])
  })

  test('an interface that is detached while pods use its addresses', async () => {
    const of = await settledFleet()
    const node = of.node(0)!
    of.startPods(node, 12)
    await of.advance(3_000)
    await of.converge(30_000)
    const attachment = [...of.cloud.ec2.cloud.interfaces.existing()].find(
      (iface) => iface.attachment?.instance.id === node.facts.instanceID && iface.attachment.deviceIndex > 0,
    )!.attachment!
    await callEC2(of, 'DetachNetworkInterface', { AttachmentId: attachment.id, Force: 'true' })
    expect(await kindsFound(of)).toEqual(['address-in-use-not-attached'])
  })

  test('an interface with more addresses than its type takes', async () => {
    const of = await settledFleet()
    const iface = of.cloud.ec2.cloud.interfaces.get(interfacesOf(of, of.node(0)!)[0]!)!
    const last = iface.addresses.ipv4.at(-1)!
    const more = Array.from({ length: 9 }, (_, index) => last + 100 + index)
    iface.addresses = { ...iface.addresses, ipv4: [...iface.addresses.ipv4, ...more] }
    expect(await kindsFound(of)).toContain('interface-above-its-slots')
  })

  test('an instance with more interfaces than its type takes', async () => {
    const of = await settledFleet()
    const { cloud } = of.cloud.ec2
    const instance = cloud.instance(of.node(0)!.facts.instanceID)
    for (const deviceIndex of [5, 6, 7]) {
      const iface = looseInterface(of, instance.subnet, 0)
      const attachTime = of.clock.wallTime()
      iface.attachment = {
        id: `eni-attach-${deviceIndex}`,
        instance,
        deviceIndex,
        networkCardIndex: 0,
        attachTime,
        attachedAtMs: 0,
        deleteOnTermination: true,
        detachedAtMs: undefined,
      }
      cloud.interfaces.attached(iface, iface.attachment.id, instance)
    }
    expect(await kindsFound(of)).toEqual(['cloud-instance-adapters', 'instance-above-its-interfaces'])
  })

  test('a node above its max-allocate', async () => {
    const of = await settledFleet({ specs: [{ 'max-allocate': 9, 'min-allocate': 9 }] })
    const { cloud } = of.cloud.ec2
    const instance = cloud.instance(of.node(0)!.facts.instanceID)
    const iface = looseInterface(of, instance.subnet, 1)
    await callEC2(of, 'AttachNetworkInterface', {
      NetworkInterfaceId: iface.id,
      InstanceId: instance.id,
      DeviceIndex: '2',
    })
    expect(await kindsFound(of)).toEqual(['node-above-max-allocate'])
  })

  test('an interface of ours that nobody tracks', async () => {
    const of = await settledFleet()
    const { facts } = of.node(0)!
    await callEC2(of, 'CreateNetworkInterface', {
      SubnetId: facts.subnetID,
      Description: `Cilium-CNI (${facts.instanceID})`,
    })
    await of.advance(600_000)
    expect(await kindsFound(of)).toEqual([])
    await of.advance(400_000)
    expect(await kindsFound(of)).toEqual(['interface-left-behind'])
  })

  test('fields of another tool that are gone', async () => {
    const of = await settledFleet()
    await of.apply({ kind: 'foreignEdit', node: 0, value: 7 })
    await of.advance(1_000)
    expect(await kindsFound(of)).toEqual([])
    await patch(of, of.node(0)!, { spec: { encryption: { key: 9 } } })
    expect(await kindsFound(of)).toEqual(['foreign-fields-overwritten'])
  })

  test('a node that waits although nothing stands in its way', async () => {
    const of = await settledFleet()
    await patch(of, of.node(0)!, { metadata: { annotations: { 'ipam.cilium.io/ignore': 'true' } } })
    await of.advance(6_000) // a conflict may excuse it before
    of.startPods(of.node(0)!, 8)
    of.startPods(of.node(1)!, 8)
    await of.advance(4_000)
    expect(await kindsFound(of)).toEqual(['node-waits-idle'])
  })

  test('a node that waits for the trouble of another one', async () => {
    const of = await settledFleet()
    await of.advance(6_000)
    await of.apply({ kind: 'ec2Fault', fault: 'no connection', probability: 1, count: 100, forMs: 60_000, node: 1 })
    await patch(of, of.node(0)!, { metadata: { annotations: { 'ipam.cilium.io/ignore': 'true' } } })
    of.startPods(of.node(0)!, 8)
    of.startPods(of.node(1)!, 8)
    await of.advance(9_000)
    const error = await of.assertInvariants().catch((reason: unknown) => reason as FleetViolation)
    expect((error as FleetViolation).violations).toHaveLength(1)
    expect((error as FleetViolation).violations[0]).toMatch(/^node-waits-idle: node-1 /)
  })

  test('a node that is forgotten in the middle of faults', { timeout: 120_000 }, async () => {
    /** Steps before the node is forgotten (count). */
    const before = 20
    const told: string[] = []
    // A run may end before its faults leave the node without an excuse.
    for (let seed = 1; seed <= 8 && told.length < 2; seed++) {
      const { options, steps } = randomRun(seed, 60)
      const of = (fleet = await startFleet(options))
      const error: unknown = await playForgetting(of, steps, before).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      await of.close()
      fleet = undefined
      if (error !== undefined && !(error instanceof FleetViolation)) throw error
      if (error !== undefined) told.push(...new Set(error.violations.map((text) => text.split(':', 1)[0]!)))
    }
    expect(told).toEqual(['node-waits-idle', 'node-waits-idle'])
  })

  test('a fleet that does not get what it wants', async () => {
    const of = await settledFleet()
    of.kill()
    of.startPods(of.node(0)!, 12)
    await of.advance(2_000)
    await expect(of.converge(10_000)).rejects.toThrow(/^not-converged: within 10 s/)
  })

  test('a process that does not end', async () => {
    const of = await settledFleet()
    const [process] = of.processes
    process!.handle!.stop = () => new Promise(() => undefined)
    process!.terminate()
    await of.advance(15_000)
    expect(await kindsFound(of)).toEqual(['stuck-process'])
    Object.assign(process!, { kill: () => undefined })
  })
})
