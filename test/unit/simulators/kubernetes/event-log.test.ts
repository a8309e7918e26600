import { describe, expect, test } from 'vitest'
import { EventLog, ObjectVersion, RecentVersions } from '../../../../simulators/kubernetes/event-log.ts'
import type { StoreEvent } from '../../../../simulators/kubernetes/event-log.ts'

function versionOf(name: string, resourceVersion: number): ObjectVersion {
  return new ObjectVersion(resourceVersion, { apiVersion: 'v1', kind: 'Pod', metadata: { name } })
}

function change(name: string, resourceVersion: number): StoreEvent {
  return { type: 'ADDED', key: name, resourceVersion, version: versionOf(name, resourceVersion), previous: undefined }
}

function logOf(capacity: number, dropped: StoreEvent[] = []): EventLog {
  return new EventLog({
    capacity,
    pinFields: ['metadata.name'],
    readers: { 'metadata.name': (object) => object.metadata.name },
    resourceVersion: 1,
    onDrop: (event) => dropped.push(event),
  })
}

describe('EventLog', () => {
  test('keeps the latest events in order and tells about each one it drops', () => {
    const dropped: StoreEvent[] = []
    const log = logOf(3, dropped)
    for (let version = 2; version <= 12; version += 2) log.append(change(`n${version}`, version))
    expect(log.after(0).map((event) => event.resourceVersion)).toEqual([8, 10, 12])
    expect(log.after(8).map((event) => event.resourceVersion)).toEqual([10, 12])
    expect(log.after(9).map((event) => event.resourceVersion)).toEqual([10, 12])
    expect(log.after(12)).toEqual([])
    expect(dropped.map((event) => event.resourceVersion)).toEqual([2, 4, 6])
    expect(log.compactedVersion).toBe(6)
  })

  test('of 10,000 listeners by name an event is offered to one, whatever order they came in', () => {
    const log = logOf(10)
    const offers = new Map<string, number>()
    for (let index = 0; index < 10_000; index += 1) {
      const value = `n${index}`
      log.listen({
        pin: { field: 'metadata.name', value },
        offer: () => offers.set(value, (offers.get(value) ?? 0) + 1),
      })
    }
    log.append(change('n77', 2))
    log.append(change('n9999', 3))
    log.append(change('nobody', 4))
    expect([...offers]).toEqual([
      ['n77', 1],
      ['n9999', 1],
    ])
  })

  test('a listener without a pin hears everything until it leaves', () => {
    const log = logOf(10)
    const heard: string[] = []
    const listener = { pin: undefined, offer: (event: StoreEvent) => heard.push(event.key) }
    log.listen(listener)
    log.append(change('a', 2))
    log.unlisten(listener)
    log.append(change('b', 3))
    expect(heard).toEqual(['a'])
  })

  test('an event that moves an object between pins reaches both', () => {
    const log = new EventLog({
      capacity: 5,
      pinFields: ['spec.nodeName'],
      readers: { 'spec.nodeName': (object) => (object['spec'] as { nodeName: string }).nodeName },
      resourceVersion: 1,
      onDrop: () => undefined,
    })
    const heard: string[] = []
    for (const value of ['n1', 'n2', 'n3']) {
      log.listen({ pin: { field: 'spec.nodeName', value }, offer: () => heard.push(value) })
    }
    const on = (nodeName: string, resourceVersion: number): ObjectVersion =>
      new ObjectVersion(resourceVersion, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { nodeName } })
    log.append({ type: 'MODIFIED', key: 'p', resourceVersion: 3, version: on('n2', 3), previous: on('n1', 2) })
    expect(heard.sort()).toEqual(['n1', 'n2'])
  })
})

describe('ObjectVersion', () => {
  const objectOf = (name: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { a: 'b' } } })

  test('is the very object that was stored while it is recent, and an equal one after a rest', () => {
    const recent = new RecentVersions()
    const stored = objectOf('first')
    const first = new ObjectVersion(1, stored, recent)
    for (let index = 1; index < 100; index++) void new ObjectVersion(index, objectOf(`p${index}`), recent)
    expect(first.object).toBe(stored)
    void new ObjectVersion(100, objectOf('one too many'), recent)
    expect(first.object).not.toBe(stored)
    expect(first.object).toEqual(stored)
    expect(first.object).toBe(first.object)
    expect(first.json).toBe(JSON.stringify(stored))
  })

  test('keeps its content however often it rests', () => {
    const version = new ObjectVersion(1, objectOf('one'))
    version.rest()
    version.rest()
    expect(version.object).toEqual(objectOf('one'))
    version.rest()
    expect(version.json).toBe(JSON.stringify(objectOf('one')))
  })
})
