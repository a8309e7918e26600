/** The Redis server answers, and not as a Redis that we may use: no waiting mends that. The message holds no secret. */
export class RedisRefusedError extends Error {
  override readonly name = 'RedisRefusedError'
}

/** The Redis server cannot be reached, or cannot serve for the moment. The message holds no secret. */
export class RedisAwayError extends Error {
  override readonly name = 'RedisAwayError'
}

/** Replies of a server that will serve later. @source Redis documentation, Redis serialization protocol, simple errors; redis/src/server.c */
const PASSING = /^(LOADING|BUSY|MASTERDOWN|TRYAGAIN|CLUSTERDOWN)\b/

/** What ioredis throws for bytes that are no reply of Redis. */
const FOREIGN = /^(Unknown RESP type|Protocol error)/

/**
 * Says what a failure of ioredis means. Only its message is kept: its errors carry the command, and with it the password.
 *
 * @param address as from `redisAddress`
 */
export function readRedisError(error: unknown, address: string): RedisRefusedError | RedisAwayError {
  if (error instanceof RedisRefusedError || error instanceof RedisAwayError) return error
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) }
  if (FOREIGN.test(message)) return new RedisRefusedError(`${address} does not answer like a Redis server`)
  const said = `${address}: ${(message.split('\n', 1)[0] ?? '').replace(/\.$/, '')}`
  return name === 'ReplyError' && !PASSING.test(message) ? new RedisRefusedError(said) : new RedisAwayError(said)
}
