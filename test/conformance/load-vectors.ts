import type { JSONObject, JSONValue } from '../../src/ipam/types.ts'

/** The files' suites: `core`, `aws`, `azure`, `alibabacloud`, `agent`. */
export const SUITES = ['core', 'aws', 'azure', 'alibabacloud', 'agent'] as const
export type Suite = (typeof SUITES)[number]

/** One vector, in the one form that all files are brought to. */
export interface ConformanceCase {
  readonly suite: Suite
  readonly id: string
  readonly kind: string
  /** As in the file (`all`, `>=1.15`, `main`, …). */
  readonly profile: string
  readonly input: JSONObject
  readonly expect: JSONValue
  readonly note: string
}
