import type { JSONObject, JSONValue } from '../../../src/ipam/types.ts'
import { cidrHas, parseAddress, parseCIDR } from '../../../src/ipam/ip-range.ts'
import type { Adapter } from '../adapter.ts'
import { findMismatch } from '../compare.ts'

/** Runs the steps of agent vectors: `spec` section 13.2 of the file format, `agent-vectors/1`. */

/** What an area's steps run on. */
export interface Subject {
  /** @param op as in the file. @param args with bound values put in. @returns in the file's own names */
  call(op: string, args: JSONObject): unknown
}

/** The operations of an area by their names in the file, each with the arguments that its steps carry. */
export type Operations = Readonly<Record<string, (args: never) => unknown>>

export function subjectOf(operations: Operations): Subject {
  return {
    call: (op, args) => {
      const operation = operations[op]
      if (operation === undefined) throw new Error(`unknown operation ${op}`)
      return operation(args as never)
    },
  }
}

/** @param profile the one to configure; `core` where every profile must do */
export type SubjectFactory = (setup: JSONObject, profile: string) => Subject | Promise<Subject>

interface ErrorExpectation {
  readonly code?: string
  readonly codes?: readonly string[]
  readonly includes?: readonly string[]
}

interface Check {
  readonly path: string
  readonly is: string
  readonly arg?: JSONValue
}

interface Expectation {
  readonly error?: ErrorExpectation
  readonly value?: JSONValue
  readonly checks?: readonly Check[]
  readonly bind?: Readonly<Record<string, string>>
}

interface Step {
  readonly op: string
  readonly args?: JSONObject
  readonly expect?: Expectation
}

/** An adapter for an area: passes when every step does, throws at the first that does not. */
export function stepsAdapter(createSubject: SubjectFactory): Adapter {
  return {
    run: async (input, { testCase }) => {
      const setup = (input['setup'] ?? {}) as JSONObject
      const profile = typeof setup['profile'] === 'string' ? setup['profile'] : testCase.profile
      const failing = (input['setupExpect'] as Expectation | undefined)?.error
      if (failing !== undefined) {
        await expectFailure('setup', failing, () => createSubject(setup, profile))
        return undefined
      }
      const subject = await createSubject(setup, profile)
      const bound = new Map<string, JSONValue>()
      for (const [index, step] of (input['steps'] as unknown as readonly Step[]).entries())
        await runStep(subject, step, `step ${index} (${step.op})`, bound)
      return undefined
    },
  }
}

async function runStep(subject: Subject, step: Step, where: string, bound: Map<string, JSONValue>): Promise<void> {
  const args = withBound(step.args ?? {}, bound) as JSONObject
  const expected = withBound((step.expect ?? {}) as unknown as JSONObject, bound) as unknown as Expectation
  if (expected.error !== undefined) {
    await expectFailure(where, expected.error, () => subject.call(step.op, args))
    return
  }
  const result = plain(await subject.call(step.op, args))
  if (expected.value !== undefined && !isEqual(expected.value, result))
    throw new Error(`${where}: expected ${JSON.stringify(expected.value)}, got ${JSON.stringify(result)}`)
  for (const check of expected.checks ?? []) {
    const value = at(result, check.path)
    if (!holds(check, value))
      throw new Error(
        `${where}: '${check.path}' ${check.is} ${JSON.stringify(check.arg)} does not hold for ${JSON.stringify(value)}`,
      )
  }
  for (const [name, path] of Object.entries(step.expect?.bind ?? {})) bound.set(name, at(result, path) ?? null)
}

async function expectFailure(where: string, expected: ErrorExpectation, run: () => unknown): Promise<void> {
  let result: unknown
  try {
    result = await run()
  } catch (error) {
    const codes = codesOf(error)
    const text = error instanceof Error ? error.message.toLowerCase() : ''
    for (const code of [...(expected.code === undefined ? [] : [expected.code]), ...(expected.codes ?? [])])
      if (!codes.includes(code))
        throw new Error(`${where}: expected ${code}, got ${codes.join()}: ${text}`, { cause: error })
    for (const part of expected.includes ?? [])
      if (!text.includes(part.toLowerCase()))
        throw new Error(`${where}: the error does not say ${JSON.stringify(part)}: ${text}`, { cause: error })
    return
  }
  throw new Error(`${where}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(plain(result))}`)
}

/** Of an error, or of each that it joins. */
function codesOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) throw error
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.flatMap(codesOf)
  if ('code' in error && typeof error.code === 'string') return [error.code]
  throw error
}

function withBound(value: JSONValue | undefined, bound: ReadonlyMap<string, JSONValue>): JSONValue | undefined {
  if (typeof value === 'string' && value.startsWith('$') && bound.has(value.slice(1))) return bound.get(value.slice(1))
  if (Array.isArray(value)) return (value as JSONValue[]).map((item) => withBound(item, bound) ?? null)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withBound(item, bound)]))
  return value
}

/** A result as the file would write it: maps as objects, sets as sorted lists, nothing as null. */
export function plain(value: unknown): JSONValue {
  if (value === undefined || value === null) return null
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Map)
    return Object.fromEntries([...value].map(([key, item]: [string, unknown]) => [key, plain(item)]))
  if (value instanceof Set) return [...value].map(plain).sort(byText)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object')
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]: [string, unknown]) => [key, plain(item)]),
    )
  return value as JSONValue
}

/** Deep equality: texts without case, lists in order, nothing more and nothing less. */
function isEqual(expected: JSONValue, actual: JSONValue): boolean {
  // Wrapped, since the comparison lets the outermost object have further members.
  return findMismatch({ value: expected }, { value: actual }, { listOrder: 'ordered' }) === undefined
}

function at(value: JSONValue, path: string): JSONValue | undefined {
  if (path === '') return value
  const options = path.split('.')
  let current: JSONValue | undefined = value
  // Keys such as addresses have dots of their own: the longest key that is there wins.
  for (let index = 0; index < options.length;) {
    if (typeof current !== 'object' || current === null) return undefined
    const holder = current as Readonly<Record<string, JSONValue | undefined>>
    const taken = [...Array(options.length - index).keys()]
      .map((rest) => options.length - rest)
      .find((end) => Object.hasOwn(holder, options.slice(index, end).join('.')))
    if (taken === undefined) return undefined
    current = holder[options.slice(index, taken).join('.')]
    index = taken
  }
  return current
}

function holds({ is, arg = null }: Check, value: JSONValue | undefined): boolean {
  const actual = value ?? null
  switch (is) {
    case 'eq':
      return isEqual(arg, actual)
    case 'ne':
      return !isEqual(arg, actual)
    case 'in':
      return itemsOf(arg).some((item) => isEqual(item, actual))
    case 'notIn':
      return !itemsOf(arg).some((item) => isEqual(item, actual))
    case 'inCidr':
      return isInCIDR(actual, arg)
    case 'len':
      return typeof actual === 'object' && actual !== null && Object.keys(actual).length === arg
    case 'setEq':
      return isEqual(itemsOf(arg).toSorted(byText), itemsOf(actual).toSorted(byText))
    case 'includes':
      return typeof actual === 'string'
        ? actual.toLowerCase().includes(textOf(arg))
        : itemsOf(actual).some((item) => isEqual(arg, item))
    case 'startsWith':
      return typeof actual === 'string' && actual.toLowerCase().startsWith(textOf(arg))
    case 'present':
      return actual !== null
    case 'absent':
      return actual === null
    default:
      throw new Error(`unknown check ${is}`)
  }
}

function textOf(arg: JSONValue): string {
  if (typeof arg !== 'string') throw new Error(`expected a text, found ${JSON.stringify(arg)}`)
  return arg.toLowerCase()
}

function itemsOf(value: JSONValue): readonly JSONValue[] {
  if (!Array.isArray(value)) throw new Error(`expected a list, found ${JSON.stringify(value)}`)
  return value as readonly JSONValue[]
}

function byText(left: JSONValue, right: JSONValue): number {
  return JSON.stringify(left).toLowerCase() < JSON.stringify(right).toLowerCase() ? -1 : 1
}

function isInCIDR(value: JSONValue, arg: JSONValue): boolean {
  const address = typeof value === 'string' ? parseAddress(value) : undefined
  const cidr = typeof arg === 'string' ? parseCIDR(arg) : undefined
  return address !== undefined && cidr !== undefined && cidrHas(cidr, address)
}
