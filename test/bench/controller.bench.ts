import { setImmediate as nextTurn } from 'node:timers/promises'
import process from 'node:process'
import { createAWSProvider, createEC2Client } from '../../providers/aws/index.ts'
import { createEC2Simulator, inProcessHandler } from '../../simulators/aws/index.ts'
import { NodeManager } from '../../src/controller/node-manager.ts'
import { planNetwork, VPC_ID } from '../../src/fleet/aws-network.ts'
import type { CiliumNode } from '../../src/ipam/cilium-node.ts'
import type { JSONObject } from '../../src/ipam/types.ts'
import { decodeCiliumNode, encodeCiliumNode } from '../../src/kubernetes/cilium-node.ts'
import { parseWatchEvent } from '../../src/kubernetes/watch-events.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { PLAIN_CONFIG, SILENT, UNLIMITED, UNMEASURED } from '../conformance/adapters/aws-node.ts'
import { ciliumNode, usedMap } from '../support/builders.ts'
import { FakeAPIServer } from '../support/fake-api-server.ts'
import { DEFAULT_CONFIG, recordingMetrics } from '../support/fake-fleet.ts'
import { check, quantile, runBench, threadMicros, threadMicrosAsync } from './harness.ts'

/** What an event and a look at the whole fleet cost the controller, on the AWS provider and a simulated account. */

const SEED = 1
const NODES = 10_000
const EVENTS = 2000
const USED = 60
const REPEATS = 20
const TYPE = 'm5.large'
/** Bytes of a resource with addresses as keys, as a fleet has it. */
const USUAL_BYTES = 4000
const SETTLED_WITHIN_MS = 300_000

interface Fleet {
  readonly manager: NodeManager
  readonly apiServer: FakeAPIServer
  readonly names: readonly string[]
}

/** Nodes with 60 pods each and the buffer that they ask for; nothing is left to do. */
async function settledFleet(): Promise<Fleet> {
  const clock = systemClock()
  const { world, subnetIDs } = planNetwork('us-east-1', NODES * 110)
  const settings = { attachMs: { min: 0, max: 0 }, quotas: { interfaces: 10 * NODES } }
  const simulator = createEC2Simulator({ seed: SEED, throttle: 'none', world, keptCalls: 0, settings })
  const client = createEC2Client({
    region: 'us-east-1',
    requestHandler: inProcessHandler(simulator.router),
    credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
  })
  const provider = createAWSProvider(
    { ...PLAIN_CONFIG, vpcID: VPC_ID, prefixDelegation: true },
    { client, budget: UNLIMITED, clock, random: seededRandom(SEED), log: SILENT, metrics: UNMEASURED },
  )
  const apiServer = new FakeAPIServer()
  const manager = new NodeManager({
    implementation: provider,
    apiServer,
    metrics: recordingMetrics(),
    log: SILENT,
    clock,
    random: seededRandom(SEED),
    config: { ...DEFAULT_CONFIG, prefixDelegation: true },
  })
  apiServer.onChange = (node) => manager.upsert(node)
  const names: string[] = []
  for (const subnetId of subnetIDs) {
    const { instances } = simulator.makeInstances({
      instanceType: TYPE,
      subnetId,
      count: Math.min(Math.ceil(NODES / subnetIDs.length), NODES - names.length),
    })
    for (const { instanceId, vpcId, availabilityZone } of instances) {
      const name = `node-${names.length}`
      names.push(name)
      apiServer.put(
        nodeOf(name, instanceId, {
          'instance-type': TYPE,
          'vpc-id': vpcId,
          'availability-zone': availabilityZone,
          'node-subnet-id': subnetId,
          'first-interface-index': 0,
        }),
      )
    }
  }
  check(names.length === NODES, `${NODES} nodes`)
  await manager.start()
  manager.listed()
  const untilMs = performance.now() + SETTLED_WITHIN_MS
  while (!manager.isQuiet() || names.some((name) => apiServer.read(name).spec.ipam.pool === undefined)) {
    check(performance.now() < untilMs, 'the fleet settles')
    await clock.sleep(100, new AbortController().signal)
  }
  return { manager, apiServer, names }
}

/** Long enough for the operating system's count of processor time. */
async function repeated(work: () => unknown): Promise<void> {
  for (let count = 0; count < REPEATS; count++) await work()
}

/** As the node's agent creates it, with pods on addresses that are not of the cloud's. */
function nodeOf(name: string, instanceID: string, eni: JSONObject): CiliumNode {
  const node = ciliumNode({ name, instanceID, ipam: { preAllocate: 8 }, used: USED })
  return { ...node, spec: { ...node.spec, eni } }
}

/** What a watch delivers when one more pod runs on a node, and one less the next time. */
function eventOf({ apiServer }: Fleet, name: string, used: number): string {
  const node = apiServer.read(name)
  const pool = [...(node.spec.ipam.pool?.keys() ?? [])].slice(0, used)
  const changed = apiServer.change(name, (before) => ({ ...before, status: { ...before.status, used: usedMap(pool) } }))
  const { metadata, ...object } = encodeCiliumNode(changed)
  const { uid, resourceVersion } = changed
  return JSON.stringify({
    type: 'MODIFIED',
    object: {
      ...object,
      metadata: { ...(metadata as JSONObject), uid, resourceVersion },
      status: { ipam: { used: Object.fromEntries(changed.status.used) }, eni: changed.status.eni ?? {} },
    },
  })
}

await runBench('controller', SEED, async (bench) => {
  const fleet = await settledFleet()
  const { manager, apiServer, names } = fleet
  for (const name of names.slice(0, 3)) {
    const { availableIPs: available, usedIPs: used } = manager.get(name)!.stats().ipv4
    check(used === USED && available >= USED + 8, `${name} has ${available} addresses, ${used} in use`)
  }

  let round = 0
  const rounds: number[][] = []
  const decide = async (): Promise<readonly number[]> => {
    round += 1
    // The controller learns of these versions from the events below, not from the server itself.
    apiServer.onChange = () => undefined
    const events = names.slice(0, EVENTS).map((name) => eventOf(fleet, name, USED + (round % 2)))
    check((events[0]?.length ?? 0) > USUAL_BYTES, `an event has ${events[0]?.length} bytes`)
    apiServer.onChange = (node) => manager.upsert(node)
    const micros: number[] = []
    let count = 0
    for (const event of events) {
      const taken = process.resourceUsage().involuntaryContextSwitches
      const sinceMs = performance.now()
      const decoded = decodeCiliumNode(parseWatchEvent(event).object)
      check(decoded.kind === 'ok', 'a good resource')
      manager.upsert(decoded.node)
      const elapsedMicros = (performance.now() - sinceMs) * 1000
      // An event during which another process was given the core tells of that process.
      if (process.resourceUsage().involuntaryContextSwitches === taken) micros.push(elapsedMicros)
      if ((count += 1) % 50 === 0) await nextTurn()
    }
    check(micros.length > EVENTS / 2, `${micros.length} of ${EVENTS} events were left alone`)
    const seen = manager.get(names[0] ?? '')?.stats().ipv4.usedIPs
    check(seen === USED + (round % 2), `the event was taken, ${seen} in use`)
    return micros.sort((a, b) => a - b)
  }
  await bench.figure({ name: 'an event of a node, decoded and planned: median', unit: 'µs' }, async () => {
    rounds.push([...(await decide())])
    return quantile(rounds.at(-1) ?? [], 0.5)
  })
  let kept = 0
  await bench.figure({ name: 'the same: p99', unit: 'µs', gate: { atMost: 5000 } }, () =>
    quantile(rounds[kept++] ?? [], 0.99),
  )

  while (!manager.isQuiet()) await nextTurn()
  const nodes = names.map((name) => manager.get(name)!)
  const fleetSize = NODES.toLocaleString('en-US')
  await bench.figure(
    { name: `every one of ${fleetSize} nodes planned anew`, unit: 'ms', gate: { atMost: 50 } },
    () => threadMicros(() => nodes.forEach((node) => void node.evaluate('bench'))) / 1000,
  )
  while (!manager.isQuiet()) await nextTurn()
  await bench.figure({ name: `a full sync of ${fleetSize} nodes that changed nothing`, unit: 'ms' }, async () => {
    const result = { startedAtMs: systemClock().now(), changedInstanceIDs: [] }
    return (await threadMicrosAsync(() => repeated(() => manager.resync(result)))) / 1000 / REPEATS
  })
  await bench.figure({ name: `${fleetSize} nodes, most needy first`, unit: 'ms' }, async () => {
    const micros = await threadMicrosAsync(() =>
      repeated(() => check(manager.getNodesByIPWatermark().length === NODES, 'all nodes')),
    )
    return micros / 1000 / REPEATS
  })
  await manager.stop(AbortSignal.abort())
})
