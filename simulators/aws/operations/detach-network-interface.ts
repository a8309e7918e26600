import { detachInterface } from '../cloud/attachments.ts'
import { fault } from '../errors.ts'
import { operation } from '../operation.ts'
import { flag, id, required } from '../wire/parameters.ts'

export const detachNetworkInterface = operation({
  action: 'DetachNetworkInterface',
  changes: true,
  parameters: { AttachmentId: required(id('attachment')), Force: flag() },
  execute(cloud, parameters) {
    const iface = cloud.interfaces.byAttachment(parameters.AttachmentId)
    if (iface !== undefined) cloud.settle(iface)
    if (iface?.attachment === undefined) throw fault('InvalidAttachmentID.NotFound', parameters.AttachmentId)
    detachInterface(cloud, iface, iface.attachment, parameters.Force ?? false)
    return { return: true }
  },
})
