import { describe, expect, test } from 'vitest'
import { MultiPoolIPAM, demand } from '../../../../simulators/kubernetes/cilium-agent/multi-pool-ipam.ts'
import { resource } from './builders.ts'
import type { ResourceParts } from './builders.ts'

function ipamWith(parts: ResourceParts, preAllocation = 8): MultiPoolIPAM {
  const books = new MultiPoolIPAM(preAllocation)
  books.takeOver(resource(parts))
  return books
}

const TWO_PREFIXES = { 'eni-1': { prefixes: ['10.0.0.16/28', '10.0.0.32/28'], addresses: [] } }
const PREFIX = { 'eni-1': { prefixes: ['10.0.0.16/28'], addresses: addressesOf(16, 16) } }

function addressesOf(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.0.0.${first + index}`)
}

function written(books: MultiPoolIPAM): unknown {
  return (books.pendingWrite()?.patch['spec'] as { ipam: { pools: unknown } } | undefined)?.ipam.pools
}

const wants = (ipv4: number): unknown => [{ pool: 'default', needed: { 'ipv4-addrs': ipv4 } }]
const has = (...cidrs: string[]): unknown => [{ pool: 'default', cidrs }]

test.each([
  { count: 0, pre: 16, wanted: 16 },
  { count: 1, pre: 16, wanted: 32 },
  { count: 15, pre: 16, wanted: 32 },
  { count: 16, pre: 16, wanted: 32 },
  { count: 17, pre: 16, wanted: 48 },
  { count: 5, pre: 0, wanted: 5 },
])('demand of $count with pre-allocation $pre is $wanted', ({ count, pre, wanted }) => {
  expect(demand(count, pre)).toBe(wanted)
})

describe('MultiPoolIPAM', () => {
  test('an empty node asks for its pre-allocation and has nothing', () => {
    expect(written(ipamWith({}))).toEqual({ requested: wants(8), allocated: [] })
  })

  test('takes prefixes as they are and other addresses as /32, without the primary and without unmanaged interfaces', () => {
    const books = ipamWith(
      {
        eni: { 'first-interface-index': 1 },
        enis: {
          'eni-0': { number: 0, addresses: ['10.0.9.9'] },
          'eni-1': {
            number: 1,
            prefixes: ['10.0.0.16/28'],
            addresses: [...addressesOf(16, 16), '10.0.0.4', '10.0.0.77'],
          },
        },
      },
      20,
    )
    expect(written(books)).toEqual({ requested: wants(20), allocated: has('10.0.0.16/28', '10.0.0.77/32') })
    expect(books.availableCount).toBe(17)
  })

  test('hands out every address of a prefix once', () => {
    const books = ipamWith({ enis: PREFIX })
    const given = Array.from({ length: 16 }, (_, index) => books.allocate(`default/p${index}`, 0)?.address)
    expect(new Set(given)).toEqual(new Set(addressesOf(16, 16)))
    expect(books.allocate('default/p16', 0)).toBeUndefined()
    books.release('default/p3')
    expect(books.allocate('default/p17', 0)?.address).toBe(given[3])
  })

  test('a pod that waits is part of the demand', () => {
    const books = ipamWith({})
    books.setWaiting(1)
    expect(written(books)).toMatchObject({ requested: wants(16) })
  })

  test('gives back unused CIDRs beyond its demand, from the last, and does not take them up again by mistake', () => {
    const books = ipamWith({ enis: TWO_PREFIXES })
    expect(written(books)).toEqual({ requested: wants(8), allocated: has('10.0.0.16/28') })
    books.takeOver(resource({ enis: TWO_PREFIXES }))
    expect(written(books)).toMatchObject({ allocated: has('10.0.0.16/28') })
  })

  test('takes a CIDR up again that is still listed, and uses it once the operator has been told', () => {
    const books = ipamWith({ enis: TWO_PREFIXES })
    books.pendingWrite()
    for (let pod = 0; pod < 16; pod++) expect(books.allocate(`default/p${pod}`, 0)).toBeDefined()
    expect(books.allocate('default/p16', 0)).toBeUndefined()
    books.setWaiting(1)
    const both = has('10.0.0.16/28', '10.0.0.32/28')
    expect(written(books)).toEqual({ requested: wants(32), allocated: both })
    expect(books.allocate('default/p16', 0)).toBeUndefined()
    books.takeOver(
      resource({
        enis: TWO_PREFIXES,
        pools: { allocated: [{ pool: 'default', cidrs: ['10.0.0.16/28', '10.0.0.32/28'] }] },
      }),
    )
    expect(books.allocate('default/p16', 0)?.address).toBe('10.0.0.32')
  })

  test('never gives back a CIDR that a pod uses', () => {
    const books = ipamWith({ enis: { 'eni-1': { addresses: addressesOf(20, 20) } } }, 2)
    for (let pod = 0; pod < 20; pod++) books.allocate(`default/p${pod}`, 0)
    for (let pod = 0; pod < 19; pod++) books.release(`default/p${pod}`)
    const kept = books.holding('default/p19')!.address
    const { allocated } = written(books) as { allocated: { cidrs: string[] }[] }
    expect(allocated[0]!.cidrs).toContain(`${kept}/32`)
    expect(allocated[0]!.cidrs).toHaveLength(4) // one in use, and the three that the demand of 4 leaves spare
  })

  test('a CIDR that vanishes while in use is kept until its last address is back, and serves nobody else', () => {
    const books = ipamWith({ enis: PREFIX })
    books.allocate('default/a', 0)
    books.takeOver(resource({}))
    expect(books.allocate('default/b', 0)).toBeUndefined()
    expect(books.availableCount).toBe(0)
    expect(written(books)).toMatchObject({ allocated: has('10.0.0.16/28') })
    books.release('default/a')
    expect(written(books)).toMatchObject({ allocated: [] })
  })

  test('has nothing to write once the server knows', () => {
    const pools = {
      requested: [{ pool: 'default', needed: { 'ipv4-addrs': 8 } }],
      allocated: [{ pool: 'default', cidrs: ['10.0.0.16/28'] }],
    }
    const books = ipamWith({ enis: PREFIX, pools })
    expect(books.pendingWrite()).toBeUndefined()
  })

  test('sees when another writer has changed what it wrote', () => {
    const books = ipamWith({})
    const mine = resource({ pools: { allocated: [{ pool: 'default', cidrs: ['10.0.0.16/28'] }] } })
    expect(books.sameOwnFields(mine, mine)).toBe(true)
    expect(books.sameOwnFields(resource({}), mine)).toBe(false)
  })
})
