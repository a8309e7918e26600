import type { NetworkInterface } from '@aws-sdk/client-ec2'
import { describe, expect, test } from 'vitest'
import { parseInterface } from '../../../../providers/aws/parse-interface.ts'
import { addressesOfPrefix } from '../../../../src/ipam/ip-range.ts'

const WHOLE: NetworkInterface = {
  NetworkInterfaceId: 'eni-1',
  InterfaceType: 'interface',
  PrivateIpAddress: '10.0.0.4',
  PrivateIpAddresses: [
    { PrivateIpAddress: '10.0.0.4', Primary: true },
    { PrivateIpAddress: '10.0.0.5', Primary: false },
  ],
  Ipv4Prefixes: [{ Ipv4Prefix: '10.0.0.16/28' }],
  Ipv6Prefixes: [{ Ipv6Prefix: '2001:db8::/80' }],
  Ipv6Addresses: [{ Ipv6Address: '2001:db8:1::9' }, { Ipv6Address: '2001:db8:1::5' }],
  MacAddress: '02:00:00:00:00:01',
  Description: 'Cilium-CNI (i-1)',
  SubnetId: 'subnet-1',
  VpcId: 'vpc-1',
  Groups: [{ GroupId: 'sg-1' }, { GroupId: 'sg-2' }],
  TagSet: [{ Key: 'a', Value: 'b' }, { Key: 'empty' }],
  Association: { PublicIp: '203.0.113.1' },
  Attachment: { AttachmentId: 'eni-attach-1', InstanceId: 'i-1', DeviceIndex: 1, NetworkCardIndex: 2 },
}

describe('parseInterface', () => {
  test('everything that is used', () => {
    expect(parseInterface(WHOLE)).toEqual({
      kind: 'parsed',
      listed: {
        instanceID: 'i-1',
        eni: {
          id: 'eni-1',
          ip: '10.0.0.4',
          ipv6: '2001:db8:1::5',
          mac: '02:00:00:00:00:01',
          description: 'Cilium-CNI (i-1)',
          number: 1,
          networkCardIndex: 2,
          interfaceType: 'interface',
          attachmentID: 'eni-attach-1',
          subnet: { id: 'subnet-1', cidr: '' },
          vpc: { id: 'vpc-1', primaryCIDR: '', cidrs: [] },
          addresses: ['10.0.0.4', '10.0.0.5', ...addressesOfPrefix('10.0.0.16/28')],
          prefixes: ['10.0.0.16/28'],
          ipv6Prefixes: ['2001:db8::/80'],
          securityGroups: ['sg-1', 'sg-2'],
          tags: { a: 'b', empty: '' },
          publicIP: '203.0.113.1',
        },
      },
    })
  })

  test('an unattached interface hangs on no instance', () => {
    const parsed = parseInterface({ NetworkInterfaceId: 'eni-1', PrivateIpAddress: '10.0.0.4' })
    expect(parsed).toMatchObject({ kind: 'parsed', listed: { instanceID: '', eni: { number: 0, ipv6: '' } } })
  })

  test.each<{ name: string; parts: NetworkInterface }>([
    { name: 'no primary address', parts: { PrivateIpAddress: undefined } },
    { name: 'a malformed primary address', parts: { PrivateIpAddress: '10.0.0' } },
    { name: 'a malformed secondary address', parts: { PrivateIpAddresses: [{ PrivateIpAddress: '10.0.0.999' }] } },
    { name: 'an absent secondary address', parts: { PrivateIpAddresses: [{}] } },
    { name: 'a malformed prefix', parts: { Ipv4Prefixes: [{ Ipv4Prefix: '10.0.0.16' }] } },
    { name: 'a malformed IPv6 prefix', parts: { Ipv6Prefixes: [{ Ipv6Prefix: '10.0.0.0/8' }] } },
    { name: 'a malformed IPv6 address', parts: { Ipv6Addresses: [{ Ipv6Address: '10.0.0.1' }] } },
  ])('$name makes this one malformed, by its ID', ({ parts }) => {
    expect(parseInterface({ ...WHOLE, ...parts })).toMatchObject({ kind: 'malformed', interfaceID: 'eni-1' })
  })

  test('the own IPv6 address: primary, else lowest assigned, else last of the lowest prefix', () => {
    const ipv6Of = (parts: NetworkInterface): string | undefined => {
      const parsed = parseInterface({ ...WHOLE, ...parts })
      return parsed.kind === 'parsed' ? parsed.listed.eni.ipv6 : undefined
    }
    const assigned = [{ Ipv6Address: '2001:db8:1::5' }, { Ipv6Address: '2001:db8:1::9', IsPrimaryIpv6: true }]
    expect(ipv6Of({ Ipv6Addresses: assigned })).toBe('2001:db8:1::9')
    expect(ipv6Of({})).toBe('2001:db8:1::5')
    expect(ipv6Of({ Ipv6Addresses: [] })).toBe('2001:db8::ffff:ffff:ffff')
  })
})
