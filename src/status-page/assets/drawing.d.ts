export type PlotUnit = 'count' | 'share' | 'perSecond'

export interface PlotLine {
  readonly values: readonly (number | null)[]
  /** A class of drawing.css. */
  readonly colour: string
  readonly isDashed?: boolean
  /** The ground under the line is tinted. */
  readonly isFilled?: boolean
}

export interface Plot {
  readonly label: string
  readonly moments: readonly number[]
  readonly from: number
  readonly to: number
  readonly top: number
  readonly lines: readonly PlotLine[]
  readonly grid?: readonly number[]
}

export function escapeHTML(text: string): string
export function formatCount(value: number | null): string
export function formatNumber(value: number): string
export function formatDuration(seconds: number | null): string
export function formatShare(share: number): string
export function formatRate(perSecond: number): string
export function formatValue(value: number, unit: PlotUnit): string
export function numberTicks(max: number, most: number): readonly number[]
export function timeTicks(maxSeconds: number, most: number): readonly number[]
export function topOf(lines: readonly Pick<PlotLine, 'values'>[]): number
export function plot(plot: Plot): string
export function meter(share: number, isLow?: boolean): string
