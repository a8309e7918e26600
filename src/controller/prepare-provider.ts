import { CloudAPIError, ConfigError } from '../ipam/errors.ts'
import type { NodeManagerOptions } from './options.ts'

/** Tries before the start fails, and the process with it (count). */
const ATTEMPTS = 8
const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 30_000

/**
 * Prepares the provider, again and again where that can help.
 *
 * @param onFailed told of each try that failed and is followed by another
 * @returns false when the signal was aborted first
 * @throws CloudAPIError or ConfigError: at once where trying again cannot help (permission, credentials, a request that is wrong),
 *   else after the last try
 */
export async function prepareProvider(
  { clock, implementation, log, random }: NodeManagerOptions,
  signal: AbortSignal,
  onFailed: (error: unknown) => void = () => undefined,
): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await implementation.prepare({ priority: 'below-minimum', reason: 'prepare', signal })
      return true
    } catch (error) {
      if (signal.aborted) return false
      if (attempt === ATTEMPTS || isFinal(error)) throw error
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), LONGEST_RETRY_MS)
      const delayMs = retryMs * (0.75 + random.next() / 2)
      log.warn({ error, attempt, delayMs }, 'The cloud API cannot be used yet, trying again')
      onFailed(error)
      try {
        await clock.sleep(delayMs, signal)
      } catch {
        return false // only the signal ends a sleep early
      }
    }
  }
}

/** Trying again cannot help. */
function isFinal(error: unknown): boolean {
  if (error instanceof ConfigError) return true
  return error instanceof CloudAPIError && (error.kind === 'denied' || error.kind === 'invalid')
}
