import { expect, test } from 'vitest'
import { describeSummary, formatSummary } from '../../../src/fleet/summary.ts'
import type { Summary } from '../../../src/fleet/summary.ts'

const SUMMARY: Summary = {
  cloud: 'aws',
  nodes: 50,
  nodesConverged: 49,
  pods: 500,
  podsWaiting: 1,
  addressesAvailable: 900,
  addressesUsed: 499,
  interfaces: 100,
  calls: { DescribeSubnets: 1, AssignPrivateIpAddresses: 100 },
  throttled: 2,
  errors: 3,
  virtual: false,
  wallSeconds: 12.3456,
  seed: 7,
}

test('the JSON has exactly the fields of the contract, on one line', () => {
  expect(formatSummary(SUMMARY)).toBe(
    '{"cloud":"aws","nodes":50,"nodesConverged":49,"pods":500,"podsWaiting":1,"addressesAvailable":900,"addressesUsed":499,' +
      '"interfaces":100,"calls":{"AssignPrivateIpAddresses":100,"DescribeSubnets":1},"throttled":2,"errors":3,"virtual":false,' +
      '"wallSeconds":12.3,"seed":7}',
  )
})

test('the text names what did not work out', () => {
  expect(describeSummary(SUMMARY)).toBe(
    '49 of 50 nodes have the addresses they need, on 100 interfaces.\n' +
      '500 pods, 1 waiting; 499 of 900 addresses used.\n' +
      '101 cloud calls, 2 throttled, 3 failed; 12 s.',
  )
})
