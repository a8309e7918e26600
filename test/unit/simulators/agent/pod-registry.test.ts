import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../../simulators/kit/random.ts'
import { PodRegistry } from '../../../../simulators/kubernetes/pod-scheduler/pod-registry.ts'
import type { Pod } from '../../../../simulators/kubernetes/pod-scheduler/pod-registry.ts'

function pod(name: string, nodeName: string): Pod {
  return { owner: `default/${name}`, name, nodeName, createdMs: 0, address: undefined }
}

describe('PodRegistry', () => {
  test('a node takes as many pods as it may, and no node is picked when all are full', () => {
    const registry = new PodRegistry(seededRandom(1))
    registry.addNode('a', 1)
    registry.addNode('b', 1)
    const picked = [0, 1].map((index) => {
      const nodeName = registry.pickNodeWithRoom()!
      registry.add(pod(`p${index}`, nodeName))
      return nodeName
    })
    expect(picked.sort()).toEqual(['a', 'b'])
    expect(registry.pickNodeWithRoom()).toBeUndefined()
    expect(registry.room('unknown')).toBe(0)
  })

  test('picks every pod sooner or later, and none that has been removed', () => {
    const registry = new PodRegistry(seededRandom(1))
    registry.addNode('a', 10)
    const pods = Array.from({ length: 5 }, (_, index) => pod(`p${index}`, 'a'))
    for (const one of pods) registry.add(one)
    registry.remove(pods[0]!)
    registry.remove(pods[0]!)
    registry.remove(pods[4]!)
    const seen = new Set(Array.from({ length: 200 }, () => registry.pickPod()?.name))
    expect(seen).toEqual(new Set(['p1', 'p2', 'p3']))
    expect(registry.size).toBe(3)
  })

  test('knows who waits, oldest first, and forgets who is gone', () => {
    const registry = new PodRegistry(seededRandom(1))
    registry.addNode('a', 10)
    const [first, second] = [pod('first', 'a'), pod('second', 'a')]
    registry.add(first)
    registry.add(second)
    expect(registry.oldestWaiting).toBe(first)
    expect(registry.setAddress(first, '10.0.0.5')).toBe(true)
    expect(registry.oldestWaiting).toBe(second)
    registry.remove(second)
    expect(registry.setAddress(second, '10.0.0.6')).toBe(false)
    expect(registry.waitingCount).toBe(0)
  })

  test('a node leaves with its pods', () => {
    const registry = new PodRegistry(seededRandom(1))
    registry.addNode('a', 10)
    registry.addNode('b', 10)
    registry.add(pod('p1', 'a'))
    registry.add(pod('p2', 'b'))
    expect(registry.removeNode('a').map(({ name }) => name)).toEqual(['p1'])
    expect(registry.size).toBe(1)
    expect(registry.pickNodeWithRoom()).toBe('b')
  })
})
