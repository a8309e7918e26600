import { assert } from '../runtime/assert.ts'
import type { Reason, ReasonCode, ReasonEffect } from './reasons.ts'
import { REASONS, runbookOf, textOf } from './reasons.ts'

export const SUBJECT_KINDS = ['node', 'pod', 'subnet', 'budget'] as const
export type SubjectKind = (typeof SUBJECT_KINDS)[number]

/** One link of a chain of causes, from what is wanted to what keeps it. */
export interface ExplanationLink {
  readonly code: ReasonCode
  readonly effect: ReasonEffect
  readonly text: string
  /** What a person can do; absent where there is nothing. */
  readonly todo?: string
  /** Section of a runbook, from the root of the project. */
  readonly runbook: string
  readonly details: Readonly<Record<string, string | number>>
}

/** Why something waits, and for how long. The last link is the cause. */
export interface Explanation {
  readonly kind: SubjectKind
  readonly name: string
  readonly isWaiting: boolean
  readonly summary: string
  readonly chain: readonly ExplanationLink[]
  /** Until it is served (seconds from `at`, an estimate); absent where nobody can know. */
  readonly estimateSeconds?: number
  /** ISO 8601 */
  readonly at: string
}

export interface ExplanationParts {
  readonly kind: SubjectKind
  readonly name: string
  /** At least one; the last one is the cause. */
  readonly reasons: readonly [...Reason[], Reason]
  /** Until it is served (ms); undefined where nobody can know. */
  readonly estimateMs: number | undefined
  readonly at: Date
}

export function explanationOf({ kind, name, reasons, estimateMs, at }: ExplanationParts): Explanation {
  const cause = lastOf(reasons)
  const { effect } = REASONS[cause.code]
  const isWaiting = effect === 'passes' || effect === 'stops'
  const estimateSeconds = estimateMs === undefined ? undefined : Math.round(Math.max(0, estimateMs) / 100) / 10
  const about = isWaiting && estimateSeconds !== undefined ? `, about ${estimateSeconds} s to go` : ''
  return {
    kind,
    name,
    isWaiting,
    summary: `${textOf(cause)}${about}`,
    chain: reasons.map(linkOf),
    ...(isWaiting && estimateSeconds !== undefined && { estimateSeconds }),
    at: at.toISOString(),
  }
}

/** The cause at the end of a chain. */
export function lastOf(reasons: readonly [...Reason[], Reason]): Reason {
  const [cause] = reasons.slice(-1)
  assert(cause !== undefined, 'a chain has a link')
  return cause
}

function linkOf(reason: Reason): ExplanationLink {
  const { code, ...details } = reason
  const { effect, todo } = REASONS[code]
  const known = Object.entries(details).filter((entry): entry is [string, string | number] => entry[1] !== undefined)
  return {
    code,
    effect,
    text: textOf(reason),
    ...(todo !== '' && { todo }),
    runbook: runbookOf(code),
    details: Object.fromEntries(known),
  }
}

/** An explanation for a terminal. */
export function describeExplanation({ chain, estimateSeconds, isWaiting }: Explanation): string {
  const lines = chain.map(({ text }, depth) => `${'  '.repeat(depth)}${depth === 0 ? '' : '└ '}${text}`)
  const cause = chain.at(-1)
  if (isWaiting && estimateSeconds !== undefined) lines.push(`About ${seconds(estimateSeconds)} to go.`)
  else if (cause?.effect === 'stops') lines.push('Nothing changes until somebody acts.')
  else if (isWaiting) lines.push('How long that takes cannot be known from here.')
  const todos = [...new Set(chain.map(({ todo }) => todo).filter((todo) => todo !== undefined))]
  for (const todo of todos) lines.push(`What to do: ${todo}.`)
  if (cause !== undefined && cause.effect !== 'nothing') lines.push(`More: ${cause.runbook}`)
  return lines.join('\n')
}

function seconds(count: number): string {
  return count < 10 ? `${count} s` : `${Math.round(count)} s`
}
