import { createEC2Simulator, inProcessHandler } from '../../../simulators/aws/index.ts'
import type { EC2Simulator } from '../../../simulators/aws/index.ts'
import { createKubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import type { JSONObject, KubernetesSimulator } from '../../../simulators/kubernetes/index.ts'
import type { ControllerHandle, ControllerOptions } from '../../../src/cli/controller.ts'
import { startController } from '../../../src/cli/controller.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { inProcessTransport } from '../../../src/kubernetes/transport.ts'
import { systemClock } from '../../../src/runtime/clock.ts'

export const LEASE_PATH = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/berth-controller'

interface NodeParts {
  readonly instanceType?: string
  readonly subnetID?: string
  readonly groupIDs?: readonly string[]
  /** Over `spec.eni`. */
  readonly eni?: JSONObject
}

/** A cluster and its account without sockets, in real time, and controllers in it. */
export class ControllerWorld {
  readonly kubernetes: KubernetesSimulator
  readonly ec2: EC2Simulator
  readonly logged: { readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[] = []
  readonly #controllers: ControllerHandle[] = []

  constructor(
    options: {
      readonly kubernetes?: Parameters<typeof createKubernetesSimulator>[0]
      readonly ec2?: Parameters<typeof createEC2Simulator>[0]
    } = {},
  ) {
    this.kubernetes = createKubernetesSimulator(options.kubernetes)
    this.ec2 = createEC2Simulator({ throttle: 'none', ...options.ec2 })
  }

  /** A node of the cluster with its instance in the account. @param parts what differs from an m5.large of the first subnet */
  addNode(name: string, ipam: JSONObject = {}, parts: NodeParts = {}): void {
    const { instanceType = 'm5.large', subnetID = 'subnet-0000000000000001a', groupIDs = [], eni: own = {} } = parts
    const { instances } = this.ec2.makeInstances({ instanceType, subnetId: subnetID, groupIds: groupIDs, count: 1 })
    const { instanceId, vpcId, availabilityZone, subnetId } = instances[0]!
    const eni = {
      'instance-type': instanceType,
      'vpc-id': vpcId,
      'availability-zone': availabilityZone,
      'node-subnet-id': subnetId,
      'first-interface-index': 0,
      ...own,
    }
    this.kubernetes.load([
      { apiVersion: 'v1', kind: 'Node', metadata: { name } },
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNode',
        metadata: { name },
        spec: { 'instance-id': instanceId, ipam, eni },
      },
    ])
  }

  async startController(
    flags: readonly string[] = [],
    parts: Partial<ControllerOptions> = {},
  ): Promise<ControllerHandle> {
    const { config } = loadConfig(
      [
        '--aws-region=us-east-1',
        '--operator-prometheus-serve-addr=127.0.0.1:0',
        '--leader-election-lease-duration=1s',
        '--leader-election-renew-deadline=600ms',
        '--leader-election-retry-period=50ms',
        '--shutdown-grace-period=3s',
        ...flags,
      ],
      {},
    )
    const log = (fields: object, message: string): void =>
      void this.logged.push({ message, fields: fields as Record<string, unknown> })
    const controller = await startController({
      config,
      transport: inProcessTransport(this.kubernetes.router, 'https://api.test:6443'),
      source: 'kubeconfig of the test',
      namespace: 'kube-system',
      identity: `replica-${this.#controllers.length}`,
      metadata: {
        region: () => Promise.reject(new Error('none')),
        vpcID: () => Promise.resolve('vpc-0000000000000001a'),
        instanceID: () => Promise.reject(new Error('none')),
      },
      aws: {
        credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        requestHandler: inProcessHandler(this.ec2.router),
      },
      log: { debug: log, info: log, warn: log, error: log },
      clock: systemClock(),
      random: { next: () => 0.5 },
      ...parts,
    })
    this.#controllers.push(controller)
    return controller
  }

  /** One request to the API server, as somebody else would make it. */
  async request(method: string, path: string, body?: JSONObject): Promise<JSONObject> {
    const headers = { 'content-type': 'application/merge-patch+json' }
    const text = body === undefined ? '' : JSON.stringify(body)
    const request = { method, path, query: new URLSearchParams(), headers, body: text }
    const answer = await this.kubernetes.router(request, new AbortController().signal)
    return JSON.parse(answer.body as string) as JSONObject
  }

  /** Addresses that the resource offers to pods (count). */
  async poolSize(name: string): Promise<number> {
    const node = (await this.request('GET', `/apis/cilium.io/v2/ciliumnodes/${name}`)) as {
      readonly spec?: { readonly ipam?: { readonly pool?: object } }
    }
    return Object.keys(node.spec?.ipam?.pool ?? {}).length
  }

  async close(): Promise<void> {
    for (const controller of this.#controllers) await controller.stop()
    this.kubernetes.close()
  }
}

/** Waits in real time, at most 25 s: other tests run beside. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const clock = systemClock()
  const deadlineMs = clock.now() + 25_000
  while (!(await condition())) {
    if (clock.now() > deadlineMs) throw new Error(`not reached within 25 s: ${condition.toString()}`)
    await clock.sleep(20, new AbortController().signal)
  }
}
