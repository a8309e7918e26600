import { describe, expect, test } from 'vitest'
import { CloudAPIError, ConfigError, InstanceNotFoundError, LimitsNotFoundError } from '../../../src/ipam/errors.ts'

describe('errors that a caller tells apart', () => {
  test('a refused call keeps its class, its action and what caused it', () => {
    const cause = new Error('socket hang up')
    const error = new CloudAPIError('Cannot assign', { kind: 'unavailable', code: '', action: 'Assign', cause })
    expect(error).toMatchObject({
      name: 'CloudAPIError',
      kind: 'unavailable',
      reason: undefined,
      code: '',
      action: 'Assign',
    })
    expect(error.cause).toBe(cause)
    expect(error.message).toBe('Cannot assign')
  })

  test('a reason says more than the class where a caller needs it', () => {
    const details = {
      kind: 'exhausted',
      reason: 'prefixExhausted',
      code: 'InsufficientCidrBlocks',
      action: 'Assign',
    } as const
    expect(new CloudAPIError('no block', details)).toMatchObject(details)
  })

  test('what is missing is named', () => {
    expect(new LimitsNotFoundError('m9.huge')).toMatchObject({ name: 'LimitsNotFoundError', instanceType: 'm9.huge' })
    expect(new LimitsNotFoundError('m9.huge').message).toContain("'m9.huge'")
    expect(new InstanceNotFoundError('i-7')).toMatchObject({ name: 'InstanceNotFoundError', instanceID: 'i-7' })
    expect(new InstanceNotFoundError('i-7').message).toContain("'i-7'")
  })

  test('every fault of a configuration is listed, one a line', () => {
    const error = new ConfigError(['--ipam is missing', '--parallel-alloc-workers: 0 is below 1'])
    expect(error.faults).toHaveLength(2)
    expect(error.message.split('\n')).toEqual(error.faults)
  })
})
