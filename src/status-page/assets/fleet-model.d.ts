import type { BudgetMoment, HappeningRow, NodeRow, SubnetRow } from '../status-source.ts'

export interface Message {
  readonly now: number
  readonly isLeading: boolean
  readonly troubles: readonly string[]
  readonly budget: BudgetMoment
  readonly happenings: readonly HappeningRow[]
  readonly subnets?: readonly SubnetRow[]
}

export interface Snapshot extends Message {
  readonly nodes: readonly NodeRow[]
  readonly history: readonly BudgetMoment[]
  readonly subnets: readonly SubnetRow[]
}

export interface Changes extends Message {
  readonly nodes: readonly NodeRow[]
  readonly gone: readonly string[]
}

export const STATUS_NAMES: readonly string[]

export class FleetModel {
  readonly nodes: ReadonlyMap<string, NodeRow>
  readonly subnets: readonly SubnetRow[]
  readonly moments: readonly BudgetMoment[]
  readonly happenings: readonly HappeningRow[]
  readonly troubles: readonly string[]
  readonly isLeading: boolean
  readonly now: number
  reset(snapshot: Snapshot): void
  apply(changes: Changes): void
  names(by: 'name' | 'need'): readonly string[]
  totals(): {
    readonly nodes: number
    readonly needed: number
    readonly used: number
    readonly available: number
    readonly byStatus: readonly number[]
  }
  bucketCourse(bucket: string, column: number): readonly (readonly [number, number])[]
  actionCourse(action: string, column: number): readonly (readonly [number, number])[]
}
