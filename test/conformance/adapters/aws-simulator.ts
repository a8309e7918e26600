import { createEC2Simulator, type EC2Simulator } from '../../../simulators/aws/index.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import type { AdapterRegistry } from '../adapter.ts'
import { availableAddresses } from './aws-world.ts'

/** Kinds about EC2 itself: they hold the simulator to the documented figures. */

interface ThrottleInput {
  readonly action: string
  readonly filtered?: boolean
  readonly paged?: boolean
  readonly calls: readonly { readonly atMs: number; readonly count: number }[]
}

const VPC_ID = 'vpc-0000000000000002a'

/** The wire form of one call; what it asks for need not exist: a call refused for that has passed the throttle. */
function formOf({ action, filtered = false, paged = false }: ThrottleInput): string {
  const form = new URLSearchParams({ Action: action, Version: '2016-11-15' })
  if (filtered) {
    form.set('Filter.1.Name', 'vpc-id')
    form.set('Filter.1.Value.1', VPC_ID)
  }
  if (paged) form.set('MaxResults', '100')
  return form.toString()
}

async function isAccepted(simulator: EC2Simulator, body: string): Promise<boolean> {
  const response = await simulator.router(
    {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization:
          'AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0',
      },
      body,
    },
    new AbortController().signal,
  )
  return !(typeof response.body === 'string' && response.body.includes('<Code>RequestLimitExceeded</Code>'))
}

/** Subnets as a world file has them, numbered. */
function subnetsOf(cidrs: readonly string[]): readonly object[] {
  return cidrs.map((cidrBlock, index) => ({
    subnetId: subnetID(index),
    vpcId: VPC_ID,
    cidrBlock,
    availabilityZone: 'us-east-1a',
  }))
}

function subnetID(index: number): string {
  return `subnet-${(index + 1).toString(16).padStart(17, '0')}`
}

export const awsSimulatorAdapters: AdapterRegistry = {
  'ec2.throttle': async (input) => {
    const given = input as unknown as ThrottleInput
    const clock = new ManualClock()
    const simulator = createEC2Simulator({ clock, throttle: 'documented' })
    const accepted: number[] = []
    for (const { atMs, count } of given.calls) {
      await clock.advance(Math.max(atMs - clock.now(), 0))
      let acceptedCount = 0
      for (let call = 0; call < count; call++) if (await isAccepted(simulator, formOf(given))) acceptedCount += 1
      accepted.push(acceptedCount)
    }
    return { accepted }
  },
  'ec2.subnetAvailable': async (input) => {
    const { cidrs } = input as unknown as { readonly cidrs: readonly string[] }
    const simulator = createEC2Simulator({
      clock: new ManualClock(),
      throttle: 'none',
      world: { version: 1, vpcs: [{ vpcId: VPC_ID, cidrBlock: '10.0.0.0/16' }], subnets: subnetsOf(cidrs) },
    })
    return { available: await Promise.all(cidrs.map((_, index) => availableAddresses(simulator, subnetID(index)))) }
  },
}
