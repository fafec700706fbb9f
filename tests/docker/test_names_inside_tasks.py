"""Names of services, followed from inside a task while tasks come and go."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docker_world import STAY, World
from waiting import wait_for

#: Says which addresses a name has, whenever these are others than before.
WATCH = """
import sys, time
import dns.exception, dns.message, dns.query, dns.rdatatype
name, server = sys.argv[1:]
last = None
while True:
    query = dns.message.make_query(name, "A")
    try:
        reply = dns.query.udp(query, server, timeout=0.3)
    except dns.exception.Timeout:
        continue  # A busy machine loses datagrams; everybody who looks up names asks again.
    found = sorted(r.address for rrset in reply.answer if rrset.rdtype == dns.rdatatype.A for r in rrset)
    if found != last:
        print(*found, flush=True)
        last = found
    time.sleep(0.02)
"""


class Watcher:
    """What a task is answered when it asks for a name again and again."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        #: The newest answer; ``None`` before the first.
        self.addresses: set[str] | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.addresses = set(line.split())


@contextmanager
def watching(world: World, task: str, name: str) -> Iterator[Watcher]:
    """Asks in the task's network, the name server that the task was given."""
    found = world.inspect(task)
    with Path(found["ResolvConfPath"]).open() as file:
        server = next(line.split()[1] for line in file if line.startswith("nameserver"))
    command = ["nsenter", f"--net=/proc/{found['State']['Pid']}/ns/net", sys.executable, "-c", WATCH, name, server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Watcher(process)
        finally:
            process.kill()


@pytest.mark.parametrize("mode", ["awsvpc", "bridge"])
def test_a_task_is_told_of_other_tasks_within_a_second(world: World, mode: str) -> None:
    cloud_map: Any = world.installation.client("servicediscovery", inject_host_prefix=False)
    subnet = world.installation.subnet()
    (shown,) = world.installation.client("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"]
    domain = f"n{uuid.uuid4().hex[:8]}.test"
    operation = cloud_map.create_private_dns_namespace(Name=domain, Vpc=shown["VpcId"])["OperationId"]
    namespace = cloud_map.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
    registry = cloud_map.create_service(
        Name="web",
        NamespaceId=namespace,
        DnsConfig={"DnsRecords": [{"Type": "A", "TTL": 60}]},
        HealthCheckCustomConfig={"FailureThreshold": 1},
    )["Service"]
    network = {"awsvpcConfiguration": {"subnets": [subnet]}}
    watcher = world.run(
        world.container(), networkMode=mode, run={"networkConfiguration": network} if mode == "awsvpc" else None
    )
    world.reaches(watcher, "RUNNING")
    service = "s" + uuid.uuid4().hex[:12]
    world.ecs.create_service(
        serviceName=service,
        taskDefinition=world.register(world.container(script=STAY), networkMode="awsvpc"),
        desiredCount=1,
        networkConfiguration=network,
        serviceRegistries=[{"registryArn": registry["Arn"]}],
    )
    with watching(world, watcher, f"web.{domain}") as seen:
        for count in (1, 3, 2, 0):
            world.ecs.update_service(service=service, desiredCount=count)
            expected = {address_of(task) for task in staying(world, service, count)}
            wait_for(lambda e=expected: seen.addresses == e, seconds=1, what=f"{expected} to be answered")
        # A task that is killed is as gone as one that is stopped.
        world.ecs.update_service(service=service, desiredCount=2)
        dead, left = staying(world, service, 2)
        both = {address_of(dead), address_of(left)}
        wait_for(lambda: seen.addresses == both, seconds=1, what=f"{both} to be answered")
        world.engine.call("POST", f"/containers/{dead['containers'][0]['runtimeId']}/kill")
        world.reaches(dead["taskArn"], "STOPPED")
        wait_for(lambda: address_of(dead) not in (seen.addresses or ()), seconds=1, what="the dead task to be gone")
    world.ecs.delete_service(service=service, force=True)
    world.stop(watcher)


def staying(world: World, service: str, count: int) -> list[dict[str, Any]]:
    """The service's tasks as soon as so many run and no other is to run."""

    def look() -> list[dict[str, Any]] | None:
        arns = world.ecs.list_tasks(serviceName=service)["taskArns"]
        tasks = world.ecs.describe_tasks(tasks=arns)["tasks"] if arns else []
        well = len(tasks) == count and all(task["lastStatus"] == "RUNNING" for task in tasks)
        return tasks if well else None

    if count == 0:
        wait_for(lambda: look() == [], seconds=30, what="no task")
        return []
    found: list[dict[str, Any]] = wait_for(look, seconds=30, what=f"{count} tasks of {service}")
    return found


def address_of(task: dict[str, Any]) -> str:
    details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
    return details["privateIPv4Address"]
