import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { Collection, keyOf } from '../../../../simulators/kubernetes/collection.ts'
import type { ObjectVersion } from '../../../../simulators/kubernetes/event-log.ts'
import type { KubernetesObject } from '../../../../simulators/kubernetes/json.ts'
import { SortedKeys } from '../../../../simulators/kubernetes/sorted-keys.ts'

/** A plain model beside the real thing: the whole state, copied after every step. */

const HISTORY_SIZE = 8
const readers = {
  'metadata.name': (object: KubernetesObject) => object.metadata.name,
  'spec.nodeName': (object: KubernetesObject) => (object['spec'] as { nodeName: string }).nodeName,
}

interface Step {
  readonly kind: 'put' | 'delete'
  readonly namespace: string
  readonly name: string
  readonly nodeName: string
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
  namespace: fc.constantFrom('a', 'a-b', 'ab'),
  name: fc.constantFrom('x', 'y', 'z', 'y-1'),
  nodeName: fc.constantFrom('n1', 'n2'),
})

function objectOf({ namespace, name, nodeName }: Step, resourceVersion: number): KubernetesObject {
  const metadata = { name, namespace, resourceVersion: String(resourceVersion) }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { nodeName } }
}

function shown(entries: Iterable<readonly [string, ObjectVersion]>): readonly string[] {
  return [...entries].map(([key, version]) => `${key}@${version.resourceVersion}`)
}

test('every moment that the history reaches can be listed, counted and looked up as it was', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const options = { isNamespaced: true, indexedFields: ['spec.nodeName'], readers, historySize: HISTORY_SIZE }
      const collection = new Collection(options, 1)
      const model = new Map<string, KubernetesObject>()
      const moments = new Map<number, readonly string[]>([[1, []]])
      let resourceVersion = 1
      for (const one of steps) {
        const key = keyOf(one.namespace, one.name)
        if (one.kind === 'delete' && !model.has(key)) continue
        resourceVersion += 1
        const object = objectOf(one, resourceVersion)
        if (one.kind === 'put') {
          collection.put(key, resourceVersion, object)
          model.set(key, object)
        } else {
          collection.delete(key, resourceVersion, object)
          model.delete(key)
        }
        const sorted = [...model].sort(([left], [right]) => (left < right ? -1 : 1))
        moments.set(
          resourceVersion,
          sorted.map(([name, { metadata }]) => `${name}@${metadata.resourceVersion}`),
        )
        expect(collection.count()).toBe(model.size)
        expect(collection.count('a')).toBe(sorted.filter(([name]) => name.startsWith('a/')).length)
        for (const nodeName of ['n1', 'n2']) {
          const expected = sorted.filter(([, { spec }]) => (spec as { nodeName: string }).nodeName === nodeName)
          expect(collection.withField('spec.nodeName', nodeName)?.map(([name]) => name)).toEqual(
            expected.map(([name]) => name),
          )
        }
      }
      const oldest = collection.log.compactedVersion
      expect(resourceVersion - oldest).toBe(Math.min(HISTORY_SIZE, resourceVersion - 1))
      for (const [moment, expected] of moments) {
        if (moment < oldest) continue
        expect(shown(collection.at(moment, '', ''))).toEqual(expected)
        expect(shown(collection.at(moment, 'a/', ''))).toEqual(expected.filter((one) => one.startsWith('a/')))
        expect(shown(collection.at(moment, '', 'a/y'))).toEqual(
          expected.filter((one) => (one.split('@')[0] ?? '') >= 'a/y'),
        )
      }
    }),
  )
})

test('replaying the events after a moment leads from its state to the present', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, startAfter) => {
      const options = { isNamespaced: true, indexedFields: [], readers, historySize: 100 }
      const collection = new Collection(options, 1)
      let resourceVersion = 1
      let replayed = new Map<string, string>()
      let startVersion = 1
      steps.forEach((one, index) => {
        const key = keyOf(one.namespace, one.name)
        if (one.kind === 'delete' && collection.get(key) === undefined) return
        resourceVersion += 1
        const object = objectOf(one, resourceVersion)
        if (one.kind === 'put') collection.put(key, resourceVersion, object)
        else collection.delete(key, resourceVersion, object)
        if (index !== startAfter) return
        startVersion = resourceVersion
        replayed = new Map([...collection.at(resourceVersion, '', '')].map(([name, version]) => [name, version.json]))
      })
      for (const event of collection.log.after(startVersion)) {
        expect(event.type === 'ADDED').toBe(!replayed.has(event.key))
        if (event.type === 'DELETED') replayed.delete(event.key)
        else replayed.set(event.key, event.version.json)
      }
      const present = [...collection.at(resourceVersion, '', '')].map(
        ([name, version]) => [name, version.json] as const,
      )
      expect(new Map(present)).toEqual(replayed)
    }),
  )
})

test('what was deleted and has left the history leaves nothing behind', () => {
  const options = { isNamespaced: false, indexedFields: [], readers, historySize: 2 }
  const collection = new Collection(options, 1)
  const one: Step = { kind: 'put', namespace: '', name: 'gone', nodeName: 'n1' }
  collection.put('gone', 2, objectOf(one, 2))
  collection.delete('gone', 3, objectOf(one, 3))
  collection.put('kept', 4, objectOf({ ...one, name: 'kept' }, 4))
  collection.put('kept', 5, objectOf({ ...one, name: 'kept' }, 5))
  expect(collection.changesOf('gone', 0)).toEqual([])
  expect(shown(collection.at(5, '', ''))).toEqual(['kept@5'])
})

test('sorted keys stay sorted over many blocks', () => {
  const all = Array.from({ length: 2_000 }, (_, index) => String(index).padStart(4, '0'))
  fc.assert(
    fc.property(fc.shuffledSubarray(all, { minLength: 1_200 }), fc.constantFrom(...all), (texts, start) => {
      const keys = new SortedKeys()
      for (const key of texts) keys.add(key)
      const gone = new Set(texts.filter((_, index) => index % 3 === 0))
      for (const key of gone) keys.delete(key)
      keys.delete('not there')
      const expected = texts.filter((key) => !gone.has(key) && key >= start).sort()
      expect([...keys.from(start)]).toEqual(expected)
    }),
    { numRuns: 30 },
  )
})
