import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { FromWorld, ToWorld } from './messages.ts'
import type { WorldReport } from './report.ts'
import { PlanError } from './world-plan.ts'
import type { WorldEndpoints, WorldPlan } from './world-plan.ts'

/** The world's process, from the outside. */
export class WorldHandle {
  readonly #child: ChildProcess
  readonly #onReport: (report: WorldReport) => void
  readonly #ready = Promise.withResolvers<WorldEndpoints>()
  readonly #ended = Promise.withResolvers<Error>()
  #verifying: PromiseWithResolvers<WorldReport>[] = []
  #isStopping = false
  #failure: Error | undefined

  /** @param onReport told several times a second how the world is */
  constructor(plan: WorldPlan, onReport: (report: WorldReport) => void) {
    this.#onReport = onReport
    this.#child = fork(fileURLToPath(new URL('world-process.ts', import.meta.url)), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
    })
    this.#ready.promise.catch(() => undefined) // whoever waits for it handles it; an early end is also told by `ended`
    this.#child.on('message', (message) => this.#receive(message as FromWorld))
    this.#child.on('error', (error) => this.#end(error))
    this.#child.on('exit', (code, signal) => {
      this.#end(new Error(`the process of the simulated world ended (${signal ?? `code ${code}`})`))
    })
    this.#send({ kind: 'start', plan })
  }

  /** Once the servers answer. Rejects with PlanError when the plan cannot be carried out. */
  get ready(): Promise<WorldEndpoints> {
    return this.#ready.promise
  }

  /** Resolves with the reason when the world ends without having been told to. */
  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  stopChurn(): void {
    this.#send({ kind: 'stop-churn' })
  }

  /** A report after a fresh look at every address. Rejects when the world has ended. */
  verify(): Promise<WorldReport> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const verifying = Promise.withResolvers<WorldReport>()
    this.#verifying.push(verifying)
    this.#send({ kind: 'verify' })
    return verifying.promise
  }

  /** Ends the process and waits until it is gone; kills it when it has not ended by itself once `grace` resolves. */
  async stop(grace: Promise<void>): Promise<void> {
    grace.catch(() => undefined) // called off once the process is gone
    this.#isStopping = true
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#send({ kind: 'stop' })
    await Promise.race([exited, grace])
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await exited
  }

  #receive(message: FromWorld): void {
    switch (message.kind) {
      case 'ready':
        this.#ready.resolve(message.endpoints)
        return
      case 'report':
        this.#onReport(message.report)
        return
      case 'verified':
        this.#verifying.shift()?.resolve(message.report)
        return
      case 'failed':
        this.#end(message.isUsage ? new PlanError(message.message) : new Error(message.message))
    }
  }

  #end(reason: Error): void {
    this.#failure ??= reason
    this.#ready.reject(reason)
    for (const { reject } of this.#verifying.splice(0)) reject(reason)
    if (!this.#isStopping) this.#ended.resolve(reason)
  }

  #send(message: ToWorld): void {
    if (this.#child.connected) this.#child.send(message)
  }
}
