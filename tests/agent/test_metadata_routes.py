"""What the metadata endpoint answers, and to whom."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from agent_control_plane import INSTANCE, ControlPlaneDouble
from agent_payloads import container, task, task_arn
from agent_process import agent_config, running_agent

from openecs.acs import task_payload as tp
from openecs.agent.control_plane import ControlPlane, RawReply
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.metadata import samples
from openecs.agent.metadata.http import Answer, Request
from openecs.agent.metadata.routes import MetadataRoutes
from openecs.agent.runtime.fake import FakeRuntime
from openecs.clock import SystemClock
from openecs.errors import AWSError, Retryable
from openecs.ids import RandomIds
from openecs.wire.sigv4 import Credentials

HOST, OTHER = "169.254.170.2", "10.0.0.9"
ROLE = tp.RoleCredentials(
    credentials_id="c0ffee",
    role_arn="arn:aws:iam::111122223333:role/r",
    access_key_id="ASIA1",
    secret_access_key="hidden",
    session_token="token",
    expiration="2030-01-01T00:00:00Z",
)


class Node(NamedTuple):
    """As much of a membership as the routes read."""

    container_instance: str = INSTANCE
    availability_zone: str = "us-east-1a"


class World:
    """A running agent's tasks, asked without a socket between."""

    def __init__(self, routes: MetadataRoutes, engine: TaskEngine) -> None:
        self._routes = routes
        self._engine = engine

    async def ask(self, path: str, client: str = HOST) -> Answer:
        target, _, query = path.partition("?")
        return await self._routes.answer(Request("GET", target, query, client))

    async def get(self, path: str, client: str = HOST) -> Any:
        answer = await self.ask(path, client)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def token(self, number: int, name: str = "app") -> str:
        return self.container(number, name).token

    def container(self, number: int, name: str = "app") -> Any:
        worker = self._engine.worker(task_arn(number))
        assert worker is not None
        return worker.state.container(name)


TAGS: Mapping[str, Any] = {
    task_arn(1): {"team": "blue"},
    task_arn(2): AWSError("AccessDeniedException", "not you", status=400),
    INSTANCE: {"rack": "7"},
}


async def list_tags(arn: str) -> Mapping[str, str]:
    tags = TAGS.get(arn, Retryable("gone"))
    if isinstance(tags, Exception):
        raise tags
    return dict(tags)


async def call_as_task(*_: object) -> RawReply:
    raise AssertionError("nobody asks for task protection here")


@asynccontextmanager
async def running(plane: ControlPlaneDouble, data_dir: Path, *payloads: tp.TaskPayload) -> AsyncIterator[World]:
    runtime = FakeRuntime(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, data_dir), runtime) as engine:
        routes = MetadataRoutes(engine._parts.credentials, runtime, SystemClock(), list_tags, call_as_task)
        routes.serve_tasks(engine, Node())  # type: ignore[arg-type]
        await plane.connected()
        await plane.assign(*payloads)
        for payload in payloads:
            await plane.reaches(payload.arn, "RUNNING")
        yield World(routes, engine)


def awsvpc(number: int, address: str, **members: Any) -> tp.TaskPayload:
    eni = tp.ElasticNetworkInterface(
        ec2_id="eni-1",
        attachment_arn="arn:aws:ecs:us-east-1:1:attachment/a",
        mac_address="0a:58:0a:00:00:05",
        ipv4_addresses=(tp.Ipv4Address(primary=True, private_address=address),),
        subnet_gateway_ipv4_address="10.0.0.1/24",
        private_dns_name="ip-10-0-0-5.ec2.internal",
    )
    return task(
        container(image="app:1"), number=number, network_mode="awsvpc", elastic_network_interfaces=(eni,), **members
    )


async def test_members_come_in_the_order_of_each_version(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    app = container(
        memory=64,
        container_arn="arn:c",
        port_mappings=(tp.PortMapping(container_port=80),),
        host={"LogConfig": {"Type": "awslogs", "Config": {"awslogs-group": "g"}}},
        config={"Healthcheck": {"Test": ["CMD", "true"], "Interval": 10_000_000, "Retries": 1}},
        health_check_type="docker",
    )
    payload = task(app, network_mode="bridge", service_name="web", cpu=0.5, memory=128)
    async with running(plane, tmp_path, payload) as world:
        token = world.token(1)
        newest = await world.get(f"/v4/{token}/task")
        assert list(newest) == [
            *("Cluster", "TaskARN", "Family", "Revision", "DesiredStatus", "KnownStatus", "Limits"),
            *("PullStartedAt", "PullStoppedAt", "AvailabilityZone", "LaunchType", "Containers", "ServiceName"),
            "FaultInjectionEnabled",
        ]
        assert newest["Limits"] == {"CPU": 0.5, "Memory": 128}
        (shown,) = newest["Containers"]
        assert list(shown) == [
            *("DockerId", "Name", "DockerName", "Image", "ImageID", "Ports", "Labels", "DesiredStatus"),
            *("KnownStatus", "Limits", "CreatedAt", "StartedAt", "Type", "Health", "LogDriver", "LogOptions"),
            *("ContainerARN", "Networks"),
        ]
        assert shown == await world.get(f"/v4/{token}")
        assert {p["HostIp"] for p in shown["Ports"]} == {"0.0.0.0"}
        older = await world.get(f"/v3/{token}/task")
        assert list(older) == [
            *("Cluster", "TaskARN", "Family", "Revision", "DesiredStatus", "KnownStatus", "Containers", "Limits"),
            *("PullStartedAt", "PullStoppedAt", "AvailabilityZone"),
        ]
        (shown,) = older["Containers"]
        assert list(shown)[-3:] == ["Type", "Networks", "Health"]
        assert not any("HostIp" in p for p in shown["Ports"])


async def test_tags_are_added_when_asked_for_and_failures_said(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    payloads = (task(number=1), task(number=2), task(number=3, launch_type="FARGATE"))
    async with running(plane, tmp_path, *payloads) as world:
        tagged = await world.get(f"/v4/{world.token(1)}/taskWithTags")
        assert (tagged["TaskTags"], tagged["ContainerInstanceTags"]) == ({"team": "blue"}, {"rack": "7"})
        assert "Errors" not in tagged
        assert (await world.get(f"/v3/{world.token(1)}/taskWithTags"))["TaskTags"] == {"team": "blue"}
        assert "TaskTags" not in await world.get(f"/v4/{world.token(1)}/task")
        refused = await world.get(f"/v4/{world.token(2)}/taskWithTags")
        assert refused["Errors"] == [
            {
                "ErrorField": "TaskTags",
                "ErrorCode": "AccessDeniedException",
                "ErrorMessage": "not you",
                "StatusCode": 400,
                "ResourceARN": task_arn(2),
            }
        ]
        fargate = await world.get(f"/v4/{world.token(3)}/taskWithTags")
        assert "ContainerInstanceTags" not in fargate
        assert [error["ErrorField"] for error in fargate["Errors"]] == ["TaskTags"]


async def test_a_task_of_another_region_is_shown_in_its_own_zone(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    async with running(plane, tmp_path, task(number=1, zone="eu-west-1b"), task(number=2)) as world:
        assert (await world.get(f"/v4/{world.token(1)}/task"))["AvailabilityZone"] == "eu-west-1b"
        # The control plane named none, so it is the machine's.
        assert (await world.get(f"/v4/{world.token(2)}/task"))["AvailabilityZone"] == "us-east-1a"


async def test_an_image_is_shown_as_it_was_asked_for(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    digest = f"shop/web@sha256:{'a' * 64}"
    payload = task(container(image=digest, requested_image="shop/web:1"), container("side", image="busybox:1"))
    async with running(plane, tmp_path, payload) as world:
        shown = [(await world.get(f"/v4/{world.token(1, name)}"))["Image"] for name in ("app", "side")]
        assert shown == ["shop/web:1", "busybox:1"]
    (report,) = [r for r in plane.reports(task_arn(1)) if r["status"] == "RUNNING"]
    digests = {c["containerName"]: c["imageDigest"] for c in report["containers"]}
    assert digests["app"] == digest.partition("@")[2]


async def test_version_2_knows_tasks_by_their_address(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    async with running(plane, tmp_path, awsvpc(1, "10.0.0.5")) as world:
        whole = await world.get("/v2/metadata", "10.0.0.5")
        assert whole["TaskARN"] == task_arn(1)
        assert whole["Containers"][0]["Networks"] == [{"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.0.5"]}]
        docker_id = world.container(1).container_id
        assert (await world.get(f"/v2/metadata/{docker_id}", "10.0.0.5"))["Name"] == "app"
        assert (await world.get("/v2/metadataWithTags", "10.0.0.5"))["TaskTags"] == {"team": "blue"}
        assert list(await world.get("/v2/stats", "10.0.0.5")) == [docker_id]
        answer = await world.ask("/v2/metadata", OTHER)
        text = "Unable to get task arn from request: unable to associate '10.0.0.9' with task"
        assert (answer.status, json.loads(answer.body), answer.known) == (400, text, False)
        answer = await world.ask("/v2/metadata/nothing", "10.0.0.5")
        assert (answer.status, json.loads(answer.body)) == (400, "Unable to generate metadata for container 'nothing'")


async def test_a_stolen_token_is_worth_nothing_at_another_address(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    own = awsvpc(1, "10.0.0.5", role_credentials=ROLE)
    async with running(plane, tmp_path, own, awsvpc(2, OTHER), task(number=3)) as world:
        for path in ("/v2/credentials/c0ffee", "/v1/credentials?id=c0ffee", f"/v4/{world.token(1)}/task"):
            assert (await world.ask(path, "10.0.0.5")).status == 200
            # Log drivers and the host's own tools ask from the endpoint's address.
            assert (await world.ask(path, HOST)).status == 200
            for thief in (OTHER, "172.17.0.2"):
                answer = await world.ask(path, thief)
                assert (answer.status, answer.known) == (403, True)
                assert b"hidden" not in answer.body
        # A task without an address of its own is told only from those that have one.
        assert (await world.ask(f"/v4/{world.token(3)}", "172.17.0.2")).status == 200
        assert (await world.ask(f"/v4/{world.token(3)}", OTHER)).status == 403


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (
            "/v4/nobody",
            404,
            (
                "V4 container metadata handler: unable to get container ID from request: "
                "unable to get docker ID from v3 endpoint ID: nobody"
            ),
        ),
        (
            "/v4/nobody/taskWithTags",
            404,
            (
                "V4 task metadata handler: unable to get task arn from request: "
                "unable to get task Arn from v3 endpoint ID: nobody"
            ),
        ),
        (
            "/v4/nobody/stats",
            404,
            (
                "V4 container stats handler: unable to get task arn from request: "
                "unable to get task Arn from v3 endpoint ID: nobody"
            ),
        ),
        (
            "/v3/nobody/task",
            500,
            (
                "V3 task metadata handler: unable to get task arn from request: "
                "unable to get task Arn from v3 endpoint ID: nobody"
            ),
        ),
        (
            "/v4/nobody/associations/gpu",
            400,
            (
                "V4 container associations handler: unable to get container id from request: "
                "unable to get docker ID from v3 endpoint ID: nobody"
            ),
        ),
        (
            "/v2/credentials/nobody",
            400,
            {
                "code": "InvalidIdInRequest",
                "message": "CredentialsV2Request: Credentials not found",
                "HTTPErrorCode": 400,
            },
        ),
    ],
)
async def test_what_is_not_known_here_is_refused_in_the_agents_words(
    plane: ControlPlaneDouble, tmp_path: Path, path: str, status: int, body: object
) -> None:
    async with running(plane, tmp_path) as world:
        answer = await world.ask(path)
        assert (answer.status, json.loads(answer.body), answer.known) == (status, body, False)


async def test_credentials_that_are_missing_or_not_here_yet(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    waiting = tp.RoleCredentials(credentials_id="later")
    async with running(plane, tmp_path, task(role_credentials=waiting)) as world:
        for path, version in (("/v2/credentials/", 2), ("/v2/credentials", 2), ("/v1/credentials", 1)):
            answer = await world.ask(path)
            message = f"CredentialsV{version}Request: No Credential ID in the request"
            assert json.loads(answer.body) == {"code": "NoIdInRequest", "message": message, "HTTPErrorCode": 400}
        answer = await world.ask("/v2/credentials/later")
        message = "CredentialsV2Request: Credentials uninitialized for ID"
        assert answer.status == 503
        assert json.loads(answer.body) == {"code": "CredentialsUninitialized", "message": message, "HTTPErrorCode": 503}


async def test_there_are_no_associations(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    async with running(plane, tmp_path, task()) as world:
        for version in ("v3", "v4"):
            base = f"/{version}/{world.token(1)}/associations"
            assert await world.get(f"{base}/gpu") == {"Associations": []}
            answer = await world.ask(f"{base}/gpu/0")
            assert (answer.status, json.loads(answer.body)) == (
                400,
                (
                    "Unable to write container association response: unable to get association from association "
                    "type gpu and association name 0"
                ),
            )
            assert (await world.ask(f"{base}/gpu/")).status == 400
        assert (await world.ask("/elsewhere")).status == 404


async def test_a_request_that_comes_while_the_agent_starts_waits_for_its_tasks(tmp_path: Path) -> None:
    routes = MetadataRoutes(
        # None of these is looked at before there are tasks.
        *(None, None),  # type: ignore[arg-type]
        SystemClock(),
        list_tags,
        call_as_task,
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await routes.answer(Request("GET", "/v4/token", "", HOST))


async def test_the_agent_asks_its_control_plane_for_tags(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    runtime = FakeRuntime(SystemClock(), RandomIds())
    plane.tags = {task_arn(1): {"team": "blue"}, INSTANCE: {"rack": "7"}}
    async with running_agent(agent_config(plane.endpoint, tmp_path, metadata_bind="127.0.0.1:0"), runtime) as engine:
        await plane.connected()
        await plane.assign(task())
        report = await plane.reaches(task_arn(1), "RUNNING")
        body = runtime._containers[report["containers"][0]["runtimeId"]].body
        assert engine.worker(task_arn(1)) is not None
        uri = next(v for v in body["Env"] if v.startswith("ECS_CONTAINER_METADATA_URI_V4=")).partition("=")[2]

        def fetch() -> Any:
            with urllib.request.urlopen(f"{uri}/taskWithTags", timeout=5) as reply:
                return json.load(reply)

        shown = await asyncio.to_thread(fetch)
    assert (shown["TaskTags"], shown["ContainerInstanceTags"]) == ({"team": "blue"}, {"rack": "7"})


async def test_tags_are_asked_for_in_the_region_of_the_arn(plane: ControlPlaneDouble) -> None:
    api = ControlPlane(plane.endpoint, "us-east-1", Credentials("AKIAEXAMPLE", "secret", None), SystemClock())
    foreign = task_arn(1).replace("us-east-1", "eu-west-1")
    try:
        await api.list_tags(foreign)
        await api.list_tags(INSTANCE)
    finally:
        await api.close()
    assert plane.regions == [("ListTagsForResource", "eu-west-1"), ("ListTagsForResource", "us-east-1")]


def test_rates_are_bytes_per_second_over_all_devices() -> None:
    before = {"eth0": {"rx_bytes": 100, "tx_bytes": 10}, "eth1": {"rx_bytes": 0, "tx_bytes": 0}}
    after = {"eth0": {"rx_bytes": 300, "tx_bytes": 10}, "eth1": {"rx_bytes": 100, "tx_bytes": 4}}
    assert samples.rates(before, after, 2.0) == {"rx_bytes_per_sec": 150.0, "tx_bytes_per_sec": 2.0}
