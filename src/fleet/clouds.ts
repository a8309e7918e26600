import { AWS_CLOUD } from './aws-cloud.ts'
import { AZURE_CLOUD } from './azure-cloud.ts'
import type { CloudKind } from './simulated-cloud.ts'
import type { CloudName } from './world-plan.ts'

/** The clouds that worlds can be in. */
export const CLOUDS: Readonly<Record<CloudName, CloudKind>> = { aws: AWS_CLOUD, azure: AZURE_CLOUD }
