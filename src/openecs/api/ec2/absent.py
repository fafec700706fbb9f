"""Resources that AWS has and no installation of ours ever does: described, and never found.

Clients list them on their way to something else: Terraform before it deletes a VPC, consoles
for an overview.  An empty list is the truth; asking for one by id says that it is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openecs.api.ec2 import filter_names
from openecs.api.ec2.filters import matching, one
from openecs.errors import AWSError
from openecs.shapes import ec2
from openecs.wire.call import Call, Handlers


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
            request.flow_log_ids, request.filter, filter_names.FLOW_LOGS, "InvalidFlowLogId.NotFound",
            "These flow log ids in the input list are not found: [TotalCount: 1] {}",
        )  # fmt: skip
        return ec2.DescribeFlowLogsResult(flow_logs=())

    def peering_connections(
        self, call: Call, request: ec2.DescribeVpcPeeringConnectionsRequest
    ) -> ec2.DescribeVpcPeeringConnectionsResult:
        """VPCs stay apart."""
        del call
        _none(
            request.vpc_peering_connection_ids, request.filters, filter_names.PEERING_CONNECTIONS,
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
            request.image_ids, request.filters, filter_names.IMAGES, "InvalidAMIID.NotFound",
            "The image id '[{}]' does not exist",
        )  # fmt: skip
        return ec2.DescribeImagesResult(images=())

    def instance_types(self, call: Call, request: ec2.DescribeInstanceTypesRequest) -> ec2.DescribeInstanceTypesResult:
        """Hosts are of no type of AWS's."""
        del call
        _none(
            request.instance_types, request.filters, filter_names.INSTANCE_TYPES, "InvalidInstanceType",
            "The following supplied instance types do not exist: [{}]",
        )  # fmt: skip
        return ec2.DescribeInstanceTypesResult(instance_types=())

    def instance_type_offerings(
        self, call: Call, request: ec2.DescribeInstanceTypeOfferingsRequest
    ) -> ec2.DescribeInstanceTypeOfferingsResult:
        """No instance can be started, so no type is offered."""
        del call
        _none(None, request.filters, filter_names.INSTANCE_TYPE_OFFERINGS, "", "")
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
    matching(nothing, filters, {name: lambda _: one(None) for name in names}, lambda _: ())
