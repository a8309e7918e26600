import type { NodeRow } from '../status-source.ts'

export interface Grid {
  readonly cell: number
  readonly gap: number
  readonly columns: number
  readonly rows: number
}

export const USE_SHADES: number
export function layOut(count: number, width: number, wantedHeight: number): Grid
export function cellAt(grid: Grid, count: number, x: number, y: number): number
export function colourOf(row: NodeRow): string
