import { describe, expect, test } from 'vitest'
import { SUBNET, TINY, filters, startSimulator } from './support.ts'
import type { Parameters } from './support.ts'

const reserving = (cidr: string, type = 'prefix', parameters: Parameters = {}): Parameters => ({
  SubnetId: SUBNET,
  Cidr: cidr,
  ReservationType: type,
  ...parameters,
})

describe('a CIDR reservation', () => {
  test('is described as it was made, found by filter, and gone when deleted', async () => {
    const { ok, call } = startSimulator()
    const made = await ok(
      'CreateSubnetCidrReservation',
      reserving('10.0.0.64/26', 'prefix', {
        Description: 'pods',
        'TagSpecification.1.ResourceType': 'subnet-cidr-reservation',
        'TagSpecification.1.Tag.1.Key': 'use',
        'TagSpecification.1.Tag.1.Value': 'pods',
      }),
    )
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.128/28', 'explicit'))
    const id = made.one('subnetCidrReservationId')
    expect(id).toMatch(/^scr-[0-9a-f]{17}$/)
    expect([made.one('cidr'), made.one('reservationType'), made.one('description')]).toEqual([
      '10.0.0.64/26',
      'prefix',
      'pods',
    ])
    const listed = async (given: Parameters = {}) =>
      (await ok('GetSubnetCidrReservations', { SubnetId: SUBNET, ...given })).all('cidr')
    expect(await listed()).toEqual(['10.0.0.64/26', '10.0.0.128/28'])
    expect(await listed(filters({ reservationType: 'explicit' }))).toEqual(['10.0.0.128/28'])
    expect(await listed(filters({ 'tag:use': 'pods' }))).toEqual(['10.0.0.64/26'])
    const gone = await ok('DeleteSubnetCidrReservation', { SubnetCidrReservationId: id })
    expect(gone.one('cidr')).toBe('10.0.0.64/26')
    expect(await listed()).toEqual(['10.0.0.128/28'])
    const again = await call('DeleteSubnetCidrReservation', { SubnetCidrReservationId: id })
    expect(again.code).toBe('InvalidSubnetCidrReservationID.NotFound')
  })

  test.each([
    ['outside of the subnet', reserving('10.0.1.0/28'), 'InvalidParameterValue'],
    ['larger than the subnet', reserving('10.0.0.0/23'), 'InvalidParameterValue'],
    ['not aligned', reserving('10.0.0.65/28'), 'InvalidParameterValue'],
    ['overlapping another', reserving('10.0.0.192/28'), 'InvalidParameterValue'],
    ['for prefixes, smaller than one', reserving('10.0.0.64/29'), 'InvalidParameterValue'],
    ['of another type', reserving('10.0.0.64/28', 'other'), 'InvalidParameterValue'],
    ['without type', { SubnetId: SUBNET, Cidr: '10.0.0.64/28' }, 'MissingParameter'],
    [
      'of an unknown subnet',
      reserving('10.0.0.64/28', 'prefix', { SubnetId: 'subnet-0000000000000dead' }),
      'InvalidSubnetID.NotFound',
    ],
    ['of IPv6', reserving('2600:1f13:a:b:1::/80'), 'NotImplemented'],
  ])('%s is refused', async (_what, parameters, code) => {
    const { ok, call, free, simulator } = startSimulator()
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.192/26', 'explicit'))
    const before = await free()
    expect((await call('CreateSubnetCidrReservation', parameters)).code).toBe(code)
    expect(await free()).toBe(before)
    expect(simulator.check()).toEqual([])
  })

  test('lowers the free count by what is unused of it, and gives just that back', async () => {
    const { ok, create, free, simulator } = startSimulator()
    await create({ PrivateIpAddress: '10.0.0.66' })
    const before = await free()
    const made = await ok('CreateSubnetCidrReservation', reserving('10.0.0.64/26', 'explicit'))
    expect(await free()).toBe(before - 63)
    await create({ PrivateIpAddress: '10.0.0.70' }) // by name, out of the range: nothing more of the free ones
    expect(await free()).toBe(before - 63)
    await ok('DeleteSubnetCidrReservation', { SubnetCidrReservationId: made.one('subnetCidrReservationId') })
    expect(await free()).toBe(before - 1)
    expect(simulator.check()).toEqual([])
  })

  test('that takes in the addresses of the service counts them once', async () => {
    const { ok, free, simulator } = startSimulator()
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.0/25', 'explicit'))
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.128/25', 'explicit'))
    expect(await free()).toBe(0)
    expect(simulator.check()).toEqual([])
  })

  test.each(['random', 'lowest'] as const)(
    'keeps its addresses from the choice of the service (%s)',
    async (choice) => {
      const { ok, call, create, free, simulator } = startSimulator({ settings: { addressChoice: choice } })
      await ok('CreateSubnetCidrReservation', reserving('10.0.0.0/25', 'explicit'))
      const interfaceID = await create({ PrivateIpAddress: '10.0.0.4' })
      expect(await free()).toBe(127)
      const assigned = await ok('AssignPrivateIpAddresses', {
        NetworkInterfaceId: interfaceID,
        SecondaryPrivateIpAddressCount: 127,
      })
      expect(assigned.all('privateIpAddress').every((address) => Number(address.split('.')[3]) >= 128)).toBe(true)
      const refused = await call('CreateNetworkInterface', { SubnetId: SUBNET })
      expect(refused.code).toBe('InsufficientFreeAddressesInSubnet')
      await create({ PrivateIpAddress: '10.0.0.5' })
      expect(simulator.check()).toEqual([])
    },
  )

  test('for prefixes keeps blocks whole: they are found in a subnet that is full and fragmented otherwise', async () => {
    const { ok, call, control, create, free, simulator } = startSimulator()
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.224/27'))
    await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, fragment: true })
    await control('POST', '/_berth/state/occupy', { subnetId: SUBNET, leaveFree: 2 })
    expect(await free()).toBe(2)
    // The last block holds the service's own last address: one block is left of the two.
    const made = await ok('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })
    expect(made.all('ipv4Prefix')).toEqual(['10.0.0.224/28'])
    expect(await free()).toBe(1) // the primary address is an ordinary one
    const full = await call('CreateNetworkInterface', { SubnetId: SUBNET, Ipv4PrefixCount: 1 })
    expect([full.code, full.message]).toEqual([
      'InvalidParameterValue',
      "There aren't sufficient free Ipv4 addresses or prefixes",
    ])
    await create()
    expect(simulator.check()).toEqual([])
    await ok('DeleteNetworkInterface', { NetworkInterfaceId: made.one('networkInterfaceId') })
    expect(await free()).toBe(1)
    expect(simulator.check()).toEqual([])
  })

  test('for prefixes is used up before the rest of the subnet', async () => {
    const { ok, create } = startSimulator()
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.96/28'))
    const interfaceID = await create()
    const assigned = await ok('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: 2 })
    expect(assigned.all('ipv4Prefix')[0]).toBe('10.0.0.96/28')
    expect(assigned.all('ipv4Prefix')[1]).not.toBe('10.0.0.96/28')
  })

  test('is part of the world: saved, loaded, and refused where it is wrong', async () => {
    const { ok, control, free, simulator } = startSimulator()
    await ok('CreateSubnetCidrReservation', reserving('10.0.0.64/26', 'explicit'))
    const before = await free()
    const { body: world } = await control('GET', '/_berth/state')
    await control('POST', '/_berth/reset')
    expect(await free()).toBe(251)
    expect((await control('PUT', '/_berth/state', world)).status).toBe(200)
    expect(await free()).toBe(before)
    expect(simulator.check()).toEqual([])
    const wrong = { ...world, subnetCidrReservations: [{ subnetId: TINY, cidr: '10.0.0.0/28', reservationType: 'no' }] }
    const refused = await control('PUT', '/_berth/state', wrong)
    expect([refused.status, JSON.stringify(refused.body.faults)]).toEqual([
      400,
      expect.stringContaining('reservationType must be one of prefix, explicit'),
    ])
  })
})
