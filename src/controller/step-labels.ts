import type { MaintenanceStep } from '../ipam/plan-maintenance.ts'

/** Short constant phrases: they label the ledger of calls. */
export function reasonOf(step: MaintenanceStep): string {
  switch (step.kind) {
    case 'readInstance':
      return `read-${step.why}`
    case 'allocate':
    case 'createInterface':
      return 'resolve-deficit'
    case 'assignStaticIP':
      return 'static-ip'
    case 'release':
    case 'releaseCIDRs':
      return 'release-excess'
    default:
      return step satisfies never
  }
}

/** Where a step does its work, for logs and notices. */
export function fieldsOf(step: MaintenanceStep): { readonly interfaceID?: string; readonly poolID?: string } {
  if (!('action' in step)) return {}
  const { interfaceID, poolID } = step.action
  return { interfaceID, poolID }
}
