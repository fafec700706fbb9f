"""The whole agent against a scripted control plane and the machine's container engine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task, task_arn
from agent_process import agent_config, running_agent

from openecs.acs import task_payload as tp
from openecs.agent.config import AgentConfig
from openecs.agent.engine import names
from openecs.agent.network import kernel
from openecs.agent.runtime.protocol import Runtime
from openecs.agent.runtime.select import open_runtime
from openecs.ids import RandomIds

pytestmark = pytest.mark.docker
FOREVER = ("sleep", "3600")


@pytest.fixture
async def engine(busybox_image: str) -> AsyncIterator[Runtime]:
    runtime = await open_runtime("docker", None)
    yield runtime
    await runtime.close()


@pytest.fixture
async def config(plane: ControlPlaneDouble, engine: Runtime, tmp_path: Path) -> AsyncIterator[AgentConfig]:
    """Configuration of an agent whose containers are gone after the test."""
    yield agent_config(plane.endpoint, tmp_path, runtime="docker", metadata_bind="127.0.0.1:0", stop_timeout=2)
    for body in (body for name, body in plane.calls if name == "RegisterContainerInstance"):
        node = next(a["value"] for a in body["attributes"] if a["name"] == "openecs.node-id")
        for container_id in await engine.list([f"{names.LABEL_NODE}={node}"]):
            await engine.remove(container_id)


@pytest.fixture
def number() -> str:
    """A task number that no other test run uses on this engine."""
    return RandomIds().hex32()


async def eventually(condition: object) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # type: ignore[operator]
            await asyncio.sleep(0.02)


async def fetch(url: str) -> bytes:
    def get() -> bytes:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bytes(reply.read())

    return await asyncio.to_thread(get)


async def test_exit_codes_and_output_directories_are_real(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str, number: str, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    payload = task(
        container(
            image=busybox_image,
            command=("sh", "-c", "echo $GREETING > /out/word; exit 3"),
            environment={"GREETING": "hello"},
            mount_points=(tp.MountPoint(source_volume="out", container_path="/out"),),
        ),
        number=number,
        volumes=(tp.VolumePayload(name="out", host=tp.HostVolume(source_path=str(shared))),),
    )
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(payload)
        report = await plane.reaches(payload.arn, "STOPPED")
    assert [r["status"] for r in plane.reports(payload.arn)] == ["RUNNING", "STOPPED"]
    assert report["containers"][-1]["exitCode"] == 3
    assert (shared / "word").read_text() == "hello\n"


async def test_an_image_that_is_nowhere_stops_the_task(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, number: str
) -> None:
    payload = task(container(image="127.0.0.1:1/absent:1"), number=number)
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(payload)
        report = await plane.reaches(payload.arn, "STOPPED")
    assert report["containers"][0]["reason"].startswith("CannotPullContainerError: Error response from daemon: ")


async def test_a_dynamic_port_answers_where_it_was_reported(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str, number: str
) -> None:
    payload = task(
        container(
            image=busybox_image,
            command=("sh", "-c", "mkdir /www; echo page > /www/index.html; exec httpd -f -p 8080 -h /www"),
            port_mappings=(tp.PortMapping(container_port=8080),),
        ),
        number=number,
        network_mode="bridge",
    )
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(payload)
        report = await plane.reaches(payload.arn, "RUNNING")
        port = report["containers"][0]["networkBindings"][0]["hostPort"]

        async def answered() -> bool:
            try:
                return await fetch(f"http://127.0.0.1:{port}/") == b"page\n"
            except OSError:
                return False

        await eventually(answered)
        await plane.stop(payload.arn)
        await plane.reaches(payload.arn, "STOPPED")


async def test_containers_survive_the_agent_and_are_taken_over(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str
) -> None:
    stays = task(container(image=busybox_image, command=FOREVER), number=RandomIds().hex32())
    dies = task(container(image=busybox_image, command=FOREVER), number=RandomIds().hex32())
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(stays, dies)
        kept = await plane.reaches(stays.arn, "RUNNING")
        lost = await plane.reaches(dies.arn, "RUNNING")
    await plane.until(lambda: plane.acs is None)
    await engine.stop(lost["containers"][0]["runtimeId"], 0)
    async with running_agent(config, engine):
        await plane.connected()
        report = await plane.reaches(dies.arn, "STOPPED")
        assert report["containers"][0]["exitCode"] == 137
        assert (await engine.inspect(kept["containers"][0]["runtimeId"])).status == "running"
        assert len(await engine.list([f"{names.LABEL_TASK_ARN}={stays.arn}"])) == 1
        await plane.stop(stays.arn)
        assert (await plane.reaches(stays.arn, "STOPPED"))["containers"][0]["exitCode"] == 137


async def test_metadata_and_credentials_are_served_to_the_task(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str, number: str
) -> None:
    payload = task(
        container(image=busybox_image, command=FOREVER, container_arn="arn:aws:ecs:us-east-1:1:container/x"),
        number=number,
        role_credentials=tp.RoleCredentials(
            credentials_id="11111111-2222-4333-8444-555555555555",
            role_arn="arn:aws:iam::111122223333:role/r",
            access_key_id="ASIA1",
            secret_access_key="hidden",
            session_token="token",
            expiration="2030-01-01T00:00:00Z",
        ),
    )
    async with running_agent(config, engine) as tasks:
        await plane.connected()
        await plane.assign(payload)
        await plane.reaches(payload.arn, "RUNNING")
        worker = tasks.worker(payload.arn)
        assert worker is not None
        environment = await _environment(engine, worker.state.containers[0].container_id or "")
        base = environment["ECS_CONTAINER_METADATA_URI_V4"]
        own = json.loads(await fetch(base))
        assert own["DockerId"] == worker.state.containers[0].container_id
        assert own["KnownStatus"] == "RUNNING"
        assert own["Labels"][names.LABEL_TASK_ARN] == payload.arn
        whole = json.loads(await fetch(f"{base}/task"))
        assert whole["TaskARN"] == payload.arn
        assert [c["Name"] for c in whole["Containers"]] == ["app"]
        stats = json.loads(await fetch(f"{base}/stats"))
        assert stats["memory_stats"]["usage"] > 0
        assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0
        root = base.split("/v4/")[0]
        keys = json.loads(await fetch(root + environment["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]))
        assert keys == {
            "RoleArn": "arn:aws:iam::111122223333:role/r",
            "AccessKeyId": "ASIA1",
            "SecretAccessKey": "hidden",
            "Token": "token",
            "Expiration": "2030-01-01T00:00:00Z",
        }
        (ack,) = plane.answers("IAMRoleCredentialsAckRequest")
        assert ack["credentialsId"] == "11111111-2222-4333-8444-555555555555"
        await plane.stop(payload.arn)
        await plane.reaches(payload.arn, "STOPPED")
    assert b"hidden" not in (Path(config.data_dir) / "agent.db").read_bytes()


async def _environment(engine: Runtime, container_id: str) -> dict[str, str]:
    pid = (await engine.inspect(container_id)).pid
    items = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(item.split("=", 1) for item in items if "=" in item)


@pytest.mark.skipif(os.geteuid() != 0, reason="parent cgroups need root")
async def test_a_task_over_its_memory_limit_is_killed_and_its_cgroup_goes(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str, number: str
) -> None:
    hog = container("hog", busybox_image, command=("sh", "-c", "sleep 0.2; exec tail /dev/zero"))
    side = container("side", busybox_image, command=FOREVER, essential=False)
    payload = task(hog, side, number=number, memory=32, cpu=0.25)
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(payload)
        await plane.reaches(payload.arn, "STOPPED")
    hog_last = [c for r in plane.reports(payload.arn) for c in r.get("containers", ()) if c["containerName"] == "hog"][
        -1
    ]
    assert (hog_last["exitCode"], hog_last["reason"]) == (137, "OutOfMemoryError: Container killed due to memory usage")
    assert not list(Path("/sys/fs/cgroup").glob(f"*/ecs/{number}"))


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
async def test_awsvpc_tasks_have_an_address_of_their_own_and_share_localhost(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str
) -> None:
    serve = "mkdir /www; echo {0} > /www/index.html; exec httpd -f -p {1} -h /www"
    payloads = []
    for host in ("12", "13"):
        web = container("web", busybox_image, command=("sh", "-c", serve.format(f"task{host}", 80)))
        side = container(
            "side",
            busybox_image,
            command=(
                "sh",
                "-c",
                (
                    "mkdir /www; until wget -q -O /www/index.html http://127.0.0.1:80/; do sleep 0.05; done; "
                    "exec httpd -f -p 81 -h /www"
                ),
            ),
        )
        eni = tp.ElasticNetworkInterface(
            ec2_id="eni-1",
            attachment_arn=f"arn:aws:ecs:us-east-1:1:attachment/{host}",
            mac_address=f"0a:58:0a:d7:f3:{host}",
            ipv4_addresses=(tp.Ipv4Address(primary=True, private_address=f"10.215.243.{host}"),),
            subnet_gateway_ipv4_address="10.215.243.1/24",
            private_dns_name=f"ip-10-215-243-{host}.ec2.internal",
        )
        payloads.append(
            task(
                web,
                side,
                number=RandomIds().hex32(),
                network_mode="awsvpc",
                elastic_network_interfaces=(eni,),
            )
        )
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(*payloads)
        report = await plane.reaches(payloads[0].arn, "RUNNING")
        await plane.reaches(payloads[1].arn, "RUNNING")
        statuses = [a["status"] for r in plane.reports(payloads[0].arn) for a in r.get("attachments", ())]
        assert statuses == ["ATTACHED"]
        for host, port in (("12", 80), ("12", 81), ("13", 80)):

            async def answered(host: str = host, port: int = port) -> bool:
                try:
                    return await fetch(f"http://10.215.243.{host}:{port}/") == f"task{host}\n".encode()
                except OSError:
                    return False

            await eventually(answered)
        pid = (await engine.inspect(report["containers"][0]["runtimeId"])).pid
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
        shown = await asyncio.to_thread(subprocess.check_output, [*inside, "ip", "-j", "link", "show", "eth0"])
        links = json.loads(shown)
        assert links[0]["address"] == "0a:58:0a:d7:f3:12"
        neighbour = await asyncio.to_thread(
            subprocess.check_output, [*inside, "/bin/busybox", "wget", "-q", "-O-", "http://10.215.243.13/"]
        )
        assert neighbour == b"task13\n"
        for payload in payloads:
            await plane.stop(payload.arn)
        for payload in payloads:
            await plane.reaches(payload.arn, "STOPPED")
            pause = [f"{names.LABEL_TASK_ARN}={payload.arn}", f"{names.LABEL_CONTAINER}={names.PAUSE}"]
            assert await engine.list(pause) == []
    interfaces = {name for _, name in socket.if_nameindex()}
    assert not {"eni0ad7f30c", "eni0ad7f30d"} & interfaces
    # Nothing of the subnet is left on the host.
    assert "10.215.243.1" not in kernel.addresses()


async def test_dependencies_health_and_reverse_stop_order_on_real_containers(
    plane: ControlPlaneDouble, config: AgentConfig, engine: Runtime, busybox_image: str, number: str, tmp_path: Path
) -> None:
    shared = tmp_path / "order"
    shared.mkdir()
    mount = (tp.MountPoint(source_volume="log", container_path="/log"),)
    script = "trap 'echo {0}-down >> /log/all; exit 0' TERM; echo {0}-up >> /log/all; touch /log/{0}; sleep 3600 & wait"
    database = container(
        "db",
        busybox_image,
        command=("sh", "-c", script.format("db")),
        mount_points=mount,
        health_check_type="docker",
        config={"Healthcheck": {"Test": ["CMD", "test", "-e", "/log/db"], "Interval": 100_000_000, "Retries": 3}},
    )
    app = container(
        "app",
        busybox_image,
        command=("sh", "-c", script.format("app")),
        mount_points=mount,
        depends_on={"db": "HEALTHY", "init": "SUCCESS"},
    )
    init = container(
        "init",
        busybox_image,
        command=("sh", "-c", "echo init >> /log/all"),
        mount_points=mount,
        essential=False,
        depends_on={"db": "START"},
    )
    payload = task(
        app,
        database,
        init,
        number=number,
        volumes=(tp.VolumePayload(name="log", host=tp.HostVolume(source_path=str(shared))),),
    )
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(payload)
        await plane.reaches(payload.arn, "RUNNING")

        async def app_is_up() -> bool:
            return "app-up" in (shared / "all").read_text()

        await eventually(app_is_up)
        await plane.stop(payload.arn)
        await plane.reaches(payload.arn, "STOPPED")
    words = (shared / "all").read_text().split()
    assert set(words[:2]) == {"db-up", "init"}
    assert words[2:] == ["app-up", "app-down", "db-down"]
    assert task_arn(number) == payload.arn
