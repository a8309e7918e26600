import { describe, expect, test } from 'vitest'
import {
  attachedCIDRs,
  prepareCIDRRelease,
  prepareIPRelease,
  withoutCIDRs,
  type ReleaseFacts,
} from '../../../../providers/aws/plan-release.ts'
import { addressesOfPrefix } from '../../../../src/ipam/ip-range.ts'
import { addresses, eni, spec } from './builders.ts'

function facts(parts: Partial<ReleaseFacts>): ReleaseFacts {
  return { spec: spec(), interfaces: [], used: new Set(), prefersWholeBlocks: false, ...parts }
}

describe('prepareIPRelease', () => {
  test('nothing to give: the empty action', () => {
    const interfaces = [eni({ id: 'eni-a', addresses: ['10.0.0.4', '10.0.0.5'] })]
    expect(prepareIPRelease(facts({ interfaces, used: new Set(['10.0.0.5']) }), 3)).toMatchObject({
      interfaceID: '',
      ipsToRelease: [],
    })
  })

  test('of equals the first by ID is chosen, whatever the order given', () => {
    const interfaces = [
      eni({ id: 'eni-b', number: 0, addresses: addresses(3) }),
      eni({ id: 'eni-a', number: 1, addresses: addresses(3, '10.0.1.') }),
    ]
    expect(prepareIPRelease(facts({ interfaces }), 2).interfaceID).toBe('eni-a')
  })

  test('an interface that the node does not manage gives nothing back, however much it has', () => {
    const interfaces = [
      eni({ id: 'eni-a', number: 0, addresses: addresses(9) }),
      eni({ id: 'eni-b', number: 1, addresses: addresses(2, '10.0.1.') }),
    ]
    const action = prepareIPRelease(facts({ interfaces, spec: spec({ firstInterfaceIndex: 1 }) }), 5)
    expect(action.interfaceID).toBe('eni-b')
  })

  test('a prefix interface later in the order wins over a plain one before it', () => {
    const interfaces = [
      eni({ id: 'eni-a', addresses: addresses(9) }),
      eni({ id: 'eni-b', number: 1, prefixes: ['10.0.1.16/28'] }),
    ]
    const action = prepareIPRelease(facts({ interfaces }), 20)
    expect(action.interfaceID).toBe('eni-b')
    expect(action.ipPrefixesToRelease).toEqual(['10.0.1.16/28'])
    expect(action.ipsToRelease).toEqual(addressesOfPrefix('10.0.1.16/28'))
  })

  test('an excess below a block gives back no prefix', () => {
    const interfaces = [eni({ id: 'eni-a', prefixes: ['10.0.1.16/28'] })]
    expect(prepareIPRelease(facts({ interfaces }), 15).interfaceID).toBe('')
  })

  test('whole prefixes first, then single addresses for the rest of the excess', () => {
    const interfaces = [eni({ id: 'eni-a', addresses: addresses(4, '10.0.2.'), prefixes: ['10.0.1.16/28'] })]
    const action = prepareIPRelease(facts({ interfaces }), 18)
    expect(action.ipPrefixesToRelease).toEqual(['10.0.1.16/28'])
    expect(action.ipsToRelease.slice(16)).toEqual(['10.0.2.5', '10.0.2.6'])
  })

  test('where prefixes are wanted, the blocks of which we hold the fewest empty first', () => {
    const interfaces = [
      eni({
        id: 'eni-a',
        ip: '10.0.9.9',
        addresses: ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.40', '10.0.0.20', '10.0.0.21'],
      }),
    ]
    expect(prepareIPRelease(facts({ interfaces, prefersWholeBlocks: true }), 3).ipsToRelease).toEqual([
      '10.0.0.40',
      '10.0.0.20',
      '10.0.0.21',
    ])
    expect(prepareIPRelease(facts({ interfaces }), 3).ipsToRelease).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3'])
  })

  test('an IPv6 address among them does not disturb the order of the blocks', () => {
    const interfaces = [eni({ id: 'eni-a', ip: '10.0.9.9', addresses: ['10.0.0.20', 'fd00::5', '10.0.0.21'] })]
    expect(prepareIPRelease(facts({ interfaces, prefersWholeBlocks: true }), 3).ipsToRelease).toEqual([
      'fd00::5',
      '10.0.0.20',
      '10.0.0.21',
    ])
  })

  test('a block that cannot be emptied, for it holds the primary address or one in use, comes after', () => {
    const given = ['10.0.0.34', '10.0.0.65', '10.0.0.66', '10.0.0.17', '10.0.0.18', '10.0.0.19']
    const interfaces = [eni({ id: 'eni-a', ip: '10.0.0.33', addresses: given })]
    const used = new Set(['10.0.0.65'])
    const action = prepareIPRelease(facts({ interfaces, used, prefersWholeBlocks: true }), 4)
    expect(action.ipsToRelease).toEqual(['10.0.0.17', '10.0.0.18', '10.0.0.19', '10.0.0.34'])
  })

  test('a first interface index that is not set excludes nothing', () => {
    const interfaces = [eni({ id: 'eni-a', addresses: addresses(2) })]
    expect(
      prepareIPRelease(facts({ interfaces, spec: spec({ firstInterfaceIndex: undefined }) }), 1).ipsToRelease,
    ).toHaveLength(1)
  })
})

describe('CIDRs', () => {
  const interfaces = [
    eni({ id: 'eni-a', addresses: ['10.0.0.5'], prefixes: ['10.0.0.16/28'], ipv6Prefixes: ['2001:db8::/80'] }),
    eni({ id: 'eni-b', number: 1, ip: '10.0.1.4', addresses: ['10.0.1.4', '10.0.1.5'] }),
  ]

  test('attached: prefixes whole, the rest one by one', () => {
    expect(attachedCIDRs(interfaces).toSorted()).toEqual(
      ['10.0.0.16/28', '10.0.0.5/32', '10.0.1.4/32', '10.0.1.5/32', '2001:db8::/80'].toSorted(),
    )
  })

  test('attached: an IPv6 address is one of 128 bits', () => {
    const own = [eni({ id: 'eni-a', addresses: ['fd00::5'] })]
    expect(attachedCIDRs(own)).toEqual(['fd00::5/128'])
    expect(prepareCIDRRelease({ spec: spec(), interfaces: own }, ['fd00::5/128'])).toMatchObject([
      { interfaceID: 'eni-a', cidrsToRelease: ['fd00::5/128'] },
    ])
    expect(prepareCIDRRelease({ spec: spec(), interfaces: own }, ['fd00::5/32'])).toEqual([])
  })

  test('a release groups by interface and leaves out what is not there, primary, or IPv6', () => {
    const cidrs = [
      '10.0.1.5/32',
      '10.0.0.16/28',
      '10.0.1.4/32',
      '10.0.0.17/32',
      '10.9.9.9/32',
      '10.0.0.32/28',
      '2001:db8::/80',
      '',
    ]
    expect(prepareCIDRRelease({ spec: spec(), interfaces }, cidrs)).toMatchObject([
      // An address inside a prefix is one of the interface's addresses, too.
      { interfaceID: 'eni-a', cidrsToRelease: ['10.0.0.16/28', '10.0.0.17/32'] },
      { interfaceID: 'eni-b', cidrsToRelease: ['10.0.1.5/32'] },
    ])
  })
})

describe('withoutCIDRs', () => {
  const interfaces = [
    eni({ id: 'eni-a', ip: '10.0.0.4', addresses: ['10.0.0.4', '10.0.0.5', '10.0.0.6'] }),
    eni({ id: 'eni-b', ip: '10.0.1.4', addresses: ['10.0.1.4'], prefixes: ['10.0.1.16/28', '10.0.1.32/28'] }),
  ]

  test('leaves single addresses out, but never the primary one', () => {
    const [first, second] = withoutCIDRs(interfaces, ['10.0.0.4/32', '10.0.0.6/32'])
    expect(first?.addresses).toEqual(['10.0.0.4', '10.0.0.5'])
    expect(second).toEqual(interfaces[1])
  })

  test('leaves a prefix out with all of its addresses', () => {
    const [, second] = withoutCIDRs(interfaces, ['10.0.1.16/28'])
    expect(second?.prefixes).toEqual(['10.0.1.32/28'])
    expect(second?.addresses).toEqual(['10.0.1.4', ...addressesOfPrefix('10.0.1.32/28')])
  })

  test('without CIDRs changes nothing', () => {
    expect(withoutCIDRs(interfaces, [])).toBe(interfaces)
  })
})
