import type { ReleaseStatus } from '../ipam/cilium-node.ts'
import { isListedByInterface } from './cloud-result.ts'
import type { LocalNode } from './local-node.ts'
import { releaseResponse } from './release-response.ts'

/** Who can say whether a pod holds an address; undefined when no allocator serves the address's family. */
export type HolderQuestion = (ip: string) => boolean | undefined

/** States in which an address must not be handed out. */
const WITHHELD_STATES: ReadonlySet<ReleaseStatus> = new Set(['marked-for-release', 'ready-for-release', 'released'])

export function isWithheld(state: ReleaseStatus | undefined): boolean {
  return state !== undefined && WITHHELD_STATES.has(state)
}

export interface ReleaseAnswers {
  /** The states with our answers in place. */
  readonly states: ReadonlyMap<string, ReleaseStatus>
  /** Addresses that left the node for good: their routes can go. */
  readonly gone: readonly string[]
}

/**
 * The agent's word on every address of a new version of the resource that asks for one.
 *
 * One thing is healed on the way: an address that was given back and attached again before its entry was removed would be withheld
 * from pods for ever (cilium issue 39981). The pool alone is no proof, since it shows an address until the operator's next write
 * of the spec; the interface must list it too.
 *
 * @source cilium pkg/ipam/crd.go, updateLocalNodeResource
 */
export function answerReleases(node: LocalNode, isHeld: HolderQuestion): ReleaseAnswers {
  const states = new Map<string, ReleaseStatus>()
  const gone: string[] = []
  for (const [ip, status] of node.releaseIPs) {
    const isInPool = node.pool?.has(ip) === true
    const held = isHeld(ip)
    if (isInPool && status === 'marked-for-release' && held === undefined) {
      states.set(ip, status)
      continue
    }
    if (isInPool && status === 'released' && isListedByInterface(node, ip)) continue
    const isPoolAbsent = node.pool === undefined
    const answer = releaseResponse({ status, isInPool, isInUse: held === true, isPoolAbsent })
    if (answer !== undefined) states.set(ip, answer)
    else gone.push(ip)
  }
  return { states, gone }
}

/**
 * The answers as they must be sent: an address that somebody came to hold since the answer was found is not given up (cilium
 * issue 32531). The other way round an answer stays: the operator withdraws or asks again.
 */
export function answersToSend(
  states: ReadonlyMap<string, ReleaseStatus>,
  isHeld: HolderQuestion,
): ReadonlyMap<string, ReleaseStatus> {
  return new Map(
    [...states].map(([ip, status]) => [
      ip,
      status === 'ready-for-release' && isHeld(ip) === true ? 'do-not-release' : status,
    ]),
  )
}
