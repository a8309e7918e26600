import { CNI_ERROR_CODES, CNIError } from './cni-error.ts'

/** Versions of the CNI specification that this plug-in speaks, oldest first. */
export const SUPPORTED_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export type CNIVersion = (typeof SUPPORTED_VERSIONS)[number]

export const CURRENT_VERSION: CNIVersion = '1.1.0'

export const CNI_COMMANDS = ['ADD', 'DEL', 'CHECK', 'VERSION', 'STATUS', 'GC'] as const
export type CNICommand = (typeof CNI_COMMANDS)[number]

/** The first version that has a command. @source CNI specification, released versions 0.4.0 and 1.1.0 */
const SINCE: Readonly<Partial<Record<CNICommand, CNIVersion>>> = { CHECK: '0.4.0', STATUS: '1.1.0', GC: '1.1.0' }

/** @throws CNIError incompatible version, naming the version and those that are supported */
export function supportedVersion(version: string): CNIVersion {
  const known = SUPPORTED_VERSIONS.find((one) => one === version)
  if (known !== undefined) return known
  const text = `CNI version ${JSON.stringify(version)} is not supported; supported: ${SUPPORTED_VERSIONS.join(', ')}`
  throw new CNIError(CNI_ERROR_CODES.incompatibleVersion, text)
}

/** @throws CNIError incompatible version, when the version does not have the command */
export function requireCommand(version: CNIVersion, command: CNICommand): void {
  const since = SINCE[command]
  if (since === undefined || isAtLeast(version, since)) return
  const text = `CNI version ${version} has no ${command}; it needs ${since}`
  throw new CNIError(CNI_ERROR_CODES.incompatibleVersion, text)
}

export function isAtLeast(version: CNIVersion, least: CNIVersion): boolean {
  return SUPPORTED_VERSIONS.indexOf(version) >= SUPPORTED_VERSIONS.indexOf(least)
}

/** The answer to VERSION: the version of the question, where there is one. */
export function versionResult(asked: string): object {
  return { cniVersion: asked === '' ? CURRENT_VERSION : asked, supportedVersions: SUPPORTED_VERSIONS }
}
