import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname } from 'node:path'
import { parse as parseYAML } from 'yaml'
import { parseThrottle } from '../../simulators/kit/rate-limit.ts'
import { nearestName } from '../config/nearest-name.ts'
import { UsageError } from './command-options.ts'

/** `documented` and `none` as they are; else the content of the file, checked, so that a mistake is told before anything starts. */
export function readThrottle(text: string, option = '--throttle'): unknown {
  if (text === 'documented' || text === 'none') return text
  return readOptionFile(option, text, (value) => {
    parseThrottle(value)
    return value
  })
}

/**
 * What an option names: one of a table, or the content of a file.
 *
 * @param read checks and converts the content of a file, and is told the file's name without its ending
 * @throws UsageError naming option and file, in one line
 */
export function readNamedOrFile<T>(
  option: string,
  text: string,
  named: Readonly<Record<string, T>>,
  read: (value: unknown, name: string) => T,
): T {
  const found = Object.hasOwn(named, text) ? named[text] : undefined
  if (found !== undefined) return found
  // A text that cannot be meant as a file is a name that is misspelt.
  if (!existsSync(text) && !/[/.]/.test(text)) {
    const names = Object.keys(named)
    const near = nearestName(text, names)
    throw new UsageError(
      `${option} ${text}: must be one of ${names.join(', ')}, or a file${near === undefined ? '' : `; did you mean ${near}?`}`,
    )
  }
  return readOptionFile(option, text, (value) => read(value, basename(text, extname(text))))
}

/** Whether a file can be written, so that nobody waits for a long run whose result has no place. @throws UsageError */
export function checkOutputFile(option: string, file: string): void {
  const folder = dirname(file)
  const problem = (): string | undefined => {
    if (existsSync(file) && statSync(file).isDirectory()) return 'is a folder'
    if (!existsSync(folder)) return `there is no folder ${folder}`
    try {
      accessSync(existsSync(file) ? file : folder, constants.W_OK)
      return undefined
    } catch {
      return 'must not be written'
    }
  }
  const found = problem()
  if (found !== undefined) throw new UsageError(`${option} ${file}: ${found}`)
}

/**
 * A YAML or JSON file named by an option.
 *
 * @param read checks and converts the content; what it throws is told as the fault of the file
 * @throws UsageError naming option and file, in one line
 */
export function readOptionFile<T>(option: string, file: string, read: (value: unknown) => T): T {
  try {
    return read(contentOf(readFileSync(file, 'utf8'), file))
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const problem = isMissing ? 'no such file' : error instanceof Error ? error.message : String(error)
    throw new UsageError(`${option} ${file}: ${problem.replaceAll('\n', '; ')}`, { cause: error })
  }
}

/** JSON is read as such, whatever the file is called: its messages name the place. */
function contentOf(text: string, file: string): unknown {
  return /\.ya?ml$/i.test(file) ? parseYAML(text) : JSON.parse(text)
}
