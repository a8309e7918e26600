import type { Config } from './config.ts'

/** The configuration as JSON, for people: a password is replaced by the word that there is one. */
export function publicConfig(config: Config): Readonly<Record<string, unknown>> {
  const { budget } = config
  return plain({ ...config, budget: { ...budget, redisURL: withoutSecrets(budget.redisURL) } }) as Record<
    string,
    unknown
  >
}

/** `rediss://user:password@cache:6380/2` → `rediss://cache:6380/2`. */
function withoutSecrets(url: string): string {
  if (url === '') return ''
  if (!URL.canParse(url)) return '[set]'
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** Maps as objects, the rest as it is. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, member]) => [String(key), plain(member)]))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}
