"""Subnets and security groups that requests name: there, and in one VPC."""

from __future__ import annotations

import pytest
from service_kit import ACCOUNT, REGION, SUBNET, Api

from openecs.model.network import region_network
from openecs.model.security_group import SecurityGroup
from openecs.model.vpc import VpcSubnet

DEFAULT = region_network(ACCOUNT, REGION)


@pytest.fixture
def api() -> Api:
    api = Api()
    where = {"region": REGION, "owner": ACCOUNT, "vpc_id": "vpc-own"}
    api.put(
        VpcSubnet(id="subnet-own", availability_zone=f"{REGION}a", cidr="10.20.1.0/24", **where),
        SecurityGroup(id="sg-own", name="web", description="web", **where),
        VpcSubnet(
            id="subnet-far",
            region="us-east-1",
            owner=ACCOUNT,
            vpc_id="v",
            availability_zone="us-east-1a",
            cidr="10.21.0.0/24",
        ),
    )
    return api


def wanted(*subnets: str, groups: tuple[str, ...] = ()) -> dict[str, object]:
    vpc = {"subnets": subnets, "securityGroups": groups}
    return {
        "taskDefinition": "fargate:1",
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": vpc},
    }


def test_a_vpc_of_ones_own(api: Api) -> None:
    service = api.create(**wanted("subnet-own", groups=("sg-own",)))
    assert service["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-own"]


@pytest.mark.parametrize(
    ("subnets", "groups", "text"),
    [
        (("subnet-gone",), (), "The subnet ID 'subnet-gone' does not exist (ErrorCode: InvalidSubnetID.NotFound)"),
        (("subnet-far",), (), "The subnet ID 'subnet-far' does not exist"),
        (("subnet-own",), ("sg-gone",), "The security group 'sg-gone' does not exist"),
        (("subnet-own", SUBNET), (), "Subnets must be in the same VPC"),
        (
            (SUBNET,),
            ("sg-own",),
            "Security group sg-own does not appear to belong to the same VPC as the input subnets.",
        ),
        ((SUBNET,) * 17, (), "subnets can have at most 16 items."),
        ((SUBNET,), (DEFAULT.security_group_id,) * 6, "securityGroups can have at most 5 items."),
    ],
)
def test_what_does_not_fit_is_refused(api: Api, subnets: tuple[str, ...], groups: tuple[str, ...], text: str) -> None:
    api.refused_create("InvalidParameterException", text, **wanted(*subnets, groups=groups))
