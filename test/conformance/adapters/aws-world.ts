import { DescribeSubnetsCommand, type EC2Client } from '@aws-sdk/client-ec2'
import { createEC2Client } from '../../../providers/aws/index.ts'
import { inProcessHandler, type EC2Simulator } from '../../../simulators/aws/index.ts'

/** A client of the simulator without a socket. */
export function clientOf(simulator: EC2Simulator): EC2Client {
  return createEC2Client({
    region: 'us-east-1',
    requestHandler: inProcessHandler(simulator.router),
    credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'test' },
  })
}

/** Free addresses of a subnet as the cloud tells them (count). */
export async function availableAddresses(simulator: EC2Simulator, subnetID: string): Promise<number | undefined> {
  const { Subnets } = await clientOf(simulator).send(new DescribeSubnetsCommand({ SubnetIds: [subnetID] }))
  return Subnets?.[0]?.AvailableIpAddressCount
}
