/** Something that must never happen has happened. */
export class FleetViolation extends Error {
  override readonly name = 'FleetViolation'
  readonly violations: readonly string[]

  constructor(violations: readonly string[], log: string) {
    super(`${violations.join('\n')}${log === '' ? '' : `\n\nThe controllers said last:\n${log}`}`)
    this.violations = violations
  }
}
