import process from 'node:process'
import { attemptsOf, startOn, startWorld, until } from './controller-process.ts'
import { EventLoopProbe } from './event-loop-probe.ts'
import { check, runBench } from './harness.ts'

/**
 * A controller meets a large fleet in which no node has an address: for how long its event loop is blocked while it lists them, reads
 * the account and serves them as fast as the documented buckets allow, and what memory it takes.
 */

const NODES = 10_000
const SERVED_FOR_MS = 120_000
const LIMIT_MS = 300_000
/** The buckets allow 1,350: 150 at once, then 10 a second; a busy machine serves fewer (count). */
const LEAST_SERVED = 150

await runBench('joining', 1, async (bench) => {
  const world = await startWorld('joining', NODES)
  try {
    const probe = new EventLoopProbe()
    const controller = await startOn(world)
    probe.start()
    const { handle } = controller
    await until(() => handle.manager?.get(world.names.at(-1) ?? '') !== undefined, LIMIT_MS, 'every node is known')
    await new Promise((resolve) => setTimeout(resolve, SERVED_FOR_MS))
    probe.stop()
    const rest = process.memoryUsage.rss()
    const [peak, own, elapsed] = [controller.peakBytes(), probe.own(), probe.elapsed()]
    const { ec2 } = await world.calls()
    const served = attemptsOf(ec2, /^(?:Assign|Attach)/)
    check(served >= LEAST_SERVED, `${served} nodes were served`)
    await controller.stop()

    const figure = (name: string, unit: string, value: number, atMost?: number): Promise<void> =>
      bench.figure({ name, unit, rounds: 1, ...(atMost !== undefined && { gate: { atMost } }) }, () => value)
    const size = NODES.toLocaleString('en-US')
    await figure(`${size} nodes join: event loop blocked by its own work, p99.9`, 'ms', own.p999Ms, 50)
    await figure('the same: longest', 'ms', own.maxMs, 100)
    await figure('the same in elapsed time, other processes included: p99.9', 'ms', elapsed.p999Ms)
    await figure('the same: longest, elapsed', 'ms', elapsed.maxMs)
    await figure('memory of the controller process, largest', 'MB', peak / 1e6, 400)
    await figure('the same, at the end', 'MB', rest / 1e6)
    await figure('calls that brought addresses in two minutes', 'calls', served)
  } finally {
    world.stop()
  }
})
