import { expect, test } from 'vitest'
import { nextStep } from '../../../src/fleet/run-goal.ts'
import type { WorldReport } from '../../../src/fleet/report.ts'
import { report } from './builders.ts'

test.each<{ name: string; parts: Partial<WorldReport>; step: string }>([
  { name: 'nodes are still to join', parts: { isPopulated: false, isChurning: true }, step: 'wait' },
  { name: 'a node has never had enough', parts: { nodesEverConverged: 49, isChurning: true }, step: 'wait' },
  {
    name: 'all had enough at some time, pods still come and go',
    parts: { nodesConverged: 47, isChurning: true },
    step: 'stop-churn',
  },
  { name: 'churn is over and a node is behind', parts: { nodesConverged: 49 }, step: 'wait' },
  { name: 'churn is over and a pod waits', parts: { podsWaiting: 1 }, step: 'wait' },
  { name: 'all have enough', parts: {}, step: 'done' },
])('$name: $step', ({ parts, step }) => {
  expect(nextStep(report(parts))).toBe(step)
})
