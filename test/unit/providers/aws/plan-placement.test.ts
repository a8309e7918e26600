import { describe, expect, test } from 'vitest'
import {
  chooseSecurityGroups,
  chooseSubnet,
  findSubnetByTags,
  type Infrastructure,
} from '../../../../providers/aws/plan-placement.ts'
import type { ENISpec } from '../../../../providers/aws/types.ts'
import { eni, M5_LARGE, spec, subnet } from './builders.ts'

function infrastructure(parts: Partial<Infrastructure> = {}): Infrastructure {
  const subnets = [
    subnet({ id: 's-node', availableAddresses: 50 }),
    subnet({ id: 's-route', availableAddresses: 60 }),
    subnet({ id: 's-big', availableAddresses: 900, tags: { role: 'cni' } }),
    subnet({ id: 's-zone', availableAddresses: 5000, availabilityZone: 'b' }),
    subnet({ id: 's-vpc', availableAddresses: 5000, virtualNetworkID: 'vpc-2' }),
  ]
  return {
    subnets: new Map(subnets.map((each) => [each.id, each])),
    routeTables: [
      { id: 'rt-1', virtualNetworkID: 'vpc-1', subnetIDs: new Set(['s-node', 's-route', 's-zone', 's-hidden']) },
    ],
    securityGroups: [],
    ...parts,
  }
}

function withFree(id: string, availableAddresses: number): Infrastructure {
  const { subnets, ...rest } = infrastructure()
  const changed = subnet({ ...subnets.get(id), id, availableAddresses })
  return { ...rest, subnets: new Map(subnets).set(id, changed) }
}

describe('chooseSubnet', () => {
  test.each<{
    name: string
    wants: Partial<ENISpec>
    place?: Infrastructure
    expected: string | undefined
    isRoutedLikeNode?: boolean
  }>([
    {
      name: 'configured IDs before tags',
      wants: { subnetIDs: ['s-route'], subnetTags: { role: 'cni' } },
      expected: 's-route',
    },
    {
      name: 'tags before the own subnet, routed otherwise',
      wants: { subnetTags: { role: 'cni' } },
      expected: 's-big',
      isRoutedLikeNode: false,
    },
    { name: 'IDs in another zone fall through', wants: { subnetIDs: ['s-zone', 's-vpc'] }, expected: 's-node' },
    { name: 'tags that match nothing fall through', wants: { subnetTags: { role: 'other' } }, expected: 's-node' },
    {
      name: 'the own subnet with exactly one interface of room',
      wants: {},
      place: withFree('s-node', 10),
      expected: 's-node',
    },
    {
      name: 'a sibling on the route table when the own is short',
      wants: {},
      place: withFree('s-node', 9),
      expected: 's-route',
    },
    {
      name: 'the largest when the own is not known',
      wants: { nodeSubnetID: 's-hidden-2' },
      expected: 's-big',
      isRoutedLikeNode: false,
    },
    { name: 'the largest without own subnet, and nothing to warn of', wants: { nodeSubnetID: '' }, expected: 's-big' },
    { name: 'none in the zone', wants: { availabilityZone: 'c', nodeSubnetID: 's-hidden' }, expected: undefined },
  ])('$name', ({ wants, place = infrastructure(), expected, isRoutedLikeNode = true }) => {
    const choice = chooseSubnet(place, spec({ nodeSubnetID: 's-node', ...wants }), M5_LARGE)
    expect(choice?.subnet.id).toBe(expected)
    if (expected !== undefined) expect(choice?.isRoutedLikeNode).toBe(isRoutedLikeNode)
  })

  test('of equally large subnets the one with the smallest ID', () => {
    const subnets = new Map(['s-b', 's-a', 's-c'].map((id) => [id, subnet({ id })]))
    expect(findSubnetByTags(subnets, { vpcID: 'vpc-1', availabilityZone: 'a' }, {})?.id).toBe('s-a')
  })
})

describe('chooseSecurityGroups', () => {
  const groups = [
    { id: 'sg-3', virtualNetworkID: 'vpc-1', tags: { role: 'pods' } },
    { id: 'sg-2', virtualNetworkID: 'vpc-1', tags: { role: 'pods' } },
    { id: 'sg-1', virtualNetworkID: 'vpc-2', tags: { role: 'pods' } },
  ]
  const interfaces = [
    eni({ id: 'eni-b', number: 1, securityGroups: ['sg-q'] }),
    eni({ id: 'eni-a', number: 0, securityGroups: ['sg-z', 'sg-a'] }),
  ]

  test('as configured, in that order', () => {
    const wants = spec({ securityGroups: ['sg-9', 'sg-1'], securityGroupTags: { role: 'pods' } })
    expect(chooseSecurityGroups(groups, wants, interfaces)).toEqual({
      kind: 'found',
      groupIDs: ['sg-9', 'sg-1'],
      hasTagsWithoutMatch: false,
    })
  })

  test('by tag, those of the VPC, sorted', () => {
    const wants = spec({ securityGroupTags: { role: 'pods' } })
    expect(chooseSecurityGroups(groups, wants, interfaces)).toMatchObject({ groupIDs: ['sg-2', 'sg-3'] })
  })

  test('inherited from the first interface, sorted; tags without a match are told', () => {
    const wants = spec({ securityGroupTags: { role: 'none' } })
    expect(chooseSecurityGroups(groups, wants, interfaces)).toEqual({
      kind: 'found',
      groupIDs: ['sg-a', 'sg-z'],
      hasTagsWithoutMatch: true,
    })
  })

  test('unknown without a first interface', () => {
    expect(chooseSecurityGroups(groups, spec(), interfaces.slice(0, 1))).toEqual({ kind: 'unknown' })
  })
})
