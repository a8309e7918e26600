/** A line of `src/telemetry/logger.ts`: level as a word, `msg`, and whatever fields there are. */
interface LogRecord {
  readonly level: string
  readonly msg: string
  readonly fields: readonly (readonly [string, unknown])[]
}

/** Said by the surroundings already, or not for people. */
const HIDDEN_FIELDS: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'pid', 'hostname', 'stack'])
/** A field's value is cut to this many characters. */
const MAX_VALUE_LENGTH = 80

export interface LogTail {
  /** Where the logger writes its JSON lines, whole or in pieces. */
  readonly destination: { write(text: string): void }
  /** The latest lines for people, oldest first. */
  readonly lines: readonly string[]
}

/**
 * Takes the controller's log and keeps its end in a form for people.
 *
 * @param kept lines kept (count)
 * @param onProblem told about each line of level warn or error, as it comes
 */
export function logTail(kept: number, onProblem: (line: string) => void): LogTail {
  const lines: string[] = []
  let rest = ''
  const destination = {
    write(text: string): void {
      const pieces = (rest + text).split('\n')
      rest = pieces.pop() ?? ''
      for (const piece of pieces.filter((one) => one !== '')) {
        const record = parseRecord(piece)
        const line = record === undefined ? piece : describe(record)
        lines.push(line)
        if (lines.length > kept) lines.shift()
        if (record === undefined || isProblem(record)) onProblem(line)
      }
    },
  }
  return { destination, lines }
}

function parseRecord(text: string): LogRecord | undefined {
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>>
    const { level, msg } = value
    if (typeof msg !== 'string' || typeof level !== 'string') return undefined
    return { level, msg, fields: Object.entries(value).filter(([name]) => !HIDDEN_FIELDS.has(name)) }
  } catch {
    return undefined // not a record: shown as it is
  }
}

function isProblem({ level }: LogRecord): boolean {
  return level === 'warn' || level === 'error'
}

function describe(record: LogRecord): string {
  const fields = record.fields.map(([name, value]) => ` ${name}=${valueText(value)}`).join('')
  return `${record.level.padEnd(5)} ${record.msg}${fields}`
}

function valueText(value: unknown): string {
  if (typeof value === 'number') return String(Math.round(value * 10) / 10)
  const isError = typeof value === 'object' && value !== null && 'message' in value
  const text = isError ? String(value.message) : typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text
}
