import type { WorldReport } from './report.ts'

/** What to do next in a run that ends once the fleet has what it needs. */
export type RunStep = 'wait' | 'stop-churn' | 'done'

/**
 * Churn stops once every node has had all it needs at some time; the run is over once all have it together and no pod waits.
 * While pods come and go some node is always a moment behind, so "all at once" would never come.
 */
export function nextStep(report: WorldReport): RunStep {
  if (!report.isPopulated || report.nodesEverConverged < report.nodes) return 'wait'
  if (report.isChurning) return 'stop-churn'
  return report.nodesConverged === report.nodes && report.podsWaiting === 0 ? 'done' : 'wait'
}
