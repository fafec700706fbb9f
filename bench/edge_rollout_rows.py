"""Rolling deployments of one real task behind a load balancer, while visitors never stop asking.

Everything has AWS's defaults: a health check every 30 s with five passes, draining for up to 300 s,
no deployment settings.  The clock runs from UpdateService to the answer that shows the deployment as COMPLETED with the
old task gone.  The peer is what such a deployment was seen to take on AWS, not measured here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import engine
from api_rows import container
from edge_visitors import Visitors, visitors
from installation import Installation, installation
from load import LoadError
from table import Row

from openecs.wire.sigv4 import Credentials

SERVICE = FAMILY = "edge-rollout"
#: Serves its version, and ends at once when it is told to.
SERVE = (
    "/bin/busybox mkdir -p /www; echo {} > /www/index.html; "
    "/bin/busybox httpd -f -p 80 -h /www & trap 'exit 0' TERM; wait"
)
ROUNDS = 3
AWS, GOAL = 152.0, 15.0
_PATIENCE = 120.0
_ENDPOINT = "aws:openecs:endpoint"


def measure(folder: Path) -> list[Row]:
    """How long it takes, and what the visitors saw."""
    with engine.image(), installation(folder, "--runtime", "docker") as ours, _load_balancer(ours) as (group, address):
        _create(ours, group)
        try:
            _wait_for(lambda: _done(ours), "the service to be steady")
            with visitors(address) as seen:
                taken = [_deploy(ours, number, seen) for number in range(1, ROUNDS + 1)]
                _wait_for(lambda: seen.pages[f"v{ROUNDS}"] > 20, "some more visits")
        finally:
            ours.call("DeleteService", service=SERVICE, force=True)
            _wait_for(lambda: _targets(ours, group) == [], "the targets to be gone")
    mine = statistics.median(taken)
    asked = sum(seen.pages.values()) + len(seen.failures)
    if seen.failures:
        print(f"failed requests: {seen.failures[:5]}")
    what = "Rolling deployment of one task behind a load balancer, AWS's default health check"
    return [
        Row(what, "AWS, observed", f"{AWS:.0f} s", f"{mine:.1f} s", mine / AWS, f"< {GOAL:.0f} s", mine < GOAL),
        Row(
            f"Failed requests of {asked:,} meanwhile",
            f"{ROUNDS} deployments",
            "0",
            str(len(seen.failures)),
            float(len(seen.failures)),
            "0",
            not seen.failures and asked > 100,
        ),
    ]


def client(ours: Installation, service: str) -> Any:
    """A boto3 client of the installation."""
    credentials: Credentials = ours.endpoint.credentials
    return boto3.client(
        service,
        endpoint_url=ours.endpoint.url,
        region_name=ours.endpoint.region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_key,
    )


@contextmanager
def _load_balancer(ours: Installation) -> Iterator[tuple[str, str]]:
    """Its target group, and where it is reached from this machine."""
    elb, subnets = client(ours, "elbv2"), _subnets(ours)
    ids = [subnet["SubnetId"] for subnet in subnets]
    (balancer,) = elb.create_load_balancer(Name="edge-rollout", Subnets=ids)["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    (made,) = elb.create_target_group(
        Name="edge-rollout", Protocol="HTTP", Port=80, VpcId=subnets[0]["VpcId"], TargetType="ip"
    )["TargetGroups"]
    group = made["TargetGroupArn"]
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    (listener,) = elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=18970, DefaultActions=forward)[
        "Listeners"
    ]
    found: list[str] = []

    def reached() -> bool:
        (described,) = elb.describe_tags(ResourceArns=[listener["ListenerArn"]])["TagDescriptions"]
        found[:] = [tag["Value"] for tag in described["Tags"] if tag["Key"] == _ENDPOINT]
        return bool(found)

    try:
        _wait_for(reached, "the load balancer to be reached from this machine")
        yield group, found[0]
    finally:
        elb.delete_load_balancer(LoadBalancerArn=arn)
        elb.get_waiter("load_balancers_deleted").wait(
            LoadBalancerArns=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )


def _subnets(ours: Installation) -> list[dict[str, Any]]:
    wanted = [{"Name": "default-for-az", "Values": ["true"]}]
    subnets: list[dict[str, Any]] = client(ours, "ec2").describe_subnets(Filters=wanted)["Subnets"]
    return subnets


def _register(ours: Installation, version: int) -> None:
    command = ["/bin/busybox", "sh", "-c", SERVE.format(f"v{version}")]
    definition = container(image=engine.IMAGE, command=command, portMappings=[{"containerPort": 80}])
    ours.call(
        "RegisterTaskDefinition",
        family=FAMILY,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[definition],
    )


def _create(ours: Installation, group: str) -> None:
    _register(ours, 0)
    subnets = [subnet["SubnetId"] for subnet in _subnets(ours)[:1]]
    ours.call(
        "CreateService",
        serviceName=SERVICE,
        taskDefinition=FAMILY,
        desiredCount=1,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "assignPublicIp": "ENABLED"}},
        loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 80}],
    )


def _deploy(ours: Installation, version: int, seen: Visitors) -> float:
    _register(ours, version)
    started = time.perf_counter()
    ours.call("UpdateService", service=SERVICE, taskDefinition=FAMILY)
    _wait_for(lambda: _done(ours) and seen.pages[f"v{version}"] > 0, f"deployment {version}")
    return time.perf_counter() - started


def _done(ours: Installation) -> bool:
    """Whether the newest deployment is complete and its task is the only one."""
    (service,) = ours.call("DescribeServices", services=[SERVICE])["services"]
    deployments = service["deployments"]
    return (
        len(deployments) == 1
        and deployments[0]["rolloutState"] == "COMPLETED"
        and service["runningCount"] == 1
        and len(ours.call("ListTasks", serviceName=SERVICE)["taskArns"]) == 1
    )


def _targets(ours: Installation, group: str) -> list[Any]:
    found: list[Any] = client(ours, "elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return found


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise LoadError(f"waited in vain for {what}")
        time.sleep(engine.POLL)
