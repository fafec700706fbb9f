"""Terraform's view of a service with everything around it: VPC, load balancer, Cloud Map.

All of it is applied with the provider's calls; what is read back has to be what was configured,
so that a second plan is empty; and all of it can be destroyed again in the reverse order.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from terraform_networks import BALANCER_ATTRIBUTES, GROUP_ATTRIBUTES, Networks
from terraform_provider import SERVICE_DEFAULTS, Config, Provider, differences

TAGS = {"Name": "shop", "Environment": "test"}
RULES: Config = {
    "ingress": [
        {"protocol": "tcp", "from_port": 80, "to_port": 80, "cidr_blocks": ["0.0.0.0/0"], "self": False},
        {"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": [], "self": True},
    ],
    "egress": [{"protocol": "-1", "from_port": 0, "to_port": 0, "cidr_blocks": ["0.0.0.0/0"], "self": False}],
}


@pytest.fixture
def client(fake: Installation, name: str) -> Callable[..., Any]:
    return functools.partial(_client, fake, name)


def _client(fake: Installation, region: str, service: str, **config: Any) -> Any:
    return fake.client(service, region, **config)


class Plan:
    """Applies resources and remembers what was configured, to compare it again later."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self._configured: dict[tuple[str, str], Config] = {}

    def apply(self, kind: str, config: Config) -> str:
        identifier = self.networks.apply(kind, config)
        self._configured[kind, identifier] = config
        return identifier

    def changes(self) -> dict[tuple[str, str], dict[str, tuple[Any, Any]]]:
        """Resource → attribute → (configured, read back), where a plan would show a change."""
        found = {}
        for (kind, identifier), config in self._configured.items():
            state = self.networks.read(kind, identifier)
            # What the provider cannot read, as the VPC of a namespace, it takes from its state.
            changed = {n: (v, state[n]) for n, v in config.items() if n in state and _set(v) != _set(state[n])}
            if changed:
                found[kind, identifier] = changed
        return found


def _set(value: Any) -> Any:
    """Lists of these resources are sets to Terraform."""
    return sorted(value, key=lambda item: json.dumps(item, sort_keys=True)) if isinstance(value, list) else value


def test_a_service_with_its_network_reads_back_as_configured(client: Callable[..., Any], name: str) -> None:
    networks = Networks(client)
    plan, ecs = Plan(networks), client("ecs")
    apply = plan.apply
    vpc = apply(
        "vpc",
        {
            "cidr_block": "10.131.0.0/16",
            "enable_dns_hostnames": True,
            "enable_dns_support": True,
            "enable_network_address_usage_metrics": False,
            "instance_tenancy": "default",
            "ipv6_association": [],
            "tags": TAGS,
        },
    )
    of_vpc = {"vpc_id": vpc, "tags": TAGS}
    public = [
        apply(
            "subnet",
            {
                "availability_zone": name + zone,
                "cidr_block": f"10.131.{number}.0/24",
                "map_public_ip_on_launch": True,
                "assign_ipv6_address_on_creation": False,
                "enable_dns64": False,
                "enable_resource_name_dns_a_record_on_launch": False,
                "ipv6_native": False,
                **of_vpc,
            },
        )
        for number, zone in enumerate("ab")
    ]
    private = apply("subnet", {"availability_zone": f"{name}a", "cidr_block": "10.131.9.0/24", **of_vpc})
    internet = apply("internet_gateway", of_vpc)
    eip = apply("eip", {"domain": "vpc", "public_ipv4_pool": "amazon", "tags": TAGS})
    nat = apply(
        "nat_gateway",
        {"allocation_id": eip, "subnet_id": public[0], "connectivity_type": "public", "tags": TAGS},
    )
    for subnet, target in (
        *((each, {"gateway_id": internet}) for each in public),
        (private, {"nat_gateway_id": nat}),
    ):
        route = {"cidr_block": "0.0.0.0/0", **target}
        table = apply("route_table", {"route": [route], "propagating_vgws": [], **of_vpc})
        apply("route_table_association", {"route_table_id": table, "subnet_id": subnet})
    front = apply("security_group", {"name": "front", "description": "Managed by Terraform", **RULES, **of_vpc})
    back = apply("security_group", {"name": "back", "egress": RULES["egress"], **of_vpc})
    rule = {"ip_protocol": "tcp", "from_port": 8080, "to_port": 8080, "security_group_id": back}
    apply("vpc_security_group_ingress_rule", {**rule, "referenced_security_group_id": front})
    apply("vpc_security_group_ingress_rule", {**rule, "cidr_ipv4": "10.131.9.0/24", "description": "inside"})

    balancer = apply(
        "lb",
        {
            "attributes": {**BALANCER_ATTRIBUTES, "idle_timeout.timeout_seconds": "120"},
            "internal": False,
            "ip_address_type": "ipv4",
            "load_balancer_type": "application",
            "name": name,
            "security_groups": [front],
            "subnets": public,
            "tags": TAGS,
        },
    )
    blue, green = (
        apply(
            "lb_target_group",
            {
                "attributes": {**GROUP_ATTRIBUTES, "deregistration_delay.timeout_seconds": "30"},
                "health_check": {"path": "/health", "interval": 15, "matcher": "200-299", "healthy_threshold": 2},
                "ip_address_type": "ipv4",
                "name": colour,
                "port": 8080,
                "protocol_version": "HTTP1",
                "target_type": "ip",
                **of_vpc,
            },
        )
        for colour in ("blue", "green")
    )
    listener = apply(
        "lb_listener",
        {"load_balancer_arn": balancer, "port": 80, "protocol": "HTTP", "target_group_arn": blue, "tags": TAGS},
    )
    apply(
        "lb_listener_rule",
        {
            "listener_arn": listener,
            "paths": ["/api/*"],
            "priority": 10,
            "tags": TAGS,
            "weights": {blue: 90, green: 10},
        },
    )
    namespace = apply(
        "service_discovery_private_dns_namespace",
        {"description": "", "name": f"{name}.test", "tags": TAGS, "vpc": vpc},
    )
    found = apply(
        "service_discovery_service",
        {
            "dns_records": [("A", 10)],
            "health_check_custom_config": {"FailureThreshold": 1},
            "name": "web",
            "namespace_id": namespace,
            "routing_policy": "MULTIVALUE",
            "tags": TAGS,
        },
    )
    assert plan.changes() == {}

    ecs.create_cluster(clusterName="default")
    service: Config = {
        "name": "web",
        "desired_count": 2,
        "health_check_grace_period_seconds": 30,
        "launch_type": "FARGATE",
        "load_balancer": [{"target_group_arn": blue, "container_name": "main", "container_port": 8080}],
        "network_configuration": [{"subnets": [private], "security_groups": [back]}],
        "service_registries": [{"registry_arn": networks.read("service_discovery_service", found)["arn"]}],
        "task_definition": register(ecs),
    }
    provider = Provider(ecs)
    state = provider.create_service(service)
    assert differences(service, state, SERVICE_DEFAULTS) == {}
    # A listener that is changed, and a service whose targets are others.
    change = {"load_balancer": [{**service["load_balancer"][0], "target_group_arn": green}]}
    state = provider.update_service(state["arn"], service, change)
    assert differences({**service, **change}, state, SERVICE_DEFAULTS) == {}
    assert plan.changes() == {}

    with pytest.raises(ClientError, match="DependencyViolation"):
        networks.ec2.delete_subnet(SubnetId=private)
    provider.delete_service(state["arn"])
    networks.destroy()
    assert [v["IsDefault"] for v in networks.ec2.describe_vpcs()["Vpcs"]] == [True]
    assert networks.elb.describe_load_balancers()["LoadBalancers"] == []
    assert networks.elb.describe_target_groups()["TargetGroups"] == []
    assert networks.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert networks.map.list_namespaces()["Namespaces"] == []


def register(ecs: Any) -> str:
    """A task definition of a web application on Fargate."""
    reply = ecs.register_task_definition(
        family="web",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox", "portMappings": [{"containerPort": 8080}]}],
    )
    return str(reply["taskDefinition"]["taskDefinitionArn"])
