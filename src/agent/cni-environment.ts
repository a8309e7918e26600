import { CNI_ERROR_CODES, CNIError } from './cni-error.ts'
import { CNI_COMMANDS } from './cni-version.ts'
import type { CNICommand } from './cni-version.ts'

/** What a runtime passes in the environment. Empty: not given, and not needed for this command. */
export interface Invocation {
  readonly command: CNICommand
  readonly containerID: string
  readonly netns: string
  readonly ifName: string
  /** `K8S_POD_NAMESPACE/K8S_POD_NAME` of CNI_ARGS; where they are missing, the container's ID. */
  readonly owner: string
}

/** Variables that a command cannot do without. @source CNI specification 1.1.0, "CNI operations" */
const REQUIRED: Readonly<Record<CNICommand, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  VERSION: [],
  STATUS: [],
  GC: [],
}

/** @source CNI specification 1.1.0, "Parameters": letters, digits, `_`, `.`, `-`, beginning with a letter or digit */
export const CNI_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/

/** @source CNI specification: shorter than 16 characters, not `.` or `..`, without `/`, `:` and blanks */
export function isInterfaceName(name: string): boolean {
  return name !== '' && name.length < 16 && name !== '.' && name !== '..' && !/[/:\s]/.test(name)
}

/**
 * Reads the CNI_ variables.
 *
 * @throws CNIError invalid environment, naming every variable that is wrong
 */
export function readInvocation(environment: Readonly<Record<string, string | undefined>>): Invocation {
  const value = (name: string): string => environment[name] ?? ''
  const written = value('CNI_COMMAND')
  const command = CNI_COMMANDS.find((known) => known === written)
  if (command === undefined)
    throw invalid([`CNI_COMMAND: expected one of ${CNI_COMMANDS.join(', ')}, found '${written}'`])
  const faults = REQUIRED[command].filter((name) => value(name) === '').map((name) => `${name} is missing`)
  const containerID = value('CNI_CONTAINERID')
  const ifName = value('CNI_IFNAME')
  if (containerID !== '' && !CNI_NAME.test(containerID))
    faults.push(`CNI_CONTAINERID: '${containerID}' is not a container ID`)
  if (ifName !== '' && !isInterfaceName(ifName)) faults.push(`CNI_IFNAME: '${ifName}' is not an interface name`)
  const args = readArguments(value('CNI_ARGS'))
  if (args === undefined)
    faults.push(`CNI_ARGS: expected KEY=VALUE pairs separated by ';', found '${value('CNI_ARGS')}'`)
  if (faults.length > 0) throw invalid(faults)
  const namespace = args?.get('K8S_POD_NAMESPACE') ?? ''
  const pod = args?.get('K8S_POD_NAME') ?? ''
  const owner = namespace === '' || pod === '' ? containerID : `${namespace}/${pod}`
  return { command, containerID, netns: value('CNI_NETNS'), ifName, owner }
}

function readArguments(text: string): ReadonlyMap<string, string> | undefined {
  const pairs = new Map<string, string>()
  for (const pair of text.split(';').filter((part) => part !== '')) {
    const mark = pair.indexOf('=')
    if (mark <= 0) return undefined
    pairs.set(pair.slice(0, mark), pair.slice(mark + 1))
  }
  return pairs
}

function invalid(faults: readonly string[]): CNIError {
  return new CNIError(CNI_ERROR_CODES.invalidEnvironment, `Invalid environment: ${faults.join('; ')}`)
}
