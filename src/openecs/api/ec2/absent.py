"""Resources that AWS has and no installation of ours ever does: described, and never found.

Clients list them on their way to something else: Terraform before it deletes a VPC, consoles
for an overview.  An empty list is the truth; asking for one by id says that it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openecs.api.ec2.filters import matching, one
from openecs.errors import AWSError
from openecs.shapes import ec2
from openecs.wire.call import Call, Handlers

_FLOW_LOG_FILTERS = (
    "deliver-log-status", "log-destination-type", "flow-log-id", "log-group-name", "resource-id", "traffic-type",
)  # fmt: skip
_PEERING_FILTERS = (
    "accepter-vpc-info.cidr-block", "accepter-vpc-info.owner-id", "accepter-vpc-info.vpc-id", "expiration-time",
    "requester-vpc-info.cidr-block", "requester-vpc-info.owner-id", "requester-vpc-info.vpc-id", "status-code",
    "status-message", "vpc-peering-connection-id",
)  # fmt: skip
_IMAGE_FILTERS = (
    "architecture", "block-device-mapping.delete-on-termination", "block-device-mapping.device-name",
    "block-device-mapping.snapshot-id", "block-device-mapping.volume-size", "block-device-mapping.volume-type",
    "block-device-mapping.encrypted", "creation-date", "description", "ena-support", "free-tier-eligible",
    "hypervisor", "image-allowed", "image-id", "image-type", "is-public", "kernel-id", "manifest-location", "name",
    "owner-alias", "owner-id", "platform", "product-code", "product-code.type", "ramdisk-id", "root-device-name",
    "root-device-type", "source-image-id", "source-image-region", "source-instance-id", "state", "state-reason-code",
    "state-reason-message", "sriov-net-support", "virtualization-type", "public-ssm-parameter-name",
)  # fmt: skip


class AbsentResources:
    """The Describe operations of what there never is."""

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "DescribeFlowLogs": self.flow_logs,
            "DescribeVpcPeeringConnections": self.peering_connections,
            "DescribeEgressOnlyInternetGateways": self.egress_only_gateways,
            "DescribeImages": self.images,
            "DescribeInstanceTypes": self.instance_types,
            "DescribeInstanceTypeOfferings": self.instance_type_offerings,
        }

    def flow_logs(self, call: Call, request: ec2.DescribeFlowLogsRequest) -> ec2.DescribeFlowLogsResult:
        """No traffic of a VPC is logged."""
        del call
        _none(
            request.flow_log_ids, request.filter, _FLOW_LOG_FILTERS, "InvalidFlowLogId.NotFound",
            "These flow log ids in the input list are not found: [TotalCount: 1] {}",
        )  # fmt: skip
        return ec2.DescribeFlowLogsResult(flow_logs=())

    def peering_connections(
        self, call: Call, request: ec2.DescribeVpcPeeringConnectionsRequest
    ) -> ec2.DescribeVpcPeeringConnectionsResult:
        """VPCs stay apart."""
        del call
        _none(
            request.vpc_peering_connection_ids, request.filters, _PEERING_FILTERS,
            "InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '{}' does not exist",
        )  # fmt: skip
        return ec2.DescribeVpcPeeringConnectionsResult(vpc_peering_connections=())

    def egress_only_gateways(
        self, call: Call, request: ec2.DescribeEgressOnlyInternetGatewaysRequest
    ) -> ec2.DescribeEgressOnlyInternetGatewaysResult:
        """They are for IPv6, which no interface has."""
        del call
        _none(
            request.egress_only_internet_gateway_ids, request.filters, (), "InvalidGatewayID.NotFound",
            "The eigw ID '{}' does not exist",
        )  # fmt: skip
        return ec2.DescribeEgressOnlyInternetGatewaysResult(egress_only_internet_gateways=())

    def images(self, call: Call, request: ec2.DescribeImagesRequest) -> ec2.DescribeImagesResult:
        """Hosts are not started from images."""
        del call
        _none(
            request.image_ids, request.filters, _IMAGE_FILTERS, "InvalidAMIID.NotFound",
            "The image id '[{}]' does not exist",
        )  # fmt: skip
        return ec2.DescribeImagesResult(images=())

    def instance_types(self, call: Call, request: ec2.DescribeInstanceTypesRequest) -> ec2.DescribeInstanceTypesResult:
        """Hosts are of no type of AWS's."""
        del call
        _none(
            request.instance_types, None, (), "InvalidInstanceType",
            "The following supplied instance types do not exist: [{}]",
        )  # fmt: skip
        return ec2.DescribeInstanceTypesResult(instance_types=())

    def instance_type_offerings(
        self, call: Call, request: ec2.DescribeInstanceTypeOfferingsRequest
    ) -> ec2.DescribeInstanceTypeOfferingsResult:
        """No instance can be started, so no type is offered."""
        del call
        _none(None, request.filters, ("instance-type", "location"), "", "")
        return ec2.DescribeInstanceTypeOfferingsResult(instance_type_offerings=())


def _none(
    ids: Sequence[str] | None,
    filters: Sequence[ec2.Filter] | None,
    names: Iterable[str],
    code: str,
    message: str,
) -> None:
    """Raise the error for a named one, or for a filter that the operation does not have."""
    for wanted in ids or ():
        raise AWSError(code, message.format(wanted[:256]))
    nothing: list[None] = []
    matching(nothing, filters, {name: lambda _: one(None) for name in (*names, "tag")}, lambda _: ())
