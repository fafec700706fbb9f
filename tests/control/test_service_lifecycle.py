"""From CreateService to INACTIVE: the API's handlers, the loop and obedient agents together.

What is waited for is what the AWS CLI's waiters look at.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import msgspec
from control_kit import ACCOUNT, REGION, World, definition, running_loop

from openecs.api.ecs.services import Services
from openecs.control.virtual_time import VirtualTime
from openecs.shapes import ecs
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination


class Client:
    def __init__(self, world: World, time: VirtualTime) -> None:
        self.world = world
        self.time = time
        self.api = Services(world.state, Pagination(b"0123456789abcdef"), world.networks)

    def call(self) -> Call:
        return Call(
            service="ecs",
            operation="-",
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIA"),
            now=self.time.now(),
            ids=self.world.ids,
            endpoint="http://127.0.0.1:4566",
        )

    def create(self, **members: Any) -> None:
        self.api.create(self.call(), ecs.CreateServiceRequest(service_name="web", **members))

    def update(self, **members: Any) -> None:
        self.api.update(self.call(), ecs.UpdateServiceRequest(service="web", **members))

    def delete(self) -> None:
        self.api.delete(self.call(), ecs.DeleteServiceRequest(service="web", force=True))

    def describe(self) -> dict[str, Any]:
        answer = self.api.describe(self.call(), ecs.DescribeServicesRequest(services=("web",)))
        return msgspec.to_builtins(answer)["services"][0]

    async def stable(self) -> None:
        """As ``aws ecs wait services-stable``."""

        def condition() -> bool:
            if self.world.agents_obey():
                return False
            service = self.describe()
            return len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]

        await self.time.run_until(condition)

    async def inactive(self) -> None:
        """As ``aws ecs wait services-inactive``."""

        def condition() -> bool:
            self.world.agents_obey()
            return self.describe()["status"] == "INACTIVE"

        await self.time.run_until(condition)


@asynccontextmanager
async def controlled(world: World, time: VirtualTime):
    loop = world.controller.loop(time.timing())
    async with running_loop(loop):
        yield
    assert loop.bugs == 0


async def test_create_update_scale_delete_and_create_again(world: World, time: VirtualTime):
    world.add_node("a")
    client = Client(world, time)
    async with controlled(world, time):
        client.create(task_definition="web:1", desired_count=2)
        await client.stable()
        client.update(task_definition="web:2")
        assert len(client.describe()["deployments"]) == 2
        await client.stable()
        assert len(world.running(2)) == 2
        assert world.running(1) == []
        client.update(desired_count=4)
        await client.stable()
        client.update(desired_count=1)
        await client.stable()
        assert len(world.running()) == 1
        (deployment,) = client.describe()["deployments"]
        assert deployment["rolloutState"] == "COMPLETED"
        client.delete()
        await client.inactive()
        assert world.running() == []
        time_of_deletion = time.time()
        client.create(task_definition="web:1", desired_count=1)
        await client.stable()
        assert time.time() == time_of_deletion
    assert "steady state" in client.describe()["events"][0]["message"]


async def test_a_bad_image_does_not_touch_what_runs_and_a_new_revision_heals_it(world: World, time: VirtualTime):
    world.add_node("a")
    world.broken.add(2)
    client = Client(world, time)
    async with controlled(world, time):
        client.create(task_definition="web:1", desired_count=3)
        await client.stable()
        client.update(task_definition="web:2")

        def failing() -> bool:
            world.agents_obey()
            assert len(world.running(1)) == 3
            return client.describe()["deployments"][0]["failedTasks"] >= 9

        await time.run_until(failing)
        client.update(task_definition="web:1")
        await client.stable()
    (deployment,) = client.describe()["deployments"]
    assert deployment["failedTasks"] == 0
    assert len(world.running(1)) == 3


async def test_a_service_whose_subnet_was_deleted_says_so_and_runs_on(world: World, time: VirtualTime):
    world.add_node("a")
    world.put(definition(3, network_mode="awsvpc"))
    client = Client(world, time)
    subnet = world.networks.plan(REGION).subnets[2].id
    wanted = ecs.NetworkConfiguration(awsvpc_configuration=ecs.AwsVpcConfiguration(subnets=(subnet,)))
    async with controlled(world, time):
        client.create(task_definition="web:3", desired_count=1, network_configuration=wanted)
        await client.stable()
        with world.state.transaction() as tx:
            tx.delete(world.state.subnets.get(subnet))
        client.update(desired_count=2)
        said = f"The subnet ID '{subnet}' does not exist (ErrorCode: InvalidSubnetID.NotFound)"
        await time.run_until(lambda: any(said in event["message"] for event in client.describe()["events"]))
        assert len(world.running(3)) == 1
        elsewhere = ecs.AwsVpcConfiguration(subnets=(world.networks.plan(REGION).subnets[0].id,))
        client.update(network_configuration=ecs.NetworkConfiguration(awsvpc_configuration=elsewhere))
        await client.stable()
        assert len(world.running(3)) == 2
