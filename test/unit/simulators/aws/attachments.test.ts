import { describe, expect, test } from 'vitest'
import { OTHER_ZONE, TINY, filters, startSimulator } from './support.ts'

describe('attaching', () => {
  test('an instance takes as many interfaces as its type allows, and the next one is refused', async () => {
    const { launch, create, attach, call, simulator } = startSimulator()
    const { instanceID } = launch('m5.large') // 3 interfaces, the primary included
    await attach(await create(), instanceID, 1)
    await attach(await create(), instanceID, 2)
    const refused = await call('AttachNetworkInterface', {
      NetworkInterfaceId: await create(),
      InstanceId: instanceID,
      DeviceIndex: 3,
    })
    expect([refused.code, refused.message]).toEqual([
      'AttachmentLimitExceeded',
      'Interface count 4 exceeds the limit for m5.large',
    ])
    expect(simulator.check()).toEqual([])
  })

  test('a device index in use is refused with the text that clients read', async () => {
    const { launch, create, attach, call } = startSimulator()
    const { instanceID } = launch('m5.xlarge')
    await attach(await create(), instanceID, 1)
    const refused = await call('AttachNetworkInterface', {
      NetworkInterfaceId: await create(),
      InstanceId: instanceID,
      DeviceIndex: 1,
    })
    expect([refused.code, refused.message]).toEqual([
      'InvalidParameterValue',
      `Instance '${instanceID}' already has an interface attached at device index '1'.`,
    ])
  })

  test('each network card counts its own indexes and interfaces', async () => {
    const { launch, create, ok, call } = startSimulator()
    const { instanceID } = launch('c6in.32xlarge') // 2 cards of 7
    const attachTo = async (card: number | undefined, deviceIndex: number) => ({
      NetworkInterfaceId: await create({ SubnetId: TINY }),
      InstanceId: instanceID,
      DeviceIndex: deviceIndex,
      ...(card === undefined ? {} : { NetworkCardIndex: card }),
    })
    const onSecond = await ok('AttachNetworkInterface', await attachTo(1, 1))
    expect(onSecond.one('networkCardIndex')).toBe('1')
    await ok('AttachNetworkInterface', await attachTo(undefined, 1))
    expect((await call('AttachNetworkInterface', await attachTo(0, 1))).code).toBe('InvalidParameterValue')
    for (let index = 2; index < 7; index++) await ok('AttachNetworkInterface', await attachTo(0, index))
    expect((await call('AttachNetworkInterface', await attachTo(0, 7))).code).toBe('AttachmentLimitExceeded')
    expect((await call('AttachNetworkInterface', await attachTo(2, 1))).code).toBe('InvalidParameterValue')
  })

  test('with the defect of 2025, an attach without card looks at the indexes of all cards', async () => {
    const { launch, create, ok, call } = startSimulator({ settings: { networkCardDefect: true } })
    const { instanceID } = launch('c6in.32xlarge')
    const request = { InstanceId: instanceID, DeviceIndex: 1 }
    await ok('AttachNetworkInterface', { ...request, NetworkInterfaceId: await create(), NetworkCardIndex: 1 })
    const loose = await create()
    const refused = await call('AttachNetworkInterface', { ...request, NetworkInterfaceId: loose })
    expect(refused.message).toContain('already has an interface attached at device index')
    await ok('AttachNetworkInterface', { ...request, NetworkInterfaceId: loose, NetworkCardIndex: 0 })
  })

  test('an interface in use, of another zone, or an instance that is gone are refused', async () => {
    const { launch, create, attach, call, ok } = startSimulator()
    const one = launch()
    const two = launch()
    const interfaceID = await create()
    await attach(interfaceID, one.instanceID, 1)
    const attachTo = (id: string, instanceID: string) =>
      call('AttachNetworkInterface', { NetworkInterfaceId: id, InstanceId: instanceID, DeviceIndex: 1 })
    const inUse = await attachTo(interfaceID, two.instanceID)
    expect([inUse.code, inUse.message]).toEqual([
      'InvalidNetworkInterface.InUse',
      `Interface: [${interfaceID}] in use.`,
    ])
    const elsewhere = await create({ SubnetId: OTHER_ZONE })
    expect((await attachTo(elsewhere, two.instanceID)).code).toBe('InvalidParameterCombination')
    const fresh = await create()
    expect((await attachTo(fresh, 'i-0000000000000dead')).code).toBe('InvalidInstanceID.NotFound')
    await ok('TerminateInstances', { 'InstanceId.1': two.instanceID })
    const gone = await attachTo(fresh, two.instanceID)
    expect(gone.message).toContain("is not 'running' or 'stopped'.")
  })

  test('a stopped instance takes interfaces', async () => {
    const { launch, create, attach, ok } = startSimulator()
    const { instanceID } = launch()
    await ok('StopInstances', { 'InstanceId.1': instanceID })
    expect(await attach(await create(), instanceID, 1)).toMatch(/^eni-attach-/)
  })

  test('the attachment is attaching for a while, then attached', async () => {
    const { launch, create, attach, ok, clock } = startSimulator({ settings: { attachMs: { min: 1000, max: 3000 } } })
    const { instanceID } = launch()
    const interfaceID = await create()
    await attach(interfaceID, instanceID, 1)
    const status = async () => {
      const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
      return listed.all('status')
    }
    expect(await status()).toEqual(['in-use', 'attaching'])
    await clock.advance(999)
    expect(await status()).toEqual(['in-use', 'attaching'])
    await clock.advance(2001)
    expect(await status()).toEqual(['in-use', 'attached'])
  })
})

describe('detaching and deleting', () => {
  test('an interface in use is not deleted; after detaching it is', async () => {
    const { launch, create, attach, ok, call, free } = startSimulator()
    const { instanceID } = launch()
    const before = await free()
    const interfaceID = await create({ SecondaryPrivateIpAddressCount: 2, Ipv6AddressCount: 0 })
    const attachmentID = await attach(interfaceID, instanceID, 1)
    const refused = await call('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })
    expect([refused.code, refused.message]).toEqual([
      'InvalidParameterValue',
      `Network interface '${interfaceID}' is currently in use.`,
    ])
    await ok('DetachNetworkInterface', { AttachmentId: attachmentID })
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })
    expect(await free()).toBe(before)
    expect((await call('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })).code).toBe(
      'InvalidNetworkInterfaceID.NotFound',
    )
  })

  test('detaching takes time: until then the interface is in use and counts for its instance', async () => {
    const { launch, create, attach, ok, call, clock, simulator } = startSimulator({
      settings: { detachMs: { min: 2000, max: 2000 } },
    })
    const { instanceID } = launch('m5.large')
    const interfaceID = await create()
    const attachmentID = await attach(interfaceID, instanceID, 1)
    await attach(await create(), instanceID, 2)
    await ok('DetachNetworkInterface', { AttachmentId: attachmentID })
    const spare = { NetworkInterfaceId: await create(), InstanceId: instanceID, DeviceIndex: 3 }
    const available = async () =>
      (await ok('DescribeNetworkInterfaces', filters({ status: 'available' }))).all('networkInterfaceId')
    expect((await call('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })).code).toBe(
      'InvalidParameterValue',
    )
    expect((await call('AttachNetworkInterface', spare)).code).toBe('AttachmentLimitExceeded')
    expect(await available()).toEqual([spare.NetworkInterfaceId])
    await clock.advance(2000)
    expect(await available()).toEqual([interfaceID, spare.NetworkInterfaceId])
    await ok('AttachNetworkInterface', spare)
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })
    expect(simulator.check()).toEqual([])
  })

  test('a forced detachment is done at once', async () => {
    const { launch, create, attach, ok } = startSimulator({ settings: { detachMs: { min: 2000, max: 2000 } } })
    const { instanceID } = launch()
    const interfaceID = await create()
    await ok('DetachNetworkInterface', { AttachmentId: await attach(interfaceID, instanceID, 1), Force: true })
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })
  })

  test('the primary interface cannot be detached', async () => {
    const { launch, call, ok } = startSimulator()
    const { interfaceID } = launch()
    const listed = await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })
    const refused = await call('DetachNetworkInterface', { AttachmentId: listed.one('attachmentId') })
    expect([refused.code, refused.message]).toEqual([
      'OperationNotPermitted',
      'The network interface at device index 0 and networkCard index 0 cannot be detached.',
    ])
  })

  test('an unknown attachment is not found', async () => {
    const { call, create } = startSimulator()
    const unknown = 'eni-attach-0000000000000dead'
    expect((await call('DetachNetworkInterface', { AttachmentId: unknown })).code).toBe('InvalidAttachmentID.NotFound')
    const modify = {
      NetworkInterfaceId: await create(),
      'Attachment.AttachmentId': unknown,
      'Attachment.DeleteOnTermination': true,
    }
    expect((await call('ModifyNetworkInterfaceAttribute', modify)).code).toBe('InvalidAttachmentID.NotFound')
  })
})

describe('termination', () => {
  test('takes interfaces with DeleteOnTermination along and leaves the others loose', async () => {
    const { launch, create, attach, ok, simulator, free } = startSimulator()
    const before = await free()
    const { instanceID, interfaceID: primary } = launch()
    const kept = await create()
    const deleted = await create()
    await attach(kept, instanceID, 1)
    const attachmentID = await attach(deleted, instanceID, 2)
    const listed = await ok('DescribeNetworkInterfaces', filters({ 'attachment.instance-id': instanceID }))
    expect(listed.all('deleteOnTermination')).toEqual(['true', 'false', 'false'])
    await ok('ModifyNetworkInterfaceAttribute', {
      NetworkInterfaceId: deleted,
      'Attachment.AttachmentId': attachmentID,
      'Attachment.DeleteOnTermination': true,
    })
    const answer = await ok('TerminateInstances', { 'InstanceId.1': instanceID })
    expect(answer.all('name')).toEqual(['running', 'terminated'])
    const left = await ok('DescribeNetworkInterfaces')
    expect(left.all('networkInterfaceId')).toEqual([kept])
    expect(left.one('status')).toBe('available')
    expect(left.xml).not.toContain(primary)
    expect(await free()).toBe(before - 1)
    expect(simulator.check()).toEqual([])
  })

  test('a terminated instance stays listed for an hour', async () => {
    const { launch, ok, clock } = startSimulator({ settings: { terminateMs: 5000 } })
    const { instanceID } = launch()
    await ok('TerminateInstances', { 'InstanceId.1': instanceID })
    const states = async () => (await ok('DescribeInstances')).all('name')
    expect(await states()).toEqual(['shutting-down'])
    await clock.advance(5000)
    expect(await states()).toEqual(['terminated'])
    await clock.advance(3_600_000)
    expect(await states()).toEqual([])
  })
})
