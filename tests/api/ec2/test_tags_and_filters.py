"""Tags of every resource, filters and pages of the Describe operations."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_kit import DEFAULT, Api, where
from hypothesis import given
from hypothesis import strategies as st

from openecs.api.ec2.filters import matching, one
from openecs.shapes import ec2

SUBNET = DEFAULT.subnets[0].id


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def test_tags_come_change_and_go(api: Api) -> None:
    both = [SUBNET, DEFAULT.vpc_id]
    api("CreateTags", Resources=both, Tags=tags(team="a", stage="test"))
    api("CreateTags", Resources=[SUBNET], Tags=tags(team="b"))
    found = api("DescribeTags", Filters=where(key="team"))["Tags"]
    assert {(t["ResourceId"], t["ResourceType"], t["Value"]) for t in found} == {
        (SUBNET, "subnet", "b"),
        (DEFAULT.vpc_id, "vpc", "a"),
    }
    assert api.ids_of("DescribeSubnets", "Subnets", "SubnetId", Filters=where(**{"tag:team": "b"})) == [SUBNET]
    assert api.ids_of("DescribeSubnets", "Subnets", "SubnetId", Filters=where(**{"tag-key": "te?m"})) == [SUBNET]
    api("DeleteTags", Resources=both, Tags=[{"Key": "team", "Value": "a"}, {"Key": "none"}])
    assert [t["ResourceId"] for t in api("DescribeTags", Filters=where(key="team"))["Tags"]] == [SUBNET]
    api("DeleteTags", Resources=both)
    assert api("DescribeTags")["Tags"] == []


@pytest.mark.parametrize(
    ("resources", "given", "code"),
    [
        (["subnet-0123456789abcdef0"], tags(a="b"), "InvalidSubnetID.NotFound"),
        (["bucket-1"], tags(a="b"), "InvalidID"),
        (["i-0123456789abcdef0"], tags(a="b"), "UnsupportedOperation"),
        ([SUBNET, "vpc-0123456789abcdef0"], tags(a="b"), "InvalidVpcID.NotFound"),
        ([SUBNET], [{"Key": "aws:team", "Value": "a"}], "InvalidParameterValue"),
        ([SUBNET], [{"Key": "k" * 128, "Value": "a"}], "InvalidParameterValue"),
        ([SUBNET], [{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([SUBNET], tags(**{f"k{n}": "" for n in range(51)}), "TagLimitExceeded"),
        ([SUBNET], [{"Key": "a"}, {"Key": "a"}], "InvalidParameterValue"),
        ([SUBNET], [], "MissingParameter"),
        ([], tags(a="b"), "MissingParameter"),
    ],
)
def test_what_no_tag_can_be(api: Api, resources: list[str], given: list[dict[str, str]], code: str) -> None:
    api.refused("CreateTags", code, Resources=resources, Tags=given)


def test_the_limit_counts_tags_that_are_there(api: Api) -> None:
    api("CreateTags", Resources=[SUBNET], Tags=tags(**{f"k{n}": "" for n in range(50)}))
    api("CreateTags", Resources=[SUBNET], Tags=tags(k1="again"))
    api.refused("CreateTags", "TagLimitExceeded", Resources=[SUBNET], Tags=tags(more=""))


def test_filters(api: Api) -> None:
    zones = [s.availability_zone for s in DEFAULT.subnets]

    def found(**values: Any) -> list[str]:
        return sorted(api.ids_of("DescribeSubnets", "Subnets", "AvailabilityZone", Filters=where(**values)))

    assert found(availability_zone=zones[:2]) == zones[:2]
    assert found(availability_zone="eu-*") == zones
    assert found(availability_zone="eu-west-1?", cidr_block="10.208.64.0/18") == zones[1:2]
    assert found(availability_zone="EU-*") == []
    assert found(availability_zone="eu-west-1\\?") == []
    text = api.refused("DescribeSubnets", "InvalidParameterValue", Filters=where(colour="red"))
    assert text == "The filter 'colour' is invalid"
    api.refused("DescribeSubnets", "InvalidSubnetID.NotFound", SubnetIds=[SUBNET, "subnet-0123456789abcdef0"])


@given(st.text(alphabet="ab*?\\.", max_size=6))
def test_an_escaped_value_matches_itself_alone(text: str) -> None:
    escaped = "".join(f"\\{c}" if c in "*?\\" else c for c in text)
    wanted = [ec2.Filter(name="name", values=(escaped,))]
    found = matching([text, text + "x", "x" + text], wanted, {"name": one}, lambda _: ())
    assert found == [text]


def _matches(pattern: str, text: str) -> bool:
    """What a wildcard means, in the plainest words."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(_matches(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and _matches(pattern[1:], text[1:])


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_mean_what_they_say(pattern: str, text: str) -> None:
    wanted = [ec2.Filter(name="name", values=(pattern,))]
    found = matching([text], wanted, {"name": one}, lambda _: ())
    assert (found == [text]) == _matches(pattern, text)


def test_no_wildcards_keep_the_control_plane_busy() -> None:
    # With a matcher that tries every way to spread the stars this does not end.
    wanted = [ec2.Filter(name="name", values=("a*" * 100 + "b", "*a?" * 80 + "b"))]
    assert matching(["a" * 255], wanted, {"name": one}, lambda _: ()) == []


def test_pages(api: Api) -> None:
    vpc = api.vpc()
    wanted = {api.subnet(vpc, f"10.20.{n}.0/24") for n in range(12)}
    members: dict[str, Any] = {"MaxResults": 5, "Filters": where(vpc_id=vpc)}
    seen: list[str] = []
    sizes = []
    token = None
    while True:
        page = api("DescribeSubnets", **members, **({"NextToken": token} if token else {}))
        seen += [s["SubnetId"] for s in page["Subnets"]]
        sizes.append(len(page["Subnets"]))
        token = page.get("NextToken")
        if token is None:
            break
    assert (sizes, set(seen), len(seen)) == ([5, 5, 2], wanted, 12)
    token = api("DescribeSubnets", **members)["NextToken"]
    api.refused("DescribeSubnets", "InvalidParameterValue", "token", MaxResults=5, NextToken=token)
    api.refused("DescribeSubnets", "InvalidParameterValue", "token", **members, NextToken="x")
    api.refused("DescribeTags", "InvalidParameterValue", "maxResults", MaxResults=4)


def test_dry_runs_change_nothing(api: Api) -> None:
    for operation, members in {
        "DeleteSubnet": {"SubnetId": SUBNET},
        "CreateTags": {"Resources": [SUBNET], "Tags": tags(a="b")},
        "DescribeVpcs": {},
    }.items():
        api.refused(operation, "DryRunOperation", DryRun=True, **members)
