import { nearestName } from '../config/nearest-name.ts'

/** A mistake on the command line: one line for people, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** One option of a command. Its name on the command line is its key in kebab-case. */
export interface CommandOption<T> {
  /** What stands for the value in the help; undefined for a switch, which takes none. */
  readonly placeholder: string | undefined
  readonly help: string
  readonly default: T
  /** @returns the value, or what is wrong with it: `must be …` */
  read(text: string): { readonly value: T } | { readonly problem: string }
}

export type CommandOptions<T> = { readonly [K in keyof T]: CommandOption<T[K]> }

export function switchOption(help: string): CommandOption<boolean> {
  return { placeholder: undefined, help, default: false, read: () => ({ value: true }) }
}

export function numberOption<D extends number | undefined>(
  help: string,
  { min, max, isWhole, defaultValue }: { min: number; max: number; isWhole: boolean; defaultValue: D },
): CommandOption<number | D> {
  return {
    placeholder: 'N',
    help,
    default: defaultValue,
    read(text) {
      const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
      const isFine = value >= min && value <= max && (!isWhole || Number.isInteger(value))
      const form = isWhole ? 'a whole number' : 'a number'
      return isFine ? { value } : { problem: `must be ${form} from ${min} to ${max}` }
    },
  }
}

export function choiceOption<T extends string>(help: string, choices: readonly T[], initial: T): CommandOption<T> {
  return {
    placeholder: choices.join('|'),
    help,
    default: initial,
    read(text) {
      const value = choices.find((choice) => choice === text)
      if (value !== undefined) return { value }
      const near = nearestName(text, choices)
      return { problem: `must be one of ${choices.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}` }
    },
  }
}

export function textOption<D extends string | undefined>(
  help: string,
  placeholder: string,
  initial: D,
): CommandOption<string | D> {
  return {
    placeholder,
    help,
    default: initial,
    read: (text) => (text === '' ? { problem: 'must not be empty' } : { value: text }),
  }
}

/**
 * Reads `--name value`, `--name=value` and `--switch`; the last one of a name wins.
 *
 * @returns every option's value, or `'help'` when `--help` or `-h` is among the arguments
 * @throws UsageError naming the argument, and the nearest known name where there is one
 */
export function parseCommandLine<T>(options: CommandOptions<T>, args: readonly string[]): T | 'help' {
  if (args.includes('--help') || args.includes('-h')) return 'help'
  const keys = Object.keys(options) as (keyof T & string)[]
  const byName = new Map(keys.map((key) => [optionName(key), key]))
  const values = Object.fromEntries(keys.map((key) => [key, options[key].default])) as T
  for (let index = 0; index < args.length; index++) {
    const [name, inline] = splitOnce(args[index] ?? '')
    const key = byName.get(name)
    if (key === undefined) throw unknownArgument(name, [...byName.keys(), '--help'])
    const option = options[key]
    if (option.placeholder === undefined) {
      if (inline !== undefined) throw new UsageError(`${name} takes no value`)
      values[key] = valueOf(option, name, '')
      continue
    }
    const text = inline ?? args[++index]
    if (text === undefined || (inline === undefined && text.startsWith('--')))
      throw new UsageError(`${name} needs a value: ${name} ${option.placeholder}`)
    values[key] = valueOf(option, name, text)
  }
  return values
}

/** The options as aligned lines: name, placeholder, help and default. */
export function describeOptions<T>(options: CommandOptions<T>): string {
  const rows = (Object.keys(options) as (keyof T & string)[]).map((key) => {
    const { placeholder, help, default: initial } = options[key]
    const hasDefault = initial !== undefined && initial !== false
    return {
      left: `  ${optionName(key)}${placeholder === undefined ? '' : ` ${placeholder}`}`,
      right: hasDefault ? `${help} (${String(initial)})` : help,
    }
  })
  rows.push({ left: '  --help', right: 'this text' })
  const width = Math.max(...rows.map(({ left }) => left.length)) + 2
  return rows.map(({ left, right }) => left.padEnd(width) + right).join('\n')
}

function unknownArgument(name: string, names: readonly string[]): UsageError {
  const near = nearestName(name, names)
  const what = name.startsWith('-') ? `unknown option ${name}` : `unexpected argument ${name}`
  return new UsageError(near === undefined ? `${what}; see --help` : `${what}; did you mean ${near}?`)
}

function valueOf<V>(option: CommandOption<V>, name: string, text: string): V {
  const read = option.read(text)
  if ('problem' in read) throw new UsageError(`${name} ${text}: ${read.problem}`)
  return read.value
}

function optionName(key: string): string {
  return `--${key.replaceAll(/[A-Z]+/g, (capitals) => `-${capitals.toLowerCase()}`)}`
}

function splitOnce(argument: string): readonly [string, string | undefined] {
  const mark = argument.startsWith('--') ? argument.indexOf('=') : -1
  return mark < 0 ? [argument, undefined] : [argument.slice(0, mark), argument.slice(mark + 1)]
}
