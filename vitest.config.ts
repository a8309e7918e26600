import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    coverage: {
      include: ['src/ipam/**', 'providers/*/plan.ts'],
      thresholds: { lines: 95, branches: 90 },
    },
  },
})
