import type { AdapterRegistry } from '../adapter.ts'

export const awsAdapters: AdapterRegistry = {}
