import type { AdapterRegistry } from '../adapter.ts'
import type { Suite } from '../load-vectors.ts'
import { agentAdapters } from './agent.ts'
import { awsAdapters } from './aws.ts'
import { azureAdapters } from './azure.ts'
import { controllerAdapters } from './controller.ts'
import { coreAdapters } from './core.ts'

/** Every adapter there is, by suite. The kinds of a suite without adapters are skipped, and named. */
export const ALL_ADAPTERS: Readonly<Record<Suite, AdapterRegistry>> = {
  core: { ...coreAdapters, ...controllerAdapters },
  aws: awsAdapters,
  azure: azureAdapters,
  alibabacloud: {},
  agent: agentAdapters,
}
