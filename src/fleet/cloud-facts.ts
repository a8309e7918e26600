import type { ControllerOptions } from '../cli/controller.ts'
import type { CloudName } from './world-plan.ts'

/** How `startController` reaches a cloud: credentials, and the wire where there is no socket. */
export type CloudAccess = Pick<ControllerOptions, 'aws' | 'azure'>

/** What can be said of a cloud of simulated worlds without its simulator. */
export interface CloudFacts {
  readonly name: CloudName
  /** Instance type of nodes that name none, and what `mix` stands for. */
  readonly defaultInstanceType: string
  readonly mixedInstanceTypes: string
  /** Credentials of a controller that speaks to a server of the simulator. */
  readonly access: CloudAccess
}

/** What the simulators' ledgers call the controller. */
export const CALLER = 'berth'

/** The simulators take any credentials, and tell the callers apart by them. */
export const CLOUD_FACTS: Readonly<Record<CloudName, CloudFacts>> = {
  aws: {
    name: 'aws',
    defaultInstanceType: 'm5.large',
    mixedInstanceTypes: 'm5.large:1,m5.xlarge:1,m5.2xlarge:1,m5.4xlarge:1',
    access: { aws: { credentials: { accessKeyId: CALLER, secretAccessKey: 'simulator' } } },
  },
  azure: {
    name: 'azure',
    defaultInstanceType: 'Standard_D4s_v5',
    mixedInstanceTypes: 'Standard_D2s_v5:1,Standard_D4s_v5:1,Standard_D8s_v5:1,Standard_D16s_v5:1',
    access: {
      azure: {
        credential: { getToken: () => Promise.resolve({ token: CALLER, expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) },
      },
    },
  },
}
