import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import process from 'node:process'
import { socketClient } from '../../src/agent/api-client.ts'
import { systemClock } from '../../src/runtime/clock.ts'

const PROGRAM = new URL('../../bin/berth.mjs', import.meta.url).pathname

/** A real `berth agent` over a range of its own, in a process that can be killed. */
export class AgentProcess {
  readonly child: ChildProcess
  stderr = ''
  stdout = ''

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [PROGRAM, 'agent', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout?.on('data', (piece: Buffer) => (this.stdout += piece.toString()))
    this.child.stderr?.on('data', (piece: Buffer) => (this.stderr += piece.toString()))
  }

  /** @returns the exit code, or the signal's name */
  async exit(): Promise<number | string> {
    const { child } = this
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    return child.exitCode ?? child.signalCode ?? ''
  }

  async kill(signal: NodeJS.Signals): Promise<number | string> {
    this.child.kill(signal)
    return this.exit()
  }

  /** @throws Error with what it printed, when it ends before it serves */
  async untilOpen(socket: string): Promise<void> {
    const clock = systemClock()
    const client = socketClient(socket, 2_000)
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`berth agent ended: ${this.stderr}`)
      const answer = await client('GET', '/healthz').catch(() => undefined)
      if (answer?.status === 200) return
      await clock.sleep(5, new AbortController().signal)
    }
  }
}

/** Flags of a node whose addresses and state are all in one folder. */
export function localFlags(folder: string, range: string): readonly string[] {
  return [
    '--node-name=node-a',
    `--ipv4-range=${range}`,
    '--cooldown=0s',
    `--socket=${join(folder, 'agent.sock')}`,
    `--state-dir=${join(folder, 'state')}`,
    '--log-level=error',
  ]
}
