import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { createEC2Simulator } from '../../simulators/aws/index.ts'
import type { EC2Simulator } from '../../simulators/aws/index.ts'
import type { WireRequest } from '../../simulators/kit/http.ts'
import { planNetwork } from '../../src/fleet/aws-network.ts'
import { check, runBench, threadMicrosAsync } from './harness.ts'

/** The EC2 simulator: a call through its router, a large page, and calls over HTTP. Fleets must not wait for their cloud. */

const SEED = 1
const FLEET_SIZES = [100, 1000, 20_000] as const
const LIVES = 100
const TURNS = 13
const PAGES = 20
const HTTP_CALLS = 8000
const HTTP_CONNECTIONS = 16

const HEADERS = {
  authorization: 'AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/ec2/aws4_request',
  'content-type': 'application/x-www-form-urlencoded',
}
const { signal } = new AbortController()

function requestOf(parameters: Readonly<Record<string, string>>): WireRequest {
  const body = new URLSearchParams({ Version: '2016-11-15', ...parameters }).toString()
  return { method: 'POST', path: '/', query: new URLSearchParams(), headers: HEADERS, body }
}

async function answerOf(simulator: EC2Simulator, request: WireRequest): Promise<string> {
  const { status, body } = await simulator.router(request, signal)
  check(typeof body === 'string', 'an answer is one piece')
  check(status === 200, `status ${status}: ${body.slice(0, 300)}`)
  return body
}

/** So many running instances with one interface each. @returns the interfaces' IDs */
function fleetOf(size: number): { readonly simulator: EC2Simulator; readonly interfaceIDs: readonly string[] } {
  const { world, subnetIDs } = planNetwork('us-east-1', size * 20)
  const simulator = createEC2Simulator({ seed: SEED, throttle: 'none', world, keptCalls: 0 })
  const interfaceIDs = subnetIDs.flatMap((subnetId) =>
    simulator
      .makeInstances({ instanceType: 'm5.large', subnetId, count: Math.ceil(size / subnetIDs.length) })
      .instances.map(({ networkInterfaceId }) => networkInterfaceId),
  )
  return { simulator, interfaceIDs }
}

/** A node's life on one interface: an address is assigned, the interface is read by its ID, the address is given back. */
async function lifeOn(simulator: EC2Simulator, interfaceID: string): Promise<readonly WireRequest[]> {
  const of = (action: string, parameters: Readonly<Record<string, string>>): WireRequest =>
    requestOf({ Action: action, NetworkInterfaceId: interfaceID, ...parameters })
  const free = await answerOf(simulator, of('AssignPrivateIpAddresses', { SecondaryPrivateIpAddressCount: '1' }))
  const address = /<privateIpAddress>([\d.]+)</.exec(free)?.[1] ?? ''
  const read = requestOf({ Action: 'DescribeNetworkInterfaces', 'NetworkInterfaceId.1': interfaceID })
  const [assign, unassign] = [
    of('AssignPrivateIpAddresses', { 'PrivateIpAddress.1': address }),
    of('UnassignPrivateIpAddresses', { 'PrivateIpAddress.1': address }),
  ]
  await answerOf(simulator, unassign)
  await answerOf(simulator, assign)
  check((await answerOf(simulator, read)).includes(`<privateIpAddress>${address}<`), 'the assigned address is shown')
  await answerOf(simulator, unassign)
  check(!(await answerOf(simulator, read)).includes(`<privateIpAddress>${address}<`), 'and not after it was given back')
  return [assign, read, unassign]
}

async function callsThroughRouter(simulator: EC2Simulator, interfaceIDs: readonly string[]): Promise<number> {
  const lives = await Promise.all(
    Array.from({ length: LIVES }, (_, index) =>
      lifeOn(simulator, interfaceIDs[Math.floor((index * interfaceIDs.length) / LIVES)] ?? ''),
    ),
  )
  const requests = lives.flat()
  const calls = requests.length * TURNS
  const before = simulator.calls.report()
  const micros = await threadMicrosAsync(async () => {
    for (let turn = 0; turn < TURNS; turn++) for (const request of requests) await simulator.router(request, signal)
  })
  const after = simulator.calls.report()
  check(after.attempts - before.attempts === calls && after.failed === before.failed, `all ${calls} calls were served`)
  return micros / calls
}

async function pageOfThousand(simulator: EC2Simulator): Promise<number> {
  const request = requestOf({ Action: 'DescribeNetworkInterfaces', MaxResults: '1000' })
  const page = await answerOf(simulator, request)
  check(page.split('<networkInterfaceId>').length === 1001, 'a page has 1,000 interfaces')
  const micros = await threadMicrosAsync(async () => {
    for (let count = 0; count < PAGES; count++) await simulator.router(request, signal)
  })
  return micros / PAGES / 1000
}

/** Calls over sockets that are kept open, one at a time on each: → elapsed ms and the server's processor time. */
async function callsOverHTTP(
  port: number,
  pid: number,
  body: string,
): Promise<{ readonly perSecond: number; readonly perCoreSecond: number }> {
  const headers = Object.entries({ ...HEADERS, host: `127.0.0.1:${port}`, 'content-length': String(body.length) })
  const bytes = Buffer.from(
    `POST / HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  )
  const cpuBefore = processorSeconds(pid)
  const sinceMs = performance.now()
  await Promise.all(
    Array.from({ length: HTTP_CONNECTIONS }, () => callInTurn(port, bytes, HTTP_CALLS / HTTP_CONNECTIONS)),
  )
  const seconds = (performance.now() - sinceMs) / 1000
  return { perSecond: HTTP_CALLS / seconds, perCoreSecond: HTTP_CALLS / (processorSeconds(pid) - cpuBefore) }
}

function callInTurn(port: number, bytes: Buffer, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let left = count
    let text = ''
    socket.on('connect', () => socket.write(bytes))
    socket.on('error', reject)
    socket.on('data', (data) => {
      text += data.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN)
      if (end < 0 || text.length < end + 4 + length) return
      if (Number.isNaN(length) || !text.startsWith('HTTP/1.1 200')) reject(new Error(text.slice(0, 300)))
      text = ''
      left -= 1
      if (left > 0) socket.write(bytes)
      else {
        socket.destroy()
        resolve()
      }
    })
  })
}

/** Processor time of a process so far. @source proc(5), /proc/pid/stat: fields 14 and 15, in hundredths of a second */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

await runBench('ec2-simulator', SEED, async (bench) => {
  for (const size of FLEET_SIZES) {
    const { simulator, interfaceIDs } = fleetOf(size)
    await bench.figure(
      {
        name: `a call through the router, ${size.toLocaleString('en-US')} interfaces`,
        unit: 'µs',
        gate: { atMost: 20 },
      },
      () => callsThroughRouter(simulator, interfaceIDs),
    )
    if (size >= 1000) {
      await bench.figure(
        { name: `a page of 1,000 of ${size.toLocaleString('en-US')} interfaces`, unit: 'ms', gate: { atMost: 10 } },
        () => pageOfThousand(simulator),
      )
    }
  }
  if (process.platform !== 'linux')
    return bench.skip('calls over HTTP', 'processor time of a process is read from /proc')
  const server = spawn(
    process.execPath,
    [
      join(import.meta.dirname, '../../simulators/aws/main.ts'),
      '--port',
      '0',
      '--throttle',
      'none',
      '--latency',
      'none',
    ],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  try {
    const [line] = (await once(createInterface(server.stdout), 'line')) as [string]
    const port = Number(/:(\d+)/.exec(line)?.[1])
    const body = requestOf({ Action: 'DescribeSubnets' }).body
    const perSecond: number[] = []
    await bench.figure(
      {
        name: "DescribeSubnets over HTTP, in a second of the server's core",
        unit: 'calls',
        gate: { atLeast: 5000 },
        rounds: 5,
      },
      async () => {
        const round = await callsOverHTTP(port, server.pid ?? 0, body)
        perSecond.push(round.perSecond)
        return round.perCoreSecond
      },
    )
    let round = 0
    await bench.figure({ name: 'the same, in a second', unit: 'calls', rounds: 5 }, () => perSecond[round++] ?? 0)
  } finally {
    const gone = once(server, 'exit')
    server.kill()
    await gone
  }
})
