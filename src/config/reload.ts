import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from './config.ts'

/** What of the configuration may change while the controller runs. */
export interface ReloadableConfig {
  readonly pauseDestructive: Config['pauseDestructive']
  readonly logLevel: Config['telemetry']['logLevel']
  readonly budgetTable: Config['budget']['table']
}

export function reloadableOf({ pauseDestructive, telemetry, budget }: Config): ReloadableConfig {
  return { pauseDestructive, logLevel: telemetry.logLevel, budgetTable: budget.table }
}

/** The configuration with what has changed since the start. */
export function withReloadable(config: Config, { pauseDestructive, logLevel, budgetTable }: ReloadableConfig): Config {
  const { telemetry, budget } = config
  return {
    ...config,
    pauseDestructive,
    telemetry: { ...telemetry, logLevel },
    budget: { ...budget, table: budgetTable },
  }
}

/**
 * Settings that differ and take effect only with a new start.
 *
 * @returns paths within `Config`, such as `aws.vpcID`, sorted
 */
export function changesForNextStart(before: Config, after: Config): readonly string[] {
  const left = flat(withoutReloadable(before))
  const right = flat(withoutReloadable(after))
  const names = new Set([...left.keys(), ...right.keys()])
  return [...names].filter((name) => left.get(name) !== right.get(name)).sort()
}

function withoutReloadable(config: Config): object {
  const { pauseDestructive: _pause, telemetry, budget, ...others } = config
  const { logLevel: _level, ...telemetryOthers } = telemetry
  const { table: _table, ...budgetOthers } = budget
  return { ...others, telemetry: telemetryOthers, budget: budgetOthers }
}

function flat(value: object, prefix = ''): Map<string, string> {
  const entries = new Map<string, string>()
  for (const [key, member] of Object.entries(value) as [string, unknown][]) {
    const name = `${prefix}${key}`
    const isGroup = typeof member === 'object' && member !== null && !Array.isArray(member) && !(member instanceof Map)
    if (isGroup) for (const [inner, text] of flat(member, `${name}.`)) entries.set(inner, text)
    else entries.set(name, JSON.stringify(member instanceof Map ? [...member] : member))
  }
  return entries
}

/**
 * What tells one state of files from another: names, inodes, sizes and times of change. A mounted ConfigMap is replaced as a whole, by
 * another target of its links, which shows in the inode.
 *
 * @param paths files, and directories with one file for each option
 */
export function fingerprint(paths: readonly string[]): string {
  return paths.map((path) => `${path}:${stateOf(path)}`).join('\n')
}

function stateOf(path: string): string {
  try {
    const stat = statSync(path)
    if (!stat.isDirectory()) return `${stat.ino}/${stat.size}/${stat.mtimeMs}`
    const names = readdirSync(path).filter((name) => !name.startsWith('.'))
    return names
      .sort()
      .map((name) => `${name}=${stateOf(join(path, name))}`)
      .join(',')
  } catch {
    return 'unreadable'
  }
}
