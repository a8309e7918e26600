import { describe, expect, test } from 'vitest'
import type { Machine, OwnNodeFacts } from '../../../src/agent/node-resource.ts'
import { nodeResource, nodeResourcePatch } from '../../../src/agent/node-resource.ts'
import type { JSONObject } from '../../../src/ipam/types.ts'

const AWS: Machine = {
  cloud: 'aws',
  instanceID: 'i-1',
  instanceType: 'm5.large',
  vpcID: 'vpc-1',
  availabilityZone: 'eu-central-1a',
  subnetID: 'subnet-1',
  firstInterfaceIndex: 0,
}

const facts = (parts: Partial<OwnNodeFacts> = {}): OwnNodeFacts => ({
  name: 'a',
  nodeUID: 'uid-1',
  labels: { zone: 'one' },
  addresses: [{ type: 'InternalIP', ip: '10.0.0.1' }],
  machine: AWS,
  ...parts,
})

/** The resource as the API server has it, with what others have put in. */
const stored = (
  own: OwnNodeFacts,
  others: { readonly metadata?: JSONObject; readonly spec?: JSONObject } = {},
): JSONObject => {
  const resource = nodeResource(own)
  return {
    ...resource,
    metadata: { ...(resource['metadata'] as JSONObject), resourceVersion: '7', ...others.metadata },
    spec: { ...(resource['spec'] as JSONObject), ...others.spec },
  }
}

describe('the resource of the own node', () => {
  test('names its owner, its machine and its addresses', () => {
    expect(nodeResource(facts({ ipam: { 'pre-allocate': 4 } }))).toEqual({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: {
        name: 'a',
        labels: { zone: 'one' },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'uid-1' }],
      },
      spec: {
        'instance-id': 'i-1',
        addresses: [{ type: 'InternalIP', ip: '10.0.0.1' }],
        ipam: { 'pre-allocate': 4 },
        eni: {
          'instance-type': 'm5.large',
          'vpc-id': 'vpc-1',
          'availability-zone': 'eu-central-1a',
          'node-subnet-id': 'subnet-1',
          'first-interface-index': 0,
        },
      },
    })
  })

  test.each<[machine: Machine, spec: JSONObject]>([
    [
      { cloud: 'azure', instanceID: '/subscriptions/s/vm' },
      { 'instance-id': '/subscriptions/s/vm', azure: {} },
    ],
    [{ cloud: 'none' }, {}],
  ])('of %j says just that of the machine', (machine, spec) => {
    expect(nodeResource(facts({ machine }))['spec']).toEqual({
      addresses: [{ type: 'InternalIP', ip: '10.0.0.1' }],
      ipam: {},
      ...spec,
    })
  })

  test('is left alone when it says all, whatever others have added', () => {
    const others = {
      metadata: { labels: { zone: 'one', team: 'blue' }, annotations: { 'cilium.io/do-not-gc': 'true' } },
      spec: {
        addresses: [
          { type: 'InternalIP', ip: '10.0.0.1' },
          { type: 'CiliumInternalIP', ip: '10.0.0.9' },
        ],
        ipam: { pool: { '10.0.0.10': { resource: 'eni-1' } } },
      },
    }
    expect(nodeResourcePatch(stored(facts(), others), facts())).toBeUndefined()
  })

  test.each<[what: string, seen: JSONObject, patch: JSONObject]>([
    ['another instance', stored(facts({ machine: { ...AWS, instanceID: 'i-0' } })), { spec: { 'instance-id': 'i-1' } }],
    [
      'settings of others beside ours',
      stored(facts(), { spec: { eni: { 'subnet-tags': { a: 'b' }, 'vpc-id': 'vpc-0' } } }),
      {
        spec: {
          eni: {
            'instance-type': 'm5.large',
            'vpc-id': 'vpc-1',
            'availability-zone': 'eu-central-1a',
            'node-subnet-id': 'subnet-1',
            'first-interface-index': 0,
          },
        },
      },
    ],
    [
      'an address that is missing',
      stored(facts({ addresses: [{ type: 'CiliumInternalIP', ip: '10.0.0.9' }] })),
      {
        spec: {
          addresses: [
            { type: 'CiliumInternalIP', ip: '10.0.0.9' },
            { type: 'InternalIP', ip: '10.0.0.1' },
          ],
        },
      },
    ],
  ])('with %s gets a patch of that, for the version that was seen', (_, seen, patch) => {
    expect(nodeResourcePatch(seen, facts())).toEqual({ ...patch, metadata: { resourceVersion: '7' } })
  })

  test('without an owner gets one, and keeps the one it has', () => {
    const owner = { apiVersion: 'v1', kind: 'Node', name: 'a', uid: 'uid-1' }
    expect(nodeResourcePatch(stored(facts(), { metadata: { ownerReferences: [] } }), facts())).toEqual({
      metadata: { ownerReferences: [owner], resourceVersion: '7' },
    })
    expect(nodeResourcePatch(stored(facts()), facts({ nodeUID: 'uid-2' }))).toBeUndefined()
  })
})
