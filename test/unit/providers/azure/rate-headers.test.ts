import { expect, test } from 'vitest'
import { observeRateHeaders } from '../../../../providers/azure/rate-headers.ts'

const told = (headers: Record<string, string>) =>
  observeRateHeaders((name) => headers[name], 'reads').map(({ scope, remaining }) => `${scope} ${remaining}`)

test.each([
  { headers: { 'x-ms-ratelimit-remaining-subscription-reads': '249' }, is: ['subscription 249'] },
  { headers: { 'x-ms-ratelimit-remaining-subscription-global-reads': '3' }, is: ['subscription 3'] },
  { headers: { 'x-ms-ratelimit-remaining-tenant-reads': '0' }, is: ['subscription 0'] },
  { headers: { 'x-ms-ratelimit-remaining-subscription-writes': '1' }, is: [] },
  { headers: { 'x-ms-ratelimit-remaining-subscription-resource-requests': '12' }, is: ['provider 12'] },
  {
    headers: {
      'x-ms-ratelimit-remaining-resource':
        'Microsoft.Compute/GetVMScaleSetVMSubscriptionMaximum;5999, Microsoft.Compute/GetVMScaleSetVMResourceMaximum;35',
    },
    is: ['provider 5999', 'resource 35'],
  },
  { headers: { 'x-ms-ratelimit-remaining-resource': 'Microsoft.Compute/HighCostGetVMScaleSet30Min;107' }, is: [] },
  { headers: { 'x-ms-ratelimit-remaining-subscription-reads': 'many' }, is: [] },
  { headers: { 'x-ms-ratelimit-remaining-subscription-reads': '' }, is: [] },
  { headers: {}, is: [] },
])('$headers tells $is', ({ headers, is }) => {
  expect(told(headers as Record<string, string>)).toEqual(is)
})
