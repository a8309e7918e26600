/** Names further away than this share of their length are no typo. */
const LARGEST_SHARE = 0.34

/**
 * The name that was probably meant: the fewest insertions, deletions, replacements and swaps of neighbours away.
 *
 * @returns undefined when nothing is near; of equally near names the first in the order of `names`
 */
export function nearestName(
  written: string,
  names: readonly string[],
  mostEdits = Math.max(1, Math.floor(written.length * LARGEST_SHARE)),
): string | undefined {
  let nearest: string | undefined
  let best = mostEdits + 1
  for (const name of names) {
    if (Math.abs(name.length - written.length) >= best) continue
    const distance = editDistance(written, name)
    if (distance < best) {
      best = distance
      nearest = name
    }
  }
  return nearest
}

/** @source optimal string alignment distance (Damerau, 1964) */
function editDistance(left: string, right: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    for (let column = 1; column <= right.length; column++) {
      const cost = left[row - 1] === right[column - 1] ? 0 : 1
      let least = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + cost,
      )
      const isSwap = row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (isSwap) least = Math.min(least, (beforePrevious[column - 2] ?? 0) + 1)
      current.push(least)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[right.length] ?? 0
}
