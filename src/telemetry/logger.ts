import { createRequire } from 'node:module'
import { stderr } from 'node:process'
import { pino } from 'pino'
import type { DestinationStream } from 'pino'
import type * as PinoPretty from 'pino-pretty'
import type { Logger } from '../ipam/contracts.ts'
import type { Clock } from '../runtime/clock.ts'
import { errorFields } from './error-fields.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A logger whose level may be changed while it is in use. */
export interface LeveledLogger extends Logger {
  level: string
}

export interface LoggerOptions {
  /** Less than this is not written. */
  readonly level: LogLevel
  /** Where each line goes at once, so that a crash loses none; standard error by default. */
  readonly destination?: DestinationStream
  /** Lines for people; only for a terminal. */
  readonly pretty: boolean
  /** Gives the lines their time. */
  readonly clock: Clock
}

/**
 * One JSON object a line: `level` (a word), `time` (ISO 8601), the fields of `log-fields.ts`, `msg`; an error in `error` comes
 * with its chain of causes.
 */
export function createLogger(options: LoggerOptions): LeveledLogger {
  const { level, destination = stderr, pretty, clock } = options
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${clock.wallTime().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // pino would show all of an `err`, and with it what an SDK hangs on its errors.
      serializers: { error: errorFields, err: errorFields },
    },
    pretty ? prettyDestination(destination) : destination,
  )
}

/** Loaded only when wanted: a process that writes JSON does not pay for it. Not as a stream, which would lose lines in a crash. */
function prettyDestination(destination: DestinationStream): DestinationStream {
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty
  const prettify = prettyFactory({
    colorize: true,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    errorLikeObjectKeys: ['error'],
  })
  return {
    write(line) {
      destination.write(prettify(line) ?? line)
    },
  }
}
