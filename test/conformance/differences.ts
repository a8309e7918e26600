import { z } from 'zod'
import type { IPAMProfile, JSONObject, JSONValue } from '../../src/ipam/types.ts'
import { IPAM_PROFILES } from '../../src/ipam/types.ts'
import data from './differences.json' with { type: 'json' }
import type { ConformanceCase } from './load-vectors.ts'
import { SUITES } from './load-vectors.ts'

/*
 * Where the project differs from the reference on purpose: `differences.json`, keyed by kind and a predicate on the input, never
 * by the ID of a case. Each entry says what we do instead, so that a case counts as `differ` only when our result is exactly that.
 */

/** The keys of an object, those with one value where `withValue` is given, or the items of a list of texts. */
const namesSchema = z.strictObject({ path: z.string(), withValue: z.string().optional() })

/** Names of `take` that are in all of `and` and in none of `without`. */
const selectionSchema = z.strictObject({
  take: namesSchema,
  and: z.array(namesSchema).default([]),
  without: z.array(namesSchema).default([]),
})
type Names = z.infer<typeof namesSchema>
type Selection = z.infer<typeof selectionSchema>

/** A predicate on the input. Paths are dotted. */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }
  /** Absent, `null`, `''`, `[]` and `{}` are empty. */
  | { readonly path: string; readonly is: 'empty' | 'notEmpty' }
  | { readonly path: string; readonly equals: string | number | boolean | null }
  | { readonly path: string; readonly atLeast: number }
  /** A text that the pattern finds something in. */
  | { readonly path: string; readonly matches: string; readonly ignoresCase?: boolean | undefined }
  /** The profile that the case runs under. */
  | { readonly profile: readonly IPAMProfile[] }
  /** At least one name is selected. */
  | { readonly some: Selection }
  /** At least one item of the list, or value of the map, itself an object, meets the condition. */
  | { readonly someItemOf: string; readonly meets: Condition }
  /** At least one item of the list has a text at the path that is no key of the map. */
  | { readonly list: string; readonly path: string; readonly isNoKeyOf: string }

const conditionSchema: z.ZodType<Condition> = z.lazy(() =>
  z.union([
    z.strictObject({ all: z.array(conditionSchema) }),
    z.strictObject({ any: z.array(conditionSchema) }),
    z.strictObject({ not: conditionSchema }),
    z.strictObject({ path: z.string(), is: z.enum(['empty', 'notEmpty']) }),
    z.strictObject({ path: z.string(), equals: z.union([z.string(), z.number(), z.boolean(), z.null()]) }),
    z.strictObject({ path: z.string(), atLeast: z.number() }),
    z.strictObject({ path: z.string(), matches: z.string(), ignoresCase: z.boolean().optional() }),
    z.strictObject({ list: z.string(), path: z.string(), isNoKeyOf: z.string() }),
    z.strictObject({ profile: z.array(z.enum(IPAM_PROFILES)) }),
    z.strictObject({ some: selectionSchema }),
    z.strictObject({ someItemOf: z.string(), meets: conditionSchema }),
  ]),
)

/** What replaces one member of the vector's expectation. */
const replacementSchema = z.union([
  z.strictObject({ to: z.json() }),
  /** The expected map without the selected keys. */
  z.strictObject({ dropKeys: selectionSchema }),
  /** Not compared: only where what we do instead cannot be stated from the input. */
  z.strictObject({ unchecked: z.literal(true) }),
])
type Replacement = z.infer<typeof replacementSchema>

const differenceSchema = z.strictObject({
  suite: z.enum(SUITES),
  kind: z.string().min(1),
  when: conditionSchema,
  /** Why the project is better here; also in docs/compatibility.md. */
  reason: z.string().min(1),
  /** Member of the expectation → what we do instead. */
  instead: z.record(z.string(), replacementSchema),
})
export type Difference = z.infer<typeof differenceSchema>

/** The project's own list. A fault in the file is an error at import. */
export const DIFFERENCES: readonly Difference[] = z.array(differenceSchema).parse(data)

export function applicableDifferences(
  testCase: ConformanceCase,
  profile: IPAMProfile,
  differences: readonly Difference[],
): readonly Difference[] {
  return differences.filter(
    ({ suite, kind, when }) =>
      suite === testCase.suite && kind === testCase.kind && holds(when, testCase.input, profile),
  )
}

/** The case's expectation with the members replaced that the differences name. */
export function expectationWith(differences: readonly Difference[], testCase: ConformanceCase): JSONValue | undefined {
  if (!isObject(testCase.expect)) return testCase.expect
  const expect: Record<string, JSONValue | undefined> = { ...testCase.expect }
  for (const { instead } of differences)
    for (const [member, replacement] of Object.entries(instead)) {
      const value = replaced(expect[member], replacement, testCase.input)
      if (value === undefined) delete expect[member]
      else expect[member] = value
    }
  return expect
}

/** @returns undefined when the member is not to be compared */
function replaced(expected: JSONValue | undefined, replacement: Replacement, input: JSONObject): JSONValue | undefined {
  if ('unchecked' in replacement) return undefined
  if ('to' in replacement) return replacement.to
  if (!isObject(expected)) return expected
  const dropped = select(replacement.dropKeys, input)
  return Object.fromEntries(Object.entries(expected).filter(([key]) => !dropped.has(key)))
}

function holds(condition: Condition, input: JSONObject, profile: IPAMProfile): boolean {
  if ('all' in condition) return condition.all.every((part) => holds(part, input, profile))
  if ('any' in condition) return condition.any.some((part) => holds(part, input, profile))
  if ('not' in condition) return !holds(condition.not, input, profile)
  if ('profile' in condition) return condition.profile.includes(profile)
  if ('some' in condition) return select(condition.some, input).size > 0
  if ('someItemOf' in condition) {
    return itemsAt(input, condition.someItemOf).some((item) => holds(condition.meets, item, profile))
  }
  if ('isNoKeyOf' in condition) {
    const keys = namesAt(input, { path: condition.isNoKeyOf })
    const texts = itemsAt(input, condition.list).map((item) => valueAt(item, condition.path))
    return texts.some((text) => typeof text === 'string' && text !== '' && !keys.has(text))
  }
  const value = valueAt(input, condition.path)
  if ('is' in condition) return isEmpty(value) === (condition.is === 'empty')
  if ('atLeast' in condition) return typeof value === 'number' && value >= condition.atLeast
  if ('matches' in condition)
    return typeof value === 'string' && new RegExp(condition.matches, condition.ignoresCase ? 'i' : '').test(value)
  return (value ?? null) === condition.equals
}

/** Objects of a list or of a map. */
function itemsAt(input: JSONObject, path: string): readonly JSONObject[] {
  const value = valueAt(input, path)
  const items = isObject(value) ? Object.values(value) : Array.isArray(value) ? (value as readonly JSONValue[]) : []
  return items.filter((item) => isObject(item))
}

function select(selection: Selection, input: JSONObject): Set<string> {
  const and = selection.and.map((names) => namesAt(input, names))
  const without = selection.without.map((names) => namesAt(input, names))
  const selected = [...namesAt(input, selection.take)].filter(
    (item) => and.every((set) => set.has(item)) && without.every((set) => !set.has(item)),
  )
  return new Set(selected)
}

function namesAt(input: JSONObject, { path, withValue }: Names): Set<string> {
  const value = valueAt(input, path)
  if (Array.isArray(value)) return new Set((value as readonly JSONValue[]).filter((item) => typeof item === 'string'))
  if (!isObject(value)) return new Set()
  const entries = Object.entries(value).filter(([, state]) => withValue === undefined || state === withValue)
  return new Set(entries.map(([key]) => key))
}

function valueAt(input: JSONObject, path: string): JSONValue | undefined {
  return path.split('.').reduce<JSONValue | undefined>((value, key) => {
    if (Array.isArray(value)) return (value as readonly JSONValue[])[Number(key)]
    return isObject(value) ? value[key] : undefined
  }, input)
}

function isEmpty(value: JSONValue | undefined): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

function isObject(value: JSONValue | undefined): value is JSONObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
