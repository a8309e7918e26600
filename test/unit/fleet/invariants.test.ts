import { describe, expect, test } from 'vitest'
import { checkInvariants } from '../../../src/fleet/invariants.ts'
import type { WorldView } from '../../../src/fleet/world-view.ts'
import { eni, node } from './builders.ts'

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.0.${4 + index}`)
}

function kinds(world: WorldView): string[] {
  return checkInvariants(world).map(({ kind }) => kind)
}

const held = (address: string, owner = 'default/a'): { address: string; owner: string } => ({ address, owner })

describe('a sound world', () => {
  test.each<{ name: string; world: WorldView }>([
    { name: 'an empty one', world: { interfaces: [], nodes: [] } },
    {
      name: 'full interfaces, pods on single addresses and in prefixes',
      world: {
        interfaces: [
          eni({ addresses: addresses(10) }),
          eni({ id: 'eni-2', addresses: ['10.0.1.4'], prefixes: ['10.0.1.16/28'] }),
          eni({ id: 'eni-3', instanceID: undefined, addresses: ['10.0.2.4'] }),
        ],
        nodes: [node({ holdings: [held('10.0.0.5'), held('10.0.1.31', 'default/b')] })],
      },
    },
    {
      name: 'a node with prefixes whose maximum is cut through the last one',
      world: {
        interfaces: [eni({ addresses: ['10.0.0.4'], prefixes: ['10.0.0.16/28'] })],
        nodes: [node({ maxAllocate: 1 })],
      },
    },
  ])('$name has no violation', ({ world }) => {
    expect(checkInvariants(world)).toEqual([])
  })
})

describe('each check fires', () => {
  test('an address on two interfaces, single or inside a prefix', () => {
    const twice = [eni(), eni({ id: 'eni-2', addresses: ['10.0.0.6', '10.0.0.5'] })]
    expect(kinds({ interfaces: twice, nodes: [] })).toEqual(['address-on-two-interfaces'])
    const covered = [
      eni({ addresses: ['10.0.9.4', '10.0.0.20'] }),
      eni({ id: 'eni-2', addresses: ['10.0.9.5'], prefixes: ['10.0.0.16/28'] }),
    ]
    expect(checkInvariants({ interfaces: covered, nodes: [] })).toEqual([
      { kind: 'address-on-two-interfaces', detail: '10.0.0.20 is on eni-1 and eni-2' },
    ])
  })

  test('an address on a detached interface and on an attached one', () => {
    const interfaces = [eni(), eni({ id: 'eni-2', instanceID: undefined, addresses: ['10.0.0.5'] })]
    expect(kinds({ interfaces, nodes: [] })).toEqual(['address-on-two-interfaces'])
  })

  test('an address handed to two pods, of one node or of two', () => {
    const one = node({ holdings: [held('10.0.0.5'), held('10.0.0.5', 'default/b')] })
    expect(kinds({ interfaces: [eni()], nodes: [one] })).toEqual(['address-of-two-pods'])
    const other = node({ name: 'n2', instanceID: 'i-2', holdings: [held('10.0.0.5', 'default/b')] })
    const world = { interfaces: [eni()], nodes: [node({ holdings: [held('10.0.0.5')] }), other] }
    expect(kinds(world)).toEqual(['address-of-two-pods', 'address-in-use-not-attached'])
  })

  test.each([
    { name: 'released', interfaces: [eni({ addresses: ['10.0.0.4'] })] },
    { name: 'detached with its interface', interfaces: [eni({ instanceID: undefined })] },
    { name: 'moved to another instance', interfaces: [eni({ instanceID: 'i-2' })] },
    { name: 'the primary address, which is not for pods', interfaces: [eni({ addresses: ['10.0.0.5'] })] },
  ])('an address that a pod uses is $name', ({ interfaces }) => {
    const violations = checkInvariants({ interfaces, nodes: [node({ holdings: [held('10.0.0.5')] })] })
    expect(violations).toEqual([
      { kind: 'address-in-use-not-attached', detail: '10.0.0.5 is used by default/a and on no interface of n1 (i-1)' },
    ])
  })

  test('more addresses than an interface has slots; a prefix takes one', () => {
    const full = eni({ addresses: addresses(9), prefixes: ['10.0.1.16/28'] })
    expect(kinds({ interfaces: [full], nodes: [node()] })).toEqual([])
    const above = eni({ addresses: addresses(10), prefixes: ['10.0.1.16/28'] })
    expect(kinds({ interfaces: [above], nodes: [node()] })).toEqual(['interface-above-its-slots'])
  })

  test('more interfaces than the instance takes', () => {
    const interfaces = [1, 2, 3, 4].map((index) => eni({ id: `eni-${index}`, addresses: [`10.0.${index}.4`] }))
    expect(kinds({ interfaces, nodes: [node()] })).toEqual(['instance-above-its-interfaces'])
  })

  test('more addresses than max-allocate, by a whole prefix too', () => {
    const nodes = [node({ maxAllocate: 8 })]
    expect(kinds({ interfaces: [eni({ addresses: addresses(10) })], nodes })).toEqual(['node-above-max-allocate'])
    const prefixes = ['10.0.1.16/28', '10.0.1.32/28']
    expect(kinds({ interfaces: [eni({ addresses: addresses(1), prefixes })], nodes })).toEqual([
      'node-above-max-allocate',
    ])
  })

  test('fields of somebody else were overwritten', () => {
    expect(kinds({ interfaces: [], nodes: [node({ overwrites: 2 })] })).toEqual(['foreign-fields-overwritten'])
  })
})
