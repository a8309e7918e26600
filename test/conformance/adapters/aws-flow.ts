import type { AdapterRegistry } from '../adapter.ts'

export const awsFlowAdapters: AdapterRegistry = {}
