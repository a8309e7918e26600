import { describe, expect, test } from 'vitest'
import {
  errorClassOf,
  errorInBody,
  errorOf,
  isFeatureMissing,
  isResourceThrottled,
  isSubnetFull,
  isThrottled,
  noAnswerError,
  refusalError,
  retryAfterMs,
  retryAfterMsOf,
  type RefusalScope,
} from '../../../../providers/azure/errors.ts'
import type { CloudAPIError, CloudErrorKind } from '../../../../src/ipam/errors.ts'

const body = (code: string, details?: object): string =>
  JSON.stringify({ error: { code, message: 'text', ...(details && { details: [details] }) } })

describe('a refusal', () => {
  test.each<{ status: number; body: string; code: string; kind: CloudErrorKind }>([
    {
      status: 429,
      body: body('SubscriptionRequestsThrottled'),
      code: 'SubscriptionRequestsThrottled',
      kind: 'throttled',
    },
    { status: 429, body: body('SomethingNew'), code: 'SomethingNew', kind: 'throttled' },
    { status: 429, body: 'no JSON', code: '', kind: 'throttled' },
    {
      status: 429,
      body: body('RetryableError', { code: 'ReferencedResourceNotProvisioned' }),
      code: 'ReferencedResourceNotProvisioned',
      kind: 'conflict',
    },
    {
      status: 429,
      body: body('RetryableErrorDueToAnotherOperation'),
      code: 'RetryableErrorDueToAnotherOperation',
      kind: 'conflict',
    },
    { status: 409, body: body('AnotherOperationInProgress'), code: 'AnotherOperationInProgress', kind: 'conflict' },
    { status: 409, body: body('Conflict'), code: 'Conflict', kind: 'conflict' },
    { status: 409, body: body('OperationNotAllowed'), code: 'OperationNotAllowed', kind: 'invalid' },
    { status: 409, body: body('PrivateIPAddressInUse'), code: 'PrivateIPAddressInUse', kind: 'taken' },
    { status: 412, body: body('PreconditionFailed'), code: 'PreconditionFailed', kind: 'stale' },
    { status: 412, body: '', code: '', kind: 'stale' },
    { status: 400, body: body('SubnetIsFull'), code: 'SubnetIsFull', kind: 'exhausted' },
    {
      status: 400,
      body: body('NoAvailableIPAddressesInSubnet'),
      code: 'NoAvailableIPAddressesInSubnet',
      kind: 'exhausted',
    },
    { status: 400, body: body('QuotaExceeded'), code: 'QuotaExceeded', kind: 'limit' },
    { status: 400, body: body('InvalidParameter'), code: 'InvalidParameter', kind: 'invalid' },
    { status: 401, body: body('ExpiredAuthenticationToken'), code: 'ExpiredAuthenticationToken', kind: 'denied' },
    { status: 403, body: body('LinkedAuthorizationFailed'), code: 'LinkedAuthorizationFailed', kind: 'denied' },
    { status: 403, body: body('SomethingNew'), code: 'SomethingNew', kind: 'denied' },
    { status: 404, body: body('ResourceGroupNotFound'), code: 'ResourceGroupNotFound', kind: 'notFound' },
    { status: 408, body: '', code: '', kind: 'unavailable' },
    { status: 500, body: body('InternalServerError'), code: 'InternalServerError', kind: 'unavailable' },
    { status: 503, body: '<html>', code: '', kind: 'unavailable' },
    { status: 302, body: '', code: '', kind: 'unavailable' },
  ])('$status $code is $kind', ({ status, body: text, code, kind }) => {
    const parsed = errorInBody(text, status)
    expect(parsed.code).toBe(code)
    const error = refusalError('Interfaces.Get', parsed, { status })
    expect(error).toMatchObject({ kind, code, action: 'Interfaces.Get' })
    expect(error.message).toMatch(/^Interfaces\.Get: /)
  })

  test('of Compute for the rate comes without the outer object, and its detail has the code', () => {
    const text = JSON.stringify({
      code: 'OperationNotAllowed',
      message: 'too many requests',
      details: [{ code: 'TooManyRequests', target: 'UpdateVMScaleSetVM' }],
    })
    expect(errorInBody(text, 429)).toMatchObject({ code: 'TooManyRequests', target: 'UpdateVMScaleSetVM' })
    expect(errorInBody(text, 409).code).toBe('OperationNotAllowed')
  })

  test('whose text says that the machine is not active means that the machine is gone, whatever the code', () => {
    const text = 'The provided instanceId 7 is not an active Virtual Machine Scale Set VM instanceId.'
    const error = refusalError(
      'VirtualMachineScaleSetVMs.Update',
      errorOf({ code: 'InvalidParameter', message: text }),
      {
        status: 400,
      },
    )
    expect(error).toMatchObject({ kind: 'invalid', reason: 'instanceNotRunning' })
  })

  test('whose text speaks of a concurrent request is a conflict, whatever the code', () => {
    expect(errorClassOf(409, 'New', 'The request failed due to conflict with a concurrent request.')).toBe('conflict')
    expect(errorClassOf(409, 'New', 'something else')).toBe('fatal')
  })
})

describe('the end of an operation', () => {
  test.each<{ error: object; kind: CloudErrorKind }>([
    { error: { code: 'SubnetIsFull', message: '' }, kind: 'exhausted' },
    { error: { code: 'InternalExecutionError', message: '' }, kind: 'unavailable' },
    { error: { code: 'SomethingNew', message: '' }, kind: 'unknown' },
    { error: { code: 'Canceled', message: '' }, kind: 'conflict' },
    {
      error: { code: 'Canceled', details: [{ code: 'CanceledAndSupersededDueToAnotherOperation' }] },
      kind: 'conflict',
    },
    { error: { code: 'Canceled', details: [{ code: 'SubnetIsFull' }] }, kind: 'exhausted' },
  ])('$error.code is $kind', ({ error, kind }) => {
    const { details, ...rest } = error as { details?: { code: string }[]; code: string }
    const parsed = errorOf({ ...rest, ...(details && { details }) })
    expect(refusalError('Interfaces.CreateOrUpdate', parsed, { status: undefined }).kind).toBe(kind)
  })
})

describe('no answer', () => {
  test('may have had its effect', () => {
    expect(noAnswerError('Interfaces.Get', new Error('socket hang up')).kind).toBe('unavailable')
  })

  test.each(['CredentialUnavailableError', 'AuthenticationError', 'AggregateAuthenticationError'])(
    'for want of a token is a refusal: %s',
    (name) => {
      const cause = new Error('no managed identity endpoint found')
      cause.name = name
      expect(noAnswerError('Interfaces.Get', cause)).toMatchObject({ kind: 'denied', code: '' })
    },
  )
})

describe('for the API budget', () => {
  const throttledBy = (scope?: RefusalScope): CloudAPIError =>
    refusalError('Interfaces.Get', errorInBody(body('TooManyRequests'), 429), {
      status: 429,
      retryAfterMs: 6000,
      ...(scope && { scope }),
    })

  test('a refusal names the bucket and the wait', () => {
    expect(isThrottled(throttledBy({ kind: 'shared', bucket: 'subscription-reads' }))).toEqual({
      retryAfterMs: 6000,
      bucket: 'subscription-reads',
    })
    expect(isThrottled(throttledBy())).toEqual({ retryAfterMs: 6000 })
    expect(retryAfterMsOf(throttledBy())).toBe(6000)
  })

  test('one of a single resource is not the budget’s business', () => {
    const error = throttledBy({ kind: 'resource' })
    expect(isThrottled(error)).toBeUndefined()
    expect(isResourceThrottled(error)).toBe(true)
  })

  test('a temporary lock has nothing to do with the rate, although its status is 429', () => {
    const lock = refusalError('Interfaces.CreateOrUpdate', errorInBody(body('RetryableError'), 429), { status: 429 })
    expect(isThrottled(lock)).toBeUndefined()
    expect(isThrottled(new Error('429'))).toBeUndefined()
  })
})

describe('what a caller branches on', () => {
  const of = (code: string, status = 400): CloudAPIError =>
    refusalError('x', errorInBody(body(code), status), { status })

  test('a full subnet is told from a used-up public prefix', () => {
    expect(isSubnetFull(of('SubnetIsFull'))).toBe(true)
    expect(isSubnetFull(of('PublicIpPrefixOutOfIpAddressesForVMScaleSet'))).toBe(false)
  })

  test('blocks that the subscription lacks are told from a machine that is gone', () => {
    expect(isFeatureMissing(of('SubscriptionNotRegisteredForFeature', 409))).toBe(true)
    expect(isFeatureMissing(of('SubnetIsFull'))).toBe(false)
  })
})

describe('Retry-After', () => {
  const now = Date.UTC(2026, 0, 1)
  const of = (headers: Record<string, string>) => retryAfterMs((name) => headers[name], now)

  test.each([
    { headers: { 'retry-after': '10' }, ms: 10_000 },
    { headers: { 'retry-after': '0' }, ms: 0 },
    { headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, ms: 30_000 },
    { headers: { 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, ms: 0 },
    { headers: { 'retry-after': '10', 'retry-after-ms': '250' }, ms: 250 },
    { headers: { 'x-ms-retry-after-ms': '300' }, ms: 300 },
    { headers: { 'retry-after': 'soon' }, ms: undefined },
    { headers: { 'retry-after': '-3' }, ms: undefined },
    { headers: {}, ms: undefined },
  ])('$headers: $ms', ({ headers, ms }) => {
    expect(of(headers)).toBe(ms)
  })
})
