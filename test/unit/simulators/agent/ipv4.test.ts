import { expect, test } from 'vitest'
import { contains, formatIPv4, parseIPv4, parseIPv4CIDR } from '../../../../simulators/kubernetes/cilium-agent/ipv4.ts'

test.each(['0.0.0.0', '10.0.0.5', '192.168.255.1', '255.255.255.255'])('%s reads and writes as itself', (text) => {
  expect(formatIPv4(parseIPv4(text)!)).toBe(text)
})

test.each(['', '10.0.0', '10.0.0.256', '010.0.0.1', '10.0.0.1.2', '10.0.0.x', ' 10.0.0.1'])(
  '%j is no address',
  (text) => {
    expect(parseIPv4(text)).toBeUndefined()
  },
)

test.each(['10.0.0.0/33', '10.0.0.1/28', '10.0.0.0', '10.0.0.0/28/1', '2001:db8::/80'])('%j is no CIDR', (text) => {
  expect(parseIPv4CIDR(text)).toBeUndefined()
})

test('a block holds its first and its last address and not the next', () => {
  const block = parseIPv4CIDR('10.0.0.16/28')!
  expect(['10.0.0.15', '10.0.0.16', '10.0.0.31', '10.0.0.32'].map((one) => contains(block, parseIPv4(one)!))).toEqual([
    false,
    true,
    true,
    false,
  ])
})
