import type { KubernetesObject } from './json.ts'
import { badRequest } from './status-errors.ts'

/**
 * Label and field selectors, with the grammar of apimachinery/pkg/labels and /fields.
 * A selector that does not parse is a 400, as on the real server.
 */

export type LabelRequirement =
  | { readonly key: string; readonly operator: 'in' | 'notIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'exists' | 'absent' }
  | { readonly key: string; readonly operator: 'greater' | 'less'; readonly bound: number }

export interface FieldRequirement {
  readonly field: string
  readonly isEqual: boolean
  readonly value: string
}

/** The text of one field; the empty text when it is absent. */
export type FieldReader = (object: KubernetesObject) => string

export interface Selection {
  readonly labels: readonly LabelRequirement[]
  readonly fields: readonly FieldRequirement[]
}

const LABEL_KEY = /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

/** @throws APIStatusError 400 when the text is not a label selector */
export function parseLabelSelector(text: string): readonly LabelRequirement[] {
  return splitOutsideParentheses(text).map((part) => parseLabelRequirement(part, text))
}

function parseLabelRequirement(part: string, whole: string): LabelRequirement {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part)
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => checkedLabelValue(value.trim(), whole))
    return { key: checkedLabelKey(set[1] ?? '', whole), operator: set[2] === 'in' ? 'in' : 'notIn', values }
  }
  const comparison = /^([^=!<>\s]+)\s*(==|=|!=|>|<)\s*(\S*)$/.exec(part)
  if (comparison !== null) {
    const key = checkedLabelKey(comparison[1] ?? '', whole)
    const value = comparison[3] ?? ''
    const operator = comparison[2]
    if (operator === '>' || operator === '<') {
      if (!/^-?\d+$/.test(value)) throw unparsable(whole, `for 'Gt', 'Lt' operators, the value must be an integer`)
      return { key, operator: operator === '>' ? 'greater' : 'less', bound: Number(value) }
    }
    return { key, operator: operator === '!=' ? 'notIn' : 'in', values: [checkedLabelValue(value, whole)] }
  }
  return part.startsWith('!')
    ? { key: checkedLabelKey(part.slice(1).trim(), whole), operator: 'absent' }
    : { key: checkedLabelKey(part, whole), operator: 'exists' }
}

function checkedLabelKey(key: string, whole: string): string {
  if (!LABEL_KEY.test(key)) throw unparsable(whole, `found '${key}', expected: a label key`)
  return key
}

function checkedLabelValue(value: string, whole: string): string {
  if (!LABEL_VALUE.test(value)) throw unparsable(whole, `found '${value}', expected: a label value`)
  return value
}

function unparsable(selector: string, why: string): Error {
  return badRequest(`unable to parse requirement: ${why} (in ${JSON.stringify(selector)})`)
}

/** Commas inside `in (a,b)` do not separate requirements. */
function splitOutsideParentheses(text: string): string[] {
  if (text.trim() === '') return []
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let index = 0; index <= text.length; index += 1) {
    const character = text[index]
    if (character === '(') depth += 1
    if (character === ')') depth -= 1
    if (character === undefined || (character === ',' && depth === 0)) {
      parts.push(text.slice(start, index).trim())
      start = index + 1
    }
  }
  return parts
}

/**
 * @param readers the fields this resource can be selected by
 * @throws APIStatusError 400 for a malformed selector or a field the resource does not offer
 */
export function parseFieldSelector(
  text: string,
  readers: Readonly<Record<string, FieldReader>>,
): readonly FieldRequirement[] {
  return splitUnescaped(text).map((part) => {
    const match = /^([^=!]+?)\s*(==|=|!=)(.*)$/s.exec(part)
    if (match === null)
      throw badRequest(`invalid selector: ${JSON.stringify(text)}; can't understand ${JSON.stringify(part)}`)
    const field = (match[1] ?? '').trim()
    if (!Object.hasOwn(readers, field)) throw badRequest(`field label not supported: ${field}`)
    return { field, isEqual: match[2] !== '!=', value: (match[3] ?? '').replaceAll(/\\([\\,=])/g, '$1') }
  })
}

function splitUnescaped(text: string): string[] {
  return (text.match(/(?:\\.|[^,\\])+/gs) ?? []).map((part) => part.trim()).filter((part) => part !== '')
}

export function matchesLabels(
  labels: Readonly<Record<string, string>> | undefined,
  requirements: readonly LabelRequirement[],
): boolean {
  return requirements.every((requirement) => matchesLabel(labels?.[requirement.key], requirement))
}

/** As in apimachinery: `notIn` and `!=` also match objects without the label, `>` and `<` never do. */
function matchesLabel(value: string | undefined, requirement: LabelRequirement): boolean {
  switch (requirement.operator) {
    case 'in':
      return value !== undefined && requirement.values.includes(value)
    case 'notIn':
      return value === undefined || !requirement.values.includes(value)
    case 'exists':
      return value !== undefined
    case 'absent':
      return value === undefined
    case 'greater':
      return value !== undefined && Number(value) > requirement.bound
    case 'less':
      return value !== undefined && Number(value) < requirement.bound
    default:
      return requirement satisfies never
  }
}

export function matchesFields(
  object: KubernetesObject,
  requirements: readonly FieldRequirement[],
  readers: Readonly<Record<string, FieldReader>>,
): boolean {
  return requirements.every(({ field, isEqual, value }) => (readers[field]?.(object) === value) === isEqual)
}

export function matchesSelection(
  object: KubernetesObject,
  selection: Selection,
  readers: Readonly<Record<string, FieldReader>>,
): boolean {
  return matchesLabels(object.metadata.labels, selection.labels) && matchesFields(object, selection.fields, readers)
}
