/** The public face of the simulated workload; `simulators/kubernetes/index.ts` passes it on. */
export { PodScheduler } from './pod-scheduler.ts'
export type { AddressSource, PodNode, PodReport, PodSchedulerOptions } from './pod-scheduler.ts'
export type { Pod } from './pod-registry.ts'
export { WaitTimes } from './wait-times.ts'
export type { WaitSummary } from './wait-times.ts'
