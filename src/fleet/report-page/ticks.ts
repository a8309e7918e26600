/** Round distances between the marks of an axis of numbers, times a power of ten. */
const NUMBER_STEPS = [1, 2, 5, 10]
/** The same of an axis of time (s). */
const TIME_STEPS = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800, 1_209_600,
]

/** Marks from 0 to the first one that is not below `max`. @param most distances between them (count) @returns at least two */
export function numberTicks(max: number, most: number): readonly number[] {
  const least = (max > 0 ? max : 1) / most
  const power = 10 ** Math.floor(Math.log10(least))
  const step = (NUMBER_STEPS.find((one) => one * power >= least * (1 - 1e-9)) ?? 10) * power
  const count = Math.max(1, Math.ceil((least * most) / step - 1e-9))
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)))
}

/** Marks within 0 and `maxSeconds`. @param most marks (count) */
export function timeTicks(maxSeconds: number, most: number): readonly number[] {
  const step = TIME_STEPS.find((one) => one * most >= maxSeconds) ?? Math.ceil(maxSeconds / most)
  return Array.from({ length: Math.floor(maxSeconds / step + 1e-9) + 1 }, (_, index) =>
    Number((index * step).toPrecision(12)),
  )
}
