import { addTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { list, required, structure, text } from '../wire/parameters.ts'

/** Of one call (count). @source Amazon EC2 API Reference, CreateTags and DeleteTags */
export const MAX_RESOURCES = 1000

export const createTags = operation({
  action: 'CreateTags',
  changes: true,
  parameters: {
    ResourceId: required(list(required(text()), { max: MAX_RESOURCES })),
    Tag: required(list(required(structure({ Key: required(text()), Value: text() })))),
  },
  execute(cloud, parameters) {
    const resources = parameters.ResourceId.map((resourceID) => cloud.resource(resourceID))
    for (const resource of resources) addTags(cloud, resource.tags, parameters.Tag)
    return { return: true }
  },
})
