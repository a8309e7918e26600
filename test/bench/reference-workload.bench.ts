import { createAWSProvider, createEC2Client, isThrottled } from '../../providers/aws/index.ts'
import { createEC2Simulator, inProcessHandler } from '../../simulators/aws/index.ts'
import type { EC2Simulator } from '../../simulators/aws/index.ts'
import { createAPIBudget } from '../../src/budget/api-budget.ts'
import type { APIBudget } from '../../src/budget/contracts.ts'
import { NodeManager } from '../../src/controller/node-manager.ts'
import { seedGlobalChance } from '../../src/fleet/virtual-chance.ts'
import { VirtualTime } from '../../src/fleet/virtual-time.ts'
import type { Clock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { PLAIN_CONFIG, SILENT, UNMEASURED } from '../conformance/adapters/aws-node.ts'
import { ciliumNode } from '../support/builders.ts'
import { FakeAPIServer } from '../support/fake-api-server.ts'
import { DEFAULT_CONFIG, recordingMetrics } from '../support/fake-fleet.ts'
import { SEED } from './fleet-bench.ts'
import { check, runBench } from './harness.ts'

/**
 * The benchmark of the reference's own provider, in virtual time: nodes with two interfaces of ten addresses that want ten (9 on the first
 * interface, 1 on a second) join one after the other; every changing call takes a fixed time and passes one limiter of 100 per second
 * with a burst of 4. The timed part begins with the first node's set-up and ends when no node needs an address.
 *
 * @source cilium pkg/aws/ipam/node_manager_test.go, BenchmarkAllocDelay20Worker1 and its like
 */

const FLEETS = [20, 100, 500]
const DELAYS_MS = [20, 50]
const LIMIT = { qps: 100, burst: 4 }
/** Calls of the set-up of a node: its first interface is created and attached. */
const SETUP_CALLS = 2
/** Calls of the controller for a node, one after the other: assign, create, attach, and an attribute in the background. */
const NODE_CALLS = 4
/** How often somebody looks whether all is done (ms). */
const POLL_MS = 5
const TYPE = 'm4.large'
const PRE_ALLOCATE = 1
const MIN_ALLOCATE = 10
const FIRST_INTERFACE_ADDRESSES = 9
const WITHIN = 1.1
const UNLIMITED = { size: 1e9, refillPerSecond: 1e9 }
const VPC_ID = 'vpc-0000000000000a001'
const SUBNET_IDS = ['subnet-0000000000000a001', 'subnet-0000000000000a002', 'subnet-0000000000000a003']

interface Outcome {
  readonly seconds: number
  readonly calls: Readonly<Record<string, number>>
}

/** At most this fast: the limiter lets six calls a node through, and the set-up makes two calls a node, one after the other. */
function lowerBoundMs(nodes: number, delayMs: number): number {
  return nodes * Math.max(((SETUP_CALLS + NODE_CALLS) * 1000) / LIMIT.qps, SETUP_CALLS * delayMs)
}

function simulatorOf(clock: Clock, delayMs: number): EC2Simulator {
  const delay = { min: delayMs, max: delayMs }
  return createEC2Simulator({
    clock,
    seed: SEED,
    throttle: 'none',
    keptCalls: 0,
    latency: { changing: delay, reading: { min: 0, max: 0 }, per2000InterfacesMs: 0 },
    settings: { region: 'us-west-1', attachMs: { min: 0, max: 0 } },
    world: {
      version: 1,
      vpcs: [{ vpcId: VPC_ID, cidrBlock: '10.0.0.0/16', additionalCidrBlocks: ['10.1.0.0/16', '10.2.0.0/16'] }],
      securityGroups: [{ groupId: 'sg-0000000000000a001', vpcId: VPC_ID, groupName: 'nodes', description: 'nodes' }],
      subnets: SUBNET_IDS.map((subnetId, index) => ({
        subnetId,
        vpcId: VPC_ID,
        cidrBlock: `10.${index}.0.0/16`,
        availabilityZone: 'us-west-1a',
      })),
    },
  })
}

/** One limiter for all that changes something; listings pass, as in the workload. */
function budgetOf(clock: Clock): APIBudget {
  const limited = createAPIBudget({
    table: { refill: 'continuous', buckets: {}, families: {}, fallback: UNLIMITED },
    globalLimit: LIMIT,
    jitterMs: 0,
    clock,
    random: seededRandom(SEED),
    isThrottled,
  })
  return {
    run: (request, call) => (/^(Describe|Get)/.test(request.action) ? call() : limited.run(request, call)),
    expectedWaitMs: (request) => limited.expectedWaitMs(request),
    ledger: () => limited.ledger(),
  }
}

async function workload(clock: Clock, nodeCount: number, delayMs: number): Promise<Outcome> {
  const simulator = simulatorOf(clock, delayMs)
  const budget = budgetOf(clock)
  const client = createEC2Client({
    region: 'us-west-1',
    requestHandler: inProcessHandler(simulator.router),
    credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
  })
  const provider = createAWSProvider(
    { ...PLAIN_CONFIG, vpcID: VPC_ID },
    { client, budget, clock, random: seededRandom(SEED), log: SILENT, metrics: UNMEASURED },
  )
  const apiServer = new FakeAPIServer()
  const manager = new NodeManager({
    implementation: provider,
    apiServer,
    metrics: recordingMetrics(),
    log: SILENT,
    clock,
    random: seededRandom(SEED),
    config: DEFAULT_CONFIG,
  })
  apiServer.onChange = (node) => manager.upsert(node)
  await manager.start()
  manager.listed()
  const { signal } = new AbortController()
  const context = { priority: 'pod-waiting', reason: 'set-up', signal } as const
  const startMs = clock.now()
  for (let index = 0; index < nodeCount; index++) {
    const { instances } = simulator.makeInstances({ instanceType: TYPE, subnetId: SUBNET_IDS[0], count: 1 })
    // The door makes the first interface at once; the workload creates and attaches it with two calls.
    for (let call = 0; call < SETUP_CALLS; call++)
      await budget.run({ ...context, action: 'SetUp', buckets: [{ bucket: 'SetUp', cost: 1 }] }, () =>
        clock.sleep(delayMs, signal),
      )
    await manager.resync(await provider.resync(context))
    apiServer.put(nodeOf(`node-${index}`, instances[0]?.instanceId ?? ''))
  }
  const nodes = Array.from({ length: nodeCount }, (_, index) => manager.get(`node-${index}`))
  while (nodes.some((node) => (node?.stats().ipv4.neededIPs ?? 1) > 0)) await clock.sleep(POLL_MS, signal)
  const seconds = (clock.now() - startMs) / 1000
  const attached = nodes.map((node) => node?.stats().ipv4.availableIPs ?? 0)
  check(
    attached.every((count) => count >= MIN_ALLOCATE),
    `every node has ${MIN_ALLOCATE} addresses`,
  )
  const { actions } = simulator.calls.report()
  await manager.stop(AbortSignal.abort())
  return { seconds, calls: Object.fromEntries(Object.entries(actions).map(([name, { attempts }]) => [name, attempts])) }
}

function nodeOf(name: string, instanceID: string) {
  const node = ciliumNode({ name, instanceID, ipam: { preAllocate: PRE_ALLOCATE, minAllocate: MIN_ALLOCATE } })
  const eni = {
    'instance-type': TYPE,
    'vpc-id': VPC_ID,
    'availability-zone': 'us-west-1a',
    'node-subnet-id': SUBNET_IDS[0] ?? '',
    'first-interface-index': 0,
  }
  return { ...node, spec: { ...node.spec, eni } }
}

async function virtually(nodeCount: number, delayMs: number): Promise<Outcome> {
  const restoreChance = seedGlobalChance(SEED)
  const time = new VirtualTime()
  try {
    return await time.run(workload(time.clock, nodeCount, delayMs))
  } finally {
    time.uninstall()
    restoreChance()
  }
}

await runBench('reference-workload', SEED, async (bench) => {
  check(FIRST_INTERFACE_ADDRESSES + 1 === MIN_ALLOCATE, 'the last address needs a second interface')
  for (const delayMs of DELAYS_MS) {
    for (const nodes of FLEETS) {
      const { seconds, calls } = await virtually(nodes, delayMs)
      const goalMs = WITHIN * (lowerBoundMs(nodes, delayMs) + NODE_CALLS * delayMs)
      bench.record(
        { name: `${nodes} nodes, ${delayMs} ms a call: a node`, unit: 'ms', gate: { atMost: goalMs / nodes } },
        (1000 * seconds) / nodes,
      )
      for (const action of ['AssignPrivateIpAddresses', 'CreateNetworkInterface', 'AttachNetworkInterface'])
        check(calls[action] === nodes, `${action} is called once a node, not ${calls[action]} times for ${nodes}`)
    }
  }
})
