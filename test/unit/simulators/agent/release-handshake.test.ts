import { describe, expect, test } from 'vitest'
import {
  answerReleases,
  isInReleaseHandshake,
} from '../../../../simulators/kubernetes/cilium-agent/release-handshake.ts'
import { resource } from './builders.ts'

const ADDRESS = '10.0.0.5'

describe('answerReleases', () => {
  test.each<{
    state: string
    pool: Record<string, string> | undefined
    held: boolean
    answer: string | null | undefined
  }>([
    { state: 'marked-for-release', pool: { [ADDRESS]: 'eni-1' }, held: false, answer: 'ready-for-release' },
    { state: 'marked-for-release', pool: { [ADDRESS]: 'eni-1' }, held: true, answer: 'do-not-release' },
    { state: 'marked-for-release', pool: {}, held: false, answer: 'do-not-release' },
    { state: 'marked-for-release', pool: undefined, held: false, answer: undefined },
    { state: 'released', pool: {}, held: false, answer: null },
    { state: 'released', pool: { [ADDRESS]: 'eni-1' }, held: false, answer: undefined },
    { state: 'released', pool: undefined, held: false, answer: undefined },
    { state: 'ready-for-release', pool: { [ADDRESS]: 'eni-1' }, held: true, answer: undefined },
    { state: 'do-not-release', pool: {}, held: false, answer: undefined },
  ])('$state, pool $pool, held $held: $answer', ({ state, pool, held, answer }) => {
    const seen = resource({ releaseIPs: { [ADDRESS]: state }, ...(pool === undefined ? {} : { pool }) })
    expect(answerReleases(seen, () => held).get(ADDRESS)).toBe(answer)
  })
})

test.each([
  ['marked-for-release', true],
  ['ready-for-release', true],
  ['released', true],
  ['do-not-release', false],
])('an address in state %s is kept from pods: %s', (state, blocked) => {
  const seen = resource({ pool: { [ADDRESS]: 'eni-1' }, releaseIPs: { [ADDRESS]: state } })
  expect(isInReleaseHandshake(seen, ADDRESS)).toBe(blocked)
})
