import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { JSONObject, JSONValue } from '../../src/ipam/types.ts'

export const SUITES = ['core', 'aws', 'azure', 'alibabacloud', 'agent'] as const
export type Suite = (typeof SUITES)[number]

/** One vector, in the one form that the files' shapes are brought to. */
export interface ConformanceCase {
  readonly suite: Suite
  readonly id: string
  /** In agent vectors the area. */
  readonly kind: string
  /** As in the file (`all`, `>=1.15`, `main`, …). */
  readonly profile: string
  /** `profile` as the file's own table of profiles explains it; the same text where it has none. */
  readonly bound: string
  /** `input`, `given`, or `{ setup, setupExpect, steps }` of an agent vector. */
  readonly input: JSONObject
  /** Absent in agent vectors, whose steps carry their own. */
  readonly expect: JSONValue | undefined
  readonly note: string
}

/** The file is not there, is no JSON, or has not the form of a vector file. The message names the file and the place. */
export class VectorFileError extends Error {
  override readonly name = 'VectorFileError'
}

const jsonValue = z.json() as unknown as z.ZodType<JSONValue>
const jsonObject = z.record(z.string(), jsonValue) as unknown as z.ZodType<JSONObject>
const name = z.string().min(1)

/** `oneOf` beside or instead of `expect`: any of these holds. */
const expectation = { expect: jsonValue.optional(), oneOf: z.array(jsonValue).optional() }

const coreCase = z.object({
  id: name,
  kind: name,
  profile: z.string().default('all'),
  input: jsonObject,
  note: z.string().default(''),
  ...expectation,
})
const awsCase = z.object({
  id: name,
  kind: name,
  appliesTo: z.string().default('all'),
  given: jsonObject,
  note: z.string().default(''),
  ...expectation,
})
const providerCase = z.object({
  id: name,
  kind: name,
  profile: z.string().default('any'),
  given: jsonObject,
  note: z.string().default(''),
  ...expectation,
})
const agentCase = z.object({
  id: name,
  area: name,
  profile: z.string().default('core'),
  setup: jsonObject.optional(),
  setupExpect: jsonObject.optional(),
  steps: z.array(jsonObject).default([]),
  note: z.string().default(''),
})

const vectorFile = z.discriminatedUnion('schema', [
  z.object({ schema: z.literal('eni-ipam-core-vectors'), cases: z.array(coreCase) }),
  z.object({ schema: z.literal('aws-vectors/1'), vectors: z.array(awsCase) }),
  z.object({
    schema: z.literal('provider-vectors/1'),
    provider: z.enum(['azure', 'alibabacloud']),
    profiles: z.record(z.string(), z.string()).default({}),
    vectors: z.array(providerCase),
  }),
  z.object({ schema: z.literal('agent-vectors/1'), vectors: z.array(agentCase) }),
])

/** @throws VectorFileError */
export function loadVectorFile(path: string): ConformanceCase[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new VectorFileError(`Cannot read vector file ${path}: ${messageOf(error)}`, { cause: error })
  }
  return parseVectors(text, path)
}

/**
 * @param path for messages
 * @throws VectorFileError
 */
export function parseVectors(text: string, path: string): ConformanceCase[] {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new VectorFileError(`Vector file ${path} is not JSON: ${messageOf(error)}`, { cause: error })
  }
  const parsed = vectorFile.safeParse(document)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const place = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
    throw new VectorFileError(`Vector file ${path} is not well-formed${place}: ${issue?.message ?? 'unknown fault'}`)
  }
  const file = parsed.data
  switch (file.schema) {
    case 'eni-ipam-core-vectors':
      return file.cases.map((item) => normalised('core', item, item.profile, item.profile, item.input, item))
    case 'aws-vectors/1':
      return file.vectors.map((item) => normalised('aws', item, item.appliesTo, item.appliesTo, item.given, item))
    case 'provider-vectors/1':
      return file.vectors.map((item) =>
        normalised(file.provider, item, item.profile, file.profiles[item.profile] ?? item.profile, item.given, item),
      )
    case 'agent-vectors/1':
      return file.vectors.map(({ setup, setupExpect, steps, ...item }) => {
        const input: JSONObject = { setup, setupExpect, steps }
        return normalised('agent', { ...item, kind: item.area }, item.profile, item.profile, input, {})
      })
    default:
      return file satisfies never
  }
}

function normalised(
  suite: Suite,
  item: { readonly id: string; readonly kind: string; readonly note: string },
  profile: string,
  bound: string,
  input: JSONObject,
  { expect, oneOf }: { readonly expect?: JSONValue | undefined; readonly oneOf?: readonly JSONValue[] | undefined },
): ConformanceCase {
  const { id, kind, note } = item
  return { suite, id, kind, profile, bound, input, expect: oneOf === undefined ? expect : { oneOf }, note }
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
