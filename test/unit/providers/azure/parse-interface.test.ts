import { describe, expect, test } from 'vitest'
import { parseInterface } from '../../../../providers/azure/parse-interface.ts'
import { configuration, GROUP, nicDocument, SUBNET } from './builders.ts'

const parsed = (...configurations: Parameters<typeof nicDocument>[1][]) =>
  parseInterface(nicDocument({}, ...configurations))?.nic

describe('the document of an interface', () => {
  test('tells its machine, its address, its subnet and what else hangs on it', () => {
    const document = nicDocument(
      { primary: true, networkSecurityGroup: { id: 'nsg' } },
      configuration('b', { privateIPAddress: '10.0.0.5', provisioningState: 'Updating' }),
    )
    expect(parseInterface(document)).toEqual({
      instanceID: `${GROUP}/Microsoft.Compute/virtualMachines/vm-0`.toLowerCase(),
      nic: {
        id: document['id'],
        name: 'vm-0-nic',
        mac: '00:0D:3A:11:22:33',
        ip: '10.0.0.4',
        isPrimary: true,
        subnet: { id: SUBNET, cidr: '' },
        securityGroup: 'nsg',
        configurations: [{ name: 'b', ip: '10.0.0.5', prefix: '', state: 'updating' }],
        primaryState: 'succeeded',
        pendingCount: 0,
      },
    })
  })

  test('without machine belongs to none, and without ID to nobody', () => {
    expect(parseInterface({ id: 'nic', properties: {} })?.instanceID).toBe('')
    expect(parseInterface({ name: 'nic' })).toBeUndefined()
  })

  test('a configuration without an address takes a slot and nothing else', () => {
    expect(parsed(configuration('b'), configuration('c', { privateIPAddress: '' }))).toMatchObject({
      configurations: [],
      pendingCount: 2,
    })
  })

  test('a missing state is no state, and a missing flag is not primary', () => {
    const [one] = parsed({ name: 'b', properties: { privateIPAddress: '10.0.0.5' } })?.configurations ?? []
    expect(one).toEqual({ name: 'b', ip: '10.0.0.5', prefix: '', state: '' })
  })

  test('what is no address is left out', () => {
    expect(parsed(configuration('b', { privateIPAddress: '10.0.0.300' }))?.configurations).toEqual([])
  })

  test('a hidden primary configuration supplies the subnet too', () => {
    expect(parsed()?.subnet.id).toBe(SUBNET)
  })

  test.each([
    { privateIPAddress: '10.0.0.16/28' },
    { privateIPAddress: '10.0.0.16', privateIPAddressPrefixLength: 28 },
    { privateIPAddress: '10.0.0.21', privateIPAddressPrefixLength: 28 },
  ])('a block is one configuration, however it is written: $privateIPAddress', (properties) => {
    expect(parsed(configuration('b', properties))?.configurations).toEqual([
      { name: 'b', ip: '10.0.0.16', prefix: '10.0.0.16/28', state: 'succeeded' },
    ])
  })

  test('an IPv6 address is kept in its one spelling', () => {
    expect(parsed(configuration('b', { privateIPAddress: 'FD00:0::5' }))?.configurations[0]?.ip).toBe('fd00::5')
  })
})
