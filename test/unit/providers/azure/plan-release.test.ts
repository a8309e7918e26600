import { describe, expect, test } from 'vitest'
import {
  addressesOfCIDRs,
  addressesOutside,
  attachedCIDRs,
  configurationsToRelease,
  prepareCIDRRelease,
  prepareIPRelease,
  withoutAddresses,
} from '../../../../providers/azure/plan-release.ts'
import type { NIC } from '../../../../providers/azure/types.ts'
import { addressesOfPrefix } from '../../../../src/ipam/ip-range.ts'
import { address, block, nicOf, SUBNET } from './builders.ts'

const BLOCK = '10.0.0.16/28'
const cidrs = (addresses: readonly string[]) => addresses.map((one) => `${one}/32`)
const release = (interfaces: readonly NIC[], excess: number, used: readonly string[] = [], interfaceName = '') =>
  prepareIPRelease({ spec: { interfaceName }, interfaces, used: new Set(used) }, excess)

describe('a release of single addresses', () => {
  const nic = nicOf({
    configurations: [
      address('10.0.0.20'),
      address('10.0.0.9'),
      address('10.0.0.5', { state: 'updating' }),
      address('fd00::5'),
      address('10.0.0.10'),
    ],
  })

  test('takes free, provisioned IPv4 addresses in the order of their values, never the primary one', () => {
    expect(release([nic], 10)).toMatchObject({
      interfaceID: nic.id,
      poolID: SUBNET,
      ipsToRelease: ['10.0.0.9', '10.0.0.10', '10.0.0.20'],
      ipPrefixesToRelease: [],
    })
    expect(release([nic], 2).ipsToRelease).toEqual(['10.0.0.9', '10.0.0.10'])
    expect(release([nic], 2, ['10.0.0.9']).ipsToRelease).toEqual(['10.0.0.10', '10.0.0.20'])
  })

  test('is of the interface with most to give', () => {
    const other = nicOf({ id: 'z', name: 'eth1', configurations: [address('10.0.1.1'), address('10.0.1.2')] })
    expect(release([nic, other], 3).interfaceID).toBe(nic.id)
    expect(release([nic, other], 2).interfaceID).toBe(nic.id)
    expect(release([nic, other], 3, ['10.0.0.9', '10.0.0.10']).interfaceID).toBe('z')
    expect(release([nic, other], 3, [], 'eth1').interfaceID).toBe('z')
  })

  test.each([0, -1])('of %i is nothing', (excess) => {
    expect(release([nic], excess)).toMatchObject({ interfaceID: '', ipsToRelease: [] })
  })
})

describe('a release with blocks', () => {
  const nic = nicOf({ configurations: [address('10.0.0.9'), block(BLOCK), block('10.0.0.32/28')] })

  test('takes whole unused ones first, then single addresses', () => {
    const action = release([nic], 17, ['10.0.0.40'])
    expect(action.ipPrefixesToRelease).toEqual([BLOCK])
    expect(action.ipsToRelease).toEqual([...addressesOfPrefix(BLOCK), '10.0.0.9'])
    expect(addressesOutside(action.ipsToRelease, action.ipPrefixesToRelease)).toEqual(['10.0.0.9'])
  })

  test('takes no part of one', () => {
    expect(release([nic], 15).ipsToRelease).toEqual(['10.0.0.9'])
  })
})

describe('a multi-pool release', () => {
  const nic = nicOf({
    configurations: [address('10.0.0.5'), address('10.0.0.6', { state: 'deleting' }), address('fd00::5'), block(BLOCK)],
  })

  test('knows every IPv4 address but the primary one, blocks address by address', () => {
    expect(attachedCIDRs([nic])).toEqual(cidrs(['10.0.0.5', '10.0.0.6', ...addressesOfPrefix(BLOCK)]))
  })

  test('leaves out what is primary, unknown, not provisioned or IPv6', () => {
    const wanted = [...cidrs(['10.0.0.4', '10.0.0.5', '10.0.0.6', '192.0.2.1']), 'fd00::5/128']
    expect(prepareCIDRRelease({ spec: { interfaceName: '' }, interfaces: [nic] }, wanted)).toMatchObject([
      { interfaceID: nic.id, poolID: SUBNET, cidrsToRelease: ['10.0.0.5/32'] },
    ])
  })

  test('takes a block by itself, once all of it was given up', () => {
    const all = cidrs(addressesOfPrefix(BLOCK))
    const plan = (wanted: readonly string[]) =>
      prepareCIDRRelease({ spec: { interfaceName: '' }, interfaces: [nic] }, wanted).map(
        ({ cidrsToRelease }) => cidrsToRelease,
      )
    expect(plan(['10.0.0.5/32', ...all])).toEqual([['10.0.0.5/32'], all])
    expect(plan(all.slice(1))).toEqual([])
  })

  test('leaves interfaces alone that the node does not name', () => {
    expect(prepareCIDRRelease({ spec: { interfaceName: 'eth9' }, interfaces: [nic] }, ['10.0.0.5/32'])).toEqual([])
  })
})

describe('configurations of a release', () => {
  const nic = nicOf({ configurations: [address('10.0.0.5'), block(BLOCK)] })

  test('are named by their first address, a block only as a whole', () => {
    const whole = configurationsToRelease(nic, ['10.0.0.5', ...addressesOfPrefix(BLOCK)])
    expect(whole.heads).toEqual(['10.0.0.5', '10.0.0.16'])
    expect(whole.covered.size).toBe(17)
    expect(configurationsToRelease(nic, addressesOfPrefix(BLOCK).slice(0, 15))).toEqual({
      heads: [],
      covered: new Set(),
    })
  })

  test('that the inventory does not have are left to the interface to know', () => {
    expect(configurationsToRelease(nic, ['10.0.0.99']).heads).toEqual(['10.0.0.99'])
  })

  test('leave the record with their addresses, blocks as a whole', () => {
    expect(withoutAddresses(nic, new Set(['10.0.0.5', '10.0.0.16'])).configurations).toEqual([block(BLOCK)])
    expect(withoutAddresses(nic, new Set(['10.9.9.9']))).toBe(nic)
  })
})

test('only /32 CIDRs name addresses of a node', () => {
  expect(addressesOfCIDRs(['10.0.0.5/32', '10.0.0.16/28', 'fd00::5/128'])).toEqual(['10.0.0.5'])
})
