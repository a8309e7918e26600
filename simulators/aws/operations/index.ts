import type { Operation } from '../operation.ts'
import { allocateAddress } from './allocate-address.ts'
import { assignIPv6Addresses } from './assign-ipv6-addresses.ts'
import { assignPrivateIPAddresses } from './assign-private-ip-addresses.ts'
import { associateAddress } from './associate-address.ts'
import { associateRouteTable } from './associate-route-table.ts'
import { attachNetworkInterface } from './attach-network-interface.ts'
import { createNetworkInterface } from './create-network-interface.ts'
import { createRouteTable } from './create-route-table.ts'
import { createSecurityGroup } from './create-security-group.ts'
import { createSubnetCidrReservation } from './create-subnet-cidr-reservation.ts'
import { createSubnet } from './create-subnet.ts'
import { createTags } from './create-tags.ts'
import { createVpc } from './create-vpc.ts'
import { deleteNetworkInterface } from './delete-network-interface.ts'
import { deleteSubnetCidrReservation } from './delete-subnet-cidr-reservation.ts'
import { deleteTags } from './delete-tags.ts'
import { describeAddresses } from './describe-addresses.ts'
import { describeInstanceTypes } from './describe-instance-types.ts'
import { describeInstanceStatus } from './describe-instance-status.ts'
import { describeInstances } from './describe-instances.ts'
import { describeNetworkInterfaces } from './describe-network-interfaces.ts'
import { describeRouteTables } from './describe-route-tables.ts'
import { describeSecurityGroups } from './describe-security-groups.ts'
import { describeSubnets } from './describe-subnets.ts'
import { describeTags } from './describe-tags.ts'
import { describeVpcs } from './describe-vpcs.ts'
import { detachNetworkInterface } from './detach-network-interface.ts'
import { getSecurityGroupsForVpc } from './get-security-groups-for-vpc.ts'
import { getSubnetCidrReservations } from './get-subnet-cidr-reservations.ts'
import { modifyNetworkInterfaceAttribute } from './modify-network-interface-attribute.ts'
import { runInstances } from './run-instances.ts'
import { startInstances } from './start-instances.ts'
import { stopInstances } from './stop-instances.ts'
import { terminateInstances } from './terminate-instances.ts'
import { unassignPrivateIPAddresses } from './unassign-private-ip-addresses.ts'

/** Every action that is built, by name. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map(
  [
    allocateAddress,
    assignIPv6Addresses,
    assignPrivateIPAddresses,
    associateAddress,
    associateRouteTable,
    attachNetworkInterface,
    createNetworkInterface,
    createRouteTable,
    createSecurityGroup,
    createSubnet,
    createSubnetCidrReservation,
    createTags,
    createVpc,
    deleteNetworkInterface,
    deleteSubnetCidrReservation,
    deleteTags,
    describeAddresses,
    describeInstanceStatus,
    describeInstanceTypes,
    describeInstances,
    describeNetworkInterfaces,
    describeRouteTables,
    describeSecurityGroups,
    describeSubnets,
    describeTags,
    describeVpcs,
    detachNetworkInterface,
    getSecurityGroupsForVpc,
    getSubnetCidrReservations,
    modifyNetworkInterfaceAttribute,
    runInstances,
    startInstances,
    stopInstances,
    terminateInstances,
    unassignPrivateIPAddresses,
  ].map((one) => [one.action, one]),
)
