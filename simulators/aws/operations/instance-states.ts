import type { Cloud } from '../cloud.ts'
import { forgetTerminated, instanceState } from '../cloud/instances.ts'
import type { Instance } from '../cloud/types.ts'
import type { XMLObject } from '../wire/xml.ts'

/**
 * Changes the state of several instances and describes it: state before and after.
 *
 * @throws EC2Error InvalidInstanceID.NotFound for any of them, before anything is changed
 */
export function changeStates(
  cloud: Cloud,
  instanceIDs: readonly string[],
  change: (instance: Instance) => void,
): XMLObject {
  forgetTerminated(cloud)
  const nowMs = cloud.now()
  const describe = (instance: Instance): XMLObject => ({ ...instanceState(instance, nowMs) })
  const instances = [...new Set(instanceIDs)].map((instanceID) => cloud.instance(instanceID))
  const before = instances.map(describe)
  for (const instance of instances) change(instance)
  return {
    instancesSet: instances.map((instance, index) => ({
      instanceId: instance.id,
      previousState: before[index],
      currentState: describe(instance),
    })),
  }
}
