import process from 'node:process'
import { growthOf, heapProbe, playLongChurn } from '../support/fleet-memory.ts'
import { playShrinking, randomRun } from '../support/fleet-run.ts'
import type { SoakResult, SoakTask } from './messages.ts'

/** A process of the soak: does one task after the other until it is told to stop. */

/** Plays of shorter lists after a failure (count). */
const SHRINK_ATTEMPTS = 200
/** Every so many tasks the memory of the process is looked at: a collection takes a tenth of a run. */
const TASKS_PER_LOOK = 10
/** Nodes of a long churn, and looks at its memory (counts). */
const CHURN_NODES = 8
const CHURN_LOOKS = 8

const probe = heapProbe()
let tasks = 0

async function perform(task: SoakTask): Promise<SoakResult> {
  const { seed, steps } = task
  const outcome = { ...task, failure: undefined, virtualMs: 0, coverage: undefined }
  try {
    if (task.kind === 'churn') {
      const used = await playLongChurn({ seed, nodeCount: CHURN_NODES, steps, looks: CHURN_LOOKS }, probe)
      return { ...outcome, failure: growthOf(used), heapBytes: used.at(-1) }
    }
    const { virtualMs, coverage } = await playShrinking(randomRun(seed, steps), { attempts: SHRINK_ATTEMPTS })
    tasks += 1
    return { ...outcome, virtualMs, coverage, heapBytes: tasks % TASKS_PER_LOOK === 0 ? probe() : undefined }
  } catch (error) {
    return { ...outcome, failure: error instanceof Error ? error.message : String(error), heapBytes: undefined }
  }
}

process.on('message', (task: SoakTask) => {
  void perform(task).then((result) => process.send?.(result))
})
// Ctrl-C reaches the whole foreground group; the parent decides.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => process.exit(0))
