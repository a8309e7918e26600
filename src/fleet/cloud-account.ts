import type { NodeFacts } from '../../simulators/kubernetes/index.ts'
import type { ActionReport } from './report.ts'
import type { InterfaceView } from './world-view.ts'

/** A machine as its own agent learns of it from the metadata service; it has no name in the cluster yet. */
export type LaunchedInstance = Omit<NodeFacts, 'name'>

/** The cluster's own side of a simulated cloud account: machines, and the truth about interfaces and calls. */
export interface CloudAccount {
  /** Machines. Through the control door: the cluster's own growth takes no token from the buckets that the controller is measured against. */
  launch(count: number): readonly LaunchedInstance[]
  /** A machine goes as when somebody terminates it, with what the cloud deletes along with it. */
  terminate(instanceID: string, signal: AbortSignal): Promise<void>
  /** Others take addresses of every subnet until so many are free in each (count). @returns what `free` takes */
  occupy(leaveFree: number, signal: AbortSignal): Promise<readonly string[]>
  /** Others give back what `occupy` took for them. */
  free(taken: readonly string[], signal: AbortSignal): Promise<void>
  /** Every interface of the account as it is now, with what is really on it. */
  interfaces(): readonly InterfaceView[]
  /** Whether a change to this machine is under way in the cloud: nobody can make the next one. */
  isChanging(instanceID: string): boolean
  /** Attempts so far by action (count). */
  attempts(): Readonly<Record<string, number>>
  /** The ledger by action, with the level of the bucket that holds up each action first. */
  calls(signal: AbortSignal): Promise<Readonly<Record<string, ActionReport>>>
}
