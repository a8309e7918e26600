import { describe, expect, test } from 'vitest'
import { CloudAPIError } from '../../../src/ipam/errors.ts'
import { errorFields } from '../../../src/telemetry/error-fields.ts'
import type { ErrorFields } from '../../../src/telemetry/error-fields.ts'

function depth(fields: ErrorFields | undefined): number {
  return fields === undefined ? 0 : 1 + depth(fields.cause)
}

describe('errorFields', () => {
  test('names type, message, kind, code and action, and follows the causes', () => {
    const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
    const error = new CloudAPIError('no answer', { kind: 'unavailable', code: '', action: 'CreateTags', cause })
    expect(errorFields(error)).toEqual({
      type: 'CloudAPIError',
      message: 'no answer',
      kind: 'unavailable',
      action: 'CreateTags',
      stack: expect.stringContaining('CloudAPIError: no answer') as string,
      cause: {
        type: 'Error',
        message: 'read ECONNRESET',
        code: 'ECONNRESET',
        stack: expect.any(String) as string,
      },
    })
  })

  test('takes no other field: they may carry credentials', () => {
    const error = Object.assign(new Error('refused'), { $request: { headers: { authorization: 'secret' } } })
    expect(JSON.stringify(errorFields(error))).not.toContain('secret')
  })

  test.each([
    { name: 'a string', thrown: 'boom', expected: { type: 'string', message: 'boom' } },
    { name: 'an object', thrown: { a: 1 }, expected: { type: 'object', message: '{"a":1}' } },
    { name: 'nothing', thrown: undefined, expected: { type: 'undefined', message: 'undefined' } },
    { name: 'a bigint', thrown: 7n, expected: { type: 'bigint', message: '[object BigInt]' } },
  ])('describes $name', ({ thrown, expected }) => {
    expect(errorFields(thrown)).toEqual(expected)
  })

  test('shows the members of an AggregateError', () => {
    const fields = errorFields(new AggregateError([new Error('::1'), new Error('127.0.0.1')], 'connect failed'))
    expect(fields.errors?.map(({ message }) => message)).toEqual(['::1', '127.0.0.1'])
  })

  test('ends where causes go in a circle', () => {
    const error = new Error('round')
    error.cause = error
    expect(depth(errorFields(error))).toBeLessThanOrEqual(8)
  })

  test('cuts what is too long to log', () => {
    expect(errorFields(new Error('x'.repeat(100_000))).message.length).toBeLessThan(5000)
  })
})
