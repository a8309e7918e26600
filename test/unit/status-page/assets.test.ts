import { describe, expect, test } from 'vitest'
import { FleetModel } from '../../../src/status-page/assets/fleet-model.js'
import type { Changes, Snapshot } from '../../../src/status-page/assets/fleet-model.js'
import { cellAt, colourOf, layOut } from '../../../src/status-page/assets/heat-map.js'
import { NODE_STATUS } from '../../../src/status-page/status-source.ts'
import type { BudgetMoment, NodeRow } from '../../../src/status-page/status-source.ts'

const row = (name: string, status: NodeRow[5] = NODE_STATUS.settled, needed = 0, used = 4): NodeRow => [
  name,
  needed,
  used,
  8,
  29,
  status,
]

const moment = (atMs: number, calls: number, waiting = 0): BudgetMoment => ({
  atMs,
  buckets: [['Assign', 1, 100, 5, 5, waiting, 0]],
  actions: [['Assign', calls, 0]],
})

const common = (atMs: number, calls = 0) => ({
  now: atMs,
  isLeading: true,
  troubles: [],
  happenings: [],
  budget: moment(atMs, calls),
})

function snapshot(rows: readonly NodeRow[], parts: Partial<Snapshot> = {}): Snapshot {
  return { ...common(0), nodes: rows, history: [], subnets: [], ...parts }
}

function changes(parts: Partial<Changes> & { readonly now?: number; readonly calls?: number }): Changes {
  const { now = 1_000, calls = 0, ...rest } = parts
  return { ...common(now, calls), nodes: [], gone: [], ...rest }
}

describe('what the page knows', () => {
  test('names are in the order of people, and follow who joins and leaves', () => {
    const model = new FleetModel()
    model.reset(snapshot([row('node-10'), row('node-2'), row('node-1')]))
    expect(model.names('name')).toEqual(['node-1', 'node-2', 'node-10'])
    model.apply(changes({ nodes: [row('node-3')], gone: ['node-1', 'never-there'] }))
    expect(model.names('name')).toEqual(['node-2', 'node-3', 'node-10'])
    model.apply(changes({ nodes: [row('node-3', NODE_STATUS.dry, 8)] }))
    expect(model.nodes.get('node-3')?.[1]).toBe(8)
    expect(model.names('name')).toHaveLength(3)
  })

  test('by need: no free address first, then who says that it waits, then buffers, then the rest by use', () => {
    const model = new FleetModel()
    model.reset(
      snapshot([
        row('idle', NODE_STATUS.settled, 0, 1),
        row('busy', NODE_STATUS.settled, 0, 8),
        row('buffer', NODE_STATUS.short, 3),
        row('waits', NODE_STATUS.waits, 1),
        row('dry', NODE_STATUS.dry, 2),
        row('drier', NODE_STATUS.dry, 9),
        row('new', NODE_STATUS.unknown),
      ]),
    )
    expect(model.names('need')).toEqual(['drier', 'dry', 'waits', 'buffer', 'new', 'busy', 'idle'])
    expect(model.names('name')[0]).toBe('buffer')
    expect(model.totals()).toMatchObject({ nodes: 7, needed: 15, byStatus: [2, 1, 2, 1, 1] })
  })

  test('a snapshot after a lost connection replaces everything', () => {
    const model = new FleetModel()
    model.reset(snapshot([row('a'), row('b')]))
    model.reset(snapshot([row('c')]))
    expect([...model.nodes.keys()]).toEqual(['c'])
  })

  test('the course of a bucket and of an action, a second', () => {
    const model = new FleetModel()
    const history = [moment(0, 10, 5), moment(30_000, 70, 7)]
    model.reset(snapshot([], { history, ...common(60_000, 100) }))
    expect(model.bucketCourse('Assign', 5)).toEqual([
      [0, 5],
      [30_000, 7],
      [60_000, 0],
    ])
    expect(model.actionCourse('Assign', 1)).toEqual([
      [30_000, 2],
      [60_000, 1],
    ])
    expect(model.bucketCourse('Other', 5)).toEqual([])
    // A controller that was replaced counts from nothing.
    model.apply(changes({ now: 70_000, calls: 0 }))
    expect(model.actionCourse('Assign', 1).at(-1)).toEqual([70_000, 0])
  })

  test('what comes every second for hours stays bounded', () => {
    const model = new FleetModel()
    model.reset(snapshot([]))
    for (let second = 1; second < 10_000; second++) model.apply(changes({ now: second * 1_000 }))
    expect(model.moments.length).toBeLessThanOrEqual(480)
    expect(model.moments.at(-1)?.atMs).toBe(9_999_000)
    const gaps = model.moments.slice(1).map(({ atMs }, index) => atMs - model.moments[index]!.atMs)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(6_000)
  })
})

describe('the map', () => {
  test.each([
    [50, 1_200],
    [10_000, 1_200],
    [10_000, 340],
    [1, 340],
    [0, 340],
  ])('of %i nodes in %i pixels has a place for each, none wider than there is', (nodes, width) => {
    const grid = layOut(nodes, width, 420)
    expect(grid.columns * grid.rows).toBeGreaterThanOrEqual(nodes)
    expect(grid.columns * grid.cell).toBeLessThanOrEqual(width)
    expect(grid.cell).toBeGreaterThanOrEqual(4)
    if (nodes === 10_000) expect(grid.rows * grid.cell).toBeLessThanOrEqual(width > 1_000 ? 430 : 500)
    for (const index of [0, Math.floor(nodes / 2), nodes - 1].filter((one) => one >= 0 && one < nodes)) {
      const [x, y] = [(index % grid.columns) * grid.cell, Math.floor(index / grid.columns) * grid.cell]
      expect(cellAt(grid, nodes, x + 1, y + 1)).toBe(index)
    }
    expect(cellAt(grid, nodes, -1, 1)).toBe(-1)
    expect(cellAt(grid, nodes, grid.columns * grid.cell + 1, 1)).toBe(-1)
    expect(cellAt(grid, nodes, 1, grid.rows * grid.cell + 1)).toBe(-1)
  })

  test('the last row may be shorter', () => {
    const grid = layOut(5, 70, 420)
    expect(cellAt(grid, 5, grid.cell + 1, 2 * grid.cell + 1)).toBe(-1)
  })

  test.each<[NodeRow, string]>([
    [row('a', NODE_STATUS.dry), 'dry'],
    [row('a', NODE_STATUS.short), 'short'],
    [row('a', NODE_STATUS.waits), 'waits'],
    [row('a', NODE_STATUS.unknown), 'unknown'],
    [['a', 0, 0, 0, 29, NODE_STATUS.settled], 'use0'],
    [['a', 0, 4, 8, 29, NODE_STATUS.settled], 'use2'],
    [['a', 0, 8, 8, 29, NODE_STATUS.settled], 'use4'],
  ])('the colour of %j is %s', (node, colour) => {
    expect(colourOf(node)).toBe(colour)
  })
})
