/** Marks a place that no value reaches: a new member of a union fails to compile here until it is handled. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`)
}
