import { systemClock } from '../runtime/clock.ts'
import type { FromWorld, ToWorld } from './messages.ts'
import { PlanError } from './world-plan.ts'
import type { WorldPlan } from './world-plan.ts'
import { openSimulators } from './simulators.ts'
import type { OpenSimulators } from './simulators.ts'
import { World } from './world.ts'

/**
 * Entry of the world's process: simulators, agents and pods, apart from the controller, so that the controller's process is measured
 * and loaded as a real one. It is told what to do over the channel of `fork`, and ends with its parent.
 */

/** How often the world says how it is (ms). */
const REPORT_INTERVAL_MS = 250
/** Looking at every address may take at most this share of the process's time. */
const VERIFY_SHARE = 0.05
/** Least time between two looks at every address (ms). */
const VERIFY_INTERVAL_MS = 2000

const clock = systemClock()
const stopping = new AbortController()
let simulators: OpenSimulators | undefined
let world: World | undefined

function send(message: FromWorld): void {
  if (process.connected) process.send?.(message)
}

async function start(plan: WorldPlan): Promise<void> {
  simulators = await openSimulators(plan, clock)
  world = new World(plan, { ...simulators, clock })
  send({ kind: 'ready', endpoints: simulators.endpoints })
  reportOn(world, stopping.signal).catch(failUnlessStopping)
  await world.populate()
}

async function reportOn(world: World, signal: AbortSignal): Promise<void> {
  let nextVerifyMs = clock.now()
  while (!signal.aborted) {
    const startMs = clock.now()
    if (startMs >= nextVerifyMs) {
      world.verify()
      const endMs = clock.now()
      nextVerifyMs = endMs + Math.max(VERIFY_INTERVAL_MS, (endMs - startMs) / VERIFY_SHARE)
    }
    send({ kind: 'report', report: await world.report() })
    await clock.sleep(REPORT_INTERVAL_MS, signal).catch(() => undefined)
  }
}

async function stop(): Promise<void> {
  stopping.abort(new Error('the world ends'))
  world?.close()
  await simulators?.close()
  if (process.connected) process.disconnect()
}

/** Whatever is under way when the world ends may fail. */
function failUnlessStopping(error: unknown): void {
  if (stopping.signal.aborted) return
  const message = error instanceof Error ? error.message : String(error)
  send({ kind: 'failed', message, isUsage: error instanceof PlanError })
}

function obey(message: ToWorld): void {
  switch (message.kind) {
    case 'start':
      start(message.plan).catch(failUnlessStopping)
      return
    case 'stop-churn':
      world?.stopChurn()
      return
    case 'verify':
      world?.verifiedReport().then((report) => send({ kind: 'verified', report }), failUnlessStopping)
      return
    case 'stop':
      void stop()
  }
}

process.on('message', obey)
process.on('disconnect', () => void stop())
// Ctrl-C reaches the whole foreground group. The parent decides: its controller still needs the servers while it stops.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => void stop())
