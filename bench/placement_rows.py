"""Placement at scale, on a simulated state: the product's own state, launcher and RunTask handler.

No sockets and no disk: what is measured is the work of one core, in its CPU time, from the
request's shape to the written task records.  The peer is the same decision made by looking at every instance,
which is what a scheduler without any index does.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from pathlib import Path

from table import Row

from openecs.api.ecs.run_tasks import RunTasks
from openecs.api.ecs.task_view import TaskViews
from openecs.control.launch import Launcher
from openecs.control.launch_spec import LaunchSpec
from openecs.control.region_networks import RegionNetworks
from openecs.ids import RandomIds
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task_definition import TaskDefinition
from openecs.planning.placement import Candidate, Demand, Scope, Strategy
from openecs.planning.placement.filters import explain_all
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal

ACCOUNT, REGION = "123456789012", "eu-west-1"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
INSTANCES = 5_000
#: Services that scale out by turns, each with a host port of its own.
SERVICES = 40
TASKS_PER_SERVICE = 2_500
#: What one step of the service scheduler starts at most.
STEP = 250
SPREAD_THEN_PACK = (
    ecs.PlacementStrategy(type="spread", field="attribute:ecs.availability-zone"),
    ecs.PlacementStrategy(type="binpack", field="memory"),
)
GOAL_RATE = 30_000
GOAL_RUN_TASK = 5.0


class Fleet:
    """A cluster of many instances, in memory."""

    def __init__(self, size: int) -> None:
        self.state = State(MemoryJournal())
        self.cluster = Cluster(
            arn=f"{PREFIX}:cluster/default", name="default", region=REGION, status="ACTIVE", created_at=1.0
        )
        self.networks = RegionNetworks(self.state, ACCOUNT, "10.208.0.0/16")
        self.launcher = Launcher(self.state, self.networks, random.Random(1))
        self.ids = RandomIds()
        self.handler = RunTasks(self.state, self.launcher, self.networks, TaskViews(self.state))
        with self.state.transaction() as tx:
            tx.put(self.cluster)
            for number in range(size):
                node, instance = self._machine(number)
                tx.put(node)
                tx.put(instance)
        # As the server does with what it has loaded.
        gc.collect()
        gc.freeze()

    def _machine(self, number: int) -> tuple[Node, ContainerInstance]:
        kinds = ("m5.4xlarge", "c5.9xlarge", "r5.2xlarge", "m6i.4xlarge", "t3.2xlarge")
        attributes = {
            "ecs.availability-zone": REGION + "abc"[number % 3],
            "ecs.instance-type": kinds[number % len(kinds)],
            "ecs.os-type": "linux",
            "ecs.cpu-architecture": "x86_64",
            "openecs.node-id": f"n{number}",
            **{f"com.amazonaws.ecs.capability.docker-remote-api.1.{level}": "" for level in range(17, 45)},
        }
        node = Node(
            id=f"n{number}",
            capacity=Resources(cpu=16 * 1024, memory=(64 - number % 7) * 1024),
            reserved_ports=(22, 2375, 2376, 51678, 51679),
            agent_connected=True,
        )
        instance = ContainerInstance(
            arn=f"{PREFIX}:container-instance/default/{number:032x}",
            cluster_arn=self.cluster.arn,
            region=REGION,
            node_id=node.id,
            status="ACTIVE",
            registered_at=1.0,
            attributes=tuple(ecs.Attribute(name=name, value=value or None) for name, value in attributes.items()),
        )
        return node, instance

    def definition(self, family: str, *, port: int, cpu: int = 128) -> TaskDefinition:
        """A task of 512 MiB with one host port (0: a dynamic one)."""
        arn = f"{PREFIX}:task-definition/{family}:1"
        container = ecs.ContainerDefinition(
            name="web",
            image="web",
            cpu=cpu,
            memory=512,
            port_mappings=(ecs.PortMapping(container_port=80, host_port=port, protocol="tcp"),),
        )
        shape = ecs.TaskDefinition(
            task_definition_arn=arn,
            family=family,
            revision=1,
            network_mode="bridge",
            compatibilities=("EC2",),
            requires_attributes=(ecs.Attribute(name="com.amazonaws.ecs.capability.docker-remote-api.1.29"),),
            container_definitions=(container,),
        )
        record = TaskDefinition(arn=arn, family=family, revision=1, region=REGION, status="ACTIVE", definition=shape)
        with self.state.transaction() as tx:
            tx.put(record)
        return record

    def launch(self, definition: TaskDefinition, count: int, expression: str) -> float:
        """Seconds that the launch of so many service tasks takes."""
        spec = LaunchSpec(
            cluster=self.cluster,
            definition=definition,
            count=count,
            launch_type="EC2",
            group=f"service:{definition.family}",
            placement_constraints=(ecs.PlacementConstraint(type="memberOf", expression=expression),),
            placement_strategy=SPREAD_THEN_PACK,
        )
        started = time.thread_time()
        with self.state.transaction() as tx:
            launched = self.launcher.launch(tx, spec, now=1.0, ids=self.ids)
        taken = time.thread_time() - started
        assert len(launched.tasks) == count, launched.failures[:3]
        return taken

    def run_task(self, definition: TaskDefinition, expression: str) -> float:
        """Milliseconds that RunTask of ten takes."""
        call = Call(
            service="ecs",
            operation="RunTask",
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIA"),
            now=1.0,
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )
        request = ecs.RunTaskRequest(
            task_definition=definition.family,
            count=10,
            placement_constraints=(ecs.PlacementConstraint(type="memberOf", expression=expression),),
            placement_strategy=SPREAD_THEN_PACK,
        )
        started = time.thread_time()
        answer = self.handler.run_task(call, request)
        taken = (time.thread_time() - started) * 1000
        assert len(answer.tasks or ()) == 10, answer.failures
        return taken

    def scan(self, rounds: int) -> float:
        """Seconds for one decision that looks at every instance."""
        scope = Scope(self.cluster.arn, "EC2")
        zone = "ecs.availability-zone"
        demand = Demand(
            group="scan",
            resources=Resources(cpu=128, memory=512, ports=(9999,)),
            strategies=(Strategy("spread", f"attribute:{zone}"), Strategy("binpack", "memory")),
        )
        everyone = self.state.fleet.offer(scope).candidates(scope)
        started = time.thread_time()
        for _ in range(rounds):
            counts: dict[str, int] = {}
            for each in everyone:
                domain = each.facts.attributes[zone]
                counts[domain] = counts.get(domain, 0) + each.groups.get(demand.group, 0)
            refused = {rejection.candidate for rejection in explain_all(demand, everyone)}
            fitting = [each for each in everyone if each not in refused]

            def order(each: Candidate, counts: dict[str, int] = counts) -> tuple[int, int, int, str]:
                return counts[each.facts.attributes[zone]], each.memory, each.tasks, each.arn

            min(fitting, key=order)
        return (time.thread_time() - started) / rounds


def placement_rows() -> list[Row]:
    """Rate, one request, and growth with the number of instances."""
    return [*_scale_out(), *_growth()]


def measure(_: Path) -> list[Row]:
    """As a part of ``make bench-deploy``."""
    return placement_rows()


def _scale_out() -> list[Row]:
    fleet = Fleet(INSTANCES)
    scan = fleet.scan(5)
    fresh = [
        fleet.run_task(fleet.definition(f"once{number}", port=20_000 + number, cpu=100 + number), _expression(number))
        for number in range(31)
    ]
    known = fleet.definition("known", port=0)
    repeated = [fleet.run_task(known, _expression(0)) for _ in range(101)]
    definitions = [fleet.definition(f"web{number}", port=8_000 + number) for number in range(SERVICES)]
    seconds = 0.0
    for _ in range(TASKS_PER_SERVICE // STEP):
        for definition in definitions:
            seconds += fleet.launch(definition, STEP, _expression(0))
    tasks = SERVICES * TASKS_PER_SERVICE
    rate = tasks / seconds
    after = [fleet.run_task(known, _expression(0)) for _ in range(101)]
    fresh_after = [
        fleet.run_task(fleet.definition(f"late{number}", port=30_000 + number, cpu=100 + number), _expression(number))
        for number in range(31)
    ]
    peer = f"a look at all {INSTANCES:,} instances for each task"
    return [
        Row(
            f"placement of {tasks:,} tasks on {INSTANCES:,} instances, spread zones then binpack memory, constraint "
            "and host port, records written",
            peer,
            f"{1 / scan:,.0f} tasks/s",
            f"{rate:,.0f} tasks/s",
            rate * scan,
            f">= {GOAL_RATE:,} tasks/s",
            rate >= GOAL_RATE,
        ),
        _run_task_row("needs never seen before", fresh + fresh_after, scan, peer),
        _run_task_row("needs known", repeated + after, scan, peer),
    ]


def _run_task_row(what: str, taken: list[float], scan: float, peer: str) -> Row:
    typical = statistics.median(taken)
    slow = statistics.quantiles(taken, n=20)[-1]
    return Row(
        f"RunTask of 10, {INSTANCES:,} instances, {what}",
        peer,
        f"{scan * 10_000:.1f} ms",
        f"{typical:.2f} ms (95 %: {slow:.2f})",
        typical / (scan * 10_000),
        f"< {GOAL_RUN_TASK:g} ms",
        typical < GOAL_RUN_TASK,
    )


def _growth() -> list[Row]:
    sizes = (100, 1_000, 10_000)
    costs = {size: _cost(size) for size in sizes}
    floor = costs[sizes[0]]
    return [
        Row(
            f"placement of a task, records written, {size:,} instances",
            f"{sizes[0]} instances",
            f"{floor:.1f} us",
            f"{costs[size]:.1f} us",
            costs[size] / floor,
            f"<= {math.log(size, sizes[0]):.2g}, as the logarithm",
            costs[size] <= floor * math.log(size, sizes[0]),
        )
        for size in sizes[1:]
    ]


def _cost(size: int) -> float:
    """Microseconds for one task of a service that scales out, the first step left out."""
    fleet = Fleet(size)
    definition = fleet.definition("web", port=0)
    fleet.launch(definition, STEP, _expression(0))
    return statistics.median(fleet.launch(definition, STEP, _expression(0)) / STEP * 1e6 for _ in range(20))


def _expression(number: int) -> str:
    """True for four of five instances; a new text for every number."""
    return f"attribute:ecs.instance-type in [m5.4xlarge, c5.9xlarge, r5.2xlarge, m6i.4xlarge, x{number}]"


if __name__ == "__main__":
    from table import text_table

    print(text_table(placement_rows()))
