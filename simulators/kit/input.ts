/** A file or a control request is wrong: every fault found, each naming the place. The message is one line per fault. */
export class InputError extends Error {
  readonly faults: readonly string[]

  constructor(subject: string, faults: readonly string[]) {
    super(`${subject}: ${faults.join('; ')}`)
    this.name = 'InputError'
    this.faults = faults
  }
}

/**
 * Reads plain JSON values against simple expectations and collects every fault with its place (`rules[2].probability must be …`),
 * so that a wrong file is explained at once and not fault by fault.
 */
export class InputReader {
  readonly #faults: string[] = []
  readonly #subject: string

  /** @param subject what is read, for the error: `faults file`, `throttle table` */
  constructor(subject: string) {
    this.#subject = subject
  }

  fault(place: string, problem: string): void {
    this.#faults.push(`${place} ${problem}`)
  }

  /** @throws InputError when any fault was found */
  finish(): void {
    if (this.#faults.length > 0) throw new InputError(this.#subject, this.#faults)
  }

  /** An object whose keys are all known; unknown ones are faults (a misspelt key must not pass silently). */
  object(value: unknown, place: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
    if (!isObject(value)) {
      this.fault(place, `must be an object, not ${describe(value)}`)
      return {}
    }
    for (const key of Object.keys(value)) {
      if (!keys.includes(key)) this.fault(`${place}.${key}`, `is not known; known are ${keys.join(', ')}`)
    }
    return value
  }

  array(value: unknown, place: string): readonly unknown[] {
    if (Array.isArray(value)) return value
    this.fault(place, `must be an array, not ${describe(value)}`)
    return []
  }

  string(value: unknown, place: string): string {
    if (typeof value === 'string' && value !== '') return value
    this.fault(place, `must be a non-empty string, not ${describe(value)}`)
    return ''
  }

  boolean(value: unknown, place: string): boolean {
    if (typeof value === 'boolean') return value
    this.fault(place, `must be true or false, not ${describe(value)}`)
    return false
  }

  number(value: unknown, place: string, range: { readonly min: number; readonly max?: number }): number {
    const max = range.max ?? Infinity
    if (typeof value === 'number' && value >= range.min && value <= max) return value
    const wanted = max === Infinity ? `of at least ${range.min}` : `from ${range.min} to ${max}`
    this.fault(place, `must be a number ${wanted}, not ${describe(value)}`)
    return range.min
  }

  integer(value: unknown, place: string, range: { readonly min: number; readonly max?: number }): number {
    const number = this.number(value, place, range)
    if (Number.isInteger(number)) return number
    this.fault(place, `must be a whole number, not ${number}`)
    return range.min
  }

  oneOf<T extends string>(value: unknown, place: string, choices: readonly T[]): T | undefined {
    const found = choices.find((choice) => choice === value)
    if (found === undefined) this.fault(place, `must be one of ${choices.join(', ')}, not ${describe(value)}`)
    return found
  }

  /** A map from name to text. */
  texts(value: unknown, place: string): Readonly<Record<string, string>> {
    if (!isObject(value)) {
      this.fault(place, `must be an object of strings, not ${describe(value)}`)
      return {}
    }
    const texts: Record<string, string> = {}
    for (const [key, text] of Object.entries(value)) texts[key] = this.string(text, `${place}.${key}`)
    return texts
  }
}

/** @throws InputError naming the subject when the text is not JSON */
export function parseJSON(text: string, subject: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InputError(subject, [`is not JSON: ${error instanceof Error ? error.message : String(error)}`])
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function describe(value: unknown): string {
  return value === undefined ? 'absent' : (JSON.stringify(value)?.slice(0, 60) ?? typeof value)
}
