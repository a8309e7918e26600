import { operation } from '../operation.ts'
import { list, required, structure, text } from '../wire/parameters.ts'

/** A tag given with a value goes only when it has that value; without tags, all go but the reserved ones. */
export const deleteTags = operation({
  action: 'DeleteTags',
  changes: true,
  parameters: {
    ResourceId: required(list(required(text()))),
    Tag: list(required(structure({ Key: required(text()), Value: text() }))),
  },
  execute(cloud, parameters) {
    const resources = parameters.ResourceId.map((resourceID) => cloud.resource(resourceID))
    for (const { tags } of resources) {
      if (parameters.Tag.length === 0) {
        for (const key of tags.keys()) if (!key.startsWith('aws:')) tags.delete(key)
      }
      for (const { Key: key, Value: value } of parameters.Tag) {
        if (value === undefined || tags.get(key) === value) tags.delete(key)
      }
    }
    return { return: true }
  },
})
