"""Network ACLs: their entries and the subnets that they apply to."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_kit import DEFAULT, Api, where


@pytest.fixture
def acl(api: Api) -> str:
    acl_id: str = api("CreateNetworkAcl", VpcId=DEFAULT.vpc_id)["NetworkAcl"]["NetworkAclId"]
    return acl_id


def rule(acl: str, **members: Any) -> dict[str, Any]:
    wanted = {
        "NetworkAclId": acl,
        "RuleNumber": 100,
        "Egress": False,
        "Protocol": "6",
        "RuleAction": "allow",
        "CidrBlock": "10.0.0.0/8",
        "PortRange": {"From": 80, "To": 90},
        **members,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def entries(api: Api, acl: str) -> list[tuple[int, bool, str]]:
    (shown,) = api("DescribeNetworkAcls", NetworkAclIds=[acl])["NetworkAcls"]
    return [(e["RuleNumber"], e["Egress"], e["RuleAction"]) for e in shown["Entries"]]


LAST = [(32767, True, "deny"), (32767, False, "deny")]


def test_a_new_acl_denies_everything(api: Api, acl: str) -> None:
    assert entries(api, acl) == LAST
    (shown,) = api("DescribeNetworkAcls", NetworkAclIds=[acl])["NetworkAcls"]
    assert (shown["IsDefault"], shown["Associations"]) == (False, [])


def test_entries_are_kept_in_order(api: Api, acl: str) -> None:
    api("CreateNetworkAclEntry", **rule(acl))
    api("CreateNetworkAclEntry", **rule(acl, RuleNumber=50, RuleAction="deny", Protocol="tcp"))
    api("CreateNetworkAclEntry", **rule(acl, Egress=True, Protocol="-1", PortRange=None))
    assert entries(api, acl) == [(100, True, "allow"), LAST[0], (50, False, "deny"), (100, False, "allow"), LAST[1]]
    (shown,) = api("DescribeNetworkAcls", Filters=where(**{"entry.port-range.from": "80"}))["NetworkAcls"]
    assert {e["Protocol"] for e in shown["Entries"]} == {"6", "-1"}
    text = api.refused("CreateNetworkAclEntry", "NetworkAclEntryAlreadyExists", **rule(acl))
    assert text == "The network acl entry identified by 100 already exists."
    api("ReplaceNetworkAclEntry", **rule(acl, RuleAction="deny"))
    assert (100, False, "deny") in entries(api, acl)
    api("DeleteNetworkAclEntry", NetworkAclId=acl, RuleNumber=100, Egress=False)
    gone = {"NetworkAclId": acl, "RuleNumber": 100, "Egress": False}
    api.refused("DeleteNetworkAclEntry", "InvalidNetworkAclEntry.NotFound", **gone)
    api.refused("ReplaceNetworkAclEntry", "InvalidNetworkAclEntry.NotFound", **rule(acl))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"RuleNumber": 32767}, "InvalidParameterValue"),
        ({"RuleNumber": 0}, "InvalidParameterValue"),
        ({"PortRange": None}, "MissingParameter"),
        ({"PortRange": {"From": 90, "To": 80}}, "InvalidParameterValue"),
        ({"Protocol": "256"}, "InvalidParameterValue"),
        ({"Protocol": "http"}, "InvalidParameterValue"),
        ({"Protocol": "1", "PortRange": None}, "MissingParameter"),
        ({"Protocol": "1", "IcmpTypeCode": {"Type": 256, "Code": 0}}, "InvalidParameterValue"),
        ({"CidrBlock": None}, "InvalidParameterCombination"),
        ({"Ipv6CidrBlock": "::/0"}, "InvalidParameterCombination"),
        ({"CidrBlock": "10.0.0.0"}, "InvalidParameterValue"),
        ({"NetworkAclId": "acl-0123456789abcdef0"}, "InvalidNetworkAclID.NotFound"),
    ],
)
def test_what_cannot_be_an_entry_is_refused(api: Api, acl: str, members: dict[str, Any], code: str) -> None:
    api.refused("CreateNetworkAclEntry", code, **rule(acl, **members))


def test_a_subnet_has_exactly_one_acl(api: Api, acl: str) -> None:
    subnet = DEFAULT.subnets[0].id

    def association() -> tuple[str, str]:
        (shown,) = api("DescribeNetworkAcls", Filters=where(**{"association.subnet-id": subnet}))["NetworkAcls"]
        (found,) = (a for a in shown["Associations"] if a["SubnetId"] == subnet)
        return shown["NetworkAclId"], found["NetworkAclAssociationId"]

    default, first = association()
    new = api("ReplaceNetworkAclAssociation", AssociationId=first, NetworkAclId=acl)["NewAssociationId"]
    assert association() == (acl, new)
    api.refused("ReplaceNetworkAclAssociation", "InvalidAssociationID.NotFound", AssociationId=first, NetworkAclId=acl)
    api.refused("DeleteNetworkAcl", "DependencyViolation", NetworkAclId=acl)
    api.refused("DeleteNetworkAcl", "InvalidParameterValue", "default", NetworkAclId=default)
    elsewhere = api("CreateNetworkAcl", VpcId=api.vpc())["NetworkAcl"]["NetworkAclId"]
    api.refused("ReplaceNetworkAclAssociation", "InvalidParameterValue", AssociationId=new, NetworkAclId=elsewhere)
    # The same ACL again is a new association, too.
    again = api("ReplaceNetworkAclAssociation", AssociationId=new, NetworkAclId=acl)["NewAssociationId"]
    assert association() == (acl, again)
    api("ReplaceNetworkAclAssociation", AssociationId=again, NetworkAclId=default)
    api("DeleteNetworkAcl", NetworkAclId=acl)


def test_a_token_makes_one_acl(api: Api) -> None:
    first = api("CreateNetworkAcl", VpcId=DEFAULT.vpc_id, ClientToken="t")["NetworkAcl"]
    again = api("CreateNetworkAcl", VpcId=DEFAULT.vpc_id, ClientToken="t")["NetworkAcl"]
    assert first == again
    api.refused("CreateNetworkAcl", "IdempotentParameterMismatch", VpcId=api.vpc(), ClientToken="t")
