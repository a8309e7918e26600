import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import { ConfigError } from '../../../src/ipam/errors.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-budget-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function faultsOf(args: readonly string[], environment = {}): readonly string[] {
  try {
    loadConfig(args, environment)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).faults
  }
  throw new Error('the configuration was accepted')
}

describe('--budget-redis', () => {
  test.each([
    '',
    'redis://cache',
    'redis://cache:6379',
    'redis://cache:6379/2',
    'rediss://user:p%40ss@cache.example:6380',
    'redis://:secret@[::1]:6379/0',
  ])('takes %j', (url) => {
    expect(loadConfig(['--budget-redis', url], {}).config.budget.redisURL).toBe(url)
    expect(loadConfig([], { BERTH_BUDGET_REDIS: url }).config.budget.redisURL).toBe(url)
  })

  test.each([
    'cache:6379',
    'http://:hunter2@cache',
    'redis://:hunter2@',
    'redis://:hunter2@cache:port',
    'redis://:hunter2@cache/db',
    'redis://:hunter2@cache?family=6',
    'redis://:hunter2%@cache',
    'redis:/:hunter2@cache',
  ])('refuses %j, without showing it', (url) => {
    const faults = faultsOf(['--budget-redis', url])
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/^--budget-redis: expected /)
    expect(faults[0]).not.toContain('hunter2')
  })
})

describe('--budget-reserve-share', () => {
  test('is none by default', () => {
    expect(loadConfig([], {}).config.budget).toEqual({ redisURL: '', table: {}, reserveShare: 0 })
  })

  test.each([
    ['0.3', 0.3],
    ['0', 0],
    ['0.99', 0.99],
  ])('takes %s', (written, share) => {
    expect(loadConfig(['--budget-reserve-share', written], {}).config.budget.reserveShare).toBe(share)
  })

  test.each(['1', '-0.1', '30%', 'NaN', ''])('refuses %j', (written) => {
    expect(faultsOf([`--budget-reserve-share=${written}`])).toEqual([
      `--budget-reserve-share: expected a number from 0 to below 1, found '${written}'`,
    ])
  })
})

describe('--budget-table', () => {
  function table(text: string): string {
    const path = join(folder, 'buckets')
    writeFileSync(path, text)
    return path
  }

  test.each([
    [
      'YAML',
      'AssignPrivateIpAddresses: {size: 200, refillPerSecond: 12.5}\nDescribeSubnets:\n  size: 1\n  refillPerSecond: 0.1\n',
    ],
    [
      'JSON',
      '{"AssignPrivateIpAddresses": {"size": 200, "refillPerSecond": 12.5}, "DescribeSubnets": {"size": 1, "refillPerSecond": 0.1}}',
    ],
  ])('is read as %s', (_form, text) => {
    const { budget } = loadConfig(['--budget-table', table(text)], {}).config
    expect(budget.table).toEqual({
      AssignPrivateIpAddresses: { size: 200, refillPerSecond: 12.5 },
      DescribeSubnets: { size: 1, refillPerSecond: 0.1 },
    })
    expect(Object.isFrozen(budget.table)).toBe(true)
  })

  test.each([
    ['A: 5', "A: expected {size, refillPerSecond}, as in 'AssignPrivateIpAddresses: {size: 100, refillPerSecond: 5}'"],
    ['A: {size: 0.5, refillPerSecond: 1}', 'A: size must be a whole number of at least 1, found 0.5'],
    ['A: {size: 5}', 'A: refillPerSecond must be a number above 0, found nothing'],
    ['A: {size: 5, refillPerSecond: 0}', 'A: refillPerSecond must be a number above 0, found 0'],
    ['A: {size: 5, refillPerSecond: 1, burst: 3}', 'A: unknown burst; a bucket has size and refillPerSecond'],
    ['- A', "expected lines such as 'AssignPrivateIpAddresses: {size: 100, refillPerSecond: 5}'"],
    ['', "expected lines such as 'AssignPrivateIpAddresses: {size: 100, refillPerSecond: 5}'"],
  ])('with %j is refused', (text, fault) => {
    const path = table(text)
    expect(faultsOf(['--budget-table', path])).toEqual([`--budget-table ${path}: ${fault}`])
  })

  test('tells all mistakes at once, those of other options too', () => {
    const path = table('A: 5\nB: {size: 1, refillPerSecond: 1}\nC: {size: x, refillPerSecond: 1}')
    expect(faultsOf(['--budget-table', path, '--budget-reserve-share', '2'])).toHaveLength(3)
  })

  test('that is missing, or no YAML, is refused in one line', () => {
    expect(faultsOf(['--budget-table', join(folder, 'none')])[0]).toMatch(
      /^--budget-table .*none: cannot be read: ENOENT/,
    )
    const faults = faultsOf(['--budget-table', table('{A: [}')])
    expect(faults).toHaveLength(1)
    expect(faults[0]).toMatch(/cannot be read: .+/)
    expect(faults[0]).not.toContain('\n')
  })
})
