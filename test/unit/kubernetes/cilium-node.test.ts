import { describe, expect, test } from 'vitest'
import type { CiliumNode, OwnedStatus, ReleaseStatus } from '../../../src/ipam/cilium-node.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'
import { operatorErrorOnlyPatch, specPatch, statusPatch } from '../../../src/kubernetes/cilium-node-patch.ts'
import {
  ciliumNodeOfDigest,
  decodeCiliumNode,
  digestOf,
  encodeCiliumNode,
} from '../../../src/kubernetes/cilium-node.ts'

function decode(json: JSONObject): CiliumNode {
  const decoded = decodeCiliumNode(json)
  if (decoded.kind === 'malformed') throw new Error(decoded.faults.join('\n'))
  return decoded.node
}

function resource(parts: { spec?: JSONObject; status?: JSONObject; metadata?: JSONObject } = {}): JSONObject {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name: 'node-a', uid: 'u-1', resourceVersion: '7', ...parts.metadata },
    spec: parts.spec ?? {},
    ...(parts.status !== undefined && { status: parts.status }),
  }
}

const seen = (parts: Parameters<typeof resource>[0] = {}): CiliumNode => decode(resource(parts))

const wantedStatus = (parts: Partial<OwnedStatus> = {}): OwnedStatus => ({
  releaseIPs: new Map(),
  operatorError: '',
  ...parts,
})

describe('decodeCiliumNode', () => {
  test('reads every field that the controller uses', () => {
    const node = decode({
      ...resource({
        metadata: {
          ownerReferences: [{ kind: 'Node' }],
          annotations: { 'ipam.cilium.io/ignore': 'true', 'cilium.io/do-not-gc': 'true', 'other.io/x': 'y' },
          deletionTimestamp: '2026-01-01T00:00:00Z',
        },
        spec: {
          'instance-id': 'i-1',
          ipam: {
            pool: { '10.0.0.5': { resource: 'eni-1' } },
            pools: {
              requested: [{ pool: 'default', needed: { 'ipv4-addrs': 24, 'ipv6-addrs': 8 } }],
              allocated: [{ pool: 'default', cidrs: ['10.0.0.16/28', '2001:db8::/80'] }],
            },
            'pre-allocate': 16,
            'min-allocate': 10,
            'max-allocate': 100,
            'max-above-watermark': 5,
            'static-ip-tags': { pool: 'a' },
          },
          eni: { 'instance-type': 'm5.large', 'first-interface-index': 0 },
        },
        status: {
          ipam: {
            used: { '10.0.0.5': { owner: 'default/web', resource: 'eni-1' } },
            'release-ips': { '10.0.0.6': 'ready-for-release' },
            'assigned-static-ip': '1.2.3.4',
            'operator-status': { error: 'subnet full' },
          },
          eni: { enis: { 'eni-1': { id: 'eni-1' } } },
        },
      }),
    })
    expect(node).toEqual({
      name: 'node-a',
      uid: 'u-1',
      resourceVersion: '7',
      ownerReferenceCount: 1,
      annotations: { 'ipam.cilium.io/ignore': 'true', 'cilium.io/do-not-gc': 'true' },
      isBeingDeleted: true,
      spec: {
        instanceID: 'i-1',
        ipam: {
          pool: new Map([['10.0.0.5', { resource: 'eni-1' }]]),
          requested: [{ pool: 'default', ipv4Addrs: 24, ipv6Addrs: 8 }],
          allocated: [{ pool: 'default', cidrs: ['10.0.0.16/28', '2001:db8::/80'] }],
          preAllocate: 16,
          minAllocate: 10,
          maxAllocate: 100,
          maxAboveWatermark: 5,
          staticIPTags: { pool: 'a' },
        },
        eni: { 'instance-type': 'm5.large', 'first-interface-index': 0 },
      },
      status: {
        used: new Map([['10.0.0.5', { owner: 'default/web', resource: 'eni-1' }]]),
        releaseIPs: new Map([['10.0.0.6', 'ready-for-release']]),
        assignedStaticIP: '1.2.3.4',
        operatorError: 'subnet full',
        eni: { enis: { 'eni-1': { id: 'eni-1' } } },
      },
    })
  })

  test.each<[string, JSONObject]>([
    ['absent', resource()],
    ['empty', resource({ spec: { ipam: {} }, status: { ipam: { 'operator-status': {}, used: {} } } })],
    ['null', resource({ spec: { ipam: { 'pre-allocate': null, pools: null } }, status: { ipam: null, eni: null } })],
    ['zero', resource({ spec: { 'instance-id': '', ipam: { 'pre-allocate': 0, 'min-allocate': 0 } } })],
  ])('reads what is %s alike', (_, json) => {
    expect(decode(json)).toEqual(decode(resource()))
  })

  test('keeps an absent pool and an empty one apart', () => {
    expect(decode(resource({ spec: { ipam: {} } })).spec.ipam).not.toHaveProperty('pool')
    expect(decode(resource({ spec: { ipam: { pool: {} } } })).spec.ipam.pool).toEqual(new Map())
  })

  test('makes the keys of addresses canonical', () => {
    const used = { '2001:DB8:0:0::5': {}, '10.0.0.5': {}, '::ffff:1.2.3.4': {} }
    expect([...decode(resource({ status: { ipam: { used } } })).status.used.keys()]).toEqual([
      '2001:db8::5',
      '10.0.0.5',
      '::ffff:1.2.3.4',
    ])
  })

  test.each<[string, Parameters<typeof resource>[0], string]>([
    [
      'a key that is no address',
      { spec: { ipam: { pool: { 'eni-1': {} } } } },
      "spec.ipam.pool['eni-1']: the key is not an IP address",
    ],
    [
      'an octal-looking address',
      { spec: { ipam: { pool: { '010.0.0.1': {} } } } },
      "spec.ipam.pool['010.0.0.1']: the key is not an IP address",
    ],
    [
      'a short address',
      { status: { ipam: { used: { '10.1': {} } } } },
      "status.ipam.used['10.1']: the key is not an IP address",
    ],
    [
      'a count that is a text',
      { spec: { ipam: { 'pre-allocate': '8' } } },
      'spec.ipam.pre-allocate: expected a whole number of at least 0, found "8"',
    ],
    [
      'a negative count',
      { spec: { ipam: { 'min-allocate': -1 } } },
      'spec.ipam.min-allocate: expected a whole number of at least 0, found -1',
    ],
    [
      'a fraction',
      { spec: { ipam: { 'max-allocate': 1.5 } } },
      'spec.ipam.max-allocate: expected a whole number of at least 0, found 1.5',
    ],
    ['a section that is a list', { spec: { eni: [] } }, 'spec.eni: expected an object, found []'],
    [
      'an unknown release state',
      { status: { ipam: { 'release-ips': { '10.0.0.1': 'gone' } } } },
      'status.ipam.release-ips[\'10.0.0.1\']: expected one of marked-for-release, ready-for-release, do-not-release, released, found "gone"',
    ],
    [
      'a request without a pool',
      { spec: { ipam: { pools: { requested: [{}] } } } },
      'spec.ipam.pools.requested[0].pool: is missing',
    ],
    [
      'an allocated CIDR that is none',
      { spec: { ipam: { pools: { allocated: [{ pool: 'a', cidrs: ['10.0.0.0/33'] }] } } } },
      'spec.ipam.pools.allocated[0].cidrs[0]: expected a CIDR, found "10.0.0.0/33"',
    ],
    ['a missing name', { metadata: { name: '' } }, 'metadata.name: is missing'],
    [
      'an entry that is a text',
      { status: { ipam: { used: { '10.0.0.1': 'pod' } } } },
      'status.ipam.used[\'10.0.0.1\']: expected an object, found "pod"',
    ],
  ])('names %s', (_, parts, fault) => {
    expect(decodeCiliumNode(resource(parts))).toMatchObject({ kind: 'malformed', faults: [fault] })
  })

  test('lists every fault, up to a bound', () => {
    const pool = Object.fromEntries(Array.from({ length: 15 }, (_, index) => [`bad-${index}`, {}]))
    const decoded = decodeCiliumNode(resource({ spec: { ipam: { pool, 'pre-allocate': 'x' } } }))
    expect(decoded).toMatchObject({ kind: 'malformed', name: 'node-a', resourceVersion: '7' })
    if (decoded.kind === 'malformed') {
      expect(decoded.faults).toHaveLength(11)
      expect(decoded.faults.at(-1)).toBe('and 6 more')
    }
  })

  test.each([undefined, null, 'text', 7, []])('survives %j in place of a resource', (json) => {
    expect(decodeCiliumNode(json)).toMatchObject({ kind: 'malformed', name: '' })
  })

  test('fields of others cannot make a node unmanageable', () => {
    const spec = { encryption: 'nonsense', health: 5, addresses: { a: 1 }, ipam: { podCIDRs: 'x', 'ipv6-pool': 3 } }
    expect(decodeCiliumNode(resource({ spec })).kind).toBe('ok')
  })

  test('a digest keeps what a deletion is delivered with', () => {
    const node = seen({ spec: { 'instance-id': 'i-1' } })
    expect(ciliumNodeOfDigest(digestOf(node))).toMatchObject({
      name: 'node-a',
      uid: 'u-1',
      resourceVersion: '7',
      isBeingDeleted: true,
      spec: { instanceID: 'i-1' },
    })
  })

  test('encoding for a creation and decoding give the same spec', () => {
    const node = seen({
      spec: {
        'instance-id': 'i-1',
        ipam: { pool: { '10.0.0.5': { resource: 'e' } }, 'pre-allocate': 8, 'static-ip-tags': { a: 'b' } },
        eni: { 'vpc-id': 'v' },
      },
    })
    expect(decode(encodeCiliumNode(node)).spec).toEqual(node.spec)
  })
})

describe('statusPatch', () => {
  const enis = { 'eni-1': { id: 'eni-1', addresses: ['10.0.0.5'], tags: { a: '1', b: '2' } } }
  const node = seen({ status: { eni: { enis }, ipam: { used: { '10.0.0.5': { owner: 'default/web' } } } } })
  const provider = (value: JSONObject): OwnedStatus => wantedStatus({ provider: { section: 'eni', value } })

  test('is nothing when the resource says it already', () => {
    expect(statusPatch(node, provider({ enis }))).toBeUndefined()
    expect(statusPatch(node, wantedStatus())).toBeUndefined()
  })

  test('absent and empty are equal, also deep inside', () => {
    const wanted = { enis: { 'eni-1': { ...enis['eni-1'], number: 0, prefixes: [], description: '', vpc: {} } } }
    expect(statusPatch(node, provider(wanted))).toBeUndefined()
    expect(statusPatch(seen(), provider({ enis: {} }))).toBeUndefined()
  })

  test('carries the version that was seen, and only what changed', () => {
    const wanted = { enis: { 'eni-1': { ...enis['eni-1'], addresses: ['10.0.0.5', '10.0.0.6'] } } }
    expect(statusPatch(node, provider(wanted))).toEqual({
      metadata: { resourceVersion: '7' },
      status: { eni: { enis: { 'eni-1': { addresses: ['10.0.0.5', '10.0.0.6'] } } } },
    })
  })

  test('removes a nested tag, and an interface, by null', () => {
    expect(
      statusPatch(node, provider({ enis: { 'eni-1': { ...enis['eni-1'], tags: { a: '1' } } } }))?.['status'],
    ).toEqual({
      eni: { enis: { 'eni-1': { tags: { b: null } } } },
    })
    expect(statusPatch(node, provider({ enis: { 'eni-2': { id: 'eni-2' } } }))?.['status']).toEqual({
      eni: { enis: { 'eni-1': null, 'eni-2': { id: 'eni-2' } } },
    })
  })

  test("writes Alibaba Cloud's section under its own name", () => {
    const wanted = wantedStatus({ provider: { section: 'alibaba-cloud', value: { enis: { e: { id: 'e' } } } } })
    expect(statusPatch(seen(), wanted)?.['status']).toEqual({ 'alibaba-cloud': { enis: { e: { id: 'e' } } } })
  })

  test('never touches what the agent reports as used', () => {
    const wanted = wantedStatus({ operatorError: 'x', assignedStaticIP: '1.2.3.4' })
    expect(JSON.stringify(statusPatch(node, wanted))).not.toContain('used')
  })

  test.each<
    [string, Record<string, ReleaseStatus>, ReadonlyMap<string, ReleaseStatus> | null, JSONObject | null | undefined]
  >([
    ['adds a mark', {}, new Map([['10.0.0.5', 'marked-for-release']]), { '10.0.0.5': 'marked-for-release' }],
    ['drops an entry', { '10.0.0.5': 'released' }, new Map(), { '10.0.0.5': null }],
    [
      'changes a state',
      { '10.0.0.5': 'ready-for-release' },
      new Map([['10.0.0.5', 'released']]),
      { '10.0.0.5': 'released' },
    ],
    ['leaves an equal map alone', { '10.0.0.5': 'released' }, new Map([['10.0.0.5', 'released']]), undefined],
    ['removes the map of a multi-pool node', { '10.0.0.5': 'released' }, null, null],
    ['removes nothing where there is nothing', {}, null, undefined],
  ])('the release map: %s', (_, before, wanted, patch) => {
    const from = seen({ status: { ipam: { 'release-ips': before } } })
    const result = statusPatch(from, wantedStatus({ releaseIPs: wanted }))
    expect(result?.['status']).toEqual(patch === undefined ? undefined : { ipam: { 'release-ips': patch } })
  })

  test('removes an entry under the spelling that the resource has', () => {
    const from = seen({ status: { ipam: { 'release-ips': { '2001:DB8::5': 'released' } } } })
    expect(statusPatch(from, wantedStatus())?.['status']).toEqual({ ipam: { 'release-ips': { '2001:DB8::5': null } } })
  })

  test('the error of the operator appears, changes and goes', () => {
    const failing = seen({ status: { ipam: { 'operator-status': { error: 'old' } } } })
    const patchOf = (from: CiliumNode, operatorError: string): unknown =>
      statusPatch(from, wantedStatus({ operatorError }))?.['status']
    expect(patchOf(seen(), 'new')).toEqual({ ipam: { 'operator-status': { error: 'new' } } })
    expect(patchOf(failing, 'new')).toEqual({ ipam: { 'operator-status': { error: 'new' } } })
    expect(patchOf(failing, '')).toEqual({ ipam: { 'operator-status': { error: null } } })
    expect(patchOf(failing, 'old')).toBeUndefined()
  })

  test('an unknown static address is left alone, a known one is written, an empty one removed', () => {
    const from = seen({ status: { ipam: { 'assigned-static-ip': '1.2.3.4' } } })
    expect(statusPatch(from, wantedStatus())).toBeUndefined()
    expect(statusPatch(from, wantedStatus({ assignedStaticIP: '5.6.7.8' }))?.['status']).toEqual({
      ipam: { 'assigned-static-ip': '5.6.7.8' },
    })
    expect(statusPatch(from, wantedStatus({ assignedStaticIP: '' }))?.['status']).toEqual({
      ipam: { 'assigned-static-ip': null },
    })
  })
})

describe('specPatch', () => {
  const from = seen({ spec: { ipam: { pool: { '10.0.0.5': { resource: 'e-1' }, '10.0.0.6': { resource: 'e-1' } } } } })
  const pool = (...entries: [string, string][]) => new Map(entries.map(([ip, resource]) => [ip, { resource }]))

  test.each<[string, CiliumNode, Parameters<typeof specPatch>[1], JSONObject | undefined]>([
    ['an equal pool is nothing to do', from, { pool: pool(['10.0.0.6', 'e-1'], ['10.0.0.5', 'e-1']) }, undefined],
    [
      'an address is added',
      from,
      { pool: pool(['10.0.0.5', 'e-1'], ['10.0.0.6', 'e-1'], ['10.0.0.7', 'e-2']) },
      { pool: { '10.0.0.7': { resource: 'e-2' } } },
    ],
    ['an address is removed by null', from, { pool: pool(['10.0.0.5', 'e-1']) }, { pool: { '10.0.0.6': null } }],
    [
      'an address moves to another interface',
      from,
      { pool: pool(['10.0.0.5', 'e-2'], ['10.0.0.6', 'e-1']) },
      { pool: { '10.0.0.5': { resource: 'e-2' } } },
    ],
    ['the pool of a multi-pool node is removed', from, { pool: null }, { pool: null }],
    [
      'an empty pool of a multi-pool node is removed too',
      seen({ spec: { ipam: { pool: {} } } }),
      { pool: null },
      { pool: null },
    ],
    ['a pool that is not there need not be removed', seen(), { pool: null }, undefined],
    ['an empty pool is not written where there is none', seen(), { pool: pool() }, undefined],
    [
      'an entry of no interface is written whole',
      seen(),
      { pool: new Map([['10.0.0.5', {}]]) },
      { pool: { '10.0.0.5': {} } },
    ],
    ['pre-allocate is seeded where it is 0', seen(), { pool: null, preAllocate: 8 }, { 'pre-allocate': 8 }],
    [
      'pre-allocate is kept where it is set',
      seen({ spec: { ipam: { 'pre-allocate': 3 } } }),
      { pool: null, preAllocate: 8 },
      undefined,
    ],
    [
      'a foreign spelling is replaced',
      seen({ spec: { ipam: { pool: { '2001:DB8::5': { resource: 'e' } } } } }),
      { pool: pool(['2001:db8::5', 'e']) },
      { pool: { '2001:DB8::5': null, '2001:db8::5': { resource: 'e' } } },
    ],
  ])('%s', (_, node, wanted, ipam) => {
    expect(specPatch(node, wanted)).toEqual(
      ipam === undefined ? undefined : { metadata: { resourceVersion: '7' }, spec: { ipam } },
    )
  })
})

test('the error of a malformed resource is written once', () => {
  expect(operatorErrorOnlyPatch({ resourceVersion: '7', operatorError: '' }, 'bad')).toEqual({
    metadata: { resourceVersion: '7' },
    status: { ipam: { 'operator-status': { error: 'bad' } } },
  })
  expect(operatorErrorOnlyPatch({ resourceVersion: '7', operatorError: 'bad' }, 'bad')).toBeUndefined()
})
