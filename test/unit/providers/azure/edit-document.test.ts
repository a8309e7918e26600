import { describe, expect, test } from 'vitest'
import {
  configurationsOf,
  INTERFACE_NOT_IN_MODEL,
  newConfigurationNames,
  PRIMARY_RELEASE_REFUSED,
  resolveAddresses,
  withConfigurations,
  withoutConfigurations,
  withoutUnfinished,
  type NICDocument,
} from '../../../../providers/azure/edit-document.ts'
import { textAt } from '../../../../providers/azure/json.ts'
import type { JSONObject } from '../../../../src/ipam/types.ts'
import { seededRandom } from '../../../../src/runtime/random.ts'
import { configuration, machineDocument, nicDocument, SUBNET } from './builders.ts'

const STANDALONE: NICDocument = { kind: 'standalone' }
const IN_MODEL: NICDocument = { kind: 'scaleSetVM', nicName: 'np1' }
const names = (document: JSONObject | undefined, place: NICDocument) =>
  document && configurationsOf(document, place).map((one) => textAt(one, 'name'))
const adding = (...added: string[]) => ({ names: added, subnetID: SUBNET, arePrefixes: false })

test('names are of eight harmless letters, all different', () => {
  const made = newConfigurationNames(200, seededRandom(1))
  expect(new Set(made).size).toBe(200)
  for (const name of made) expect(name).toMatch(/^Cilium-[bcdfghjklmnpqrstvwxz2456789]{8}$/)
})

describe('added configurations', () => {
  test('of an interface are dynamic, behind the present ones', () => {
    const document = nicDocument({}, configuration('x'))
    const edited = withConfigurations(document, STANDALONE, adding('a', 'b'))
    expect(names(edited, STANDALONE)).toEqual(['ipconfig1', 'x', 'a', 'b'])
    expect(configurationsOf(edited!, STANDALONE).at(-1)).toEqual({
      name: 'b',
      properties: { privateIPAllocationMethod: 'Dynamic', subnet: { id: SUBNET } },
    })
  })

  test('of a model name an IP version, and the image is left out (19695)', () => {
    const edited = withConfigurations(machineDocument(), IN_MODEL, adding('a'))
    expect(configurationsOf(edited!, IN_MODEL).at(-1)).toEqual({
      name: 'a',
      properties: { privateIPAddressVersion: 'IPv4', subnet: { id: SUBNET } },
    })
    expect(edited).toMatchObject({ properties: { storageProfile: { osDisk: { name: 'd0' } } } })
    expect(JSON.stringify(edited)).not.toContain('imageReference')
  })

  test('get the security groups of the first configuration (15194)', () => {
    const applicationSecurityGroups = [{ id: 'asg-1' }, { id: 'asg-2' }]
    const document = {
      ...nicDocument(),
      properties: { ipConfigurations: [configuration('ipconfig1', { primary: true, applicationSecurityGroups })] },
    }
    const edited = withConfigurations(document, STANDALONE, adding('a'))
    expect(configurationsOf(edited!, STANDALONE).at(-1)).toMatchObject({ properties: { applicationSecurityGroups } })
  })

  test('may be blocks', () => {
    const edited = withConfigurations(nicDocument(), STANDALONE, { ...adding('a'), arePrefixes: true })
    expect(configurationsOf(edited!, STANDALONE).at(-1)).toMatchObject({
      properties: { privateIPAddressPrefixLength: 28 },
    })
  })

  test('that are there already are not added again', () => {
    const document = nicDocument({}, configuration('a'))
    expect(names(withConfigurations(document, STANDALONE, adding('a', 'b')), STANDALONE)).toEqual([
      'ipconfig1',
      'a',
      'b',
    ])
    expect(withConfigurations(document, STANDALONE, adding('a'))).toBeUndefined()
  })

  test.each([
    { place: STANDALONE, document: nicDocument({ newerFeature: { deep: [1, { x: null }] } }) },
    { place: IN_MODEL, document: machineDocument({ newerFeature: { deep: [1, { x: null }] } }) },
  ])('leave everything else as it was, known or not: $place.kind', ({ place, document }) => {
    const added = withConfigurations(document, place, adding('a'))
    const back = withoutConfigurations(added!, place, new Set(['a']))
    const image = { imageReference: { id: '/subscriptions/of-microsoft/image' } }
    const properties = back!['properties'] as Record<string, JSONObject>
    if (place.kind === 'scaleSetVM') properties['storageProfile'] = { ...image, ...properties['storageProfile'] }
    expect(back).toEqual(document)
  })

  test('do not fit a machine without that interface', () => {
    expect(() => withConfigurations(machineDocument(), { kind: 'scaleSetVM', nicName: 'eth9' }, adding('a'))).toThrow(
      expect.objectContaining({ code: INTERFACE_NOT_IN_MODEL, kind: 'invalid' }),
    )
  })
})

describe('what a failed write has left', () => {
  const names = new Set(['a', 'b'])

  test('is taken off an interface, but for what has become usable since', () => {
    const failed = configuration('a', { provisioningState: 'Failed' })
    const document = nicDocument({}, failed, configuration('b'), configuration('c', { provisioningState: 'Failed' }))
    const tidied = withoutUnfinished(document, STANDALONE, names)
    expect(configurationsOf(tidied!, STANDALONE).map((one) => textAt(one, 'name'))).toEqual(['ipconfig1', 'b', 'c'])
    expect(withoutUnfinished(nicDocument({}, configuration('b')), STANDALONE, names)).toBeUndefined()
    expect(withoutUnfinished(document, STANDALONE, new Set())).toBeUndefined()
  })

  test('is taken out of a model only while that is failed', () => {
    const of = (provisioningState: string) =>
      withoutUnfinished(machineDocument({ provisioningState }, configuration('a')), IN_MODEL, names)
    expect(configurationsOf(of('Failed')!, IN_MODEL)).toHaveLength(1)
    expect(of('Succeeded')).toBeUndefined()
  })
})

describe('removed configurations', () => {
  const model = machineDocument({}, configuration('a'), configuration('b'))

  test('are gone by their names', () => {
    expect(names(withoutConfigurations(model, IN_MODEL, new Set(['a', 'zzz'])), IN_MODEL)).toEqual(['ipconfig1', 'b'])
    expect(withoutConfigurations(model, IN_MODEL, new Set(['zzz']))).toBeUndefined()
  })

  test('are never the primary one', () => {
    expect(() => withoutConfigurations(model, IN_MODEL, new Set(['a', 'ipconfig1']))).toThrow(
      expect.objectContaining({ code: PRIMARY_RELEASE_REFUSED }),
    )
  })

  test('are found by their addresses, blocks by their first one', () => {
    const document = nicDocument(
      {},
      configuration('a', { privateIPAddress: '10.0.0.5' }),
      configuration('b', { privateIPAddress: '10.0.0.16', privateIPAddressPrefixLength: 28 }),
    )
    expect(resolveAddresses(document, ['10.0.0.16', '10.0.0.5', '10.0.0.99'])).toEqual({
      names: new Set(['b', 'a']),
      missing: ['10.0.0.99'],
    })
  })

  test('are none of the batch when one is primary, and the error names it', () => {
    expect(() => resolveAddresses(nicDocument({}, configuration('a')), ['10.0.0.4', '10.0.0.5'])).toThrow(
      expect.objectContaining({ message: 'Cannot release 10.0.0.4: the primary address of an interface stays' }),
    )
  })
})
