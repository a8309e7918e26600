/**
 * What the page knows of the fleet: the nodes by name, and the course of the budget. Rows are as the controller sends them
 * (src/status-page/status-source.ts).
 */

/** Moments kept of the budget (count), and the least time between two of them (ms): an hour at 30 s, then what comes live. */
const MAX_MOMENTS = 480
const MOMENT_INTERVAL_MS = 5000

export const STATUS_NAMES = [
  'has what it needs',
  'fills its buffer',
  'no free address',
  'says that it waits',
  'not known yet',
]

export class FleetModel {
  constructor() {
    this.nodes = new Map()
    this.subnets = []
    this.moments = []
    this.happenings = []
    this.troubles = []
    this.isLeading = false
    this.now = 0
    this.order = []
    this.isOrderStale = true
  }

  /** Everything anew. */
  reset(snapshot) {
    this.nodes = new Map(snapshot.nodes.map((row) => [row[0], row]))
    this.moments = snapshot.history.slice(-MAX_MOMENTS)
    this.isOrderStale = true
    this.update(snapshot)
  }

  /** A second's changes. */
  apply(changes) {
    for (const row of changes.nodes) {
      if (!this.nodes.has(row[0])) this.isOrderStale = true
      this.nodes.set(row[0], row)
    }
    for (const name of changes.gone) if (this.nodes.delete(name)) this.isOrderStale = true
    this.update(changes)
  }

  update(message) {
    this.now = message.now
    this.isLeading = message.isLeading
    this.troubles = message.troubles
    this.happenings = message.happenings
    if (message.subnets !== undefined) this.subnets = message.subnets
    const last = this.moments.at(-1)
    const before = this.moments.at(-2)
    // The newest moment is always there; between earlier ones a few seconds lie.
    if (last !== undefined && before !== undefined && last.atMs - before.atMs < MOMENT_INTERVAL_MS) this.moments.pop()
    this.moments.push(message.budget)
    if (this.moments.length > MAX_MOMENTS) this.moments.shift()
  }

  /** Names in the order of the map. @param {'name' | 'need'} by */
  names(by) {
    if (this.isOrderStale || by !== 'name') {
      this.order = [...this.nodes.keys()].sort(compareNames)
      this.isOrderStale = by !== 'name'
    }
    if (by === 'name') return this.order
    const urgency = (name) => {
      const [, needed, used, available, , status] = this.nodes.get(name)
      return [RANK[status], needed, available === 0 ? 0 : used / available]
    }
    const ranked = this.order.map((name) => [name, urgency(name)])
    ranked.sort(([, a], [, b]) => b[0] - a[0] || b[1] - a[1] || b[2] - a[2])
    return ranked.map(([name]) => name)
  }

  /** Sums over the fleet (counts); `byStatus` in the order of the statuses. */
  totals() {
    const byStatus = [0, 0, 0, 0, 0]
    let needed = 0
    let used = 0
    let available = 0
    for (const [, need, use, attached, , status] of this.nodes.values()) {
      byStatus[status] += 1
      needed += need
      used += use
      available += attached
    }
    return { nodes: this.nodes.size, needed, used, available, byStatus }
  }

  /** The course of one bucket: `[atMs, value]` of its column. */
  bucketCourse(bucket, column) {
    return this.moments.flatMap(({ atMs, buckets }) => {
      const row = buckets.find(([name]) => name === bucket)
      return row === undefined ? [] : [[atMs, row[column]]]
    })
  }

  /** What an action counts between two moments, a second: `[atMs, perSecond]`. */
  actionCourse(action, column) {
    const course = []
    let before
    for (const { atMs, actions } of this.moments) {
      const value = actions.find(([name]) => name === action)?.[column] ?? 0
      if (before !== undefined && atMs > before.atMs)
        course.push([atMs, (Math.max(0, value - before.value) * 1000) / (atMs - before.atMs)])
      before = { atMs, value }
    }
    return course
  }
}

/** Most urgent first: no free address, waits, fills its buffer, not known, settled. */
const RANK = [0, 2, 4, 3, 1]

/** `node-2` before `node-10`. */
const compareNames = new Intl.Collator('en', { numeric: true }).compare
