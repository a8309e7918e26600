import { isList, isObject, scalarText } from './json.ts'
import type { JSONValue } from './json.ts'

/**
 * The simple JSONPath that printer columns may use: `.a.b`, `['a']`, `[0]`, `[*]`, `.*` and `[?(@.a=="b")]`
 * (client-go util/jsonpath, as far as apiextensions allows it in `additionalPrinterColumns`).
 */
type Step = (value: JSONValue) => readonly (JSONValue | undefined)[]

/**
 * @returns a function that gives every value at the path, in order
 * @throws Error naming the path when it is not of the supported form
 */
export function compileJSONPath(path: string): (root: JSONValue) => readonly JSONValue[] {
  const steps = parse(path.replace(/^\{(.*)\}$/s, '$1').replace(/^\$/, ''), path)
  return (root) => {
    let values: readonly JSONValue[] = [root]
    for (const step of steps) values = values.flatMap(step).filter((value) => value !== undefined)
    return values
  }
}

const FILTER = /^@((?:\.[-\w]+)+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([-\w.]+))$/

function parse(text: string, whole: string): readonly Step[] {
  const steps: Step[] = []
  let rest = text
  while (rest !== '') {
    const match =
      /^\.((?:[-\w/]|\\.)+|\*)/.exec(rest) ??
      /^\[\?\((.*?)\)\]/s.exec(rest) ??
      /^\[(-?\d+|\*|'[^']*'|"[^"]*")\]/.exec(rest)
    if (match === null) throw new Error(`unrecognised JSONPath ${JSON.stringify(whole)} at ${JSON.stringify(rest)}`)
    const [token, inner = ''] = match
    steps.push(token.startsWith('[?') ? filterStep(inner, whole) : stepOf(token, inner))
    rest = rest.slice(token.length)
  }
  return steps
}

function stepOf(token: string, inner: string): Step {
  if (inner === '*') {
    return (value) => (isList(value) ? value : isObject(value) ? Object.values(value) : [])
  }
  if (token.startsWith('[') && /^-?\d+$/.test(inner)) return (value) => (isList(value) ? [value.at(Number(inner))] : [])
  const name = token.startsWith('[') ? inner.slice(1, -1) : inner.replaceAll(/\\(.)/g, '$1')
  return (value) => (isObject(value) ? [value[name]] : [])
}

function filterStep(condition: string, whole: string): Step {
  const match = FILTER.exec(condition.trim())
  if (match === null) throw new Error(`unsupported filter in JSONPath ${JSON.stringify(whole)}`)
  const path = compileJSONPath(match[1] ?? '')
  const wanted = match[3] ?? match[4] ?? match[5] ?? ''
  return (value) =>
    (isList(value) ? value : []).filter((item) => (scalarText(path(item)[0]) === wanted) === (match[2] === '=='))
}
