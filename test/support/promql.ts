/**
 * As much of PromQL as the alerts of this project use: instant and range vectors of selectors with matchers, `rate` and `increase`,
 * `absent`, aggregation with `by`, arithmetic and comparison, `or`, `unless`, `and`.
 *
 * @source Prometheus documentation, Querying basics, Operators and Functions
 */

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** Everything scraped at one moment. */
export interface Scrape {
  readonly atMs: number
  readonly samples: readonly (Sample & { readonly name: string })[]
}

/** A series that was not scraped for so long is gone (ms). Prometheus documentation, Staleness */
const LOOKBACK_MS = 5 * 60_000

type Vector = readonly Sample[]
type Expression = (scrapes: readonly Scrape[], nowMs: number) => Vector | number

/** @throws Error for what this subset does not know: an alert that uses more has to be looked at */
export function parsePromQL(text: string): (scrapes: readonly Scrape[], nowMs: number) => Vector {
  const parser = new Parser(tokens(text))
  const expression = parser.setOperation()
  parser.end()
  return (scrapes, nowMs) => {
    const result = expression(scrapes, nowMs)
    return typeof result === 'number' ? [{ labels: {}, value: result }] : result
  }
}

/** Names of all metrics in an expression. Works on any PromQL: functions and keywords are told by their place. */
export function metricNames(text: string): string[] {
  const bare = text
    .replaceAll(/"[^"]*"/g, '""')
    .replaceAll(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\{[^}]*\}/g, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ')
  const words = bare.matchAll(/[a-zA-Z_:][a-zA-Z0-9_:]*(?!\s*\(|[a-zA-Z0-9_:])/g)
  const keywords = new Set(['or', 'and', 'unless', 'bool', 'offset'])
  return [...new Set([...words].map(([word]) => word))].filter((word) => !keywords.has(word)).sort()
}

/** The text form of `/metrics`. @source Prometheus documentation, Exposition formats */
export function parseExposition(text: string, atMs: number): Scrape {
  const samples = text.split('\n').flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line)
    if (match === null) return []
    const [, name = '', labels = '', value = ''] = match
    const pairs = [...labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', one = '']) => [
      key,
      one,
    ])
    return [{ name, labels: Object.fromEntries(pairs) as Labels, value: Number(value) }]
  })
  return { atMs, samples }
}

const TOKEN = /\s*(>=|<=|==|!=|=~|!~|[-+*/(){}[\],=<>]|"[^"]*"|\d+(?:\.\d+)?[smhd]|\d+(?:\.\d+)?|[a-zA-Z_:][\w:]*)/y

function tokens(text: string): string[] {
  const found: string[] = []
  TOKEN.lastIndex = 0
  while (text.slice(TOKEN.lastIndex).trim() !== '') {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (match === null) throw new Error(`PromQL: cannot read '${text.slice(at, at + 20)}'`)
    found.push(match[1]!)
  }
  return found
}

const MS_BY_UNIT: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const COMPARE: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  '>': (left, right) => left > right,
  '<': (left, right) => left < right,
  '>=': (left, right) => left >= right,
  '<=': (left, right) => left <= right,
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
}
const COMPUTE: Readonly<Record<string, (left: number, right: number) => number>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '/': (left, right) => left / right,
}
const AGGREGATE: Readonly<Record<string, (values: readonly number[]) => number>> = {
  sum: (values) => values.reduce((sum, value) => sum + value, 0),
  max: (values) => Math.max(...values),
  min: (values) => Math.min(...values),
}

/** Recursive descent, loosest operator first: or, and/unless, comparison, sum, product. */
class Parser {
  readonly #tokens: readonly string[]
  #at = 0

  constructor(list: readonly string[]) {
    this.#tokens = list
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw new Error(`PromQL: did not expect '${this.#tokens[this.#at]}'`)
  }

  setOperation(): Expression {
    let left = this.#intersection()
    while (this.#take('or')) {
      const [first, second] = [left, this.#intersection()]
      left = (scrapes, nowMs) => {
        const kept = vectorOf(first(scrapes, nowMs))
        return [...kept, ...vectorOf(second(scrapes, nowMs)).filter((one) => !kept.some((other) => isSame(one, other)))]
      }
    }
    return left
  }

  #intersection(): Expression {
    let left = this.#comparison()
    for (;;) {
      const isUnless = this.#take('unless')
      if (!isUnless && !this.#take('and')) return left
      const [first, second] = [left, this.#comparison()]
      left = (scrapes, nowMs) => {
        const others = vectorOf(second(scrapes, nowMs))
        return vectorOf(first(scrapes, nowMs)).filter((one) => others.some((other) => isSame(one, other)) !== isUnless)
      }
    }
  }

  #comparison(): Expression {
    const left = this.#binary(() => this.#binary(() => this.#atom(), ['*', '/']), ['+', '-'])
    const compare = COMPARE[this.#peek() ?? '']
    if (compare === undefined) return left
    this.#at += 1
    const right = this.#binary(() => this.#binary(() => this.#atom(), ['*', '/']), ['+', '-'])
    return (scrapes, nowMs) => {
      const limit = right(scrapes, nowMs)
      if (typeof limit !== 'number') throw new Error('PromQL: only comparisons with a number are known here')
      return vectorOf(left(scrapes, nowMs)).filter(({ value }) => compare(value, limit))
    }
  }

  #binary(operand: () => Expression, operators: readonly string[]): Expression {
    let left = operand()
    for (;;) {
      const operator = operators.find((one) => one === this.#peek())
      const compute = COMPUTE[operator ?? '']
      if (compute === undefined) return left
      this.#at += 1
      const [first, second] = [left, operand()]
      left = (scrapes, nowMs) => combine(first(scrapes, nowMs), second(scrapes, nowMs), compute)
    }
  }

  #atom(): Expression {
    const token = this.#next()
    if (token === '(') {
      const inner = this.setOperation()
      this.#expect(')')
      return inner
    }
    if (/^\d/.test(token)) return () => Number(token)
    if (token in AGGREGATE) return this.#aggregation(AGGREGATE[token]!)
    if (token === 'rate' || token === 'increase') return this.#overTime(token)
    if (token === 'absent') {
      this.#expect('(')
      const inner = this.setOperation()
      this.#expect(')')
      return (scrapes, nowMs) => (vectorOf(inner(scrapes, nowMs)).length === 0 ? [{ labels: {}, value: 1 }] : [])
    }
    if (this.#peek() === '(') throw new Error(`PromQL: the function ${token} is not known here`)
    const select = this.#selector(token)
    return (scrapes, nowMs) => {
      const latest = scrapes.findLast(({ atMs }) => atMs <= nowMs && nowMs - atMs < LOOKBACK_MS)
      return latest === undefined ? [] : select(latest)
    }
  }

  #aggregation(aggregate: (values: readonly number[]) => number): Expression {
    const by: string[] = []
    if (this.#take('by')) {
      this.#expect('(')
      while (!this.#take(')')) {
        by.push(this.#next())
        this.#take(',')
      }
    }
    this.#expect('(')
    const inner = this.setOperation()
    this.#expect(')')
    return (scrapes, nowMs) => {
      const groups = new Map<string, { labels: Labels; values: number[] }>()
      for (const { labels, value } of vectorOf(inner(scrapes, nowMs))) {
        const kept = Object.fromEntries(
          by.flatMap((name) => (labels[name] === undefined ? [] : [[name, labels[name]]])),
        )
        const key = JSON.stringify(kept)
        const group = groups.get(key) ?? { labels: kept, values: [] }
        group.values.push(value)
        groups.set(key, group)
      }
      return [...groups.values()].map(({ labels, values }) => ({ labels, value: aggregate(values) }))
    }
  }

  /** Counter resets are made up for; nothing is extrapolated to the edges of the window. */
  #overTime(name: 'rate' | 'increase'): Expression {
    this.#expect('(')
    const select = this.#selector(this.#next())
    this.#expect('[')
    const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(this.#next()) ?? []
    const windowMs = Number(amount) * (MS_BY_UNIT[unit] ?? Number.NaN)
    this.#expect(']')
    this.#expect(')')
    return (scrapes, nowMs) => {
      const inWindow = scrapes.filter(({ atMs }) => atMs <= nowMs && atMs > nowMs - windowMs)
      const series = new Map<string, { labels: Labels; grown: number; last: number; count: number }>()
      for (const scrape of inWindow) {
        for (const { labels, value } of select(scrape)) {
          const key = textOf(labels)
          const known = series.get(key)
          if (known === undefined) series.set(key, { labels, grown: 0, last: value, count: 1 })
          else {
            known.grown += value < known.last ? value : value - known.last
            known.last = value
            known.count += 1
          }
        }
      }
      const seconds = name === 'rate' ? windowMs / 1_000 : 1
      return [...series.values()]
        .filter(({ count }) => count > 1)
        .map(({ labels, grown }) => ({ labels, value: grown / seconds }))
    }
  }

  #selector(name: string): (scrape: Scrape) => Vector {
    const matchers: ((labels: Labels) => boolean)[] = []
    if (this.#take('{')) {
      while (!this.#take('}')) {
        const label = this.#next()
        const operator = this.#next()
        const wanted = this.#next().slice(1, -1)
        const pattern = new RegExp(`^(?:${wanted})$`)
        matchers.push((labels) => {
          const value = labels[label] ?? ''
          const isMatch = operator === '=' || operator === '!=' ? value === wanted : pattern.test(value)
          return isMatch !== operator.startsWith('!')
        })
        this.#take(',')
      }
    }
    return ({ samples }) =>
      samples.filter((sample) => sample.name === name && matchers.every((matches) => matches(sample.labels)))
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at]
  }

  #take(token: string): boolean {
    if (this.#peek() !== token) return false
    this.#at += 1
    return true
  }

  #next(): string {
    const token = this.#tokens[this.#at++]
    if (token === undefined) throw new Error('PromQL: the expression ends too early')
    return token
  }

  #expect(token: string): void {
    const found = this.#next()
    if (found !== token) throw new Error(`PromQL: expected '${token}', found '${found}'`)
  }
}

function vectorOf(value: Vector | number): Vector {
  if (typeof value === 'number') throw new Error('PromQL: expected series, found a number')
  return value
}

function combine(
  left: Vector | number,
  right: Vector | number,
  compute: (left: number, right: number) => number,
): Vector | number {
  if (typeof left === 'number' && typeof right === 'number') return compute(left, right)
  if (typeof left === 'number') {
    return vectorOf(right).map(({ labels, value }) => ({ labels, value: compute(left, value) }))
  }
  if (typeof right === 'number') return left.map(({ labels, value }) => ({ labels, value: compute(value, right) }))
  return left.flatMap((one) => {
    const other = right.find((candidate) => isSame(one, candidate))
    return other === undefined ? [] : [{ labels: one.labels, value: compute(one.value, other.value) }]
  })
}

function isSame(left: Sample, right: Sample): boolean {
  return textOf(left.labels) === textOf(right.labels)
}

/** The same for labels in any order. */
function textOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1)))
}
