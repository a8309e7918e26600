/** The name of a pool. */
export type Pool = string

/** The pool of whoever names none. */
export const POOL_DEFAULT: Pool = 'default'

/** @source cilium pkg/ipam/pool.go, PoolOrDefault */
export function poolOrDefault(name?: string): Pool {
  return name === undefined || name === '' ? POOL_DEFAULT : name
}
