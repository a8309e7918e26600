import { parseThrottle } from '../../simulators/kit/rate-limit.ts'
import type { ThrottleTable } from '../../simulators/kit/rate-limit.ts'
import { PlanError } from './world-plan.ts'

/** The limits that a plan asks for, in the form of every cloud simulator. @throws PlanError for a faulty throttle file */
export function throttleOf(value: unknown): 'documented' | 'none' | ThrottleTable {
  if (value === 'documented' || value === 'none') return value
  try {
    return parseThrottle(value)
  } catch (error) {
    throw new PlanError(error instanceof Error ? error.message : String(error))
  }
}
