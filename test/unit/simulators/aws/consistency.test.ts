import { describe, expect, test } from 'vitest'
import { filters, numbered, startSimulator } from './support.ts'

const delayed = (consistency: object) => startSimulator({ settings: { consistency } })

describe('eventual consistency', () => {
  test('a created interface shows up late, though actions on it succeed', async () => {
    const { create, ok, call, clock, launch, attach } = delayed({ createdInterfaceMs: 1000 })
    const { instanceID } = launch()
    const interfaceID = await create()
    await attach(interfaceID, instanceID, 1)
    const listed = async () =>
      (await ok('DescribeNetworkInterfaces', filters({ 'attachment.instance-id': instanceID }))).all(
        'networkInterfaceId',
      )
    expect(await listed()).toEqual([])
    expect((await call('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })).code).toBe(
      'InvalidNetworkInterfaceID.NotFound',
    )
    await clock.advance(1000)
    expect(await listed()).toHaveLength(2)
  })

  test('by chance an action finds a fresh interface missing', async () => {
    const { create, call, clock } = delayed({ createdInterfaceMs: 1000, notFoundProbability: 1 })
    const interfaceID = await create()
    const remove = () => call('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })
    expect((await remove()).code).toBe('InvalidNetworkInterfaceID.NotFound')
    await clock.advance(1000)
    expect((await remove()).status).toBe(200)
  })

  test('a deleted interface stays listed for a while, and cannot be used', async () => {
    const { create, ok, call, clock } = delayed({ deletedInterfaceMs: 1000 })
    const interfaceID = await create()
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })
    const listed = async () =>
      (await ok('DescribeNetworkInterfaces', filters({ status: 'available' }))).all('networkInterfaceId')
    expect(await listed()).toEqual([interfaceID])
    expect((await call('DeleteNetworkInterface', { NetworkInterfaceId: interfaceID })).code).toBe(
      'InvalidNetworkInterfaceID.NotFound',
    )
    await clock.advance(1000)
    expect(await listed()).toEqual([])
  })

  test('listings show assigned and unassigned addresses late, each change at its own time', async () => {
    const { create, ok, clock } = delayed({ addressesMs: 1000 })
    const interfaceID = await create({ PrivateIpAddress: '10.0.0.10' })
    const listed = async () =>
      (await ok('DescribeNetworkInterfaces', { 'NetworkInterfaceId.1': interfaceID })).all('primary').length
    await ok('AssignPrivateIpAddresses', {
      NetworkInterfaceId: interfaceID,
      ...numbered('PrivateIpAddress', ['10.0.0.11', '10.0.0.12']),
    })
    expect(await listed()).toBe(1)
    await clock.advance(600)
    await ok('UnassignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, 'PrivateIpAddress.1': '10.0.0.12' })
    expect(await listed()).toBe(1)
    await clock.advance(400)
    expect(await listed()).toBe(3)
    await clock.advance(600)
    expect(await listed()).toBe(2)
  })

  test('the free count of a subnet lags behind', async () => {
    const { create, free, clock, simulator } = delayed({ availableCountMs: 1000 })
    await create({ SecondaryPrivateIpAddressCount: 9 })
    expect(await free()).toBe(251)
    await clock.advance(1000)
    expect(await free()).toBe(241)
    expect(simulator.check()).toEqual([])
  })
})
