"""What Terraform's AWS provider calls for ECS resources, and what it reads back.

A small stand-in for the provider: configurations and states use Terraform's names.  After an
apply, ``differences`` says what a plan would change; it must be nothing.  Attributes that a
configuration leaves out are compared with the provider's defaults, unless the provider calls
them computed.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from typing import Any

from waiting import wait_for

from openecs.clock import SystemClock

Config = dict[str, Any]
CLOCK = SystemClock()
_counter = itertools.count(1)

#: What the provider takes a left-out attribute of ``aws_ecs_service`` to be.
SERVICE_DEFAULTS: Config = {
    "capacity_provider_strategy": [],
    "deployment_maximum_percent": 200,
    "deployment_minimum_healthy_percent": 100,
    "desired_count": 0,
    "enable_ecs_managed_tags": False,
    "enable_execute_command": False,
    "health_check_grace_period_seconds": 0,
    "load_balancer": [],
    "network_configuration": [],
    "ordered_placement_strategy": [],
    "placement_constraints": [],
    "propagate_tags": "NONE",
    "scheduling_strategy": "REPLICA",
    "service_connect_configuration": [],
    "service_registries": [],
    "tags": {},
    "volume_configuration": [],
    "vpc_lattice_configurations": [],
}
#: Not compared for DAEMON services unless their configuration has them.
NOT_FOR_DAEMON = ("deployment_maximum_percent", "deployment_minimum_healthy_percent", "desired_count")
TASK_SET_DEFAULTS: Config = {
    "capacity_provider_strategy": [],
    "load_balancer": [],
    "network_configuration": [],
    "service_registries": [],
    "tags": {},
}


def unique_id() -> str:
    """A client token as the provider makes it: 36 characters."""
    return f"terraform-{time.strftime('%Y%m%d%H%M%S')}{next(_counter):012x}"


def differences(config: Config, state: Config, defaults: Config) -> dict[str, tuple[Any, Any]]:
    """Attribute → (configured, read back), where a plan would show a change."""
    wanted = {**defaults, **config}
    if wanted.get("scheduling_strategy") == "DAEMON":
        wanted = {name: value for name, value in wanted.items() if name in config or name not in NOT_FOR_DAEMON}
    return {
        name: (value, state[name]) for name, value in wanted.items() if _set(name, value) != _set(name, state[name])
    }


def _set(name: str, value: Any) -> Any:
    """Sets have no order, and fields of placement strategies no case."""
    if name in ("capacity_provider_strategy", "placement_constraints"):
        return sorted(({**_ZEROES[name], **item} for item in value), key=str)
    if name == "ordered_placement_strategy":
        return [(item["type"], _state_of_field(item.get("field")).lower()) for item in value]
    if name == "network_configuration":
        empty = {"security_groups": [], "subnets": [], "assign_public_ip": False}
        full = [{**empty, **item} for item in value]
        return [{key: sorted(v) if isinstance(v, list) else v for key, v in item.items()} for item in full]
    return value


_ZEROES: dict[str, Config] = {
    "capacity_provider_strategy": {"base": 0, "weight": 0},
    "placement_constraints": {"expression": ""},
}


def _state_of_field(field: str | None) -> str:
    """The provider writes the configured ``host`` into its state as ``instanceId``."""
    return "instanceId" if field == "host" else field or ""


class Provider:
    """The calls for one service, task set or provider, over boto3."""

    def __init__(self, ecs: Any) -> None:
        self.ecs = ecs
        self._after = 0.0
        # boto3 cuts times in requests to seconds; the provider sends milliseconds.
        ecs.meta.events.register("before-call.ecs.ListServiceDeployments", self._milliseconds)

    # -- aws_ecs_service --

    def create_service(self, config: Config, *, wait: bool = False) -> Config:
        daemon = config.get("scheduling_strategy") == "DAEMON"
        full = {**SERVICE_DEFAULTS, **config}
        deployment: Config = {}
        if not daemon:
            deployment["maximumPercent"] = full["deployment_maximum_percent"]
        if not daemon or full["deployment_minimum_healthy_percent"] != 100:
            deployment["minimumHealthyPercent"] = full["deployment_minimum_healthy_percent"]
        deployment |= _deployment_configuration(config)
        request: Config = {
            "serviceName": config["name"],
            "clientToken": unique_id(),
            "deploymentConfiguration": deployment,
            "capacityProviderStrategy": _strategy_items(full["capacity_provider_strategy"]),
            "enableECSManagedTags": full["enable_ecs_managed_tags"],
            "enableExecuteCommand": full["enable_execute_command"],
            "schedulingStrategy": full["scheduling_strategy"],
            "vpcLatticeConfigurations": [],
            **_plain(config, "cluster", "task_definition", "propagate_tags", "platform_version"),
            **_plain(config, "launch_type", "health_check_grace_period_seconds", "availability_zone_rebalancing"),
            **_settings(config),
        }
        if not daemon:
            request["desiredCount"] = full["desired_count"]
        if config.get("deployment_controller"):
            request["deploymentController"] = {"type": config["deployment_controller"][0]["type"]}
        if config.get("tags"):
            request["tags"] = [{"key": key, "value": value} for key, value in config["tags"].items()]
        began = CLOCK.now()
        service = self.ecs.create_service(**request)["service"]
        self._wait(service["serviceArn"], config.get("cluster", ""), began, stable=wait)
        return self.read_service(service["serviceArn"], config)

    def update_service(self, arn: str, config: Config, changed: Config, *, wait: bool = False, **more: Any) -> Config:
        """Change what is in ``changed``, whose values are the configuration's new ones."""
        full = {**SERVICE_DEFAULTS, **config, **changed}
        deployment = _deployment_configuration(changed)
        if {"deployment_maximum_percent", "deployment_minimum_healthy_percent"} & set(changed):
            deployment["maximumPercent"] = full["deployment_maximum_percent"]
            deployment["minimumHealthyPercent"] = full["deployment_minimum_healthy_percent"]
        request: Config = {
            "cluster": config.get("cluster", ""),
            "service": arn,
            **_plain(changed, "task_definition", "desired_count", "propagate_tags", "platform_version"),
            **_plain(changed, "health_check_grace_period_seconds", "availability_zone_rebalancing"),
            **_settings(changed),
            **more,
        }
        if "enable_ecs_managed_tags" in changed:
            request["enableECSManagedTags"] = changed["enable_ecs_managed_tags"]
        if "capacity_provider_strategy" in changed:
            request["capacityProviderStrategy"] = _strategy_items(changed["capacity_provider_strategy"])
        if deployment:
            request["deploymentConfiguration"] = deployment
        began = CLOCK.now()
        self.ecs.update_service(**request)
        self._wait(arn, config.get("cluster", ""), began, stable=wait)
        return self.read_service(arn, {**config, **changed})

    def read_service(self, arn: str, config: Config) -> Config:
        """The state that the provider makes of DescribeServices."""
        found = self.ecs.describe_services(cluster=config.get("cluster", ""), services=[arn], include=["TAGS"])
        (service,) = found["services"]
        assert service["status"] == "ACTIVE"
        deployment = service["deploymentConfiguration"]
        breaker = deployment.get("deploymentCircuitBreaker")
        (primary,) = [d for d in service["deployments"] if d["status"] == "PRIMARY"] or [{}]
        definition = service.get("taskDefinition", "")
        by_arn = config.get("task_definition", "arn:").startswith("arn:")
        by_cluster_arn = config.get("cluster", "").startswith("arn:")
        return {
            "arn": service["serviceArn"],
            "name": service["serviceName"],
            "availability_zone_rebalancing": service["availabilityZoneRebalancing"],
            "capacity_provider_strategy": read_strategy(service),
            "cluster": service["clusterArn"] if by_cluster_arn else service["clusterArn"].rpartition("/")[2],
            "deployment_maximum_percent": deployment["maximumPercent"],
            "deployment_minimum_healthy_percent": deployment["minimumHealthyPercent"],
            "deployment_circuit_breaker": [{k: breaker[k] for k in ("enable", "rollback")}] if breaker else [],
            "deployment_configuration": [
                {"strategy": deployment["strategy"], "bake_time_in_minutes": str(deployment["bakeTimeInMinutes"])}
            ],
            "deployment_controller": [{"type": service["deploymentController"]["type"]}],
            "desired_count": service["desiredCount"],
            "enable_ecs_managed_tags": service["enableECSManagedTags"],
            "enable_execute_command": service["enableExecuteCommand"],
            "health_check_grace_period_seconds": service.get("healthCheckGracePeriodSeconds", 0),
            "launch_type": service.get("launchType", ""),
            "load_balancer": [_snaked(item) for item in service["loadBalancers"]],
            "network_configuration": _read_network(service),
            "ordered_placement_strategy": service["placementStrategy"],
            "placement_constraints": service["placementConstraints"],
            "platform_version": service.get("platformVersion", ""),
            "propagate_tags": service["propagateTags"],
            "scheduling_strategy": service["schedulingStrategy"],
            "service_connect_configuration": [primary[n] for n in ("serviceConnectConfiguration",) if n in primary],
            "service_registries": [_snaked(item) for item in service["serviceRegistries"]],
            "tags": {tag["key"]: tag["value"] for tag in service.get("tags", [])},
            "task_definition": definition if by_arn else definition.rpartition("/")[2],
            "volume_configuration": primary.get("volumeConfigurations", []),
            "vpc_lattice_configurations": primary.get("vpcLatticeConfigurations", []),
        }

    def delete_service(self, arn: str, cluster: str = "", *, daemon: bool = False) -> None:
        """Scale to nothing, delete, and wait until the service is INACTIVE."""
        if not daemon:
            self.ecs.update_service(cluster=cluster, service=arn, desiredCount=0)
        self.ecs.delete_service(cluster=cluster, service=arn, force=False)
        wait_for(lambda: self._service(arn, cluster)["status"] == "INACTIVE", what="the service is INACTIVE")

    def _wait(self, arn: str, cluster: str, began: float, *, stable: bool) -> None:
        if not stable:
            assert self._service(arn, cluster)["status"] == "ACTIVE"
            return
        # The deployment that is PRIMARY at the first look decides, whatever is PRIMARY later.
        (primary,) = [d for d in self._service(arn, cluster)["deployments"] if d["status"] == "PRIMARY"]
        wait_for(lambda: self._stable(arn, cluster, primary, began), what=f"{arn} is steady for Terraform")

    def _stable(self, arn: str, cluster: str, primary: Config, began: float) -> bool:
        """The rule of ``wait_for_steady_state``: the service deployment that the operation began
        decides, found by the number in its revision's ARN; without one, the counts do."""
        service = self._service(arn, cluster)
        if primary["createdAt"].timestamp() <= began:
            return len(service["deployments"]) == 1 and service["desiredCount"] == service["runningCount"]
        self._after = began
        listed: list[Config] = []
        token: Config | None = {}
        while token is not None:
            page = self.ecs.list_service_deployments(
                cluster=cluster, service=service["serviceName"], createdAt={"after": began}, **token
            )
            listed += page["serviceDeployments"]
            token = {"nextToken": page["nextToken"]} if "nextToken" in page else None
        number = primary["id"].split("/")[1]
        (wanted,) = [b["serviceDeploymentArn"] for b in listed if number in b["targetServiceRevisionArn"]]
        (found,) = self.ecs.describe_service_deployments(serviceDeploymentArns=[wanted])["serviceDeployments"]
        if found["status"] in ("STOPPED", "ROLLBACK_FAILED", "ROLLBACK_SUCCESSFUL"):
            raise DeploymentFailedError(found["statusReason"])
        return bool(found["status"] == "SUCCESSFUL")

    def _milliseconds(self, params: Any, **_: Any) -> None:
        body = json.loads(params["body"])
        if body.get("createdAt", {}).get("after"):
            body["createdAt"]["after"] = int(self._after * 1000) / 1000
            params["body"] = json.dumps(body).encode()

    def _service(self, arn: str, cluster: str) -> Any:
        found = self.ecs.describe_services(services=[arn], **({"cluster": cluster} if cluster else {}))
        assert found["failures"] == []
        (service,) = found["services"]
        return service

    # -- aws_ecs_task_set --

    def create_task_set(self, config: Config, *, wait: bool = False) -> Config:
        request: Config = {
            "clientToken": unique_id(),
            **_plain(config, "cluster", "service", "task_definition", "external_id", "launch_type", "scale"),
            **_plain(config, "platform_version"),
            **_settings(config),
        }
        if config.get("capacity_provider_strategy"):
            request["capacityProviderStrategy"] = _strategy_items(config["capacity_provider_strategy"])
        if config.get("tags"):
            request["tags"] = [{"key": key, "value": value} for key, value in config["tags"].items()]
        if "scale" in config:
            request["scale"] = config["scale"][0]
        made = self.ecs.create_task_set(**request)["taskSet"]
        if wait:
            wait_for(lambda: self._task_set(config, made["id"])["stabilityStatus"] == "STEADY_STATE")
        return self.read_task_set(config, made["id"])

    def read_task_set(self, config: Config, identifier: str) -> Config:
        shown = self._task_set(config, identifier, include=["TAGS"])
        return {
            "arn": shown["taskSetArn"],
            "capacity_provider_strategy": read_strategy(shown),
            "cluster": config["cluster"],
            "external_id": shown.get("externalId", ""),
            "launch_type": shown.get("launchType", ""),
            "load_balancer": shown["loadBalancers"],
            "network_configuration": _read_network(shown),
            "platform_version": shown.get("platformVersion", ""),
            "scale": [shown["scale"]],
            "service": config["service"],
            "service_registries": shown["serviceRegistries"],
            "tags": {tag["key"]: tag["value"] for tag in shown["tags"]},
            "task_definition": shown["taskDefinition"],
            "task_set_id": shown["id"],
        }

    def delete_task_set(self, config: Config, identifier: str, *, force: bool = False) -> None:
        of_it = {name: config[name] for name in ("cluster", "service")}
        self.ecs.delete_task_set(**of_it, taskSet=identifier, force=force)
        wait_for(lambda: not self.ecs.describe_task_sets(**of_it, taskSets=[identifier])["taskSets"])

    def _task_set(self, config: Config, identifier: str, **more: Any) -> Any:
        (shown,) = self.ecs.describe_task_sets(
            cluster=config["cluster"], service=config["service"], taskSets=[identifier], **more
        )["taskSets"]
        return shown


class DeploymentFailedError(Exception):
    """What the provider tells its user, the deployment's ``statusReason``."""


def read_strategy(shown: Config) -> list[Config]:
    """``capacity_provider_strategy`` of a service, task set or cluster."""
    items = shown.get("capacityProviderStrategy", shown.get("defaultCapacityProviderStrategy", []))
    return [{"capacity_provider": i["capacityProvider"], "base": i["base"], "weight": i["weight"]} for i in items]


def _strategy_items(items: list[Config]) -> list[Config]:
    renamed = [{("capacityProvider" if k == "capacity_provider" else k): v for k, v in i.items()} for i in items]
    return [{"base": 0, "weight": 0, **item} for item in renamed]


def _read_network(shown: Config) -> list[Config]:
    awsvpc = shown.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if awsvpc is None:
        return []
    public = awsvpc["assignPublicIp"] == "ENABLED"
    return [{"security_groups": awsvpc["securityGroups"], "subnets": awsvpc["subnets"], "assign_public_ip": public}]


def _deployment_configuration(config: Config) -> Config:
    found: Config = {}
    for name, member in (("deployment_circuit_breaker", "deploymentCircuitBreaker"), ("alarms", "alarms")):
        if name in config:
            found[member] = config[name][0] if config[name] else {"enable": False, "rollback": False}
    for item in config.get("deployment_configuration", []):
        found["strategy"] = item["strategy"]
        if "bake_time_in_minutes" in item:
            found["bakeTimeInMinutes"] = int(item["bake_time_in_minutes"])
    return found


def _plain(config: Config, *names: str) -> Config:
    return {_camel(name): config[name] for name in names if name in config}


def _settings(config: Config) -> Config:
    """Network and placement, which are sent in other forms than they are configured."""
    found: Config = {}
    for item in config.get("network_configuration", []):
        public = "ENABLED" if item.get("assign_public_ip") else "DISABLED"
        awsvpc = {"subnets": item["subnets"], "assignPublicIp": public}
        groups = {"securityGroups": item["security_groups"]} if item.get("security_groups") else {}
        found["networkConfiguration"] = {"awsvpcConfiguration": awsvpc | groups}
    for name, member in (("load_balancer", "loadBalancers"), ("service_registries", "serviceRegistries")):
        if name in config:
            found[member] = [{_camel(key): value for key, value in item.items()} for item in config[name]]
    renamed: tuple[tuple[str, str], ...] = (
        ("ordered_placement_strategy", "placementStrategy"),
        ("placement_constraints", "placementConstraints"),
    )
    return found | {member: config[name] for name, member in renamed if name in config}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _snaked(shown: Config) -> Config:
    """The members of a structure under Terraform's names."""
    return {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value for name, value in shown.items()}
