import process from 'node:process'
import { createAWSProvider, createEC2Client } from '../../providers/aws/index.ts'
import { createEC2Simulator, inProcessHandler } from '../../simulators/aws/index.ts'
import type { EC2Simulator } from '../../simulators/aws/index.ts'
import { ciliumNodeManifest } from '../../simulators/kubernetes/cilium-agent/own-node.ts'
import { createKubernetesSimulator, nodeManifest } from '../../simulators/kubernetes/index.ts'
import type { JSONObject, NodeFacts } from '../../simulators/kubernetes/index.ts'
import { planNetwork, VPC_ID } from '../../src/fleet/aws-network.ts'
import type { AllocationImplementation } from '../../src/ipam/contracts.ts'
import { decodeCiliumNode } from '../../src/kubernetes/cilium-node.ts'
import { systemClock } from '../../src/runtime/clock.ts'
import { seededRandom } from '../../src/runtime/random.ts'
import { PLAIN_CONFIG, SILENT, UNLIMITED, UNMEASURED } from '../conformance/adapters/aws-node.ts'

/**
 * An account and an API server with many nodes, as a process of its own: `node test/bench/node-world.ts settled|joining NODES`.
 * `settled`: every node has what it needs, as a controller has written it; `joining`: as its agent has just created it. Prints one line
 * of JSON once it listens, and runs until it is killed.
 */

const SEED = 1
const REGION = 'us-east-1'
const TYPE = 'm5.large'
const LOOPBACK = { host: '127.0.0.1', port: 0 }
const MAX_PODS = 110
/** Of each settled node: delegated blocks of 16 addresses, and those of them in use (counts). */
const PREFIXES = 3
const USED = 24
const { signal } = new AbortController()

async function main(kind: string, nodes: number): Promise<void> {
  const { world, subnetIDs } = planNetwork(REGION, nodes * (16 * PREFIXES + 2))
  const quotas = { interfaces: 10 * nodes }
  const ec2 = createEC2Simulator({ seed: SEED, world, keptCalls: 0, settings: { region: REGION, quotas } })
  const kubernetes = createKubernetesSimulator({ seed: SEED })
  const facts = launch(ec2, subnetIDs, nodes)
  kubernetes.load(facts.map((node) => nodeManifest(node, MAX_PODS)))
  const resources = facts.map((node) => ciliumNodeManifest(node, `uid-of-${node.name}`))
  kubernetes.load(kind === 'settled' ? await settle(ec2, resources) : resources)
  ec2.calls.clear()
  kubernetes.calls.clear()
  const [ec2Server, kubernetesServer] = [await ec2.listen(LOOPBACK), await kubernetes.listen(LOOPBACK)]
  const line = {
    ec2URL: ec2Server.url,
    kubernetesURL: kubernetesServer.url,
    kubeconfig: kubernetes.kubeconfig(kubernetesServer.url),
    region: REGION,
    vpcID: VPC_ID,
    names: facts.map(({ name }) => name),
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function launch(ec2: EC2Simulator, subnetIDs: readonly string[], nodes: number): readonly NodeFacts[] {
  const perSubnet = Math.ceil(nodes / subnetIDs.length)
  const instances = subnetIDs.flatMap(
    (subnetId) => ec2.makeInstances({ instanceType: TYPE, subnetId, count: perSubnet }).instances,
  )
  return instances.slice(0, nodes).map((instance, index) => ({
    name: `node-${String(index + 1).padStart(6, '0')}`,
    instanceID: instance.instanceId,
    instanceType: TYPE,
    vpcID: instance.vpcId,
    availabilityZone: instance.availabilityZone,
    subnetID: instance.subnetId,
    internalIP: instance.privateIpAddress,
  }))
}

/** Gives every node its blocks, and has the provider itself say what belongs into the resource. */
async function settle(ec2: EC2Simulator, resources: readonly JSONObject[]): Promise<readonly JSONObject[]> {
  ec2.setThrottle('none')
  const interfaceIDs = Array.from(ec2.cloud.interfaces.existing(), ({ id }) => id)
  for (const NetworkInterfaceId of interfaceIDs)
    await call(ec2, { Action: 'AssignPrivateIpAddresses', NetworkInterfaceId, Ipv4PrefixCount: String(PREFIXES) })
  const provider = providerOf(ec2)
  const context = { priority: 'background', reason: 'bench', signal } as const
  await provider.prepare(context)
  const decoded = resources.map((resource) => {
    const result = decodeCiliumNode(resource)
    if (result.kind !== 'ok') throw new Error(result.faults.join('; '))
    return result.node
  })
  const operations = decoded.map((node) => provider.createNode(node))
  await provider.resync(context)
  ec2.setThrottle('documented')
  return resources.map((resource, index) => {
    const inventory = operations[index]?.resyncInterfacesAndIPs()
    const pool = Object.fromEntries(
      [...(inventory?.available ?? [])].map(([address, entry]) => [address, { ...entry }]),
    )
    const used = Object.entries(pool)
      .slice(0, USED)
      .map(([address, entry], pod) => [address, { owner: `default/pod-${index}-${pod}`, ...entry }])
    return {
      ...resource,
      spec: { ...(resource['spec'] as JSONObject), ipam: { pool, 'pre-allocate': 8 } },
      status: {
        eni: operations[index]?.populateStatusFields()?.value ?? {},
        ipam: { used: Object.fromEntries(used) as JSONObject },
      },
    }
  })
}

function providerOf(ec2: EC2Simulator): AllocationImplementation {
  const client = createEC2Client({
    region: REGION,
    requestHandler: inProcessHandler(ec2.router),
    credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
  })
  const shared = { clock: systemClock(), random: seededRandom(SEED), log: SILENT, metrics: UNMEASURED }
  return createAWSProvider(
    { ...PLAIN_CONFIG, vpcID: VPC_ID, prefixDelegation: true },
    { client, budget: UNLIMITED, ...shared },
  )
}

async function call(ec2: EC2Simulator, parameters: Readonly<Record<string, string>>): Promise<void> {
  const { status, body } = await ec2.router(
    {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=bench/20260101/${REGION}/ec2/aws4_request`,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams({ Version: '2016-11-15', ...parameters }).toString(),
    },
    signal,
  )
  if (status !== 200) throw new Error(`${parameters['Action']}: ${status} ${typeof body === 'string' ? body : ''}`)
}

const [kind = '', nodes = ''] = process.argv.slice(2)
if ((kind !== 'settled' && kind !== 'joining') || !/^\d+$/.test(nodes)) {
  process.stderr.write('usage: node test/bench/node-world.ts settled|joining NODES\n')
  process.exitCode = 2
} else await main(kind, Number(nodes))
