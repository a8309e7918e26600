type Course = readonly (readonly [atMs: number, value: number])[]

export function pointsOf(
  course: Course,
  range: readonly [fromMs: number, toMs: number, max: number],
  width: number,
  height: number,
): readonly (readonly [number, number])[]
export function peakOf(course: Course): number
