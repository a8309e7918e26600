import { describe, expect, test } from 'vitest'
import {
  classify,
  isPermissionMissing,
  isThrottled,
  isUnpagedListingRefused,
  responseCodeOf,
  toCloudAPIError,
  wrapError,
} from '../../../../providers/aws/errors.ts'
import type { CloudErrorKind, CloudErrorReason } from '../../../../src/ipam/errors.ts'
import { ec2Error, lostAnswer } from '../../../conformance/adapters/aws-scripted-ec2.ts'

describe('classify', () => {
  test.each<{ code: string; message?: string; status?: number; kind: CloudErrorKind; reason?: CloudErrorReason }>([
    { code: 'RequestLimitExceeded', status: 503, kind: 'throttled' },
    { code: 'Throttling', status: 400, kind: 'throttled' },
    { code: 'InsufficientCidrBlocks', kind: 'exhausted', reason: 'prefixExhausted' },
    {
      code: 'InvalidParameterValue',
      message: "There aren't sufficient free Ipv4 addresses or prefixes",
      kind: 'exhausted',
      reason: 'prefixExhausted',
    },
    { code: 'InsufficientFreeAddressesInSubnet', kind: 'exhausted' },
    {
      code: 'InvalidParameterValue',
      message: "Instance 'i-1' already has an interface attached at device index '1'.",
      kind: 'taken',
      reason: 'indexConflict',
    },
    { code: 'InvalidParameterValue', message: "Network interface 'eni-1' is currently in use.", kind: 'conflict' },
    { code: 'InvalidParameterValue', message: 'something else', kind: 'invalid' },
    {
      code: 'IncorrectState',
      message: "Instance 'i-1' is not 'running' or 'stopped'.",
      kind: 'conflict',
      reason: 'instanceNotRunning',
    },
    { code: 'Anything', message: "foo is not 'running' foo", kind: 'conflict', reason: 'instanceNotRunning' },
    { code: 'PrivateIpAddressLimitExceeded', kind: 'limit' },
    { code: 'AttachmentLimitExceeded', kind: 'limit' },
    { code: 'InvalidInstanceID.NotFound', kind: 'notFound' },
    { code: 'InvalidSubnetID.NotFound', kind: 'notFound' },
    { code: 'InvalidSubnetID.Malformed', kind: 'invalid' },
    { code: 'UnauthorizedOperation', status: 403, kind: 'denied' },
    { code: 'AuthFailure', status: 401, kind: 'denied' },
    { code: 'InternalError', status: 500, kind: 'unavailable' },
    { code: 'NeverHeardOf', status: 502, kind: 'unavailable' },
    { code: 'NeverHeardOf', status: 400, kind: 'unknown' },
    { code: 'NeverHeardOf', status: 403, kind: 'denied' },
    { code: 'toString', status: 400, kind: 'unknown' },
  ])('$code $message is $kind $reason', ({ code, message = '', status = 400, kind, reason }) => {
    expect(classify(code, message, status)).toEqual(reason === undefined ? { kind } : { kind, reason })
  })

  test('no answer at all means that the call may have had its effect', () => {
    expect(classify('', 'socket hang up')).toEqual({ kind: 'unavailable' })
  })
})

describe('toCloudAPIError', () => {
  test('keeps code and action, and says both', () => {
    const error = toCloudAPIError('AssignPrivateIpAddresses', ec2Error('PrivateIpAddressLimitExceeded', 'too many'))
    expect(error).toMatchObject({
      kind: 'limit',
      code: 'PrivateIpAddressLimitExceeded',
      action: 'AssignPrivateIpAddresses',
      message: 'AssignPrivateIpAddresses: PrivateIpAddressLimitExceeded: too many',
    })
  })

  test('a lost answer has no code', () => {
    expect(toCloudAPIError('AssignPrivateIpAddresses', lostAnswer())).toMatchObject({ kind: 'unavailable', code: '' })
  })

  test('an answer that is not XML is unavailable, with the first line of what the SDK says', () => {
    const cause = Object.assign(new Error('@aws-sdk XML parse error: unexpected content.\n  Deserialization error'), {
      $metadata: { httpStatusCode: 200 },
    })
    const error = toCloudAPIError('DescribeSubnets', cause)
    expect(error).toMatchObject({ kind: 'unavailable', code: '' })
    expect(error.message).not.toContain('\n')
  })

  test('credentials that cannot be had are denied, although EC2 was never asked', () => {
    const cause = Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' })
    expect(toCloudAPIError('DescribeSubnets', cause).kind).toBe('denied')
  })

  test('an unknown instance counts as not running, but only where it was to be attached to', () => {
    const cause = ec2Error('InvalidInstanceID.NotFound', "The instance ID 'i-1' does not exist")
    expect(toCloudAPIError('AttachNetworkInterface', cause).reason).toBe('instanceNotRunning')
    expect(toCloudAPIError('DescribeInstances', cause).reason).toBeUndefined()
  })

  test('wrapping keeps what callers branch on', () => {
    const error = wrapError(
      'unable to create ENI',
      toCloudAPIError('CreateNetworkInterface', ec2Error('InsufficientCidrBlocks', 'x')),
    )
    expect(error).toMatchObject({ kind: 'exhausted', reason: 'prefixExhausted', code: 'InsufficientCidrBlocks' })
    expect(error.message).toMatch(/^unable to create ENI: .*InsufficientCidrBlocks: x$/)
  })
})

describe('what a caller asks of an error', () => {
  const throttled = toCloudAPIError('DescribeVpcs', ec2Error('RequestLimitExceeded', 'Request limit exceeded.'))
  const refused = toCloudAPIError('DescribeVpcs', ec2Error('OperationNotPermitted', 'x'))
  const denied = toCloudAPIError('DescribeVpcs', ec2Error('UnauthorizedOperation', 'x', 403))

  test('only a refusal for the rate is throttled', () => {
    expect(isThrottled(throttled)).toEqual({})
    expect(isThrottled(refused)).toBeUndefined()
    expect(isThrottled(new Error('RequestLimitExceeded'))).toBeUndefined()
  })

  test('a refused unpaged listing and a missing permission are told apart', () => {
    expect([throttled, refused, denied].map(isUnpagedListingRefused)).toEqual([false, true, false])
    expect([throttled, refused, denied].map(isPermissionMissing)).toEqual([false, false, true])
  })

  test('the metric label is the status line, or Failed without an answer', () => {
    expect([throttled, refused, denied].map(responseCodeOf)).toEqual([
      '503 Service Unavailable',
      '400 Bad Request',
      '403 Forbidden',
    ])
    expect(responseCodeOf(toCloudAPIError('DescribeVpcs', lostAnswer()))).toBe('Failed')
  })
})
