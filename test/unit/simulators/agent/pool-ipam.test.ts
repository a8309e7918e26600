import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../../simulators/kit/random.ts'
import { PoolIPAM } from '../../../../simulators/kubernetes/cilium-agent/pool-ipam.ts'
import { resource } from './builders.ts'

function ipam(): PoolIPAM {
  return new PoolIPAM(seededRandom(1))
}

const TWO = { '10.0.0.5': 'eni-1', '10.0.0.6': 'eni-1' }

describe('PoolIPAM', () => {
  test('hands out each address of the pool once, and then none', () => {
    const books = ipam()
    books.takeOver(resource({ pool: TWO }))
    const first = books.allocate('default/a', 5)
    const second = books.allocate('default/b', 6)
    expect(new Set([first?.address, second?.address])).toEqual(new Set(Object.keys(TWO)))
    expect(first).toMatchObject({ owner: 'default/a', interfaceID: 'eni-1', sinceMs: 5 })
    expect(books.allocate('default/c', 7)).toBeUndefined()
  })

  test('a released address can be handed out again', () => {
    const books = ipam()
    books.takeOver(resource({ pool: { '10.0.0.5': 'eni-1' } }))
    books.allocate('default/a', 0)
    expect(books.release('default/a')).toBe(true)
    expect(books.release('default/a')).toBe(false)
    expect(books.allocate('default/b', 1)?.address).toBe('10.0.0.5')
  })

  test.each(['marked-for-release', 'ready-for-release', 'released'])(
    'never hands out an address that is %s',
    (state) => {
      const books = ipam()
      books.takeOver(resource({ pool: TWO, releaseIPs: { '10.0.0.5': state } }))
      expect(books.allocate('default/a', 0)?.address).toBe('10.0.0.6')
      expect(books.allocate('default/b', 0)).toBeUndefined()
    },
  )

  test('an address marked while a pod held it stays blocked when the pod goes, until the handshake is over', () => {
    const books = ipam()
    const pool = { '10.0.0.5': 'eni-1' }
    books.takeOver(resource({ pool }))
    books.allocate('default/a', 0)
    books.takeOver(resource({ pool, releaseIPs: { '10.0.0.5': 'marked-for-release' } }))
    books.release('default/a')
    expect(books.allocate('default/b', 0)).toBeUndefined()
    books.takeOver(resource({ pool }))
    expect(books.allocate('default/b', 0)?.address).toBe('10.0.0.5')
  })

  test('a held address that left the pool stays held, is still reported, and is gone once released', () => {
    const books = ipam()
    books.takeOver(resource({ pool: TWO }))
    const held = books.allocate('default/a', 0)!.address
    const other = Object.keys(TWO).find((address) => address !== held)!
    books.takeOver(resource({ pool: { [other]: 'eni-1' }, used: { [held]: 'default/a' } }))
    expect(books.pendingWrite()).toBeUndefined()
    expect(books.heldCount).toBe(1)
    books.release('default/a')
    expect(books.allocate('default/b', 0)?.address).toBe(other)
    expect(books.allocate('default/c', 0)).toBeUndefined()
  })

  test.each([
    ['names an interface that the status does not list', {}],
    ['is not listed by its interface', { 'eni-1': { addresses: ['10.0.0.5'] } }],
  ])('a version whose pool %s is ignored as a whole', (_, enis) => {
    const books = ipam()
    expect(books.takeOver(resource({ pool: TWO, enis }))).toBe(false)
    expect(books.allocate('default/a', 0)).toBeUndefined()
  })

  test('writes the difference of what is used, and nothing when there is none', () => {
    const books = ipam()
    books.takeOver(resource({ pool: { '10.0.0.5': 'eni-1' }, used: { '10.0.0.9': 'default/old' } }))
    books.allocate('default/a', 0)
    const used = { '10.0.0.5': { owner: 'default/a', resource: 'eni-1' }, '10.0.0.9': null }
    expect(books.pendingWrite()).toEqual({ subresource: 'status', patch: { status: { ipam: { used } } } })
    books.takeOver(resource({ pool: { '10.0.0.5': 'eni-1' }, used: { '10.0.0.5': 'default/a' } }))
    expect(books.pendingWrite()).toBeUndefined()
  })

  test('an address handed out before the answer is written is answered with do-not-release', () => {
    const books = ipam()
    books.takeOver(resource({ pool: { '10.0.0.5': 'eni-1' } }))
    books.allocate('default/a', 0)
    books.takeOver(
      resource({
        pool: { '10.0.0.5': 'eni-1' },
        used: { '10.0.0.5': 'default/a' },
        releaseIPs: { '10.0.0.5': 'marked-for-release' },
      }),
    )
    expect(books.pendingWrite()?.patch).toEqual({
      status: { ipam: { 'release-ips': { '10.0.0.5': 'do-not-release' } } },
    })
  })

  test('sees when another writer has changed what it wrote', () => {
    const books = ipam()
    const written = resource({ used: { '10.0.0.5': 'default/a' } })
    expect(books.sameOwnFields(resource({ used: { '10.0.0.5': 'default/a' }, pool: TWO }), written)).toBe(true)
    expect(books.sameOwnFields(resource({ used: {} }), written)).toBe(false)
    expect(books.sameOwnFields(resource({ used: { '10.0.0.5': 'default/b' } }), written)).toBe(false)
  })
})
