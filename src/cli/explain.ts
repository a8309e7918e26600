import process from 'node:process'
import type { Explanation, SubjectKind } from '../explain/explanation.ts'
import { describeExplanation, SUBJECT_KINDS } from '../explain/explanation.ts'
import { nearestName } from '../config/nearest-name.ts'
import type { Clock } from '../runtime/clock.ts'
import { systemClock } from '../runtime/clock.ts'
import { describeOptions, parseCommandLine, switchOption, textOption, UsageError } from './command-options.ts'
import type { CommandOptions } from './command-options.ts'

/** Exit codes of the command. */
const OK = 0
const FAILED = 1
const USAGE = 2

/** An explanation is computed in milliseconds; that of a pod takes one request to the API server (ms). */
const ANSWER_TIMEOUT_MS = 15_000

interface RawOptions {
  readonly url: string
  readonly json: boolean
}

const OPTIONS: CommandOptions<RawOptions> = {
  url: textOption('where the controller serves its health and metrics', 'URL', 'http://127.0.0.1:9963'),
  json: switchOption('print the explanation as JSON'),
}

const HELP = `berth explain KIND NAME [options]

Says why something waits, for how long, and what can be done. KIND is one of ${SUBJECT_KINDS.join(', ')}; NAME is
  node     the name of a CiliumNode
  pod      NAMESPACE/NAME (without a namespace: default)
  subnet   the cloud's ID of a subnet
  budget   a bucket of the cloud's quota, such as AssignPrivateIpAddresses

Ask the replica that leads, for example through: kubectl -n kube-system port-forward POD 9963

${describeOptions(OPTIONS)}

Exit codes: 0 explained, 1 the controller cannot be asked or does not know the name, 2 wrong usage.
`

export interface ExplainCommand {
  readonly kind: SubjectKind
  readonly name: string
  readonly url: string
  readonly isJSON: boolean
}

/** @throws UsageError */
export function parseExplainCommand(args: readonly string[]): ExplainCommand | 'help' {
  if (args.includes('--help') || args.includes('-h')) return 'help'
  const [kindText, name, ...rest] = args
  if (kindText === undefined || kindText.startsWith('--'))
    throw new UsageError(`say what to explain: berth explain ${SUBJECT_KINDS.join('|')} NAME`)
  const kind = SUBJECT_KINDS.find((candidate) => candidate === kindText)
  if (kind === undefined) {
    const near = nearestName(kindText, SUBJECT_KINDS)
    const hint = near === undefined ? `these can: ${SUBJECT_KINDS.join(', ')}` : `did you mean ${near}?`
    throw new UsageError(`'${kindText}' cannot be explained; ${hint}`)
  }
  if (name === undefined || name === '' || name.startsWith('--'))
    throw new UsageError(`name a ${kind}: berth explain ${kind} NAME`)
  const options = parseCommandLine(OPTIONS, rest)
  if (options === 'help') return 'help'
  const { url, json } = options
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new UsageError(`--url ${url}: must be an http or https URL, such as ${OPTIONS.url.default}`)
  return { kind, name, url, isJSON: json }
}

/**
 * `berth explain`: asks a running controller.
 *
 * @param args what follows `explain` on the command line
 * @returns the exit code
 */
export async function runExplain(args: readonly string[]): Promise<number> {
  let command: ExplainCommand | 'help'
  try {
    command = parseExplainCommand(args)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    return complain(error.message, USAGE)
  }
  if (command === 'help') {
    process.stdout.write(HELP)
    return OK
  }
  const answer = await ask(command, systemClock())
  if (answer.kind === 'failed') return complain(answer.message, FAILED)
  const { explanation, isKnown } = answer
  process.stdout.write(`${command.isJSON ? JSON.stringify(explanation) : describeExplanation(explanation)}\n`)
  return isKnown ? OK : FAILED
}

type Answer =
  | { readonly kind: 'explained'; readonly explanation: Explanation; readonly isKnown: boolean }
  | { readonly kind: 'failed'; readonly message: string }

/** Asks the controller, in words that a person can act on when it cannot be asked. */
export async function ask({ kind, name, url }: ExplainCommand, clock: Clock): Promise<Answer> {
  const path = name.split('/').map(encodeURIComponent).join('/')
  const address = new URL(`/v1/explain/${kind}/${path}`, url)
  const deadline = new AbortController()
  const answered = new AbortController()
  clock.sleep(ANSWER_TIMEOUT_MS, answered.signal).then(
    () => deadline.abort(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)),
    () => undefined,
  )
  try {
    const response = await fetch(address, { signal: deadline.signal })
    const text = await response.text()
    const explanation = explanationIn(text)
    if (explanation !== undefined) return { kind: 'explained', explanation, isKnown: response.ok }
    return { kind: 'failed', message: `${address.origin} answers ${response.status} ${firstLine(text)}` }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    const why = cause instanceof Error ? cause.message || cause.name : String(cause)
    return {
      kind: 'failed',
      message: `cannot ask the controller at ${address.origin}: ${why}. Give its address with --url (operator-prometheus-serve-addr of the controller)`,
    }
  } finally {
    answered.abort(new Error('answered'))
  }
}

function explanationIn(text: string): Explanation | undefined {
  try {
    const value = JSON.parse(text) as Partial<Explanation> | null
    return Array.isArray(value?.chain) ? (value as Explanation) : undefined
  } catch {
    return undefined
  }
}

function firstLine(text: string): string {
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown }
    if (typeof error === 'string') return error
  } catch {
    // Not ours: shown as it came.
  }
  return text.split('\n')[0]?.slice(0, 200) ?? ''
}

function complain(message: string, code: number): number {
  process.stderr.write(`berth explain: ${message}\n`)
  return code
}
