import { describe, expect, test } from 'vitest'
import {
  decodeAzureSpec,
  decodeAzureStatus,
  encodeAzureStatus,
  encodeInterface,
} from '../../../../providers/azure/status-codec.ts'
import { address, block, nicOf, SCALE_SET_NIC, SUBNET } from './builders.ts'

const nic = nicOf({
  securityGroup: 'nsg',
  configurations: [address('10.0.0.20'), address('10.0.0.9'), address('10.0.0.10', { state: '' })],
})

describe('the status of an interface', () => {
  test('has what agents of every generation read, addresses by their value', () => {
    expect(encodeInterface(nic, { usePrimaryAddress: false, withMirrors: true })).toEqual({
      id: SCALE_SET_NIC,
      name: 'np1',
      mac: '00:0D:3A:11:22:33',
      ip: '10.0.0.4',
      subnet: { id: SUBNET, cidr: '10.0.0.0/16' },
      addresses: [
        { ip: '10.0.0.9', state: 'succeeded', subnet: SUBNET },
        { ip: '10.0.0.10', subnet: SUBNET },
        { ip: '10.0.0.20', state: 'succeeded', subnet: SUBNET },
      ],
      'security-group': 'nsg',
      gateway: '10.0.0.1',
      GatewayIP: '10.0.0.1',
      cidr: '10.0.0.0/16',
    })
  })

  test('leaves the old fields out for agents that do not know them (46074)', () => {
    const encoded = encodeInterface(nic, { usePrimaryAddress: false, withMirrors: false })
    expect(encoded).not.toHaveProperty('cidr')
    expect(encoded).not.toHaveProperty('GatewayIP')
    expect(JSON.stringify(encoded['addresses'])).not.toContain('subnet')
    expect(encoded).toMatchObject({ gateway: '10.0.0.1', subnet: { cidr: '10.0.0.0/16' } })
  })

  test('has the primary address among those of pods only where they may use it', () => {
    const of = (usePrimaryAddress: boolean) =>
      JSON.stringify(encodeInterface(nicOf(), { usePrimaryAddress, withMirrors: false })['addresses'])
    expect(of(true)).toContain('10.0.0.4')
    expect(of(false)).toBeUndefined()
  })

  test('has an empty gateway while the subnet is not known', () => {
    const encoded = encodeInterface(nicOf({ subnet: { id: SUBNET, cidr: '' } }), {
      usePrimaryAddress: false,
      withMirrors: true,
    })
    expect(encoded).toMatchObject({ gateway: '', GatewayIP: '', subnet: { id: SUBNET } })
    expect(encoded).not.toHaveProperty('cidr')
  })

  test('lists a block address by address', () => {
    const encoded = encodeInterface(nicOf({ configurations: [block('10.0.0.16/28')] }), {
      usePrimaryAddress: false,
      withMirrors: false,
    })
    expect(encoded['addresses']).toHaveLength(16)
  })
})

test('interfaces come by ID, and none is an empty list', () => {
  const view = { usePrimaryAddress: false, withMirrors: false }
  const status = encodeAzureStatus([nicOf({ id: 'b' }), nicOf({ id: 'a' })], view)
  expect(status['interfaces']).toMatchObject([{ id: 'a' }, { id: 'b' }])
  expect(encodeAzureStatus([], view)).toEqual({ interfaces: [] })
})

describe('a status that is read back', () => {
  test.each([true, false])('is the same again, primary address open: %s', (usePrimaryAddress) => {
    const view = { usePrimaryAddress, withMirrors: true }
    const status = encodeAzureStatus([nic], view)
    const restored = [...decodeAzureStatus(status).values()]
    expect(encodeAzureStatus(restored, view)).toEqual(status)
    expect(restored[0]?.configurations.map(({ ip }) => ip)).toEqual(['10.0.0.9', '10.0.0.10', '10.0.0.20'])
  })

  test('of an older controller has its subnet in the old places', () => {
    const [restored] = decodeAzureStatus({
      interfaces: [
        { id: 'a', cidr: '10.0.0.0/16', addresses: [{ ip: '10.0.0.9', state: 'succeeded', subnet: SUBNET }] },
      ],
    }).values()
    expect(restored).toMatchObject({ ip: '', subnet: { id: SUBNET, cidr: '10.0.0.0/16' } })
  })

  test('leaves out what has no ID or no address', () => {
    const restored = decodeAzureStatus({
      interfaces: [{ name: 'x' }, { id: 'a', addresses: [{ ip: 'x' }, 'y', {}] }, 7],
    })
    expect([...restored.keys()]).toEqual(['a'])
    expect(restored.get('a')?.configurations).toEqual([])
    expect(decodeAzureStatus(undefined).size).toBe(0)
  })
})

test('the node names its interface', () => {
  expect(decodeAzureSpec({ 'interface-name': 'eth1' }).interfaceName).toBe('eth1')
  expect(decodeAzureSpec({ 'interface-name': 7 }).interfaceName).toBe('')
  expect(decodeAzureSpec(undefined).interfaceName).toBe('')
})
