import { startInstance } from '../cloud/instances.ts'
import { operation } from '../operation.ts'
import { id, list, required } from '../wire/parameters.ts'
import { changeStates } from './instance-states.ts'

export const startInstances = operation({
  action: 'StartInstances',
  changes: true,
  parameters: { InstanceId: required(list(required(id('instance')))) },
  execute: (cloud, parameters) =>
    changeStates(cloud, parameters.InstanceId, (instance) => startInstance(cloud, instance)),
})
