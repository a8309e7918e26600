import type { InterfaceView } from '../../../src/fleet/world-view.ts'
import { podAddresses } from '../../../src/fleet/world-view.ts'
import type { Simulators } from '../../../src/fleet/simulators.ts'
import { APIClient, CILIUM_NODES_PATH } from '../../../simulators/kubernetes/index.ts'

const signal = new AbortController().signal

/** An operator by hand, over the two wires: it does exactly what a test tells it, right or wrong. */
export class HandOperator {
  readonly #simulators: Simulators
  readonly #client: APIClient

  constructor(simulators: Simulators) {
    this.#simulators = simulators
    this.#client = new APIClient(simulators.kubernetes.router, 'operator')
  }

  /** One EC2 call. @returns the HTTP status */
  async call(action: string, parameters: Readonly<Record<string, string>>): Promise<number> {
    const body = new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters }).toString()
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: 'AWS4-HMAC-SHA256 Credential=operator/20260101/us-east-1/ec2/aws4_request',
    }
    const request = { method: 'POST', path: '/', query: new URLSearchParams(), headers, body }
    return (await this.#simulators.cloud.router(request, signal)).status
  }

  /** Assigns so many addresses to the first interface of the instance. */
  async assign(instanceID: string, count: number): Promise<number> {
    const [eni] = this.interfacesOf(instanceID)
    return this.call('AssignPrivateIpAddresses', {
      NetworkInterfaceId: eni!.id,
      SecondaryPrivateIpAddressCount: String(count),
    })
  }

  interfacesOf(instanceID: string): readonly InterfaceView[] {
    return this.#simulators.cloud.account.interfaces().filter((eni) => eni.instanceID === instanceID)
  }

  /** Writes what the instance has to the resource: status, then pool. */
  async publish(nodeName: string, instanceID: string): Promise<void> {
    const interfaces = this.interfacesOf(instanceID)
    const enis = Object.fromEntries(
      interfaces.map((eni) => [
        eni.id,
        {
          id: eni.id,
          ip: eni.addresses[0]!,
          addresses: podAddresses(eni),
          prefixes: eni.prefixes,
          subnet: { cidr: '10.0.0.0/24' },
          vpc: { 'primary-cidr': '10.0.0.0/8' },
        },
      ]),
    )
    const pool = Object.fromEntries(
      interfaces.flatMap((eni) => podAddresses(eni).map((address) => [address, { resource: eni.id }])),
    )
    await this.patch(`${nodeName}/status`, { status: { eni: { enis } } })
    await this.patch(nodeName, { spec: { ipam: { pool } } })
  }

  async patch(target: string, body: Parameters<APIClient['patch']>[1]): Promise<void> {
    const contentType = 'application/merge-patch+json'
    await this.#client.request('PATCH', `${CILIUM_NODES_PATH}/${target}`, { body, contentType }, signal)
  }
}
