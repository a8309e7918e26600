import type { CurvePoint } from '../bounds.ts'
import type { SeriesSample } from '../run-series.ts'
import type { Chart, ChartLine } from './chart.ts'

/** What the charts of a run are drawn from. */
export interface RunCourse {
  readonly samples: readonly SeriesSample[]
  /** The best possible course of nodes that get their first address, from when what is measured began. */
  readonly bestCurve: readonly CurvePoint[]
  /** When that was (s from the start of the run). */
  readonly measuredFromSeconds: number
}

/** Actions that are told apart in a chart (count); the rest has one line, or none. */
const MAX_ACTIONS = 6

/** The charts of a run, in the order in which one reads them. */
export function runCharts(course: RunCourse): readonly Chart[] {
  const { samples } = course
  const seconds = samples.map(({ atSeconds }) => atSeconds)
  const line = (label: string, value: (sample: SeriesSample) => number): ChartLine => ({
    label,
    values: samples.map(value),
  })
  return [
    {
      title: 'Nodes with their first address',
      hint: 'The dashed line is what the buckets of the account allow at best.',
      seconds,
      unit: 'count',
      lines: [
        line('served', ({ nodesServed }) => nodesServed),
        { label: 'best possible', values: bestValues(course), isDashed: true },
        line('joined', ({ nodesJoined }) => nodesJoined),
      ],
    },
    {
      title: 'Pods that wait for an address',
      hint: 'Bound to a node, and without an answer of its agent.',
      seconds,
      unit: 'count',
      lines: [line('waiting', ({ podsWaiting }) => podsWaiting)],
    },
    {
      title: 'Addresses',
      hint: 'Open to pods, and of them those in pods’ hands.',
      seconds,
      unit: 'count',
      lines: [
        line('open', ({ addressesAvailable }) => addressesAvailable),
        line('used', ({ addressesUsed }) => addressesUsed),
      ],
    },
    {
      title: 'Tokens in the buckets',
      hint: 'Of each action’s bucket at the cloud. At the floor, calls go out as fast as it fills.',
      seconds,
      unit: 'share',
      lines: tokenLines(samples),
    },
    {
      title: 'Cloud calls',
      hint: 'Attempts by action, refused ones included.',
      seconds,
      unit: 'perSecond',
      lines: callLines(samples),
    },
    {
      title: 'Refused calls',
      hint: 'So far, by action: the cloud found the bucket empty.',
      seconds,
      unit: 'count',
      lines: refusalLines(samples),
    },
  ]
}

/** The best possible number of served nodes at each sample: those served before what is measured began, and the curve. */
function bestValues({ samples, bestCurve, measuredFromSeconds }: RunCourse): readonly (number | null)[] {
  const before = samples.findLast(({ atSeconds }) => atSeconds <= measuredFromSeconds)?.nodesServed ?? 0
  const isFromStart = !samples.some(({ atSeconds, nodesServed }) => atSeconds < measuredFromSeconds && nodesServed > 0)
  return samples.map(({ atSeconds }) => {
    const served = servedAt(bestCurve, atSeconds - measuredFromSeconds)
    if (served === undefined) return null
    return served + (isFromStart ? 0 : before)
  })
}

/** @returns undefined before the curve begins, and where it never ends */
function servedAt(curve: readonly CurvePoint[], atSeconds: number): number | undefined {
  const next = curve.findIndex((point) => point.atSeconds > atSeconds)
  const before = next < 0 ? curve.at(-1) : curve[next - 1]
  const after = next < 0 ? undefined : curve[next]
  if (before === undefined) return undefined
  if (after === undefined || !Number.isFinite(after.atSeconds)) return before.served
  const share = (atSeconds - before.atSeconds) / (after.atSeconds - before.atSeconds)
  return before.served + share * (after.served - before.served)
}

/** The buckets that ran lowest. */
function tokenLines(samples: readonly SeriesSample[]): readonly ChartLine[] {
  const lowest = new Map<string, number>()
  for (const { tokens } of samples)
    for (const [action, share] of Object.entries(tokens)) lowest.set(action, Math.min(lowest.get(action) ?? 1, share))
  const actions = [...lowest].toSorted(([one, a], [other, b]) => a - b || (one < other ? -1 : 1)).slice(0, MAX_ACTIONS)
  return actions.map(([action]) => ({ label: action, values: samples.map(({ tokens }) => tokens[action] ?? 1) }))
}

/** Between each sample and the one before; a sample at the same moment as the last one adds nothing. */
function callLines(samples: readonly SeriesSample[]): readonly ChartLine[] {
  const totals = samples.at(-1)?.calls ?? {}
  const byTotal = Object.keys(totals).toSorted(
    (one, other) => (totals[other] ?? 0) - (totals[one] ?? 0) || (one < other ? -1 : 1),
  )
  const shown = byTotal.slice(0, MAX_ACTIONS)
  const others = byTotal.slice(MAX_ACTIONS)
  const rates = (actions: readonly string[]): number[] => {
    const count = ({ calls }: SeriesSample): number => actions.reduce((sum, action) => sum + (calls[action] ?? 0), 0)
    return samples.map((sample, index) => {
      const before = samples[index - 1]
      const elapsed = sample.atSeconds - (before?.atSeconds ?? sample.atSeconds)
      return before === undefined || elapsed <= 0 ? 0 : (count(sample) - count(before)) / elapsed
    })
  }
  return [
    ...shown.map((action) => ({ label: action, values: rates([action]) })),
    ...(others.length === 0 ? [] : [{ label: `${others.length} others`, values: rates(others) }]),
  ]
}

function refusalLines(samples: readonly SeriesSample[]): readonly ChartLine[] {
  const totals = samples.at(-1)?.refused ?? {}
  const refused = Object.keys(totals).filter((action) => (totals[action] ?? 0) > 0)
  if (refused.length === 0) return [{ label: 'none', values: samples.map(() => 0) }]
  const byTotal = refused.toSorted((one, other) => (totals[other] ?? 0) - (totals[one] ?? 0) || (one < other ? -1 : 1))
  return byTotal
    .slice(0, MAX_ACTIONS)
    .map((action) => ({ label: action, values: samples.map((one) => one.refused[action] ?? 0) }))
}
