/**
 * A Redis URL without what is secret in it, for messages and logs: `redis://cache:6379/2`.
 *
 * @param url with a scheme and a host, as the configuration has checked it
 */
export function redisAddress(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`
}
