import { describe, expect, test } from 'vitest'
import { decodeENISpec, decodeENIStatus, encodeENIStatus } from '../../../../providers/aws/eni-codec.ts'
import type { ENI } from '../../../../providers/aws/types.ts'

const ENI_1: ENI = {
  id: 'eni-1',
  ip: '10.0.0.4',
  ipv6: '',
  mac: '02:00:00:00:00:01',
  description: 'Cilium-CNI (i-1)',
  number: 1,
  networkCardIndex: 0,
  interfaceType: '',
  attachmentID: '',
  subnet: { id: 'subnet-1', cidr: '10.0.0.0/24' },
  vpc: { id: 'vpc-1', primaryCIDR: '10.0.0.0/16', cidrs: ['10.1.0.0/16'] },
  addresses: ['10.0.0.4', '10.0.0.5'],
  prefixes: [],
  ipv6Prefixes: [],
  securityGroups: ['sg-1'],
  tags: { a: 'b' },
  publicIP: '',
}

describe('decodeENISpec', () => {
  test('an absent section has defaults: deleted on termination, everything else off or unset', () => {
    expect(decodeENISpec(undefined)).toEqual({
      instanceType: '',
      firstInterfaceIndex: undefined,
      securityGroups: [],
      securityGroupTags: {},
      subnetIDs: [],
      subnetTags: {},
      nodeSubnetID: '',
      vpcID: '',
      availabilityZone: '',
      excludeInterfaceTags: {},
      excludedInterfaceTypes: [],
      isDeletedOnTermination: true,
      usesPrimaryAddress: false,
      isPrefixDelegationDisabled: false,
    })
  })

  test('a first interface index of 0 is a value, and false is not absent', () => {
    const spec = decodeENISpec({ 'first-interface-index': 0, 'delete-on-termination': false })
    expect(spec.firstInterfaceIndex).toBe(0)
    expect(spec.isDeletedOnTermination).toBe(false)
  })

  test.each([-1, 1.5, '1', null, {}])('a first interface index of %j is as good as absent', (index) => {
    expect(decodeENISpec({ 'first-interface-index': index }).firstInterfaceIndex).toBeUndefined()
  })

  test('fields of the wrong type do no harm', () => {
    const spec = decodeENISpec({ 'subnet-ids': 'subnet-1', 'subnet-tags': ['a'], 'security-groups': [1, 'sg-1'] })
    expect(spec.subnetIDs).toEqual([])
    expect(spec.subnetTags).toEqual({})
    expect(spec.securityGroups).toEqual(['sg-1'])
  })
})

describe('status', () => {
  test('empty values are omitted, interfaces come by ID', () => {
    const second: ENI = { ...ENI_1, id: 'eni-0', number: 0, addresses: [], tags: {}, description: '' }
    expect(JSON.stringify(encodeENIStatus([ENI_1, second]))).toBe(
      JSON.stringify({
        enis: {
          'eni-0': {
            id: 'eni-0',
            ip: '10.0.0.4',
            mac: '02:00:00:00:00:01',
            subnet: { id: 'subnet-1', cidr: '10.0.0.0/24' },
            vpc: { id: 'vpc-1', 'primary-cidr': '10.0.0.0/16', cidrs: ['10.1.0.0/16'] },
            'security-groups': ['sg-1'],
          },
          'eni-1': {
            id: 'eni-1',
            ip: '10.0.0.4',
            mac: '02:00:00:00:00:01',
            description: 'Cilium-CNI (i-1)',
            number: 1,
            subnet: { id: 'subnet-1', cidr: '10.0.0.0/24' },
            vpc: { id: 'vpc-1', 'primary-cidr': '10.0.0.0/16', cidrs: ['10.1.0.0/16'] },
            addresses: ['10.0.0.4', '10.0.0.5'],
            'security-groups': ['sg-1'],
            tags: { a: 'b' },
          },
        },
      }),
    )
  })

  test('what was written is read back; the primary address is put back where it was left out', () => {
    const published = encodeENIStatus([{ ...ENI_1, addresses: ['10.0.0.5'] }])
    expect(decodeENIStatus(published).get('eni-1')).toEqual(ENI_1)
    expect(decodeENIStatus(encodeENIStatus([ENI_1])).get('eni-1')).toEqual(ENI_1)
  })

  test('an entry without a primary address, or that is no object, is left out alone', () => {
    const decoded = decodeENIStatus({ enis: { 'eni-1': { ip: '10.0.0.4' }, 'eni-2': {}, 'eni-3': 'x', 'eni-4': null } })
    expect([...decoded.keys()]).toEqual(['eni-1'])
  })

  test.each([undefined, {}, { enis: null }, { enis: [] }, { enis: 'x' }])('%j holds no interface', (eni) => {
    expect(decodeENIStatus(eni).size).toBe(0)
  })
})
