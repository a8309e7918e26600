import { describe, expect, test } from 'vitest'
import {
  allocatedCIDRs,
  isOlderVersion,
  isSameVersion,
  packResource,
  unpackResource,
} from '../../../src/ipam/seen-resource.ts'
import { ciliumNode, poolOf } from '../../support/builders.ts'

const full = ciliumNode({
  resourceVersion: '42',
  annotations: { 'cilium.io/x': 'y' },
  ownerReferenceCount: 1,
  ipam: {
    pool: new Map([...poolOf('eni-1', ['10.0.0.1', '10.0.0.2']), ...poolOf('eni-2', ['10.0.1.1'])]),
    requested: [{ pool: 'default', ipv4Addrs: 8, ipv6Addrs: 1 }],
    allocated: [{ pool: 'default', cidrs: ['10.0.0.1/32'] }],
    preAllocate: 4,
    staticIPTags: { a: 'b' },
  },
  used: new Map([
    ['10.0.0.1', { resource: 'eni-1' }],
    ['192.0.2.9', {}],
  ]),
  releaseIPs: { '10.0.0.2': 'ready-for-release' },
  eni: { enis: { 'eni-1': { addresses: ['10.0.0.1'] } } },
  operatorError: 'e',
  assignedStaticIP: '203.0.113.1',
})

describe('packResource and unpackResource', () => {
  test('give back what they were given', () => {
    expect(unpackResource(packResource(full))).toEqual(full)
  })

  test.each(['eni', 'azure', 'alibabaCloud'] as const)('keep the sections of %s, ours and the agent’s', (cloud) => {
    const node = {
      ...full,
      spec: { ...full.spec, [cloud]: { interface: 'wanted' } },
      status: { ...full.status, [cloud]: { interfaces: 'seen' } },
    }
    const { spec, status } = unpackResource(packResource(node))
    expect([spec[cloud], status[cloud]]).toEqual([{ interface: 'wanted' }, { interfaces: 'seen' }])
  })

  test('keep an absent pool and an empty one apart', () => {
    const absent = unpackResource(packResource(ciliumNode()))
    const empty = unpackResource(packResource(ciliumNode({ ipam: { pool: new Map() } })))
    expect(absent.spec.ipam.pool).toBeUndefined()
    expect(empty.spec.ipam.pool).toEqual(new Map())
  })

  test('leave out who uses an address, which no decision reads', () => {
    const node = ciliumNode({ used: new Map([['10.0.0.1', { owner: 'default/pod', resource: 'eni-1' }]]) })
    expect([...unpackResource(packResource(node)).status.used]).toEqual([['10.0.0.1', { resource: 'eni-1' }]])
  })

  test("tell our part from the agent's", () => {
    const before = packResource(full)
    const byAgent = packResource({ ...full, status: { ...full.status, used: new Map() } }, before)
    expect([byAgent.own === before.own, byAgent.others === before.others]).toEqual([true, false])
    const byUs = packResource({ ...full, status: { ...full.status, operatorError: '' } }, before)
    expect([byUs.own === before.own, byUs.others === before.others]).toEqual([false, true])
  })

  test('take little room: ten thousand nodes of a hundred addresses stay far below 170 MB', () => {
    const addresses = Array.from({ length: 100 }, (_, index) => `10.123.45.${index}`)
    const node = ciliumNode({
      ipam: { pool: poolOf('eni-0123456789abcdef0', addresses) },
      used: addresses.slice(0, 50),
    })
    const packed = packResource(node)
    expect(packed.own.length + packed.others.length).toBeLessThan(4_000)
  })
})

describe('what is held unpacked', () => {
  test('says what the resource says', () => {
    const { demand } = packResource(full)
    const { pool: _pool, allocated: _allocated, ...ipam } = full.spec.ipam
    expect(demand.spec.ipam).toEqual(ipam)
    expect(demand.status).toEqual({ used: { size: 2 }, assignedStaticIP: '203.0.113.1' })
  })

  test('has the CIDRs of every pool, in order; none where the agent holds none', () => {
    const allocated = [
      { pool: 'default', cidrs: ['10.0.0.16/28', '10.0.0.1/32'] },
      { pool: 'other', cidrs: [] },
      { pool: 'third', cidrs: ['fd00::/80'] },
    ]
    expect(allocatedCIDRs(packResource(ciliumNode({ ipam: { allocated } })))).toEqual([
      '10.0.0.16/28',
      '10.0.0.1/32',
      'fd00::/80',
    ])
    expect(allocatedCIDRs(packResource(ciliumNode()))).toEqual([])
  })

  test.each([
    { name: 'our own writes leave it as it was', change: { operatorError: 'x' }, isShared: true },
    { name: 'a static address of ours does not', change: { assignedStaticIP: '203.0.113.2' }, isShared: false },
    { name: 'another use does not', change: { used: new Map() }, isShared: false },
  ])('$name', ({ change, isShared }) => {
    const before = packResource(full)
    const now = { ...full, status: { ...full.status, ...change } }
    const after = packResource(now, before)
    expect(after.demand === before.demand).toBe(isShared)
    expect(after.demand).toEqual(packResource(now).demand)
    expect(allocatedCIDRs(after)).toEqual(allocatedCIDRs(packResource(now)))
  })
})

describe('isSameVersion', () => {
  test.each([
    { resourceVersion: '42', uid: full.uid, same: true },
    { resourceVersion: '41', uid: full.uid, same: false },
    { resourceVersion: '42', uid: 'another object', same: false },
  ])('version $resourceVersion of $uid: $same', ({ resourceVersion, uid, same }) => {
    expect(isSameVersion({ resourceVersion, uid }, packResource(full))).toBe(same)
  })

  test('is never said of versions that are not known', () => {
    const unknown = packResource(ciliumNode({ resourceVersion: '' }))
    expect(isSameVersion({ resourceVersion: '', uid: unknown.uid }, unknown)).toBe(false)
  })
})

describe('isOlderVersion', () => {
  const seen = packResource(full)
  test.each([
    { resourceVersion: '41', uid: full.uid, older: true },
    { resourceVersion: '42', uid: full.uid, older: false },
    { resourceVersion: '100', uid: full.uid, older: false },
    { resourceVersion: '9', uid: 'another object', older: false },
    { resourceVersion: 'a41', uid: full.uid, older: false },
    { resourceVersion: '', uid: full.uid, older: false },
  ])('version $resourceVersion of $uid: $older', ({ resourceVersion, uid, older }) => {
    expect(isOlderVersion({ resourceVersion, uid }, seen)).toBe(older)
  })

  test('compares beyond the precision of a number', () => {
    const big = packResource(ciliumNode({ resourceVersion: '9007199254740993' }))
    expect(isOlderVersion({ uid: 'uid-node-1', resourceVersion: '9007199254740992' }, big)).toBe(true)
  })
})
