import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { nearestName } from './nearest-name.ts'
import { OTHER_DUTIES } from './other-duties.ts'
import type { OptionName } from './schema.ts'
import { FOREIGN_VARIABLES, OPTION_ALIASES, OPTION_NAMES, SWITCHES } from './schema.ts'
import type { RawValue } from './values.ts'
import { Repeated } from './values.ts'

/** What one source says about an option. */
export interface Setting {
  readonly value: RawValue
  /** For messages: `--debug`, `CILIUM_DEBUG`, `debug in /etc/berth.yaml`. */
  readonly origin: string
}

/** What one source says in all. */
export interface Source {
  readonly settings: ReadonlyMap<OptionName, Setting>
  /** Flags of the operator's other duties that it sets. */
  readonly otherDuties: readonly string[]
  /** Names that nobody knows, where that is no fault: a shared ConfigMap holds the options of other programs. */
  readonly strangers: readonly string[]
  readonly faults: readonly string[]
}

/** Flags that say where further sources are; they are no options themselves. */
export interface Places {
  readonly configFile: string | undefined
  readonly configDir: string | undefined
}

type NameKind =
  | { readonly kind: 'option'; readonly name: OptionName }
  | { readonly kind: 'otherDuty' }
  | { readonly kind: 'unknown' }

class SourceBuilder implements Source {
  readonly settings = new Map<OptionName, Setting>()
  readonly otherDuties: string[] = []
  readonly strangers: string[] = []
  readonly faults: string[] = []

  /** Of several values one after another all are kept; what that means is the business of the option's type. */
  add(name: OptionName, value: RawValue, origin: string): void {
    const before = this.settings.get(name)?.value
    const values = before instanceof Repeated ? before.values : before === undefined ? [] : [before]
    this.settings.set(name, { value: values.length === 0 ? value : new Repeated([...values, value]), origin })
  }
}

const PLACE_FLAGS = ['config', 'config-dir']

/** Docker and Kubernetes set variables for every service; those of a service named `berth` are no options of ours. */
const SERVICE_VARIABLE = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$/

function classify(name: string): NameKind {
  const option =
    OPTION_NAMES.find((known) => known === name) ??
    (Object.hasOwn(OPTION_ALIASES, name) ? OPTION_ALIASES[name] : undefined)
  if (option !== undefined) return { kind: 'option', name: option }
  return Object.hasOwn(OTHER_DUTIES, name) ? { kind: 'otherDuty' } : { kind: 'unknown' }
}

function unknownOption(written: string, name: string, prefix: string): string {
  const known = [...OPTION_NAMES, ...Object.keys(OPTION_ALIASES), ...PLACE_FLAGS]
  const meant = nearestName(name, known) ?? nearestName(name, Object.keys(OTHER_DUTIES))
  const hint = meant === undefined ? '' : `; did you mean ${prefix}${meant}?`
  return `unknown option ${written}${hint}`
}

/** Flags: `--name value`, `--name=value`, `--switch`, `--switch=false`, `-D`. */
export function readFlags(args: readonly string[]): { readonly source: Source; readonly places: Places } {
  const source = new SourceBuilder()
  const places: { configFile?: string; configDir?: string } = {}
  for (let index = 0; index < args.length; index++) {
    const argument = args[index] ?? ''
    const written = argument === '-D' ? '--debug' : argument
    if (!written.startsWith('--') || written === '--') {
      source.faults.push(`unexpected argument '${argument}': options are written --name value`)
      continue
    }
    const mark = written.indexOf('=')
    const flag = mark < 0 ? written : written.slice(0, mark)
    const name = flag.slice(2)
    const known = classify(name)
    const isSwitch = known.kind === 'option' ? SWITCHES.has(known.name) : OTHER_DUTIES[name] === true
    const next = args[index + 1]
    let value: string | undefined
    if (mark >= 0) value = written.slice(mark + 1)
    else if (isSwitch) value = 'true'
    // A negative number is a value; another flag is not.
    else if (next !== undefined && (!next.startsWith('-') || /^-\d/.test(next))) {
      value = next
      index += 1
    }
    if (known.kind === 'unknown' && !PLACE_FLAGS.includes(name)) source.faults.push(unknownOption(flag, name, '--'))
    else if (value === undefined) source.faults.push(`${flag} needs a value`)
    else if (known.kind === 'option') source.add(known.name, value, flag)
    else if (known.kind === 'otherDuty') source.otherDuties.push(name)
    else if (name === 'config') places.configFile = value
    else places.configDir = value
  }
  return { source, places: { configFile: places.configFile, configDir: places.configDir } }
}

/** Variables: `BERTH_`, then `CILIUM_` + the flag in capitals with `_` for `-`; then those that clouds' own tools read. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): {
  readonly source: Source
  readonly places: Places
} {
  const source = new SourceBuilder()
  const places: { configFile?: string; configDir?: string } = {}
  for (const prefix of ['BERTH_', 'CILIUM_']) {
    for (const variable of Object.keys(environment).sort()) {
      const value = environment[variable]
      if (value === undefined || !variable.startsWith(prefix)) continue
      const name = variable.slice(prefix.length).toLowerCase().replaceAll('_', '-')
      const known = classify(name)
      if (known.kind === 'option' && !source.settings.has(known.name)) source.add(known.name, value, variable)
      else if (known.kind === 'otherDuty') source.otherDuties.push(name)
      else if (name === 'config') places.configFile ??= value
      else if (name === 'config-dir') places.configDir ??= value
      else if (known.kind === 'unknown' && prefix === 'BERTH_' && !SERVICE_VARIABLE.test(variable)) {
        const meant = nearestName(name, OPTION_NAMES)
        const hint = meant === undefined ? '' : `; did you mean BERTH_${meant.toUpperCase().replaceAll('-', '_')}?`
        source.faults.push(`unknown option in the environment variable ${variable}${hint}`)
      }
    }
  }
  for (const [variable, option] of FOREIGN_VARIABLES) {
    const value = environment[variable]
    if (value !== undefined && value !== '' && !source.settings.has(option)) source.add(option, value, variable)
  }
  return { source, places: { configFile: places.configFile, configDir: places.configDir } }
}

/** A YAML file of options: every name in it must be known. */
export function readConfigFile(path: string): Source {
  const source = new SourceBuilder()
  let document: unknown
  try {
    document = parse(readFileSync(path, 'utf8'))
  } catch (error) {
    source.faults.push(`--config ${path}: cannot be read: ${firstLine(error)}`)
    return source
  }
  if (document === null || document === undefined) return source
  if (typeof document !== 'object' || Array.isArray(document)) {
    source.faults.push(`--config ${path}: expected options as 'name: value' lines`)
    return source
  }
  for (const [name, value] of Object.entries(document)) {
    const known = classify(name)
    if (known.kind === 'option') source.add(known.name, value, `${name} in ${path}`)
    else if (known.kind === 'otherDuty') source.otherDuties.push(name)
    else source.faults.push(unknownOption(`'${name}' in ${path}`, name, ''))
  }
  return source
}

/**
 * A directory with one file for each option, as a mounted ConfigMap has it. Cilium's is shared with the agents: names of theirs are
 * no fault.
 */
export function readConfigDir(path: string): Source {
  const source = new SourceBuilder()
  let names: string[]
  try {
    // A mounted ConfigMap also has `..data` and the like.
    names = readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .sort()
  } catch (error) {
    source.faults.push(`--config-dir ${path}: cannot be read: ${firstLine(error)}`)
    return source
  }
  for (const name of names) {
    const known = classify(name)
    if (known.kind === 'otherDuty') source.otherDuties.push(name)
    if (known.kind === 'unknown') source.strangers.push(name)
    if (known.kind !== 'option') continue
    const file = join(path, name)
    try {
      if (statSync(file).isFile()) source.add(known.name, readFileSync(file, 'utf8').trim(), file)
    } catch (error) {
      source.faults.push(`${file}: cannot be read: ${firstLine(error)}`)
    }
  }
  return source
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n', 1)[0] ?? ''
}
