import type { VirtualFleet } from '../../../src/fleet/virtual-fleet.ts'
import { seededRandom } from '../../../src/runtime/random.ts'
import type { Random } from '../../../src/runtime/random.ts'
import { elementOf, RivalLimiter } from './rival-account.ts'
import type { RivalAccount, RivalAnswer } from './rival-account.ts'
import { RivalController } from './rival-controller.ts'
import type { RivalGrant, RivalNode, RivalPolicy } from './rival-controller.ts'

/** Who serves a fleet in the comparison. */
export interface Contender {
  readonly name: string
  readonly help: string
  /** Begins to serve; resolves when nodes may join. */
  start(fleet: VirtualFleet): Promise<void>
}

/** @source AWS SDKs and Tools Reference Guide, Retry behavior: three attempts, random exponential backoff of at most 20 s */
const SDK_ATTEMPTS = 3
const SDK_LONGEST_MS = 20_000
const SDK_BASE_MS = 500
/** Pause of a node's daemon after a failed round. @source amazon-vpc-cni-k8s pkg/ipamd/ipamd.go, ipPoolMonitorInterval */
const DAEMON_PAUSE_MS = 5_000

/** @source cilium Documentation/cmdref, cilium-operator-aws: limit-ipam-api-qps, limit-ipam-api-burst */
const STATIC_QPS = 4
const STATIC_BURST = 20

/** The documented bucket of assigning, less the one and a half seconds by which one cannot know the cloud's clock. */
const ASSIGN_SIZE = 92
const ASSIGN_PER_SECOND = 5

const CONTENDERS: readonly Contender[] = [
  {
    name: 'berth',
    help: 'the controller, with its budget and two paths',
    start: (fleet) => fleet.startController(),
  },
  {
    name: 'single-path',
    help: 'one controller that knows the bucket of assigning and makes one call a node, on the first interface',
    start: (fleet) => serve(fleet, singlePath(fleet)),
  },
  {
    name: 'static-limit',
    help: 'one controller behind one limiter of 4 calls a second with a burst of 20 over all actions, three calls a node',
    start: (fleet) => serve(fleet, staticLimit(fleet)),
  },
  {
    name: 'per-node',
    help: 'a client on every node that knows nothing of the others: a read and an assignment, with the usual retries of the SDK',
    start: (fleet) => serve(fleet, perNode(fleet)),
  },
]

export { CONTENDERS }

function singlePath(fleet: VirtualFleet): RivalPolicy {
  const limiter = new RivalLimiter(fleet.clock, fleet.closing, ASSIGN_SIZE, ASSIGN_PER_SECOND)
  /** As a shared listing would have found them. */
  const primaries = new Map<string, Pick<RivalGrant, 'interfaceID' | 'primaryAddress'>>()
  return async ({ instanceID }, account) => {
    if (!primaries.has(instanceID))
      for (const { id, instanceID: on, addresses } of fleet.simulators.cloud.account.interfaces())
        if (on !== undefined) primaries.set(on, { interfaceID: id, primaryAddress: addresses[0] ?? '' })
    const primary = primaries.get(instanceID)
    if (primary === undefined) throw new Error(`${instanceID} has no interface`)
    await limiter.take()
    const answer = await assign(account, primary.interfaceID)
    if (answer.isRefused) throw new Error('a bucket that is known refused a call')
    return { ...primary, prefix: prefixOf(answer) }
  }
}

function staticLimit(fleet: VirtualFleet): RivalPolicy {
  const limiter = new RivalLimiter(fleet.clock, fleet.closing, STATIC_BURST, STATIC_QPS)
  return async (node, account) => {
    await limiter.take()
    const primary = primaryOf(await describe(account, node))
    await limiter.take()
    const answer = await assign(account, primary.interfaceID)
    await limiter.take()
    // What was assigned is published when the next read shows it.
    await describe(account, node)
    return { ...primary, prefix: prefixOf(answer) }
  }
}

function perNode(fleet: VirtualFleet): RivalPolicy {
  const random = seededRandom(1)
  return async (node, account) => {
    for (;;) {
      const read = await withRetries(fleet, random, () => describe(account, node))
      if (!read.isRefused) {
        const primary = primaryOf(read)
        const answer = await withRetries(fleet, random, () => assign(account, primary.interfaceID))
        if (!answer.isRefused) return { ...primary, prefix: prefixOf(answer) }
      }
      await fleet.clock.sleep(DAEMON_PAUSE_MS, fleet.closing)
    }
  }
}

async function withRetries(
  fleet: VirtualFleet,
  random: Random,
  call: () => Promise<RivalAnswer>,
): Promise<RivalAnswer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await call()
    if (!answer.isRefused || attempt === SDK_ATTEMPTS) return answer
    await fleet.clock.sleep(random.next() * Math.min(SDK_BASE_MS * 2 ** attempt, SDK_LONGEST_MS), fleet.closing)
  }
}

function describe(account: RivalAccount, { instanceID }: RivalNode): Promise<RivalAnswer> {
  return account.call('DescribeNetworkInterfaces', {
    'Filter.1.Name': 'attachment.instance-id',
    'Filter.1.Value.1': instanceID,
  })
}

function assign(account: RivalAccount, interfaceID: string): Promise<RivalAnswer> {
  return account.call('AssignPrivateIpAddresses', { NetworkInterfaceId: interfaceID, Ipv4PrefixCount: '1' })
}

function primaryOf({ body }: RivalAnswer): Pick<RivalGrant, 'interfaceID' | 'primaryAddress'> {
  const interfaceID = elementOf(body, 'networkInterfaceId')
  const primaryAddress = elementOf(body, 'privateIpAddress')
  if (interfaceID === undefined || primaryAddress === undefined) throw new Error(`no interface in ${body}`)
  return { interfaceID, primaryAddress }
}

function prefixOf({ body }: RivalAnswer): string {
  const prefix = elementOf(body, 'ipv4Prefix')
  if (prefix === undefined) throw new Error(`no prefix in ${body}`)
  return prefix
}

// oxlint-disable-next-line typescript/require-await -- the contract is asynchronous
async function serve(fleet: VirtualFleet, policy: RivalPolicy): Promise<void> {
  new RivalController(fleet, policy).run().catch((error: unknown) => {
    if (!fleet.closing.aborted) throw error
  })
}
