import type { AdapterRegistry } from '../adapter.ts'

export const controllerAdapters: AdapterRegistry = {}
