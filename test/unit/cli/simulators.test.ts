import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { runSimulators } from '../../../src/cli/simulators.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

let out = ''
let err = ''
beforeEach(() => {
  out = ''
  err = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text)
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text)
    return true
  })
})
afterEach(() => vi.restoreAllMocks())

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

describe('berth simulators', () => {
  test('answers on every wire, prints lines to paste, and ends with a signal', async () => {
    const running = runSimulators(['--ec2-port', '0', '--arm-port', '0', '--kubernetes-port', '0', '--latency', 'none'])
    await vi.waitFor(() => expect(out).toContain('export AWS_ENDPOINT_URL_EC2='))
    const ec2URL = /AWS_ENDPOINT_URL_EC2=(\S+)/.exec(out)![1]!
    const armURL = /AZURE_RESOURCE_MANAGER_ENDPOINT=(\S+)/.exec(out)![1]!
    const kubernetesURL = /--server (\S+)'/.exec(out)![1]!
    expect((await fetch(`${ec2URL}/_berth/health`)).status).toBe(200)
    const headers = { Metadata: 'true' }
    const metadata = `${armURL}/metadata/instance/compute/subscriptionId?api-version=2019-06-01&format=text`
    expect(out).toContain(`AZURE_SUBSCRIPTION_ID=${await (await fetch(metadata, { headers })).text()} `)
    expect(await (await fetch(`${kubernetesURL}/apis/cilium.io/v2/ciliumnodes`)).json()).toMatchObject({ items: [] })
    process.emit('SIGTERM')
    expect(await running).toBe(0)
    await expect(fetch(`${ec2URL}/_berth/health`)).rejects.toThrow()
  })

  test.each(['--ec2-port', '--arm-port', '--kubernetes-port'])('a taken %s is one clear line', async (option) => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const free = ['--ec2-port', '--arm-port', '--kubernetes-port'].filter((other) => other !== option)
    expect(await runSimulators([option, String(port), ...free.flatMap((name) => [name, '0'])])).toBe(1)
    expect(err).toBe(
      `berth simulators: Cannot listen on 127.0.0.1:${port}: the port is taken; choose another one, or 0 for a free one\n`,
    )
    await new Promise((resolve) => other.close(resolve))
  })

  test.each([
    { args: ['--ec2-prot', '1'], message: 'unknown option --ec2-prot; did you mean --ec2-port?' },
    { args: ['--latency', 'slow'], message: '--latency slow: ' },
    { args: ['--denied', 'AKIABAD=never'], message: '--denied AKIABAD=never: ' },
    { args: ['--arm-denied', 'client=never'], message: '--arm-denied client=never: ' },
    { args: ['--arm-world', '/no/such/file'], message: '--arm-world /no/such/file: no such file' },
    { args: ['--arm-throttle', '/no/such/file'], message: '--arm-throttle /no/such/file: no such file' },
    { args: ['--world', '/no/such/file'], message: '--world /no/such/file: no such file' },
    { args: ['--throttle', '/no/such/file'], message: '--throttle /no/such/file: no such file' },
  ])('$args is refused in one line', async ({ args, message }) => {
    expect(await runSimulators(args)).toBe(2)
    expect(err).toContain(`berth simulators: ${message}`)
    expect(err.trimEnd()).not.toContain('\n')
  })

  test('a wrong world or fault file is refused in one line that names it', async () => {
    const world = file('world.json', '{"vpcs": 7}')
    expect(await runSimulators(['--world', world])).toBe(2)
    expect(err).toMatch(/^berth simulators: --world \S+world\.json: [^\n]*vpcs[^\n]*\n$/)
    err = ''
    const faults = file('faults.json', '{"rules": [{"action": "*", "kind": "explode"}]}')
    expect(await runSimulators(['--kubernetes-faults', faults])).toBe(2)
    expect(err).toMatch(/^berth simulators: --kubernetes-faults \S+faults\.json: [^\n]*rules\[0\]\.kind[^\n]*\n$/)
  })

  test('the help names every option', async () => {
    expect(await runSimulators(['--help'])).toBe(0)
    for (const name of [
      'host',
      'ec2-port',
      'kubernetes-port',
      'throttle',
      'latency',
      'denied',
      'faults',
      'world',
      'seed',
    ])
      expect(out).toContain(`--${name}`)
  })
})
