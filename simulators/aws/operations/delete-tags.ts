import { removeTags } from '../cloud/tags.ts'
import { operation } from '../operation.ts'
import { list, required, structure, text } from '../wire/parameters.ts'
import { MAX_RESOURCES } from './create-tags.ts'

export const deleteTags = operation({
  action: 'DeleteTags',
  changes: true,
  parameters: {
    ResourceId: required(list(required(text()), { max: MAX_RESOURCES })),
    Tag: list(required(structure({ Key: required(text()), Value: text() }))),
  },
  execute(cloud, parameters) {
    const resources = parameters.ResourceId.map((resourceID) => cloud.resource(resourceID))
    for (const { tags } of resources) removeTags(tags, parameters.Tag)
    return { return: true }
  },
})
