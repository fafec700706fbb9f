"""What Podman's compatible service says in another way, told in the runtime protocol's terms."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted_engine import DOCKER_PING, PODMAN_PING, answer, scripted

from openecs.agent.attributes import attributes
from openecs.agent.config import AgentConfig
from openecs.agent.network.pause_image import EngineImporter
from openecs.agent.runtime.docker import DockerRuntime
from openecs.agent.runtime.protocol import EngineError, EngineInfo
from openecs.http import HttpClient, UnixAddress

TAKEN = (
    '{"cause":"that name is already in use","message":"container create: creating container storage: the container '
    'name \\"a\\" is already in use by c1. You have to remove that container to be able to reuse that name: that name '
    'is already in use","response":500}'
)
EXISTING = (
    '{"Id":"c1","Name":"/a","Image":"sha256:1","Created":"2026-01-01T00:00:00Z","State":{"Status":"created"},'
    '"Config":{"Labels":{"task":"1"}}}'
)


async def test_a_taken_name_is_a_conflict_and_its_own_container_is_found(tmp_path: Path) -> None:
    answers = {"POST /containers/create": answer(500, TAKEN), "GET /containers/a/json": answer(200, EXISTING)}
    async with scripted(tmp_path, answers, PODMAN_PING) as (runtime, _):
        assert await runtime.create("a", {"Image": "x", "Labels": {"task": "1"}}) == "c1"
        with pytest.raises(EngineError, match="already in use by c1") as conflict:
            await runtime.create("a", {"Image": "x", "Labels": {"task": "2"}})
        assert conflict.value.status == 409


async def test_another_failure_to_create_is_not_taken_for_a_conflict(tmp_path: Path) -> None:
    answers = {"POST /containers/create": answer(500, '{"message":"no space left on device"}')}
    async with scripted(tmp_path, answers, PODMAN_PING) as (runtime, engine):
        with pytest.raises(EngineError, match="no space left on device") as failure:
            await runtime.create("a", {"Image": "x"})
        assert failure.value.status == 500
        assert engine.targets[-1].startswith("POST /v1.41/containers/create")


async def test_processes_are_told_by_their_numbers_on_the_host(tmp_path: Path) -> None:
    answers = {
        "GET /containers/a/top": [answer(200, '{"Titles":["HPID"],"Processes":[["4856"],["4860"]]}'), answer(200)]
    }
    async with scripted(tmp_path, answers, PODMAN_PING) as (runtime, engine):
        assert await runtime.top("a") == (4856, 4860)
        query = parse_qs(urlsplit(engine.targets[-1].split(" ")[1]).query)
        assert query == {"ps_args": ["hpid"], "stream": ["false"]}
        assert await runtime.top("a") == ()


async def test_an_imported_image_has_its_tag(tmp_path: Path) -> None:
    """Podman looks for the tag in the name only; Docker takes it from there too."""
    # The importer leaves the API version to the engine, so there is none in the path.
    async with scripted(tmp_path, {"POST /create": answer(200, "{}")}, PODMAN_PING) as (_, engine):
        importer = EngineImporter(lambda: HttpClient(UnixAddress(str(tmp_path / "engine.sock"))))
        await importer.import_image("openecs/pause:1", b"tar", ('ENTRYPOINT ["/pause"]',))
        query = parse_qs(urlsplit(engine.targets[-1].split(" ")[1]).query)
        assert query == {"fromSrc": ["-"], "repo": ["openecs/pause:1"], "changes": ['ENTRYPOINT ["/pause"]']}


@pytest.mark.parametrize(
    ("ping", "systemd", "runs"), [(PODMAN_PING, False, False), (PODMAN_PING, True, True), (DOCKER_PING, False, True)]
)
async def test_health_checks_run_where_something_runs_them(
    tmp_path: Path, ping: str, systemd: bool, runs: bool
) -> None:
    """Podman has its health checks run by systemd timers; Docker runs them itself."""
    place = tmp_path / "systemd"
    if systemd:
        place.mkdir()
    async with scripted(tmp_path, {"GET /info": answer(200, "{}")}, ping):
        runtime = DockerRuntime(HttpClient(UnixAddress(str(tmp_path / "engine.sock"))), systemd=place)
        info = await runtime.info()
        await runtime.close()
        assert info.runs_health_checks is runs
        assert info.shares_name_servers is (ping == DOCKER_PING)


@pytest.mark.parametrize("runs", [True, False])
def test_a_node_claims_health_checks_only_where_they_run(runs: bool) -> None:
    info = EngineInfo(
        name="n", version="4.3.1", api_version=(1, 41), cpus=1, memory_mib=1024, architecture="x86_64",
        cgroup_version="1", cgroup_driver="cgroupfs", log_drivers=("k8s-file",), runs_health_checks=runs,
    )  # fmt: skip
    config = AgentConfig(endpoint="http://127.0.0.1:1", region="us-east-1", data_dir="/nowhere")
    claimed = attributes(config, info, node_id="0", task_eni=False, task_limits=False, metadata=False)
    assert ("ecs.capability.container-health-check" in {a.name for a in claimed}) is runs


@pytest.mark.parametrize(("ping", "can"), [(PODMAN_PING, False), (DOCKER_PING, True)])
async def test_gpus_are_refused_where_they_would_be_left_out(tmp_path: Path, ping: str, can: bool) -> None:
    answers = {"GET /info": answer(200, "{}"), "POST /containers/create": answer(201, '{"Id":"c1"}')}
    wanted = {"Image": "x", "HostConfig": {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["GPU-1"]}]}}
    async with scripted(tmp_path, answers, ping) as (runtime, engine):
        assert (await runtime.info()).hands_out_gpus is can
        if can:
            assert await runtime.create("a", wanted) == "c1"
            return
        with pytest.raises(EngineError, match="Podman cannot give GPUs"):
            await runtime.create("a", wanted)
        assert not any("create" in target for target in engine.targets)
