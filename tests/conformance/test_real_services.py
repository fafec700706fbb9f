"""Real-world service and task requests, sent to an installation in which their names exist.

The requests are those of docs/compatibility.md.  What it says is accepted has to run, not only to
pass the checks of its own members; what it says is refused is refused with the same words.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation
from waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"Delay": 0, "MaxAttempts": 3000}


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("compatibility_table", ROOT / "tools" / "compatibility_table.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = tool()
FOLDER = TABLE.examples_folder()
NOT_HERE = pytest.mark.skipif(not FOLDER.is_dir(), reason="the folder of real-world examples is not here")


def files(kind: str) -> list[Any]:
    return [pytest.param(file, id=file.name) for file in sorted((FOLDER / kind).glob("*.json"))]


def prepare(ecs: Any, fake: Installation, request: dict[str, Any], name: str) -> None:
    """Make what a request names, its cluster, its task definition, its load balancers, and put it in place."""
    if "cluster" in request:
        ecs.create_cluster(clusterName=request["cluster"])
    family, _, revision = request["taskDefinition"].partition(":")
    containers = {"main": {"name": "main", "image": "busybox", "memory": 64, "portMappings": [PORT]}}
    for balancer in request.get("loadBalancers", []):
        port = {"containerPort": balancer["containerPort"]}
        containers[balancer["containerName"]] = {**containers["main"], "portMappings": [port]}
        containers[balancer["containerName"]]["name"] = balancer["containerName"]
    if request.get("loadBalancers"):
        del containers["main"]
    definition: dict[str, Any] = {"containerDefinitions": list(containers.values())}
    fargate = request.get("launchType") == "FARGATE"
    if fargate:
        compatibilities = {"requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        definition |= {"networkMode": "awsvpc", **compatibilities}
    for _ in range(int(revision or 1)):
        ecs.register_task_definition(family=family, **definition)
    if "networkConfiguration" in request:
        awsvpc = request["networkConfiguration"]["awsvpcConfiguration"]
        awsvpc |= {"subnets": [fake.subnet()], "securityGroups": [fake.security_group()]}
    for balancer in request.get("loadBalancers", []):
        balancer["targetGroupArn"] = target_group(fake, name, "ip" if fargate else "instance")
    for registry in request.get("serviceRegistries", []):
        registry["registryArn"] = discovery_service(fake, name)
    if "serviceConnectConfiguration" in request:
        fake.client("servicediscovery").create_http_namespace(Name=name)
        request["serviceConnectConfiguration"]["namespace"] = name


#: What the examples' services of Service Connect call their port.
PORT = {"containerPort": 80, "name": "nginx"}


def target_group(fake: Installation, name: str, kind: str) -> str:
    """A target group behind a listener of a load balancer in the default VPC."""
    elb, subnets = fake.client("elbv2"), fake.client("ec2").describe_subnets()["Subnets"]
    of_default = [subnet for subnet in subnets if subnet["DefaultForAz"]]
    group = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, TargetType=kind, VpcId=of_default[0]["VpcId"])[
        "TargetGroups"
    ][0]["TargetGroupArn"]
    (balancer,) = elb.create_load_balancer(Name=name, Subnets=[subnet["SubnetId"] for subnet in of_default])[
        "LoadBalancers"
    ]
    actions = [{"Type": "forward", "TargetGroupArn": group}]
    elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=actions)
    return str(group)


def discovery_service(fake: Installation, name: str) -> str:
    """A service of a private DNS namespace in the default VPC."""
    cloud_map = fake.client("servicediscovery", inject_host_prefix=False)
    (vpc,) = fake.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    operation = cloud_map.create_private_dns_namespace(Name=f"{name}.test", Vpc=vpc["VpcId"])["OperationId"]
    namespace = wait_for(
        lambda: cloud_map.get_operation(OperationId=operation)["Operation"].get("Targets", {}).get("NAMESPACE")
    )
    records = {"DnsRecords": [{"Type": "A", "TTL": 10}]}
    made = cloud_map.create_service(Name="web", NamespaceId=namespace, DnsConfig=records)
    return str(made["Service"]["Arn"])


def looked_up(fake: Installation, name: str) -> list[str]:
    """The addresses of the discovery service's instances."""
    cloud_map = fake.client("servicediscovery", inject_host_prefix=False)
    found = cloud_map.discover_instances(NamespaceName=f"{name}.test", ServiceName="web")["Instances"]
    return [instance["Attributes"]["AWS_INSTANCE_IPV4"] for instance in found]


@NOT_HERE
@pytest.mark.parametrize("file", files("services"))
def test_a_real_service_is_created_or_refused_as_documented(
    ecs: Any, fake: Installation, name: str, file: Path
) -> None:
    request = json.loads(file.read_bytes())
    refusal = TABLE.outcome("services", file.read_bytes())
    prepare(ecs, fake, request, name)
    where = {"cluster": request.get("cluster", "default")}
    own_name, name = name, request["serviceName"]
    if refusal is not None:
        with pytest.raises(ClientError) as caught:
            ecs.create_service(**request)
        assert caught.value.response["Error"] == {"Code": refusal.code, "Message": refusal.message}
        assert ecs.describe_services(services=[name], **where)["services"] == []
        return
    ecs.create_service(**request)
    ecs.get_waiter("services_stable").wait(services=[name], **where, WaiterConfig=QUICK)
    (service,) = ecs.describe_services(services=[name], **where)["services"]
    assert service["runningCount"] == service["desiredCount"] >= 1
    for balancer in request.get("loadBalancers", []):
        assert balancer in service["loadBalancers"]
        group = balancer["targetGroupArn"]
        targets = fake.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        assert len(targets) == service["runningCount"]
    if request.get("serviceRegistries"):
        assert service["serviceRegistries"] == request["serviceRegistries"]
        assert len(looked_up(fake, own_name)) == service["runningCount"]
    ecs.delete_service(service=name, force=True, **where)
    ecs.get_waiter("services_inactive").wait(services=[name], **where, WaiterConfig=QUICK)


@NOT_HERE
@pytest.mark.parametrize("file", files("run-task"))
def test_a_real_task_runs_or_is_refused_as_documented(ecs: Any, fake: Installation, name: str, file: Path) -> None:
    request = json.loads(file.read_bytes())
    assert TABLE.outcome("run-task", file.read_bytes()) is None, "say what a refusal looks like"
    prepare(ecs, fake, request, name)
    reply = ecs.run_task(**request)
    assert reply["failures"] == []
    arns = [task["taskArn"] for task in reply["tasks"]]
    ecs.get_waiter("tasks_running").wait(cluster=request["cluster"], tasks=arns, WaiterConfig=QUICK)
    for arn in arns:
        ecs.stop_task(cluster=request["cluster"], task=arn)
