import { addTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { list, required, structure, text } from '../wire/parameters.ts'

export const createTags = operation({
  action: 'CreateTags',
  changes: true,
  parameters: {
    ResourceId: required(list(required(text()))),
    Tag: required(list(required(structure({ Key: required(text()), Value: text() })))),
  },
  execute(cloud, parameters) {
    const resources = parameters.ResourceId.map((resourceID) => cloud.resource(resourceID))
    for (const resource of resources) addTags(cloud, resource.tags, parameters.Tag)
    return { return: true }
  },
})
