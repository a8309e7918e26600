import type { Writable } from 'node:stream'
import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface LoggerOptions {
  readonly level: LogLevel
  /** Where the lines go; standard error by default. */
  readonly destination?: Writable
  /** Lines for people; only for a terminal. */
  readonly pretty: boolean
  /** Gives the lines their time. */
  readonly clock: Clock
}

/** One JSON object a line: level, time, message, fields of `log-fields.ts`; errors with their chain of causes. */
export function createLogger(_options: LoggerOptions): Logger {
  throw new Error('not built yet')
}

export interface RateLimitedWarning {
  /** Warns, unless a warning with this key was written within the interval; the next one says how many were left out. */
  warn(key: string, fields: object, message: string): void
}

/** For warnings that would repeat with every pass of a node. */
export function rateLimitedWarning(_options: {
  readonly log: Logger
  readonly clock: Clock
  readonly intervalMs: number
}): RateLimitedWarning {
  throw new Error('not built yet')
}
