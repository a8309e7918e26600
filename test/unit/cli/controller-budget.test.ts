import { describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { openBudget } from '../../../src/cli/controller-budget.ts'
import type { OpenBudget } from '../../../src/cli/controller-budget.ts'
import { systemClock } from '../../../src/runtime/clock.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import { hasRedisServer, RedisServer } from '../../integration/redis-server.ts'

const RATE = { size: 100, refillPerSecond: 5 }

interface Line {
  readonly level: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

function open(budget: Partial<Config['budget']>, logged: Line[] = []): Promise<OpenBudget> {
  const log =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push({ level, message, fields: fields as Record<string, unknown> })
  return openBudget({
    config: { budget: { redisURL: '', table: {}, reserveShare: 0, ...budget }, limitIPAMAPI: undefined },
    table: { refill: 'continuous', buckets: { DescribeSubnets: RATE }, families: {}, fallback: RATE },
    clock: systemClock(),
    random: seededRandom(1),
    isThrottled: () => undefined,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    accountName: () => Promise.resolve('aws/1/eu-central-1'),
  })
}

async function use({ budget }: OpenBudget): Promise<void> {
  await budget.run(
    {
      action: 'DescribeSubnets',
      buckets: [{ bucket: 'DescribeSubnets', cost: 1 }],
      priority: 'background',
      reason: 'test',
      signal: new AbortController().signal,
    },
    () => Promise.resolve(),
  )
}

describe('the configured budget', () => {
  test('has the buckets of the file, less the reserve', async () => {
    const opened = await open({ table: { DescribeSubnets: { size: 50, refillPerSecond: 20 } }, reserveShare: 0.2 })
    await use(opened)
    expect(opened.budget.buckets()).toMatchObject([{ bucket: 'DescribeSubnets', size: 40, refillPerSecond: 16 }])
    opened.close()
  })

  test('refuses a bucket that the cloud does not have', async () => {
    await expect(open({ table: { DescribeSubnet: RATE } })).rejects.toThrow(
      "--budget-table: the cloud has no bucket 'DescribeSubnet'; did you mean DescribeSubnets?",
    )
  })

  test('goes on without a Redis that is not there, and says so once, without the secret', async () => {
    const logged: Line[] = []
    const opened = await open({ redisURL: 'redis://:hunter2@127.0.0.1:1' }, logged)
    await use(opened)
    opened.close()
    expect(logged.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'info: Sharing the API budget through Redis',
      'warn: The Redis of the API budget cannot be used: each bucket is used up to the share of one of so many controllers, until it can',
    ])
    expect(logged[1]?.fields).toMatchObject({ endpoint: 'redis://127.0.0.1:1', count: 1 })
    const text = JSON.stringify(
      logged.map(({ fields }) => [fields, String((fields['error'] as Error | undefined)?.stack)]),
    )
    expect(text).not.toContain('hunter2')
  })

  test.skipIf(!hasRedisServer)('does not start with a wrong password (needs redis-server)', async () => {
    const server = await RedisServer.start('right')
    try {
      const failure = await open({ redisURL: `redis://:hunter2@127.0.0.1:${server.port}` }).catch(
        (error: unknown) => error,
      )
      expect(failure).toMatchObject({
        name: 'StartError',
        message: `The Redis of --budget-redis cannot be used: redis://127.0.0.1:${server.port}: WRONGPASS invalid username-password pair or user is disabled. Check user, password, port and database of the URL`,
      })
    } finally {
      await server.kill()
    }
  })
})
