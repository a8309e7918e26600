import { describe, expect, test } from 'vitest'
import { FaultScript, formatFaults, parseFaults } from '../../../../simulators/kit/faults.ts'
import { seededRandom } from '../../../../simulators/kit/random.ts'

const call = (action: string, attributes: Record<string, string> = {}) => ({
  action,
  attribute: (name: string) => attributes[name],
})
const script = (...rules: object[]) => new FaultScript(seededRandom(1), parseFaults({ rules }))
const error = { kind: 'error', code: 'InternalError', status: 500 }

describe('FaultScript', () => {
  test('strikes the calls that its action names, and no others', () => {
    const faults = script({ action: 'Assign*', ...error })
    expect(faults.decide(call('AssignPrivateIpAddresses')).before).toMatchObject({ code: 'InternalError' })
    expect(faults.decide(call('DescribeVpcs'))).toEqual({
      latencyMs: 0,
      answerLatencyMs: 0,
      before: undefined,
      after: undefined,
    })
  })

  test('strikes only calls with the given attributes', () => {
    const faults = script({ action: '*', match: { InstanceId: 'i-a*' }, kind: 'drop' })
    expect(faults.decide(call('Attach', { InstanceId: 'i-abc' })).before).toEqual({ kind: 'drop' })
    expect(faults.decide(call('Attach', { InstanceId: 'i-bbc' })).before).toBeUndefined()
    expect(faults.decide(call('Attach')).before).toBeUndefined()
  })

  test('counts matching calls for its window and its number of strikes', () => {
    const faults = script({ action: 'A', kind: 'drop', fromCall: 2, untilCall: 6, count: 2 })
    const struck = [1, 2, 3, 4, 5, 6, 7].map(() => {
      faults.decide(call('B'))
      return faults.decide(call('A')).before !== undefined
    })
    expect(struck).toEqual([false, true, true, false, false, false, false])
    expect(faults.status()[0]).toMatchObject({ calls: 7, strikes: 2 })
  })

  test('a probability strikes about its share of the calls, the same ones for the same seed', () => {
    const run = (): boolean[] => {
      const faults = script({ action: '*', kind: 'drop', probability: 0.25 })
      return Array.from({ length: 1000 }, () => faults.decide(call('A')).before !== undefined)
    }
    expect(run()).toEqual(run())
    const share = run().filter(Boolean).length / 1000
    expect(share).toBeGreaterThan(0.2)
    expect(share).toBeLessThan(0.3)
  })

  test('adds up latencies and keeps the first effect before and after', () => {
    const faults = script(
      { action: '*', kind: 'latency', latencyMs: 100 },
      { action: '*', kind: 'latency', latencyMs: 50 },
      { action: '*', kind: 'latency', latencyMs: 7, where: 'after-effect' },
      { action: '*', kind: 'drop', where: 'after-effect' },
      { action: '*', kind: 'truncate' },
      { action: '*', ...error },
    )
    expect(faults.decide(call('A'))).toEqual({
      latencyMs: 150,
      answerLatencyMs: 7,
      before: { ...error, message: 'Injected fault.' },
      after: { kind: 'drop' },
    })
  })
})

describe('parseFaults', () => {
  test('what is read can be put back', () => {
    const file = { rules: [{ action: 'A*', match: { X: 'y' }, kind: 'cut', count: 3 }] }
    const rules = parseFaults(file)
    expect(parseFaults(JSON.parse(JSON.stringify(formatFaults(rules))))).toEqual(rules)
  })

  test.each([
    ['not an object', [], /file must be an object/],
    ['no rules', {}, /rules must be an array, not absent/],
    [
      'a misspelt key',
      { rules: [{ action: 'A', kind: 'drop', probabillity: 1 }] },
      /rules\[0\]\.probabillity is not known/,
    ],
    ['an unknown kind', { rules: [{ action: 'A', kind: 'explode' }] }, /rules\[0\]\.kind must be one of error/],
    ['an error without code', { rules: [{ action: 'A', kind: 'error', status: 500 }] }, /rules\[0\]\.code must be/],
    [
      'a good status',
      { rules: [{ action: 'A', kind: 'error', code: 'X', status: 200 }] },
      /status must be a number from 400/,
    ],
    ['a share above 1', { rules: [{ action: 'A', kind: 'drop', probability: 2 }] }, /from 0 to 1, not 2/],
    [
      'half an answer before the effect',
      { rules: [{ action: 'A', kind: 'cut', where: 'before-effect' }] },
      /no answer to spoil/,
    ],
  ])('refuses %s', (_, file, message) => {
    expect(() => parseFaults(file)).toThrow(message)
  })

  test('lists every fault at once', () => {
    expect(() => parseFaults({ rules: [{ kind: 'drop' }, { action: 'A', kind: 'latency' }] })).toThrow(
      /rules\[0\]\.action.*rules\[1\]\.latencyMs/s,
    )
  })
})
