import { describe, expect, test } from 'vitest'
import {
  applyChange,
  RecentChanges,
  VISIBILITY_MS,
  type InterfaceChange,
} from '../../../../providers/aws/interface-change.ts'
import { isSameInterface } from '../../../../providers/aws/same-interface.ts'
import type { ENI } from '../../../../providers/aws/types.ts'
import { addressesOfPrefix } from '../../../../src/ipam/ip-range.ts'
import { eni } from './builders.ts'

const ENI_A = eni({ id: 'eni-a', addresses: ['10.0.0.4', '10.0.0.5'] })
const ASSIGNED: InterfaceChange = { kind: 'assigned', addresses: ['10.0.0.6'], prefixes: [], ipv6Prefixes: [] }

function assigned(parts: Partial<Extract<InterfaceChange, { kind: 'assigned' }>>): InterfaceChange {
  return { kind: 'assigned', addresses: [], prefixes: [], ipv6Prefixes: [], ...parts }
}

describe('applyChange', () => {
  test.each<{ name: string; change: InterfaceChange; expected: Partial<ENI> }>([
    {
      name: 'assigned addresses are added once, malformed ones ignored',
      change: assigned({ addresses: ['10.0.0.5', '10.0.0.6', '', 'x'] }),
      expected: { addresses: ['10.0.0.4', '10.0.0.5', '10.0.0.6'] },
    },
    {
      name: 'an assigned prefix brings its addresses',
      change: assigned({ prefixes: ['10.0.0.16/28', 'x'] }),
      expected: {
        prefixes: ['10.0.0.16/28'],
        addresses: ['10.0.0.4', '10.0.0.5', ...addressesOfPrefix('10.0.0.16/28')],
      },
    },
    {
      name: 'an IPv6 prefix',
      change: assigned({ ipv6Prefixes: ['2001:db8::/80'] }),
      expected: { ipv6Prefixes: ['2001:db8::/80'] },
    },
    {
      name: 'unassigned addresses go',
      change: { kind: 'unassigned', addresses: ['10.0.0.5', '10.0.0.99'], prefixes: [] },
      expected: { addresses: ['10.0.0.4'] },
    },
    {
      name: 'a public address',
      change: { kind: 'associated', publicIP: '203.0.113.1' },
      expected: { publicIP: '203.0.113.1' },
    },
  ])('$name, and doing it again changes nothing', ({ change, expected }) => {
    const once = applyChange(ENI_A, change)
    expect(once).toEqual({ ...ENI_A, ...expected })
    expect(applyChange(once, change)).toEqual(once)
  })

  test('an unassigned prefix takes its addresses along', () => {
    const withPrefix = eni({ id: 'eni-a', addresses: ['10.0.0.5'], prefixes: ['10.0.0.16/28'] })
    const change: InterfaceChange = { kind: 'unassigned', addresses: [], prefixes: ['10.0.0.16/28'] }
    expect(applyChange(withPrefix, change)).toMatchObject({ addresses: ['10.0.0.5'], prefixes: [] })
  })

  test('only an attachment brings an unknown interface into being, and it does not replace a known one', () => {
    expect(applyChange(undefined, ASSIGNED)).toBeUndefined()
    expect(applyChange(undefined, { kind: 'attached', eni: ENI_A })).toBe(ENI_A)
    expect(applyChange(ENI_A, { kind: 'attached', eni: { ...ENI_A, addresses: [] } })).toBe(ENI_A)
  })
})

describe('recent changes', () => {
  const listed = new Map([['eni-a', ENI_A]])

  test('are replayed over a read that may not show them, and over no later one', () => {
    const recent = new RecentChanges()
    recent.record('i-1', 'eni-a', ASSIGNED, 1000, 1000)
    for (const readStartedAtMs of [0, 1000, 1000 + VISIBILITY_MS])
      expect(recent.replay('i-1', listed, readStartedAtMs).get('eni-a')?.addresses).toContain('10.0.0.6')
    const later = 1001 + VISIBILITY_MS
    expect(recent.has('i-1', later)).toBe(false)
    expect(recent.replay('i-1', listed, later).get('eni-a')?.addresses).not.toContain('10.0.0.6')
  })

  test('keep their order: an address given back and taken again is there', () => {
    const recent = new RecentChanges()
    recent.record('i-1', 'eni-a', { kind: 'unassigned', addresses: ['10.0.0.5'], prefixes: [] }, 1000, 1000)
    recent.record('i-1', 'eni-a', assigned({ addresses: ['10.0.0.5'] }), 1001, 1001)
    expect(recent.replay('i-1', listed, 0).get('eni-a')?.addresses).toContain('10.0.0.5')
  })

  test('are kept for a read that is under way, however long, and forgotten after it', () => {
    const recent = new RecentChanges()
    recent.record('i-1', 'eni-a', ASSIGNED, 1000, 0)
    recent.record('i-1', 'eni-a', assigned({ addresses: ['10.0.0.7'] }), 900_000, 0)
    expect(recent.replay('i-1', listed, 0).get('eni-a')?.addresses).toContain('10.0.0.6')
    recent.record('i-1', 'eni-a', assigned({ addresses: ['10.0.0.8'] }), 901_000, 901_000)
    expect(recent.replay('i-1', listed, 0).get('eni-a')?.addresses).not.toContain('10.0.0.6')
    recent.forgetBefore(2_000_000)
    expect(recent.has('i-1', 0)).toBe(false)
  })
})

describe('isSameInterface', () => {
  test('order and the attachment do not count, everything else does', () => {
    expect(isSameInterface(ENI_A, { ...ENI_A, addresses: ['10.0.0.5', '10.0.0.4'], attachmentID: 'x' })).toBe(true)
    const differences: Partial<ENI>[] = [
      { ip: 'x' },
      { ipv6: 'x' },
      { mac: 'x' },
      { description: 'x' },
      { number: 9 },
      { networkCardIndex: 9 },
      { publicIP: 'x' },
      { subnet: { id: 'x', cidr: '' } },
      { subnet: { id: 'subnet-1', cidr: 'x' } },
      { vpc: { ...ENI_A.vpc, cidrs: ['x'] } },
      { vpc: { ...ENI_A.vpc, primaryCIDR: 'x' } },
      { addresses: ['10.0.0.4', '10.0.0.6'] },
      { addresses: ['10.0.0.4'] },
      { prefixes: ['x'] },
      { ipv6Prefixes: ['x'] },
      { securityGroups: ['x'] },
      { tags: { x: 'y' } },
      { id: 'x' },
    ]
    for (const difference of differences) expect(isSameInterface(ENI_A, { ...ENI_A, ...difference })).toBe(false)
  })
})
