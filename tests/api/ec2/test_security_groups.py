"""Security groups and their rules, as permissions and by id."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_kit import DEFAULT, Api, where
from hypothesis import given
from hypothesis import strategies as st

from openecs.api.ec2 import group_rules
from openecs.api.ec2.group_rules import Wanted
from openecs.model.security_group import SecurityGroup
from openecs.shapes import ec2

WEB = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "in"}]}


def rules_of(api: Api, group_id: str) -> list[dict[str, Any]]:
    found = api("DescribeSecurityGroupRules", Filters=where(group_id=group_id))["SecurityGroupRules"]
    return list(found)


def test_a_new_group_lets_nothing_in_and_everything_out(api: Api) -> None:
    group = api.described(api.group())
    assert group["IpPermissions"] == []
    (out,) = group["IpPermissionsEgress"]
    assert (out["IpProtocol"], out["IpRanges"]) == ("-1", [{"CidrIp": "0.0.0.0/0"}])
    assert "FromPort" not in out
    assert group["VpcId"] == DEFAULT.vpc_id
    (rule,) = rules_of(api, group["GroupId"])
    assert (rule["IsEgress"], rule["FromPort"], rule["ToPort"], rule["CidrIpv4"]) == (True, -1, -1, "0.0.0.0/0")


def test_names_are_unique_in_a_vpc(api: Api) -> None:
    group = api.group()
    text = api.refused("CreateSecurityGroup", "InvalidGroup.Duplicate", GroupName="web", Description="d")
    api.refused("CreateSecurityGroup", "InvalidGroup.Duplicate", GroupName="Web  ", Description="d")
    for reserved in ("Default", "SG-1"):
        api.refused("CreateSecurityGroup", "InvalidParameterValue", GroupName=reserved, Description="d")
    assert text == f"The security group 'web' already exists for VPC '{DEFAULT.vpc_id}'"
    other = api.group(VpcId=api.vpc())
    assert api.ids_of("DescribeSecurityGroups", "SecurityGroups", "GroupId", GroupNames=["web"]) == [group]
    found = api.ids_of("DescribeSecurityGroups", "SecurityGroups", "GroupId", Filters=where(group_name="web"))
    assert set(found) == {group, other}
    for name in ("default", "sg-web", "grün", ""):
        with_name = {"GroupName": name, "Description": "d"}
        api.refused("CreateSecurityGroup", "InvalidParameterValue" if name else "MissingParameter", **with_name)


def test_both_views_tell_the_same_rules(api: Api) -> None:
    group, peer = api.group(), api.group("peer")
    permissions = [
        {**WEB, "IpRanges": [*WEB["IpRanges"], {"CidrIp": "192.168.1.7/24"}]},  # type: ignore[misc]
        {"IpProtocol": "6", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": peer}]},
        {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        {"IpProtocol": "50", "UserIdGroupPairs": [{"GroupId": group, "Description": "itself"}]},
    ]
    answer = api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=permissions)
    assert answer["Return"]
    assert len(answer["SecurityGroupRules"]) == 6
    shown = {p["IpProtocol"]: p for p in api.described(group)["IpPermissions"]}
    assert set(shown) == {"tcp", "-1", "icmp", "50"}
    assert shown["tcp"]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "in"}, {"CidrIp": "192.168.1.0/24"}]
    assert [p["GroupId"] for p in shown["tcp"]["UserIdGroupPairs"]] == [peer]
    assert shown["-1"]["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    by_id = {r["SecurityGroupRuleId"]: r for r in rules_of(api, group) if not r["IsEgress"]}
    assert by_id == {r["SecurityGroupRuleId"]: r for r in answer["SecurityGroupRules"]}
    assert [r["ReferencedGroupInfo"]["GroupId"] for r in by_id.values() if r["IpProtocol"] == "50"] == [group]
    found = api.ids_of(
        "DescribeSecurityGroups", "SecurityGroups", "GroupId", Filters=where(**{"ip-permission.group-id": peer})
    )
    assert found == [group]


def test_a_rule_exists_once(api: Api) -> None:
    group = api.group()
    api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[WEB])
    text = api.refused("AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate", GroupId=group, **flat())
    assert text == ('the specified rule "peer: 10.0.0.0/8, TCP, from port: 80, to port: 80, ALLOW" already exists')
    api.refused(
        "AuthorizeSecurityGroupIngress",
        "InvalidParameterValue",
        "multiple",
        GroupId=group,
        IpPermissions=[{**WEB, "FromPort": 81, "ToPort": 81}] * 2,
    )
    # The other direction is another rule.
    api("AuthorizeSecurityGroupEgress", GroupId=group, IpPermissions=[WEB])


def flat() -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("permission", "code", "text"),
    [
        ({"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, "InvalidParameterValue", "Must specify both"),
        ({**WEB, "ToPort": 79}, "InvalidParameterValue", "Invalid TCP/UDP port range (80:79)"),
        ({**WEB, "FromPort": -1}, "InvalidParameterValue", "TCP/UDP port (-1) out of range"),
        ({**WEB, "ToPort": 65536}, "InvalidParameterValue", "out of range"),
        ({**WEB, "IpProtocol": "300"}, "InvalidParameterValue", "ipProtocol"),
        ({**WEB, "IpProtocol": "006"}, "InvalidParameterValue", "ipProtocol"),
        ({**WEB, "IpRanges": [{"CidrIp": "10.0.0.0/016"}]}, "InvalidParameterValue", "malformed"),
        ({**WEB, "IpProtocol": "http"}, "InvalidParameterValue", "ipProtocol"),
        ({**WEB, "IpRanges": [{"CidrIp": "10.0.0/8"}]}, "InvalidParameterValue", "CIDR block 10.0.0/8 is malformed"),
        ({**WEB, "IpRanges": [{"CidrIp": "10.0.0.0"}]}, "InvalidParameterValue", "malformed"),
        ({**WEB, "Ipv6Ranges": [{"CidrIpv6": "fe80::%eth0/64"}]}, "InvalidParameterValue", "malformed"),
        ({**WEB, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "ü"}]}, "InvalidParameterValue", "description"),
        ({**WEB, "IpRanges": []}, "MissingParameter", "ipRanges"),
        ({**WEB, "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]}, "InvalidGroup.NotFound", "sg-0123"),
        ({**WEB, "UserIdGroupPairs": [{"GroupId": "web"}]}, "InvalidGroupId.Malformed", "expecting"),
        ({**WEB, "PrefixListIds": [{"PrefixListId": "pl-1"}]}, "InvalidPrefixListID.NotFound", "pl-1"),
        ({"IpProtocol": "icmp", "FromPort": 300, "IpRanges": WEB["IpRanges"]}, "InvalidParameterValue", "ICMP type"),
    ],
)
def test_what_cannot_be_a_rule_is_refused(api: Api, permission: dict[str, Any], code: str, text: str) -> None:
    group = api.group()
    for operation in ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress"):
        api.refused(operation, code, text, GroupId=group, IpPermissions=[permission])


def test_rules_name_groups_of_their_own_vpc_only(api: Api) -> None:
    group, other = api.group(), api.group("other", VpcId=api.vpc())
    pair = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}
    api.refused(
        "AuthorizeSecurityGroupIngress",
        "InvalidGroup.NotFound",
        "different networks",
        GroupId=group,
        IpPermissions=[pair],
    )


def test_revoking_by_permission_and_by_id(api: Api) -> None:
    group = api.group()
    api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[WEB])
    revoked = api("RevokeSecurityGroupIngress", GroupId=group, **flat())["RevokedSecurityGroupRules"]
    assert [(r["CidrIpv4"], r["FromPort"]) for r in revoked] == [("10.0.0.0/8", 80)]
    assert api.described(group)["IpPermissions"] == []
    (out,) = rules_of(api, group)
    wrong = {"GroupId": group, "SecurityGroupRuleIds": [out["SecurityGroupRuleId"]]}
    api.refused("RevokeSecurityGroupIngress", "InvalidSecurityGroupRuleId.NotFound", **wrong)
    api("RevokeSecurityGroupEgress", **wrong)
    assert rules_of(api, group) == []
    api.refused("RevokeSecurityGroupEgress", "InvalidSecurityGroupRuleId.NotFound", **wrong)


def test_revoking_what_is_not_there_depends_on_the_vpc(api: Api) -> None:
    answer = api("RevokeSecurityGroupIngress", GroupId=api.group(), IpPermissions=[WEB])
    assert answer["UnknownIpPermissions"][0]["IpRanges"] == [{"CidrIp": "10.0.0.0/8"}]
    other = api.group(VpcId=api.vpc())
    api("AuthorizeSecurityGroupIngress", GroupId=other, IpPermissions=[WEB])
    gone = {**WEB, "FromPort": 79}
    text = api.refused(
        "RevokeSecurityGroupIngress", "InvalidPermission.NotFound", GroupId=other, IpPermissions=[WEB, gone]
    )
    assert text == "The specified rule does not exist in this security group."
    assert len(api.described(other)["IpPermissions"]) == 1


def test_rules_are_changed_in_place(api: Api) -> None:
    group = api.group()
    (rule,) = api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[WEB])["SecurityGroupRules"]
    rule_id = rule["SecurityGroupRuleId"]

    def change(**members: Any) -> list[dict[str, Any]]:
        return [{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": {"IpProtocol": "tcp", **members}}]

    contents = {"FromPort": 443, "ToPort": 444, "ReferencedGroupId": group, "Description": "new"}
    api("ModifySecurityGroupRules", GroupId=group, SecurityGroupRules=change(**contents))
    (now,) = api("DescribeSecurityGroupRules", SecurityGroupRuleIds=[rule_id])["SecurityGroupRules"]
    assert (now["FromPort"], now["ToPort"], now["Description"]) == (443, 444, "new")
    assert now["ReferencedGroupInfo"]["GroupId"] == group
    assert "CidrIpv4" not in now
    both = change(FromPort=1, ToPort=1, CidrIpv4="10.0.0.0/8", CidrIpv6="::/0")
    api.refused("ModifySecurityGroupRules", "InvalidParameterCombination", GroupId=group, SecurityGroupRules=both)
    api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[WEB])
    twin = change(FromPort=80, ToPort=80, CidrIpv4="10.0.0.0/8")
    api.refused("ModifySecurityGroupRules", "InvalidPermission.Duplicate", GroupId=group, SecurityGroupRules=twin)
    other = api.group("other")
    api.refused(
        "ModifySecurityGroupRules", "InvalidSecurityGroupRuleId.NotFound", GroupId=other, SecurityGroupRules=twin
    )


def test_descriptions_of_rules(api: Api) -> None:
    group = api.group()
    (rule,) = api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[WEB])["SecurityGroupRules"]
    described = {**WEB, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "by permission"}]}
    api("UpdateSecurityGroupRuleDescriptionsIngress", GroupId=group, IpPermissions=[described])
    assert api.described(group)["IpPermissions"][0]["IpRanges"][0]["Description"] == "by permission"
    named = [{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "Description": "by id"}]
    members: dict[str, Any] = {"GroupId": group, "SecurityGroupRuleDescriptions": named}
    api("UpdateSecurityGroupRuleDescriptionsIngress", **members)
    assert api.described(group)["IpPermissions"][0]["IpRanges"][0]["Description"] == "by id"
    api.refused("UpdateSecurityGroupRuleDescriptionsEgress", "InvalidSecurityGroupRuleId.NotFound", **members)
    api.refused("UpdateSecurityGroupRuleDescriptionsIngress", "InvalidParameterCombination", GroupId=group)
    api.refused(
        "UpdateSecurityGroupRuleDescriptionsIngress",
        "InvalidPermission.NotFound",
        GroupId=group,
        IpPermissions=[{**described, "FromPort": 79}],
    )


def test_what_keeps_a_group(api: Api) -> None:
    group, other = api.group(), api.group("other")
    text = api.refused("DeleteSecurityGroup", "CannotDelete", GroupId=DEFAULT.security_group_id)
    assert text.endswith('name: "default" cannot be deleted by a user')
    among = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    api("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[among])
    api("AuthorizeSecurityGroupEgress", GroupId=other, IpPermissions=[among])
    text = api.refused("DeleteSecurityGroup", "DependencyViolation", GroupId=group)
    assert text == f"resource {group} has a dependent object"
    api("RevokeSecurityGroupEgress", GroupId=other, IpPermissions=[among])
    assert api("DeleteSecurityGroup", GroupId=group)["GroupId"] == group
    assert rules_of(api, group) == []
    api.refused("DeleteSecurityGroup", "InvalidGroup.NotFound", GroupId=group)
    assert api("DeleteSecurityGroup", GroupName="other")["GroupId"] == other


def test_an_interface_keeps_its_group(api: Api) -> None:
    group = api.group()
    made = api("CreateNetworkInterface", SubnetId=DEFAULT.subnets[0].id, Groups=[group])["NetworkInterface"]
    api.refused("DeleteSecurityGroup", "DependencyViolation", GroupId=group)
    api("DeleteNetworkInterface", NetworkInterfaceId=made["NetworkInterfaceId"])
    api("DeleteSecurityGroup", GroupId=group)


def test_groups_of_a_vpc_and_references(api: Api) -> None:
    vpc = api.vpc()
    group = api.group(VpcId=vpc)
    found = api("GetSecurityGroupsForVpc", VpcId=vpc)["SecurityGroupForVpcs"]
    assert {g["GroupName"]: g["PrimaryVpcId"] for g in found} == {"default": vpc, "web": vpc}
    assert api("DescribeSecurityGroupReferences", GroupId=[group])["SecurityGroupReferenceSet"] == []
    assert api("DescribeStaleSecurityGroups", VpcId=vpc)["StaleSecurityGroupSet"] == []


GROUP = SecurityGroup(id="sg-1", region="r", owner="1", vpc_id="vpc-1", name="n", description="d")
ports = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(sorted)
peers = st.one_of(
    st.ip_addresses(v=4).map(lambda a: {"cidr_ipv4": f"{a}/32"}),
    st.ip_addresses(v=6).map(lambda a: {"cidr_ipv6": f"{a}/128"}),
    st.sampled_from(["sg-1", "sg-2"]).map(lambda g: {"referenced_group_id": g}),
)
rules = st.one_of(
    st.tuples(st.sampled_from(["tcp", "udp"]), ports, peers),
    st.tuples(st.sampled_from(["-1", "50", "icmp"]), st.just([-1, -1]), peers),
).map(lambda r: Wanted(r[0], r[1][0], r[1][1], **r[2]))


@given(st.lists(rules, unique=True))
def test_permissions_and_rules_say_the_same(wanted: list[Wanted]) -> None:
    """What DescribeSecurityGroups shows stands, given back, for exactly the rules that it was made of."""
    records = [
        group_rules.record(w, GROUP, rule_id=str(n), egress=False, description=None) for n, w in enumerate(wanted)
    ]
    shown: tuple[ec2.IpPermission, ...] = group_rules.permissions(records)
    again = group_rules.wanted(shown, lambda pair: pair.group_id or "", lambda _: None)
    assert set(again) == set(wanted)


def test_prefix_lists_of_the_region_can_be_named(api: Api) -> None:
    group = api.group()
    (first, *_) = api.ids_of("DescribeManagedPrefixLists", "PrefixLists", "PrefixListId")
    permission = {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": first}]}
    (rule,) = api("AuthorizeSecurityGroupEgress", GroupId=group, IpPermissions=[permission])["SecurityGroupRules"]
    assert rule["PrefixListId"] == first
    (shown,) = (p for p in api.described(group)["IpPermissionsEgress"] if p["PrefixListIds"])
    assert shown["PrefixListIds"] == [{"PrefixListId": first}]
