"""Every filter that the model's documentation names for a Describe operation is known."""

from __future__ import annotations

import functools
import re
from typing import Any

import botocore.session
import pytest
from ec2_kit import DEFAULT, Api

from openecs.errors import AWSError
from openecs.wire.generated import ec2 as ec2_model

#: What a request needs besides filters.
NEEDS: dict[str, dict[str, Any]] = {
    "DescribeLaunchTemplateVersions": {"Versions": ["$Latest"]},
    "GetSecurityGroupsForVpc": {"VpcId": DEFAULT.vpc_id},
}
#: Words in the documentation's lists that have the form of a filter and are values of one, and
#: the start of ``tag:KEY``.
VALUES = {"informational", "low", "medium", "high", "critical", "tag"}


@functools.cache
def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Operation → the member with its filters, and their names."""
    service = botocore.session.get_session().get_service_model("ec2")
    found = {}
    for operation in ec2_model.SERVICE.operations:
        shape = service.operation_model(operation).input_shape
        for member in ("Filters", "Filter") if shape is not None else ():
            if member in shape.members:
                names = re.findall(
                    r"<code>([a-z][A-Za-z0-9.-]*)</code>\s+[-\u2013]", shape.members[member].documentation
                )
                found[operation] = (member, tuple(dict.fromkeys(name for name in names if name not in VALUES)))
    return found


@pytest.mark.parametrize("operation", sorted(documented()))
def test_documented_filters_are_known(api: Api, operation: str) -> None:
    member, names = documented()[operation]
    unknown = []
    for name in names:
        try:
            api(operation, **{member: [{"Name": name, "Values": ["no such value"]}]}, **NEEDS.get(operation, {}))
        except AWSError:
            unknown.append(name)
    assert unknown == []
    with pytest.raises(AWSError, match="nonsense"):
        api(operation, **{member: [{"Name": "nonsense", "Values": ["a"]}]}, **NEEDS.get(operation, {}))


def test_the_documentation_is_read() -> None:
    assert "route.nat-gateway-id" in documented()["DescribeRouteTables"][1]
    assert sum(len(names) for _, names in documented().values()) > 300
