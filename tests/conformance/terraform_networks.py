"""What Terraform's AWS provider calls for VPCs, load balancers and Cloud Map, and what it reads back.

The stand-in of ``terraform_provider`` for the resources around a service.  ``apply`` creates a
resource as the provider does and answers its id; ``read`` is the state that the provider makes of
what is there, with Terraform's names.  The provider's wait for a load balancer to be active is not
in it: that needs a machine that runs load balancers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from terraform_provider import Config, unique_id
from waiting import wait_for

EVERYTHING = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0}
#: What the provider sends for the attributes that a configuration leaves out.
BALANCER_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "deletion_protection.enabled": "false",
    "idle_timeout.timeout_seconds": "60",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
GROUP_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.type": "lb_cookie",
}


class Networks:
    """The calls for the resources of one region, over boto3."""

    def __init__(self, client: Callable[..., Any]) -> None:
        self.ec2 = client("ec2")
        self.elb = client("elbv2")
        self.map = client("servicediscovery", inject_host_prefix=False)
        #: (kind, id) in the order of their creation.
        self.made: list[tuple[str, str]] = []

    def apply(self, kind: str, config: Config) -> str:
        """Create a resource; its id."""
        identifier: str = getattr(self, f"_create_{kind}")(config)
        self.made.append((kind, identifier))
        return identifier

    def read(self, kind: str, identifier: str) -> Config:
        """The state of a resource."""
        state: Config = getattr(self, f"_read_{kind}")(identifier)
        return state

    def destroy(self) -> None:
        """Everything away, the last first."""
        while self.made:
            kind, identifier = self.made.pop()
            getattr(self, f"_delete_{kind}")(identifier)

    # -- VPCs --

    def _create_vpc(self, config: Config) -> str:
        made = self.ec2.create_vpc(
            AmazonProvidedIpv6CidrBlock=False,
            CidrBlock=config["cidr_block"],
            InstanceTenancy="default",
            TagSpecifications=_tagged("vpc", config),
        )["Vpc"]["VpcId"]
        self.ec2.get_waiter("vpc_available").wait(VpcIds=[made])
        if config.get("enable_dns_hostnames"):
            self.ec2.modify_vpc_attribute(VpcId=made, EnableDnsHostnames={"Value": True})
        return str(made)

    def _read_vpc(self, vpc: str) -> Config:
        (shown,) = self.ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]

        def attribute(name: str) -> bool:
            found = self.ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)
            return bool(found[name[0].upper() + name[1:]]["Value"])

        def of_it(**filters: str) -> list[Config]:
            given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
            return [*given, {"Name": "vpc-id", "Values": [vpc]}]

        main = [{"Name": "association.main", "Values": ["true"]}, *of_it()]
        assert len(self.ec2.describe_network_acls(Filters=of_it(default="true"))["NetworkAcls"]) == 1
        assert len(self.ec2.describe_route_tables(Filters=main)["RouteTables"]) == 1
        assert len(self.ec2.describe_security_groups(Filters=of_it(group_name="default"))["SecurityGroups"]) == 1
        return {
            "cidr_block": shown["CidrBlock"],
            "enable_dns_hostnames": attribute("enableDnsHostnames"),
            "enable_dns_support": attribute("enableDnsSupport"),
            "enable_network_address_usage_metrics": attribute("enableNetworkAddressUsageMetrics"),
            "instance_tenancy": shown["InstanceTenancy"],
            "ipv6_association": list(shown.get("Ipv6CidrBlockAssociationSet", [])),
            "tags": _tags(shown),
        }

    def _delete_vpc(self, vpc: str) -> None:
        self.ec2.delete_vpc(VpcId=vpc)

    def _create_subnet(self, config: Config) -> str:
        made = self.ec2.create_subnet(
            AvailabilityZone=config["availability_zone"],
            CidrBlock=config["cidr_block"],
            TagSpecifications=_tagged("subnet", config),
            VpcId=config["vpc_id"],
        )["Subnet"]["SubnetId"]
        self.ec2.get_waiter("subnet_available").wait(SubnetIds=[made])
        if config.get("map_public_ip_on_launch"):
            self.ec2.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": True})
        return str(made)

    def _read_subnet(self, subnet: str) -> Config:
        (shown,) = self.ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
        names = shown["PrivateDnsNameOptionsOnLaunch"]
        return {
            "assign_ipv6_address_on_creation": shown["AssignIpv6AddressOnCreation"],
            "availability_zone": shown["AvailabilityZone"],
            "cidr_block": shown["CidrBlock"],
            "enable_dns64": shown["EnableDns64"],
            "enable_resource_name_dns_a_record_on_launch": names["EnableResourceNameDnsARecord"],
            "ipv6_native": shown["Ipv6Native"],
            "map_public_ip_on_launch": shown["MapPublicIpOnLaunch"],
            "tags": _tags(shown),
            "vpc_id": shown["VpcId"],
        }

    def _delete_subnet(self, subnet: str) -> None:
        self.ec2.delete_subnet(SubnetId=subnet)

    def _create_internet_gateway(self, config: Config) -> str:
        made = self.ec2.create_internet_gateway(TagSpecifications=_tagged("internet-gateway", config))
        gateway = str(made["InternetGateway"]["InternetGatewayId"])
        self.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=config["vpc_id"])
        return gateway

    def _read_internet_gateway(self, gateway: str) -> Config:
        (shown,) = self.ec2.describe_internet_gateways(InternetGatewayIds=[gateway])["InternetGateways"]
        (attachment,) = shown["Attachments"]
        assert attachment["State"] == "available"
        return {"vpc_id": attachment["VpcId"], "tags": _tags(shown)}

    def _delete_internet_gateway(self, gateway: str) -> None:
        vpc = self._read_internet_gateway(gateway)["vpc_id"]
        self.ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
        self.ec2.delete_internet_gateway(InternetGatewayId=gateway)

    def _create_eip(self, config: Config) -> str:
        made = self.ec2.allocate_address(Domain="vpc", TagSpecifications=_tagged("elastic-ip", config))
        return str(made["AllocationId"])

    def _read_eip(self, allocation: str) -> Config:
        (shown,) = self.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"]
        self.ec2.describe_addresses_attribute(AllocationIds=[allocation], Attribute="domain-name")
        return {"domain": shown["Domain"], "public_ipv4_pool": shown["PublicIpv4Pool"], "tags": _tags(shown)}

    def _delete_eip(self, allocation: str) -> None:
        self.ec2.release_address(AllocationId=allocation)

    def _create_nat_gateway(self, config: Config) -> str:
        made = self.ec2.create_nat_gateway(
            AllocationId=config["allocation_id"],
            ClientToken=unique_id(),
            ConnectivityType="public",
            SubnetId=config["subnet_id"],
            TagSpecifications=_tagged("natgateway", config),
        )["NatGateway"]["NatGatewayId"]
        self.ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[made])
        return str(made)

    def _read_nat_gateway(self, gateway: str) -> Config:
        (shown,) = self.ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"]
        (address,) = shown["NatGatewayAddresses"]
        assert address["NetworkInterfaceId"].startswith("eni-")
        assert address["PrivateIp"] != address["PublicIp"]
        return {
            "allocation_id": address["AllocationId"],
            "connectivity_type": shown["ConnectivityType"],
            "subnet_id": shown["SubnetId"],
            "tags": _tags(shown),
        }

    def _delete_nat_gateway(self, gateway: str) -> None:
        self.ec2.delete_nat_gateway(NatGatewayId=gateway)
        self.ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[gateway])

    def _create_route_table(self, config: Config) -> str:
        made = self.ec2.create_route_table(
            ClientToken=unique_id(), TagSpecifications=_tagged("route-table", config), VpcId=config["vpc_id"]
        )["RouteTable"]["RouteTableId"]
        for route in config["route"]:
            target = {_ROUTE_TARGETS[name]: value for name, value in route.items() if name != "cidr_block"}
            self.ec2.create_route(RouteTableId=made, DestinationCidrBlock=route["cidr_block"], **target)
        return str(made)

    def _read_route_table(self, table: str) -> Config:
        (shown,) = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        routes = [
            {
                "cidr_block": route["DestinationCidrBlock"],
                **{name: route[member] for name, member in _ROUTE_TARGETS.items() if member in route},
            }
            for route in shown["Routes"]
            if route.get("GatewayId") != "local"
        ]
        assert all(route["State"] == "active" for route in shown["Routes"])
        return {"propagating_vgws": shown["PropagatingVgws"], "route": routes, "tags": _tags(shown)} | {
            "vpc_id": shown["VpcId"]
        }

    def _delete_route_table(self, table: str) -> None:
        self.ec2.delete_route_table(RouteTableId=table)

    def _create_route_table_association(self, config: Config) -> str:
        made = self.ec2.associate_route_table(RouteTableId=config["route_table_id"], SubnetId=config["subnet_id"])
        return str(made["AssociationId"])

    def _read_route_table_association(self, association: str) -> Config:
        by_id = [{"Name": "association.route-table-association-id", "Values": [association]}]
        (table,) = self.ec2.describe_route_tables(Filters=by_id)["RouteTables"]
        (shown,) = (a for a in table["Associations"] if a["RouteTableAssociationId"] == association)
        assert shown["AssociationState"]["State"] == "associated"
        return {"route_table_id": shown["RouteTableId"], "subnet_id": shown["SubnetId"]}

    def _delete_route_table_association(self, association: str) -> None:
        self.ec2.disassociate_route_table(AssociationId=association)

    def _create_security_group(self, config: Config) -> str:
        made = self.ec2.create_security_group(
            Description="Managed by Terraform",
            GroupName=config["name"],
            TagSpecifications=_tagged("security-group", config),
            VpcId=config["vpc_id"],
        )["GroupId"]
        self.ec2.get_waiter("security_group_exists").wait(GroupIds=[made])
        # The rule of a new group goes; of the one for IPv6 the provider bears that it is not there.
        out = {**EVERYTHING, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        self.ec2.revoke_security_group_egress(GroupId=made, IpPermissions=[out])
        six = {**EVERYTHING, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
        with pytest.raises(ClientError, match=r"InvalidPermission\.NotFound"):
            self.ec2.revoke_security_group_egress(GroupId=made, IpPermissions=[six])
        for name, call in (
            ("ingress", self.ec2.authorize_security_group_ingress),
            ("egress", self.ec2.authorize_security_group_egress),
        ):
            permissions = [_permission(rule, made) for rule in config.get(name, [])]
            if permissions:
                call(GroupId=made, IpPermissions=permissions)
        return str(made)

    def _read_security_group(self, group: str) -> Config:
        (shown,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        return {
            "description": shown["Description"],
            "egress": [_rule(permission, group) for permission in shown["IpPermissionsEgress"]],
            "ingress": [_rule(permission, group) for permission in shown["IpPermissions"]],
            "name": shown["GroupName"],
            "tags": _tags(shown),
            "vpc_id": shown["VpcId"],
        }

    def _delete_security_group(self, group: str) -> None:
        self.ec2.delete_security_group(GroupId=group)

    def _create_vpc_security_group_ingress_rule(self, config: Config) -> str:
        permission: Config = {"IpProtocol": config["ip_protocol"]}
        permission |= {"FromPort": config["from_port"], "ToPort": config["to_port"]}
        if "cidr_ipv4" in config:
            described = {"Description": config["description"]} if "description" in config else {}
            permission["IpRanges"] = [{"CidrIp": config["cidr_ipv4"], **described}]
        else:
            permission["UserIdGroupPairs"] = [{"GroupId": config["referenced_security_group_id"]}]
        made = self.ec2.authorize_security_group_ingress(
            GroupId=config["security_group_id"], IpPermissions=[permission]
        )
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def _read_vpc_security_group_ingress_rule(self, rule: str) -> Config:
        (shown,) = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule])["SecurityGroupRules"]
        assert not shown["IsEgress"]
        optional = {"cidr_ipv4": "CidrIpv4", "description": "Description"}
        referenced = shown.get("ReferencedGroupInfo", {}).get("GroupId")
        return {
            **{name: shown[member] for name, member in optional.items() if member in shown},
            **({"referenced_security_group_id": referenced} if referenced else {}),
            "from_port": shown["FromPort"],
            "ip_protocol": shown["IpProtocol"],
            "security_group_id": shown["GroupId"],
            "to_port": shown["ToPort"],
        }

    def _delete_vpc_security_group_ingress_rule(self, rule: str) -> None:
        group = self._read_vpc_security_group_ingress_rule(rule)["security_group_id"]
        self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule])

    # -- load balancing --

    def _create_lb(self, config: Config) -> str:
        with pytest.raises(self.elb.exceptions.LoadBalancerNotFoundException):
            self.elb.describe_load_balancers(Names=[config["name"]])
        (made,) = self.elb.create_load_balancer(
            Name=config["name"],
            SecurityGroups=config["security_groups"],
            Subnets=config["subnets"],
            Tags=_pairs(config["tags"]),
            Type="application",
        )["LoadBalancers"]
        arn = str(made["LoadBalancerArn"])
        wanted = {**BALANCER_ATTRIBUTES, **config.get("attributes", {})}
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=_pairs(wanted))
        return arn

    def _read_lb(self, arn: str) -> Config:
        (shown,) = self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
        attributes = self.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        self.elb.describe_capacity_reservation(LoadBalancerArn=arn)
        assert shown["CanonicalHostedZoneId"]
        return {
            "attributes": {a["Key"]: a["Value"] for a in attributes if a["Key"] in BALANCER_ATTRIBUTES},
            "internal": shown["Scheme"] == "internal",
            "ip_address_type": shown["IpAddressType"],
            "load_balancer_type": shown["Type"],
            "name": shown["LoadBalancerName"],
            "security_groups": shown["SecurityGroups"],
            "subnets": [zone["SubnetId"] for zone in shown["AvailabilityZones"]],
            "tags": self._elb_tags(arn),
        }

    def _delete_lb(self, arn: str) -> None:
        self.elb.delete_load_balancer(LoadBalancerArn=arn)
        self.elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn])
        by_name = {"Name": "description", "Values": [f"ELB {arn.partition('loadbalancer/')[2]}"]}
        # The provider waits until the interfaces are gone, as their groups cannot go before them.
        wait_for(lambda: not self.ec2.describe_network_interfaces(Filters=[by_name])["NetworkInterfaces"])

    def _create_lb_target_group(self, config: Config) -> str:
        check = config["health_check"]
        (made,) = self.elb.create_target_group(
            HealthCheckEnabled=True,
            HealthCheckIntervalSeconds=check["interval"],
            HealthCheckPath=check["path"],
            HealthCheckPort="traffic-port",
            HealthCheckProtocol="HTTP",
            HealthyThresholdCount=check["healthy_threshold"],
            Matcher={"HttpCode": check["matcher"]},
            Name=config["name"],
            Port=config["port"],
            Protocol="HTTP",
            ProtocolVersion="HTTP1",
            Tags=_pairs(config["tags"]),
            TargetType="ip",
            VpcId=config["vpc_id"],
        )["TargetGroups"]
        arn = str(made["TargetGroupArn"])
        wanted = {**GROUP_ATTRIBUTES, **config.get("attributes", {})}
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=_pairs(wanted))
        return arn

    def _read_lb_target_group(self, arn: str) -> Config:
        (shown,) = self.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
        attributes = self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        return {
            "attributes": {a["Key"]: a["Value"] for a in attributes if a["Key"] in GROUP_ATTRIBUTES},
            "health_check": {
                "healthy_threshold": shown["HealthyThresholdCount"],
                "interval": shown["HealthCheckIntervalSeconds"],
                "matcher": shown["Matcher"]["HttpCode"],
                "path": shown["HealthCheckPath"],
            },
            "ip_address_type": shown["IpAddressType"],
            "name": shown["TargetGroupName"],
            "port": shown["Port"],
            "protocol_version": shown["ProtocolVersion"],
            "tags": self._elb_tags(arn),
            "target_type": shown["TargetType"],
            "vpc_id": shown["VpcId"],
        }

    def _delete_lb_target_group(self, arn: str) -> None:
        self.elb.delete_target_group(TargetGroupArn=arn)

    def _create_lb_listener(self, config: Config) -> str:
        forward = {"Type": "forward", "TargetGroupArn": config["target_group_arn"]}
        (made,) = self.elb.create_listener(
            DefaultActions=[forward],
            LoadBalancerArn=config["load_balancer_arn"],
            Port=config["port"],
            Protocol="HTTP",
            Tags=_pairs(config["tags"]),
        )["Listeners"]
        return str(made["ListenerArn"])

    def _read_lb_listener(self, arn: str) -> Config:
        (shown,) = self.elb.describe_listeners(ListenerArns=[arn])["Listeners"]
        (action,) = shown["DefaultActions"]
        self.elb.describe_listener_attributes(ListenerArn=arn)
        return {
            "load_balancer_arn": shown["LoadBalancerArn"],
            "port": shown["Port"],
            "protocol": shown["Protocol"],
            "tags": self._elb_tags(arn),
            "target_group_arn": action["TargetGroupArn"],
        }

    def _delete_lb_listener(self, arn: str) -> None:
        self.elb.delete_listener(ListenerArn=arn)

    def _create_lb_listener_rule(self, config: Config) -> str:
        weights = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in config["weights"].items()]
        sticky = {"Enabled": False, "DurationSeconds": 60}
        (made,) = self.elb.create_rule(
            Actions=[
                {
                    "ForwardConfig": {"TargetGroups": weights, "TargetGroupStickinessConfig": sticky},
                    "Order": 1,
                    "Type": "forward",
                }
            ],
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": config["paths"]}}],
            ListenerArn=config["listener_arn"],
            Priority=config["priority"],
            Tags=_pairs(config["tags"]),
        )["Rules"]
        return str(made["RuleArn"])

    def _read_lb_listener_rule(self, arn: str) -> Config:
        (shown,) = self.elb.describe_rules(RuleArns=[arn])["Rules"]
        (action,), (condition,) = shown["Actions"], shown["Conditions"]
        return {
            "listener_arn": arn.replace("listener-rule", "listener").rpartition("/")[0],
            "paths": condition["PathPatternConfig"]["Values"],
            "priority": int(shown["Priority"]),
            "tags": self._elb_tags(arn),
            "weights": {g["TargetGroupArn"]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]},
        }

    def _delete_lb_listener_rule(self, arn: str) -> None:
        self.elb.delete_rule(RuleArn=arn)

    def _elb_tags(self, arn: str) -> dict[str, str]:
        (shown,) = self.elb.describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return _tags(shown)

    # -- Cloud Map --

    def _create_service_discovery_private_dns_namespace(self, config: Config) -> str:
        operation = self.map.create_private_dns_namespace(
            CreatorRequestId=unique_id(), Name=config["name"], Tags=_pairs(config["tags"]), Vpc=config["vpc"]
        )["OperationId"]
        return str(self._done(operation)["NAMESPACE"])

    def _read_service_discovery_private_dns_namespace(self, namespace: str) -> Config:
        shown = self.map.get_namespace(Id=namespace)["Namespace"]
        assert shown["Properties"]["DnsProperties"]["HostedZoneId"]
        tags = self.map.list_tags_for_resource(ResourceARN=shown["Arn"])
        return {"description": shown.get("Description", ""), "name": shown["Name"], "tags": _tags(tags)}

    def _delete_service_discovery_private_dns_namespace(self, namespace: str) -> None:
        self._done(self.map.delete_namespace(Id=namespace)["OperationId"])

    def _create_service_discovery_service(self, config: Config) -> str:
        made = self.map.create_service(
            CreatorRequestId=unique_id(),
            DnsConfig={
                "DnsRecords": [{"TTL": 10, "Type": "A"}],
                "NamespaceId": config["namespace_id"],
                "RoutingPolicy": "MULTIVALUE",
            },
            HealthCheckCustomConfig={"FailureThreshold": 1},
            Name=config["name"],
            Tags=_pairs(config["tags"]),
        )["Service"]
        return str(made["Id"])

    def _read_service_discovery_service(self, service: str) -> Config:
        shown = self.map.get_service(Id=service)["Service"]
        tags = self.map.list_tags_for_resource(ResourceARN=shown["Arn"])
        config = shown["DnsConfig"]
        return {
            "arn": shown["Arn"],
            "dns_records": [(record["Type"], record["TTL"]) for record in config["DnsRecords"]],
            "health_check_custom_config": shown["HealthCheckCustomConfig"],
            "name": shown["Name"],
            "namespace_id": config["NamespaceId"],
            "routing_policy": config["RoutingPolicy"],
            "tags": _tags(tags),
        }

    def _delete_service_discovery_service(self, service: str) -> None:
        self.map.delete_service(Id=service)

    def _done(self, operation: str) -> Config:
        """What an operation was about, once it succeeded."""
        done = wait_for(
            lambda: self._operation(operation, "SUCCESS") or self._operation(operation, "FAIL"), what=operation
        )
        assert done["Status"] == "SUCCESS", done
        targets: Config = done["Targets"]
        return targets

    def _operation(self, operation: str, status: str) -> Any:
        shown = self.map.get_operation(OperationId=operation)["Operation"]
        return shown if shown["Status"] == status else None


_ROUTE_TARGETS = {"gateway_id": "GatewayId", "nat_gateway_id": "NatGatewayId"}


def _pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def _tagged(kind: str, config: Config) -> list[Config]:
    return [{"ResourceType": kind, "Tags": _pairs(config["tags"])}] if config.get("tags") else []


def _tags(shown: Config) -> dict[str, str]:
    """The tags that the provider does not take for AWS's own."""
    return {tag["Key"]: tag["Value"] for tag in shown.get("Tags", []) if not tag["Key"].startswith("aws:")}


def _permission(rule: Config, group: str) -> Config:
    """A rule of ``aws_security_group`` as the provider sends it: with both ports, also for all protocols."""
    permission: Config = {"IpProtocol": rule["protocol"], "FromPort": rule["from_port"], "ToPort": rule["to_port"]}
    permission["IpRanges"] = [{"CidrIp": cidr} for cidr in rule["cidr_blocks"]]
    if rule["self"]:
        permission["UserIdGroupPairs"] = [{"GroupId": group}]
    return permission


def _rule(permission: Config, group: str) -> Config:
    pairs = [pair["GroupId"] for pair in permission.get("UserIdGroupPairs", [])]
    return {
        "cidr_blocks": [item["CidrIp"] for item in permission.get("IpRanges", [])],
        "from_port": permission.get("FromPort", 0),
        "protocol": permission["IpProtocol"],
        "self": group in pairs,
        "to_port": permission.get("ToPort", 0),
    }
