"""The services of AWS to which a VPC endpoint can be made, and DescribeVpcEndpointServices."""

from __future__ import annotations

from openecs.api.ec2.describe import Describer
from openecs.api.ec2.filters import Fields, matching, one
from openecs.api.ec2.prefix_lists import SERVICES as GATEWAY_SERVICES
from openecs.api.ec2.resources import zone_id
from openecs.errors import AWSError
from openecs.model.network import ZONES
from openecs.shapes import ec2
from openecs.wire.call import Call, Handlers

#: What programs in containers use, by the last part of the service's name.
INTERFACE_SERVICES = (
    "appmesh-envoy-management", "application-autoscaling", "autoscaling", "cloudformation", "ec2", "ec2messages",
    "ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "elasticfilesystem", "elasticloadbalancing", "events",
    "execute-api", "kinesis-streams", "kms", "lambda", "logs", "monitoring", "rds", "secretsmanager",
    "servicediscovery", "sns", "sqs", "ssm", "ssmmessages", "states", "sts", "xray",
)  # fmt: skip


def service_types(region: str) -> dict[str, tuple[ec2.ServiceType, ...]]:
    """Name of a service → the types of endpoints that it can have, the usual one first."""
    types: dict[str, tuple[ec2.ServiceType, ...]] = {_name(region, each): ("Interface",) for each in INTERFACE_SERVICES}
    types |= {_name(region, each): ("Gateway", "Interface") for each in GATEWAY_SERVICES}
    return types


def no_service(name: str) -> AWSError:
    """The refusal of an endpoint to a service that there is not."""
    return AWSError("InvalidServiceName", f"The Vpc Endpoint Service '{name[:256]}' does not exist")


def _name(region: str, service: str) -> str:
    return f"com.amazonaws.{region}.{service}"


class EndpointServices:
    """DescribeVpcEndpointServices."""

    def __init__(self, describer: Describer) -> None:
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"DescribeVpcEndpointServices": self.describe}

    def describe(
        self, call: Call, request: ec2.DescribeVpcEndpointServicesRequest
    ) -> ec2.DescribeVpcEndpointServicesResult:
        """The services, each of the endpoint types that it has."""
        types = service_types(call.region)
        for wanted in request.service_names or ():
            if wanted not in types:
                raise no_service(wanted)
        details = [
            _detail(call.region, name, kind)
            for name, kinds in types.items()
            if not request.service_names or name in request.service_names
            for kind in kinds
        ]
        page, token = self._describer.page(
            call,
            matching(details, request.filters, _FIELDS, lambda _: ()),
            key=lambda each: (each.service_name or "", each.service_id or ""),
            scope=(request.service_names, request.filters),
            max_results=request.max_results,
            next_token=request.next_token,
        )
        names = tuple(dict.fromkeys(each.service_name or "" for each in page))
        return ec2.DescribeVpcEndpointServicesResult(service_names=names, service_details=tuple(page), next_token=token)


def _detail(region: str, name: str, kind: ec2.ServiceType) -> ec2.ServiceDetail:
    zones = tuple(region + letter for letter in ZONES)
    return ec2.ServiceDetail(
        service_name=name,
        service_id=f"vpce-svc-{kind.lower()}",
        service_type=(ec2.ServiceTypeDetail(service_type=kind),),
        service_region=region,
        availability_zones=zones,
        availability_zone_ids=tuple(zone_id(region, zone) for zone in zones),
        owner="amazon",
        vpc_endpoint_policy_supported=True,
        acceptance_required=False,
        manages_vpc_endpoints=False,
        tags=(),
        supported_ip_address_types=("ipv4",),
    )


_FIELDS: Fields[ec2.ServiceDetail] = {
    "owner": lambda d: one(d.owner),
    "service-name": lambda d: one(d.service_name),
    "service-region": lambda d: one(d.service_region),
    "service-type": lambda d: [each.service_type for each in d.service_type or ()],
    "supported-ip-address-types": lambda d: d.supported_ip_address_types or (),
}
