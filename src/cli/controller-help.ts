import { describeOptions, OPTION_ALIASES } from '../config/schema.ts'

/** Width of the column of flags; a longer flag gets a line of its own. */
const FLAG_WIDTH = 44

/** The text of `berth controller --help`, made of the table of options. */
export function controllerHelp(): string {
  const options = describeOptions().map(({ name, valueName, help, defaultText }) => {
    const flag = `  --${name}${valueName === 'bool' ? '' : ` ${valueName}`}`
    const text = defaultText === undefined || valueName === 'bool' ? help : `${help} (${defaultText})`
    const isOn = valueName === 'bool' && defaultText === 'true'
    return aligned(flag, isOn ? `${text} (on)` : text)
  })
  const aliases = Object.entries(OPTION_ALIASES).map(([alias, name]) =>
    aligned(`  --${alias}`, `older name of --${name}`),
  )
  return `berth controller [options]

Keeps every node of a cluster stocked with pod addresses. Options have the names of the Cilium operator's; those of its other
duties are accepted and have no effect. Each can also be given as an environment variable (BERTH_ or CILIUM_ and the name in
capitals, _ for -), as a file of that name in --config-dir, or as a line of --config. Flags win over the environment, that over
the directory, that over the file.

${[
  aligned('  --config FILE', 'YAML file of options'),
  aligned('  --config-dir DIR', 'directory with a file for each option, such as a mounted ConfigMap'),
  ...options,
  ...aliases,
  aligned('  --help', 'this text'),
].join('\n')}

Exit codes: 0 stopped by a signal, 1 failed or lost the lease, 2 wrong configuration.
`
}

function aligned(left: string, right: string): string {
  return left.length + 2 > FLAG_WIDTH ? `${left}\n${' '.repeat(FLAG_WIDTH)}${right}` : left.padEnd(FLAG_WIDTH) + right
}
