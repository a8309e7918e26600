import { readFileSync } from 'node:fs'
import { parseThrottle } from '../../simulators/kit/rate-limit.ts'
import { UsageError } from './command-options.ts'

/** `documented` and `none` as they are; else the content of the file, checked, so that a mistake is told before anything starts. */
export function readThrottle(text: string): unknown {
  if (text === 'documented' || text === 'none') return text
  return readOptionFile('--throttle', text, (value) => {
    parseThrottle(value)
    return value
  })
}

/**
 * A JSON file named by an option.
 *
 * @param read checks and converts the content; what it throws is told as the fault of the file
 * @throws UsageError naming option and file, in one line
 */
export function readOptionFile<T>(option: string, file: string, read: (value: unknown) => T): T {
  try {
    return read(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const problem = isMissing ? 'no such file' : error instanceof Error ? error.message : String(error)
    throw new UsageError(`${option} ${file}: ${problem.replaceAll('\n', '; ')}`, { cause: error })
  }
}
