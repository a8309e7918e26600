/** One command of the program. */
export interface Command {
  readonly help: string
  /** @param args what follows the command. @returns the exit code */
  run(args: readonly string[]): Promise<number>
}

/** The text of `berth help`. */
export function programHelp(commands: ReadonlyMap<string, Command>): string {
  const width = Math.max(...[...commands.keys()].map((name) => name.length)) + 2
  const lines = [...commands].map(([name, { help }]) => `  ${name.padEnd(width)}${help}`)
  return `berth: a cloud IPAM controller for Kubernetes

Usage: berth COMMAND [options]

${lines.join('\n')}

'berth COMMAND --help' shows the options of a command.
`
}
