import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parseFaults } from '../../../../simulators/kit/faults.ts'
import { parseThrottle } from '../../../../simulators/kit/rate-limit.ts'
import faultsSchema from '../../../../simulators/kit/schemas/faults.schema.json' with { type: 'json' }
import throttleSchema from '../../../../simulators/kit/schemas/throttle.schema.json' with { type: 'json' }

const ajv = new Ajv2020({ strictRequired: false })
const isFaults = ajv.compile(faultsSchema)
const isThrottle = ajv.compile(throttleSchema)

const rule = (change: object) => ({ rules: [{ action: 'A', kind: 'drop', ...change }] })
const error = { kind: 'error', code: 'X', status: 500 }

function accepts(parse: (value: unknown) => unknown, value: unknown): boolean {
  try {
    parse(value)
    return true
  } catch {
    return false
  }
}

describe('the schema of fault files and their reader agree', () => {
  test.each<[boolean, unknown]>([
    [true, { rules: [] }],
    [true, rule({})],
    [true, rule({ match: { InstanceId: 'i-*' }, probability: 0.5, count: 1, fromCall: 2, untilCall: 3 })],
    [true, rule(error)],
    [true, rule({ ...error, message: 'no' })],
    [true, rule({ kind: 'latency', latencyMs: 5, where: 'after-effect' })],
    [true, rule({ kind: 'truncate' })],
    [true, rule({ kind: 'cut', where: 'after-effect' })],
    [true, { rules: [], counters: [] }],
    [false, {}],
    [false, []],
    [false, { rules: {} }],
    [false, { rules: [], more: 1 }],
    [false, rule({ kind: 'explode' })],
    [false, rule({ kind: 'cut', where: 'before-effect' })],
    [false, rule({ kind: 'error', code: 'X' })],
    [false, rule({ ...error, status: 200 })],
    [false, rule({ kind: 'latency' })],
    [false, rule({ probability: 1.1 })],
    [false, rule({ count: 0 })],
    [false, rule({ count: 1.5 })],
    [false, rule({ match: { a: 1 } })],
    [false, rule({ action: '' })],
    [false, rule({ where: 'now' })],
  ])('%s: %j', (expected, file) => {
    expect([isFaults(file), accepts(parseFaults, file)]).toEqual([expected, expected])
  })
})

describe('the schema of throttle files and their reader agree', () => {
  test.each<[boolean, unknown]>([
    [true, { rules: [] }],
    [true, { rules: [{ bucket: '*', size: 1, refillPerSecond: 0.5 }], refill: 'continuous' }],
    [true, { rules: [], neighbours: [{ bucket: 'A*', share: 0.3 }], levels: {} }],
    [false, {}],
    [false, { rules: [{ bucket: '*', size: 1 }] }],
    [false, { rules: [{ bucket: '*', size: -1, refillPerSecond: 1 }] }],
    [false, { rules: [], neighbours: [{ bucket: 'A', share: 2 }] }],
    [false, { rules: [], refill: 'never' }],
    [false, { rules: [], buckets: [] }],
  ])('%s: %j', (expected, file) => {
    expect([isThrottle(file), accepts(parseThrottle, file)]).toEqual([expected, expected])
  })
})
