import { describe, expect, test } from 'vitest'
import { IPAM_MODES } from '../../../src/agent/configuration.ts'
import { agentHelp, readAgentOptions } from '../../../src/cli/agent-options.ts'
import type { AgentSettings } from '../../../src/cli/agent-options.ts'

const read = (...args: readonly string[]): AgentSettings => readAgentOptions(args, {}) as AgentSettings

describe('the options of berth agent', () => {
  test('have the defaults that the help shows', () => {
    const settings = read()
    expect(settings).toMatchObject({
      ipam: 'cluster-pool',
      enableIPv4: 'true',
      enableIPv6: 'false',
      socket: '/var/run/berth/agent.sock',
      stateDir: '/var/run/berth/agent',
      apiAddress: undefined,
      prometheusServeAddr: undefined,
      logLevel: 'info',
    })
    expect(settings.ipamCiliumNodeUpdateRate.ms).toBe(15_000)
    expect(settings.expiration.ms).toBe(600_000)
    expect(settings.cooldown.ms).toBe(30_000)
    expect([...settings.ipamMultiPoolPreAllocation]).toEqual([['default', 8]])
    const help = agentHelp()
    for (const text of [
      '(cluster-pool)',
      '(15s)',
      '(10m)',
      '(30s)',
      '(default=8)',
      '(/var/run/berth/agent.sock)',
      '(info)',
    ])
      expect(help).toContain(text)
    for (const mode of IPAM_MODES) expect(help).toContain(mode)
    for (const line of help.split('\n')) expect(line.length).toBeLessThan(200)
  })

  test('take values', () => {
    const line =
      '--ipam=eni --node-name n1 --cooldown 0s --reserve router,health --exclude 10.0.0.1,fd00::1 --enable-ipv6 true ' +
      '--ipam-multi-pool-pre-allocation default=4,red=0 --api-address [::1]:80 --ipv4-range 10.0.0.0/24 --k8s-api-server https://api'
    const settings = read(...line.split(' '))
    expect(settings).toMatchObject({
      ipam: 'eni',
      nodeName: 'n1',
      reserve: ['router', 'health'],
      exclude: ['10.0.0.1', 'fd00::1'],
      apiAddress: { host: '::1', port: 80 },
      ipv4Range: '10.0.0.0/24',
      k8sApiServer: 'https://api',
      enableIPv6: 'true',
    })
    expect([...settings.ipamMultiPoolPreAllocation]).toEqual([
      ['default', 4],
      ['red', 0],
    ])
  })

  test('find the name of the node in the environment, which an option overrides', () => {
    const environment = { K8S_NODE_NAME: 'from-environment' }
    expect(readAgentOptions([], environment)).toMatchObject({ nodeName: 'from-environment' })
    expect(readAgentOptions(['--node-name', 'x'], environment)).toMatchObject({ nodeName: 'x' })
  })

  test.each([
    [['--ipam', 'enni'], /--ipam enni: must be one of .*did you mean eni\?/],
    [['--socet', '/x'], /unknown option --socet; did you mean --socket\?/],
    [['--cooldown', '30'], /--cooldown 30: must be a duration/],
    [['--ipv4-range', 'fd00::/64'], /--ipv4-range fd00::\/64: must be a CIDR of this family/],
    [['--ipv6-range', '10.0.0.0/8'], /--ipv6-range 10\.0\.0\.0\/8/],
    [['--api-address', '0.0.0.0:80'], /--api-address 0\.0\.0\.0:80: must be 127\.0\.0\.1:PORT/],
    [['--api-address', '127.0.0.1:70000'], /--api-address/],
    [['--exclude', '10.0.0'], /--exclude 10\.0\.0: '10\.0\.0' cannot be one/],
    [['--reserve', 'default/pod'], /--reserve default\/pod/],
    [['--ipam-multi-pool-pre-allocation', 'red=x'], /--ipam-multi-pool-pre-allocation red=x/],
    [['--enable-ipv4', 'yes'], /--enable-ipv4 yes: must be one of true, false/],
    [['--enable-ipv4', 'false'], /there would be no address to give/],
    [['--socket'], /--socket needs a value/],
  ])('refuse %j', (args, message) => {
    expect(() => read(...args)).toThrow(message)
  })
})
