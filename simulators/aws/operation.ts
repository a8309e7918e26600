import type { Cloud } from './cloud.ts'
import names from './data/api-names.json' with { type: 'json' }
import { fault } from './errors.ts'
import type { FormTree } from './wire/form.ts'
import { flag, readSchema } from './wire/parameters.ts'
import type { ParametersOf, Schema } from './wire/parameters.ts'
import type { XMLObject } from './wire/xml.ts'

/** One API action: what it takes and what it does. */
export interface Operation {
  readonly action: string
  /** Whether it changes the account; the others only read. */
  readonly changes: boolean
  /** @throws EC2Error for wrong parameters and for whatever the rules refuse */
  run(cloud: Cloud, request: FormTree): XMLObject
}

export interface OperationDefinition<S extends Schema> {
  readonly action: keyof typeof names.parameters
  readonly changes: boolean
  /** By their names on the wire; `DryRun` is added where the API has it. */
  readonly parameters: S
  /** Does it, all or nothing, and returns the members of the answer. */
  readonly execute: (cloud: Cloud, parameters: ParametersOf<S>) => XMLObject
}

const ACTIONS: ReadonlySet<string> = new Set(names.actions)
const DRY_RUN = { DryRun: flag() }

/** Makes the operation of a definition: parameters are read by its schema, whatever the schema lacks is refused. */
export function operation<S extends Schema>(definition: OperationDefinition<S>): Operation {
  const { action, changes, execute, parameters: schema } = definition
  const apiParameters: ReadonlySet<string> = new Set(names.parameters[action])
  const hasDryRun = apiParameters.has('DryRun')
  return {
    action,
    changes,
    run(cloud, request) {
      for (const name of request.keys()) {
        if (Object.hasOwn(schema, name) || (hasDryRun && name === 'DryRun')) continue
        if (!apiParameters.has(name)) throw fault('UnknownParameter', name)
        throw fault('NotImplemented', `The parameter ${name} of ${action} is not implemented by this simulator.`)
      }
      const isDryRun = hasDryRun && DRY_RUN.DryRun.read(request.get('DryRun'), 'DryRun') === true
      if (hasDryRun) request.delete('DryRun')
      const parameters = readSchema(schema, request, '')
      if (isDryRun) throw fault('DryRunOperation')
      return execute(cloud, parameters)
    },
  }
}

/** Whether the real API has an action of this name. */
export function isKnownAction(action: string): boolean {
  return ACTIONS.has(action)
}
