import { describe, expect, test } from 'vitest'
import { InstanceMap } from '../../../src/ipam/instance-map.ts'

interface Iface {
  readonly name: string
}

function mapOfTwo(): InstanceMap<Iface> {
  const map = new InstanceMap<Iface>()
  map.updateInterface('i-2', 'eni-3', { name: 'three' })
  map.updateInterface('i-1', 'eni-2', { name: 'two' })
  map.updateInterface('i-1', 'eni-1', { name: 'one' })
  return map
}

describe('InstanceMap', () => {
  test('keeps the interfaces of each instance by ID', () => {
    const map = mapOfTwo()
    expect([...map.interfacesOf('i-1')!.keys()]).toEqual(['eni-1', 'eni-2'])
    expect(map.getInterface('i-1', 'eni-2')).toEqual({ name: 'two' })
    expect(map.getInterface('i-1', 'eni-3')).toBeUndefined()
    expect(map.instanceCount).toBe(2)
  })

  test('an unknown instance has no interfaces: that is not the same as none', () => {
    const map = mapOfTwo()
    map.replaceInstance('i-3', new Map())
    expect(map.interfacesOf('i-4')).toBeUndefined()
    expect(map.hasInstance('i-4')).toBe(false)
    expect(map.interfacesOf('i-3')?.size).toBe(0)
    expect(map.hasInstance('i-3')).toBe(true)
  })

  test('replacing an instance forgets its former interfaces and no others', () => {
    const map = mapOfTwo()
    const replacement = new Map([
      ['eni-9', { name: 'nine' }],
      ['eni-8', { name: 'eight' }],
    ])
    map.replaceInstance('i-1', replacement)
    expect([...map.interfacesOf('i-1')!.keys()]).toEqual(['eni-8', 'eni-9'])
    expect(map.getInterface('i-2', 'eni-3')).toEqual({ name: 'three' })
  })

  test('what was handed out stays as it was', () => {
    const map = mapOfTwo()
    const before = map.interfacesOf('i-1')!
    map.updateInterface('i-1', 'eni-1', { name: 'changed' })
    map.deleteInterface('i-1', 'eni-2')
    expect([...before.values()]).toEqual([{ name: 'one' }, { name: 'two' }])
    expect([...map.interfacesOf('i-1')!.values()]).toEqual([{ name: 'changed' }])
  })

  test('deleting what is not there changes nothing', () => {
    const map = mapOfTwo()
    map.deleteInterface('i-1', 'eni-9')
    map.deleteInterface('i-9', 'eni-1')
    map.deleteInstance('i-9')
    expect([...map.allInterfaces()]).toEqual([...mapOfTwo().allInterfaces()])
    expect(map.hasInstance('i-9')).toBe(false)
  })

  test('walks the whole inventory in the order of the IDs', () => {
    const walked = [...mapOfTwo().allInterfaces()].map(({ instanceID, interfaceID }) => `${instanceID}/${interfaceID}`)
    expect(walked).toEqual(['i-1/eni-1', 'i-1/eni-2', 'i-2/eni-3'])
    expect(mapOfTwo().instanceIDs()).toEqual(['i-1', 'i-2'])
  })

  test('a copy and its original do not reach each other', () => {
    const original = mapOfTwo()
    const copied = original.copy()
    original.deleteInstance('i-1')
    copied.updateInterface('i-2', 'eni-4', { name: 'four' })
    expect(copied.getInterface('i-1', 'eni-1')).toEqual({ name: 'one' })
    expect(original.getInterface('i-2', 'eni-4')).toBeUndefined()
    expect(original.instanceCount).toBe(1)
  })

  test.each<[string, (map: InstanceMap<Iface>) => unknown]>([
    ['interfacesOf', (map) => map.interfacesOf('')],
    ['getInterface', (map) => map.getInterface('', 'eni-1')],
    ['hasInstance', (map) => map.hasInstance('')],
    ['updateInterface', (map) => map.updateInterface('', 'eni-1', { name: '' })],
    ['deleteInterface', (map) => map.deleteInterface('', 'eni-1')],
    ['replaceInstance', (map) => map.replaceInstance('', new Map())],
    ['deleteInstance', (map) => map.deleteInstance('')],
  ])('%s refuses an empty instance ID instead of taking it for all instances', (_, call) => {
    const map = mapOfTwo()
    expect(() => call(map)).toThrow('Instance ID is empty')
    expect([...map.allInterfaces()]).toHaveLength(3)
  })
})
