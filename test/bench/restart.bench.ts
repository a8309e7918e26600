import process from 'node:process'
import { attemptsOf, startOn, startWorld, until } from './controller-process.ts'
import { EventLoopProbe } from './event-loop-probe.ts'
import { check, runBench } from './harness.ts'

/**
 * A controller starts on a large fleet that lacks nothing: when its nodes are served, what it calls, what memory it takes, and for how
 * long its event loop is blocked until the first full sync is done.
 */

const NODES = 10_000
const LIMIT_MS = 300_000
/** After the last change the first full sync has been taken over (ms). */
const QUIET_MS = 10_000
const MUTATING = /^(?!Describe|Get)/
const WRITES = /^(?:patch|update|create|delete) ciliumnodes/

await runBench('restart', 1, async (bench) => {
  const world = await startWorld('settled', NODES)
  try {
    const probe = new EventLoopProbe()
    const controller = await startOn(world)
    probe.start()
    const { handle } = controller
    const [first = ''] = world.names
    const last = world.names.at(-1) ?? ''
    const isServed = (name: string): boolean => (handle.manager?.get(name)?.stats().ipv4.availableIPs ?? 0) > 0
    const beganMs = await controller.listBegan
    const before = process.threadCpuUsage()
    const firstMs = await until(() => isServed(first), LIMIT_MS, 'the first node is served')
    const allMs = await until(() => isServed(last), LIMIT_MS, 'the last node is served')
    check(world.names.every(isServed), 'every node is served')
    const { user, system } = process.threadCpuUsage(before)
    const pages = Math.ceil(NODES / 150)
    const isSynced = async (): Promise<boolean> => attemptsOf((await world.calls()).ec2, /Interfaces$/) >= pages
    while (!(await isSynced())) check(performance.now() - beganMs < LIMIT_MS, 'the first full sync ends')
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
    probe.stop()
    const calls = await world.calls()
    const rest = process.memoryUsage.rss()
    const [peak, own, elapsed] = [controller.peakBytes(), probe.own(), probe.elapsed()]
    await controller.stop()

    const figure = (name: string, unit: string, value: number, atMost?: number): Promise<void> =>
      bench.figure({ name, unit, rounds: 1, ...(atMost !== undefined && { gate: { atMost } }) }, () => value)
    const size = NODES.toLocaleString('en-US')
    await figure(
      `restart with ${size} nodes: the first is served after the list began`,
      's',
      (firstMs - beganMs) / 1000,
      0.5,
    )
    await figure('the same: all are served', 's', (allMs - beganMs) / 1000, 6)
    await figure("the same: processor time of the controller's thread until then", 's', (user + system) / 1e6)
    await figure('calls that change something in the cloud', 'calls', attemptsOf(calls.ec2, MUTATING), 0)
    await figure('writes of CiliumNodes', 'writes', attemptsOf(calls.kubernetes, WRITES))
    await figure('memory of the controller process, largest', 'MB', peak / 1e6, 400)
    await figure('the same, at the end', 'MB', rest / 1e6)
    await figure('its event loop blocked by its own work: p99.9', 'ms', own.p999Ms, 50)
    await figure('the same: longest', 'ms', own.maxMs, 100)
    await figure('the same in elapsed time, other processes included: p99.9', 'ms', elapsed.p999Ms)
    await figure('the same: longest, elapsed', 'ms', elapsed.maxMs)
  } finally {
    world.stop()
  }
})
