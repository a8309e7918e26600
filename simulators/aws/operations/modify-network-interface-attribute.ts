import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { atMostOne } from '../wire/address-parameters.ts'
import { flag, id, list, required, structure, text } from '../wire/parameters.ts'

/** One attribute a call. */
export const modifyNetworkInterfaceAttribute = operation({
  action: 'ModifyNetworkInterfaceAttribute',
  changes: true,
  parameters: {
    NetworkInterfaceId: required(id('interface')),
    Attachment: structure({ AttachmentId: required(id('attachment')), DeleteOnTermination: required(flag()) }),
    Description: structure({ Value: text() }),
    SourceDestCheck: structure({ Value: required(flag()) }),
    SecurityGroupId: list(required(id('group'))),
  },
  execute(cloud, parameters) {
    const {
      Attachment: attachment,
      Description: description,
      SourceDestCheck: check,
      SecurityGroupId: groupIDs,
    } = parameters
    const given = {
      attachment: attachment !== undefined,
      description: description !== undefined,
      sourceDestCheck: check !== undefined,
      groupSet: groupIDs.length > 0,
    }
    atMostOne(given)
    if (!Object.values(given).includes(true)) throw fault('MissingParameter', 'attribute')
    const iface = cloud.interface(parameters.NetworkInterfaceId)
    if (attachment !== undefined) {
      if (iface.attachment?.id !== attachment.AttachmentId) {
        throw fault('InvalidAttachmentID.NotFound', attachment.AttachmentId)
      }
      iface.attachment.deleteOnTermination = attachment.DeleteOnTermination
    }
    if (description !== undefined) iface.description = description.Value ?? ''
    if (check !== undefined) iface.sourceDestCheck = check.Value
    if (groupIDs.length > 0) {
      const groups = [...new Set(groupIDs)].map((groupID) => cloud.group(groupID, iface.subnet.vpc))
      if (groups.length > cloud.settings.quotas.securityGroupsPerInterface) {
        throw fault('SecurityGroupsPerInterfaceLimitExceeded')
      }
      iface.groups.splice(0, iface.groups.length, ...groups)
    }
    return { return: true }
  },
})
