import type { AdapterRegistry } from '../adapter.ts'
import { arithmeticAdapters } from './core-arithmetic.ts'
import { capacityAdapters } from './core-capacity.ts'
import { releaseAdapters } from './core-release.ts'

/** The pure kinds of core.json; those that need a controller are in controller.ts. */
export const coreAdapters: AdapterRegistry = { ...arithmeticAdapters, ...capacityAdapters, ...releaseAdapters }
