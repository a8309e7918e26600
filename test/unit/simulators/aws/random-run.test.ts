import { expect, test } from 'vitest'
import { randomInteger, seededRandom } from '../../../../simulators/kit/random.ts'
import { SUBNET, TINY, filters, startSimulator } from './support.ts'

const SEEDS = Array.from({ length: 12 }, (_, index) => index + 1)
const STEPS = 250

/** Errors that a client which guesses may meet; anything else is a defect of the simulator. */
const EXPECTED = new Set([
  'AttachmentLimitExceeded',
  'InsufficientCidrBlocks',
  'InsufficientFreeAddressesInSubnet',
  'InvalidAttachmentID.NotFound', // a detachment that was due is done
  'InvalidInterface.IpAddressLimitExceeded',
  'InvalidNetworkInterface.InUse',
  'InvalidParameterValue',
  'OperationNotPermitted',
  'PrivateIpAddressLimitExceeded',
])

test.each(SEEDS)('whatever is called in whatever order, the account stays sound (seed %i)', async (seed) => {
  const random = seededRandom(seed)
  const started = startSimulator({
    seed,
    settings: { attachMs: { min: 0, max: 3000 }, detachMs: { min: 0, max: 3000 }, consistency: { addressesMs: 500 } },
  })
  const { call, clock, launch, simulator, control } = started
  const { cloud } = simulator
  const pick = <T>(items: readonly T[]): T | undefined => items[randomInteger(random, Math.max(1, items.length))]
  const interfaces = () => [...cloud.interfaces.existing()]
  const steps: (() => Promise<{ code: string | undefined } | undefined>)[] = [
    async () => {
      if (cloud.instances.size < 6) launch(pick(['m5.large', 't3.medium', 'm5.xlarge']), SUBNET)
      return undefined
    },
    () =>
      call('CreateNetworkInterface', {
        SubnetId: pick([SUBNET, SUBNET, TINY])!,
        ...(random.next() < 0.4
          ? { Ipv4PrefixCount: 1 }
          : { SecondaryPrivateIpAddressCount: randomInteger(random, 4) }),
      }),
    async () => {
      const iface = pick(interfaces())
      const instance = pick([...cloud.instances].filter((one) => one.phase.name !== 'terminating'))
      if (iface === undefined || instance === undefined) return undefined
      return call('AttachNetworkInterface', {
        NetworkInterfaceId: iface.id,
        InstanceId: instance.id,
        DeviceIndex: randomInteger(random, 4),
      })
    },
    async () => {
      const iface = pick(interfaces())
      if (iface === undefined) return undefined
      const count =
        random.next() < 0.4 ? { Ipv4PrefixCount: 1 } : { SecondaryPrivateIpAddressCount: 1 + randomInteger(random, 5) }
      return call('AssignPrivateIpAddresses', { NetworkInterfaceId: iface.id, ...count })
    },
    async () => {
      const iface = pick(interfaces().filter((one) => one.addresses.ipv4.length > 1))
      if (iface === undefined) return undefined
      const listed = await call('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': iface.id })
      return call('UnassignPrivateIpAddresses', {
        NetworkInterfaceId: iface.id,
        'PrivateIpAddress.1': pick(listed.all('privateIpAddress'))!,
      })
    },
    async () => {
      const iface = pick(interfaces().filter((one) => one.addresses.ipv4Prefixes.length > 0))
      if (iface === undefined) return undefined
      const listed = await call('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': iface.id })
      const prefix = pick(listed.all('ipv4Prefix'))
      if (prefix === undefined) return undefined
      return call('UnassignPrivateIpAddresses', { NetworkInterfaceId: iface.id, 'Ipv4Prefix.1': prefix })
    },
    async () => {
      const attachment = pick(interfaces().flatMap((iface) => iface.attachment ?? []))
      return attachment === undefined ? undefined : call('DetachNetworkInterface', { AttachmentId: attachment.id })
    },
    async () => {
      const iface = pick(interfaces())
      return iface === undefined ? undefined : call('DeleteNetworkInterface', { NetworkInterfaceId: iface.id })
    },
    async () => {
      const instance = pick([...cloud.instances])
      if (instance === undefined || random.next() < 0.7) return undefined
      return call('TerminateInstances', { 'InstanceId.1': instance.id })
    },
    async () => {
      await clock.advance(randomInteger(random, 2000))
      return undefined
    },
  ]
  for (let step = 0; step < STEPS; step++) {
    const answer = await pick(steps)!()
    if (answer?.code !== undefined) expect(EXPECTED).toContain(answer.code)
    expect(simulator.check()).toEqual([])
  }
  await clock.advance(10_000)
  const listed = await started.ok('DescribeNetworkInterfaces', filters({ status: 'available' }))
  const loose = interfaces().filter((iface) => iface.attachment === undefined)
  expect([...listed.all('networkInterfaceId')].sort()).toEqual(loose.map((iface) => iface.id).sort())
  // What is saved can be loaded, and is the same again.
  const { body: world } = await control('GET', '/_berth/state')
  expect((await control('PUT', '/_berth/state', world)).status).toBe(200)
  expect((await control('GET', '/_berth/state')).body).toEqual(world)
  expect(simulator.check()).toEqual([])
})

test('the same seed and calls give the same account', async () => {
  const run = async (seed: number) => {
    const { create, launch, ok, control } = startSimulator({ seed })
    const { interfaceID } = launch()
    await create({ SecondaryPrivateIpAddressCount: 3 })
    await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, SecondaryPrivateIpAddressCount: 2 })
    return (await control('GET', '/_berth/state')).body
  }
  expect(await run(1)).toEqual(await run(1))
  expect(await run(1)).not.toEqual(await run(2))
})
