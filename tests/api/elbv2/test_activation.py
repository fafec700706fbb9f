"""CreateLoadBalancer answers when the load balancer is active, and never waits for what cannot come."""

from __future__ import annotations

import asyncio

import msgspec

from openecs.api.elbv2.activation import until_active
from openecs.model.host import Host
from openecs.model.load_balancer import LoadBalancer
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State

NEVER = 3600.0
BALANCER = LoadBalancer(
    arn="arn:balancer",
    region="us-east-1",
    name="web",
    type="application",
    scheme="internal",
    vpc_id="vpc-1",
    dns_name="web",
    created_at=1.0,
)


def state(*, problem: str = "", connected: bool = True) -> State:
    made = State(MemoryJournal())
    with made.transaction() as tx:
        tx.put(BALANCER)
        tx.put(Node(id="n", capacity=Resources(), agent_connected=connected))
        tx.put(Host(node_id="n", balancer_problem=problem))
    return made


async def test_it_waits_until_the_load_balancer_is_active() -> None:
    with_host = state()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(until_active(with_host, BALANCER.arn, NEVER))
        await asyncio.sleep(0)
        with with_host.transaction() as tx:
            tx.put(msgspec.structs.replace(BALANCER, reason="a host prepares it"))
        await asyncio.sleep(0)
        assert not waiting.done()
        with with_host.transaction() as tx:
            tx.put(msgspec.structs.replace(BALANCER, state="active"))


async def test_it_ends_when_the_load_balancer_is_deleted_meanwhile() -> None:
    with_host = state()
    async with asyncio.TaskGroup() as group:
        group.create_task(until_active(with_host, BALANCER.arn, NEVER))
        await asyncio.sleep(0)
        with with_host.transaction() as tx:
            tx.delete(BALANCER)


async def test_it_does_not_wait_where_no_host_can_make_it_active() -> None:
    await until_active(state(problem="no envoy"), BALANCER.arn, NEVER)
    await until_active(state(connected=False), BALANCER.arn, NEVER)


async def test_its_patience_ends() -> None:
    await until_active(state(), BALANCER.arn, 0.0)
