"""Load balancing through boto3: replies, errors, pages and waiters, without a host that runs any."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, WaiterError
from conformance_support import Installation
from self_signed import self_signed
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 300}


@pytest.fixture
def elb(fake: Installation, name: str) -> Any:
    """A client in a region that no other test uses."""
    return fake.client("elbv2", name)


@pytest.fixture
def network(fake: Installation, name: str) -> tuple[str, list[dict[str, Any]]]:
    """The default VPC of the test's region and its subnets."""
    ec2 = fake.client("ec2", name)
    subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda subnet: str(subnet["AvailabilityZone"]))
    return subnets[0]["VpcId"], subnets


def refused(call: Any, code: str, words: str, **parameters: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code
    assert words in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def reason(elb: Any) -> str:
    """Why the region's only load balancer is not active."""
    return str(elb.describe_load_balancers()["LoadBalancers"][0]["State"].get("Reason", ""))


def make_group(elb: Any, vpc: str, name: str = "blue", **more: Any) -> str:
    request = {"Name": name, "Protocol": "HTTP", "Port": 80, "VpcId": vpc, "TargetType": "ip", **more}
    return str(elb.create_target_group(**request)["TargetGroups"][0]["TargetGroupArn"])


def make_balancer(elb: Any, subnets: list[dict[str, Any]], name: str = "web", **more: Any) -> str:
    wanted = [subnet["SubnetId"] for subnet in subnets]
    return str(elb.create_load_balancer(Name=name, Subnets=wanted, **more)["LoadBalancers"][0]["LoadBalancerArn"])


def test_a_load_balancer_from_its_creation_to_its_end(
    fake: Installation, elb: Any, network: tuple[str, list[dict[str, Any]]], name: str
) -> None:
    vpc, subnets = network
    arn = make_balancer(elb, subnets, Tags=[{"Key": "team", "Value": "blue"}])
    elb.get_waiter("load_balancer_exists").wait(LoadBalancerArns=[arn], WaiterConfig=QUICK)
    (shown,) = elb.describe_load_balancers(Names=["web"])["LoadBalancers"]
    assert [zone["ZoneName"] for zone in shown["AvailabilityZones"]] == [name + zone for zone in "abc"]
    assert all(zone["LoadBalancerAddresses"] == [] for zone in shown["AvailabilityZones"])
    interfaces = fake.client("ec2", name).describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {arn.partition('loadbalancer/')[2]}"]}]
    )["NetworkInterfaces"]
    assert len(interfaces) == 3
    # The fake engine's host runs none, so it never becomes available, and says why.
    wait_for(
        lambda: (
            "can run load balancers" in elb.describe_load_balancers()["LoadBalancers"][0]["State"].get("Reason", "")
        ),
        what="the load balancer says why it waits",
    )
    with pytest.raises(WaiterError):
        elb.get_waiter("load_balancer_available").wait(
            LoadBalancerArns=[arn], WaiterConfig={"Delay": 0, "MaxAttempts": 2}
        )
    status = fake.openecs("status")
    assert f"web ({name})" in status
    assert shown["DNSName"] in status
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig=QUICK)
    assert vpc == shown["VpcId"]


def test_listeners_rules_and_targets(elb: Any, network: tuple[str, list[dict[str, Any]]], name: str) -> None:
    vpc, subnets = network
    balancer, group, green = make_balancer(elb, subnets), make_group(elb, vpc), make_group(elb, vpc, "green")
    (listener,) = elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"]
    weights = [{"TargetGroupArn": group, "Weight": 9}, {"TargetGroupArn": green, "Weight": 1}]
    (rule,) = elb.create_rule(
        ListenerArn=listener["ListenerArn"],
        Priority=10,
        Conditions=[
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b*"}]}},
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Test", "Values": ["1", "2"]}},
        ],
        Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}],
    )["Rules"]
    assert rule["Actions"][0]["ForwardConfig"]["TargetGroups"] == weights
    pages = elb.get_paginator("describe_rules").paginate(
        ListenerArn=listener["ListenerArn"], PaginationConfig={"PageSize": 1}
    )
    assert [each["Priority"] for page in pages for each in page["Rules"]] == ["10", "default"]
    address = subnets[0]["CidrBlock"].rpartition(".")[0] + ".77"
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": address}])
    (seen,) = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    assert seen == {
        "Target": {"Id": address, "Port": 80, "AvailabilityZone": name + "a"},
        "HealthCheckPort": "80",
        "TargetHealth": {
            "State": "initial",
            "Reason": "Elb.RegistrationInProgress",
            "Description": "Target registration is in progress",
        },
    }
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": address}])
    # Nobody runs the load balancer, so nothing can be in flight.
    elb.get_waiter("target_deregistered").wait(TargetGroupArn=group, Targets=[{"Id": address}], WaiterConfig=QUICK)
    refused(elb.delete_target_group, "ResourceInUse", "in use by a listener or a rule", TargetGroupArn=green)
    elb.delete_rule(RuleArn=rule["RuleArn"])
    elb.delete_target_group(TargetGroupArn=green)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.delete_target_group(TargetGroupArn=group)


def test_absent_things_have_the_errors_of_aws(elb: Any, network: tuple[str, list[dict[str, Any]]], name: str) -> None:
    base = f"arn:aws:elasticloadbalancing:{name}:000000000000"
    balancer, group = f"{base}:loadbalancer/app/x/0123456789abcdef", f"{base}:targetgroup/x/0123456789abcdef"
    listener = f"{base}:listener/app/x/0123456789abcdef/0123456789abcdef"
    rule = f"{base}:listener-rule/app/x/0123456789abcdef/0123456789abcdef/0123456789abcdef"
    for call, code, parameters in (
        (elb.describe_load_balancers, "LoadBalancerNotFound", {"LoadBalancerArns": [balancer]}),
        (elb.describe_load_balancers, "LoadBalancerNotFound", {"Names": ["x"]}),
        (elb.describe_target_groups, "TargetGroupNotFound", {"TargetGroupArns": [group]}),
        (elb.describe_target_health, "TargetGroupNotFound", {"TargetGroupArn": group}),
        (elb.describe_listeners, "ListenerNotFound", {"ListenerArns": [listener]}),
        (elb.describe_rules, "RuleNotFound", {"RuleArns": [rule]}),
        (elb.describe_tags, "LoadBalancerNotFound", {"ResourceArns": [balancer]}),
        (elb.describe_load_balancers, "ValidationError", {"LoadBalancerArns": ["x"]}),
        (elb.describe_load_balancers, "ValidationError", {"PageSize": 401}),
    ):
        refused(call, code, "", **parameters)
    assert network[0].startswith("vpc-")


def test_a_certificate_of_a_listener(fake: Installation, elb: Any, network: tuple[str, list[Any]], name: str) -> None:
    acm = fake.client("acm", name)
    certificate, key = self_signed("www.example.com")
    arn = acm.import_certificate(Certificate=certificate, PrivateKey=key)["CertificateArn"]
    balancer, group = make_balancer(elb, network[1]), make_group(elb, network[0])
    elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": arn}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    shown = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (shown["DomainName"], shown["InUseBy"]) == ("www.example.com", [balancer])
    refused(acm.delete_certificate, "ResourceInUseException", "in use", CertificateArn=arn)
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    acm.delete_certificate(CertificateArn=arn)
