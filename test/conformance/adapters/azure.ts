import type { AdapterRegistry } from '../adapter.ts'
import { azureLROAdapters } from './azure-lro.ts'
import { azurePureAdapters } from './azure-pure.ts'
import { azureReleaseAdapters } from './azure-release.ts'
import { azureResyncAdapters } from './azure-resync.ts'
import { azureScenarioAdapters } from './azure-scenario.ts'
import { azureStaticIPAdapters } from './azure-static-ip.ts'
import { azureUnsupportedAdapters } from './azure-unsupported.ts'
import { azureWriteAdapters } from './azure-writes.ts'

/** All Azure kinds. */
export const azureAdapters: AdapterRegistry = {
  ...azurePureAdapters,
  ...azureWriteAdapters,
  ...azureReleaseAdapters,
  ...azureStaticIPAdapters,
  ...azureLROAdapters,
  ...azureResyncAdapters,
  ...azureUnsupportedAdapters,
  ...azureScenarioAdapters,
}
