import { createAPIBudget } from '../budget/api-budget.ts'
import type { AdaptiveAPIBudget, APIBudgetOptions } from '../budget/api-budget.ts'
import { redisAddress } from '../budget/redis-address.ts'
import { RedisRefusedError } from '../budget/redis-errors.ts'
import type { RedisSharedTokens, SharingChange } from '../budget/redis-shared-tokens.ts'
import type { Config } from '../config/config.ts'
import { nearestName } from '../config/nearest-name.ts'
import type { Logger } from '../ipam/contracts.ts'
import { ConfigError } from '../ipam/errors.ts'
import { StartError } from './controller-start-error.ts'

export interface BudgetDependencies extends Pick<
  APIBudgetOptions,
  'table' | 'clock' | 'random' | 'isThrottled' | 'onWait'
> {
  readonly config: Pick<Config, 'budget' | 'limitIPAMAPI'>
  readonly log: Logger
  /** Names the account whose buckets they are, such as `aws/123456789012/eu-central-1`. Asked only when they are shared. */
  readonly accountName: () => Promise<string>
}

export interface OpenBudget {
  readonly budget: AdaptiveAPIBudget
  /** As `--budget-table`, while running. @throws ConfigError for a bucket that the cloud does not have: nothing has changed then */
  readonly setTable: (table: Config['budget']['table']) => void
  close(): void
}

/** The configuration of a budget that is nobody else's. */
export function withoutSharing(config: Config): Config {
  return { ...config, budget: { ...config.budget, redisURL: '' } }
}

/**
 * The budget as configured, shared with other controllers where a Redis is given.
 *
 * @throws ConfigError for a bucket that the cloud does not have; StartError when Redis does not let us in
 */
export async function openBudget(dependencies: BudgetDependencies): Promise<OpenBudget> {
  const { config, table, clock, random, isThrottled, onWait } = dependencies
  refuseUnknownBuckets(config.budget.table, Object.keys(table.buckets))
  const shared = config.budget.redisURL === '' ? undefined : await openShared(dependencies)
  const budget = createAPIBudget({
    table,
    overrides: config.budget.table,
    reserveShare: config.budget.reserveShare,
    clock,
    random,
    isThrottled,
    ...(onWait !== undefined && { onWait }),
    ...(config.limitIPAMAPI !== undefined && { globalLimit: config.limitIPAMAPI }),
    ...(shared !== undefined && { shared }),
  })
  return {
    budget,
    setTable(overrides) {
      refuseUnknownBuckets(overrides, Object.keys(table.buckets))
      if (shared !== undefined && JSON.stringify(overrides) !== JSON.stringify(config.budget.table)) {
        throw new ConfigError([
          '--budget-table: buckets that are shared through --budget-redis change with the next start only',
        ])
      }
      budget.setOverrides(overrides)
    },
    close: () => shared?.close(),
  }
}

/** A misspelt bucket would go unseen, and the documented rate would hold. */
function refuseUnknownBuckets(table: Config['budget']['table'], known: readonly string[]): void {
  const faults = Object.keys(table)
    .filter((name) => !known.includes(name))
    .map((name) => {
      const meant = nearestName(name, known)
      return `--budget-table: the cloud has no bucket '${name}'${meant === undefined ? '' : `; did you mean ${meant}?`}`
    })
  if (faults.length > 0) throw new ConfigError(faults)
}

/** The client library is imported here: without the option nobody pays for it. */
async function openShared({ config, clock, random, log, accountName }: BudgetDependencies): Promise<RedisSharedTokens> {
  const { redisURL } = config.budget
  const endpoint = redisAddress(redisURL)
  const account = await accountName()
  const [{ openRedisSharedTokens }, { redisSessions }] = await Promise.all([
    import('../budget/redis-shared-tokens.ts'),
    import('../budget/redis-session.ts'),
  ])
  log.info({ endpoint, resource: account }, 'Sharing the API budget through Redis')
  try {
    return await openRedisSharedTokens({
      open: redisSessions(redisURL, account),
      clock,
      random,
      onChange: (change) => logChange(log, endpoint, change),
    })
  } catch (error) {
    if (!(error instanceof RedisRefusedError)) throw error
    throw new StartError(
      `The Redis of --budget-redis cannot be used: ${error.message}. Check user, password, port and database of the URL`,
      { cause: error },
    )
  }
}

function logChange(log: Logger, endpoint: string, change: SharingChange): void {
  if (change.kind === 'shared') {
    log.info({ endpoint }, 'The API budget is shared again')
    return
  }
  const { reason, controllers } = change
  log.warn(
    { endpoint, error: reason, count: controllers, option: '--budget-redis' },
    'The Redis of the API budget cannot be used: each bucket is used up to the share of one of so many controllers, until it can',
  )
}
