"""The agent's pure parts: bodies, ports, limits, names, wiring, reports, images."""

from __future__ import annotations

import json
import os
import platform
import signal
import stat
import subprocess
from pathlib import Path

import pytest
from agent_payloads import container, task

from openecs.acs import task_payload as tp
from openecs.agent.config import AgentConfig, load
from openecs.agent.engine import container_body, limits, names, ports, volumes
from openecs.agent.engine.images import Images, PullError, digest_of
from openecs.agent.engine.task_state import Report
from openecs.agent.metadata import stats, views
from openecs.agent.network import pause_image, wiring
from openecs.agent.reporting import merge
from openecs.agent.runtime.fake import FakeRuntime
from openecs.clock import ManualClock
from openecs.errors import OperatorError
from openecs.ids import SeededIds
from openecs.shapes import ecs


def body(
    container_payload: tp.ContainerPayload, payload: tp.TaskPayload | None = None, **inputs: object
) -> dict[str, object]:
    inputs.setdefault("labels", {"com.amazonaws.ecs.task-arn": "t"})
    inputs.setdefault("environment", {"AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "eu-1", "X": "1"})
    payload = payload or task(container_payload)
    return container_body.build(payload, container_payload, container_body.BodyInputs(**inputs))  # type: ignore[arg-type]


def test_the_payloads_docker_texts_win_and_the_agents_labels_win_over_them() -> None:
    made = body(
        container(
            memory=64,
            host={"NetworkMode": "none", "CpuShares": 77, "CapAdd": ["NET_ADMIN"]},
            config={"User": "7", "Labels": {"com.amazonaws.ecs.task-arn": "forged", "mine": "1"}},
        )
    )
    assert made["User"] == "7"
    assert made["Labels"] == {"com.amazonaws.ecs.task-arn": "t", "mine": "1"}
    host = {"CpuShares": 77, "Memory": 64 * 1024 * 1024, "NetworkMode": "none", "CapAdd": ["NET_ADMIN"]}
    assert made["HostConfig"] == host


def test_the_region_is_left_to_the_task_or_its_image_when_they_set_it() -> None:
    assert "AWS_REGION=eu-1" in body(container())["Env"]  # type: ignore[operator]
    own = body(container(environment={"AWS_DEFAULT_REGION": "mars"}))["Env"]
    assert sorted(own) == ["AWS_DEFAULT_REGION=mars", "X=1"]  # type: ignore[call-overload]
    assert body(container(), image_env=frozenset({"AWS_REGION"}))["Env"] == ["X=1"]


def test_joining_a_network_leaves_out_what_belongs_to_the_joined_container() -> None:
    made = body(container(host={"Dns": ["1.1.1.1"]}, config={"Hostname": "h"}), network_mode="container:p")
    assert made["HostConfig"] == {"CpuShares": 2, "NetworkMode": "container:p"}
    assert "Hostname" not in made


def test_ranges_are_published_port_by_port() -> None:
    binding = ecs.NetworkBinding(container_port_range="80-81", host_port_range="9000-9001", protocol="udp")
    host = body(container(), bindings=[binding])["HostConfig"]
    published = {port: bound[0]["HostPort"] for port, bound in host["PortBindings"].items()}  # type: ignore[index]
    assert published == {"80/udp": "9000", "81/udp": "9001"}


def test_mounts_links_and_volumes_from_name_the_tasks_own_things() -> None:
    payload = task(
        container(
            "app",
            links=("db:database",),
            volumes_from=(tp.VolumeFrom(source_container="db", read_only=True),),
            mount_points=(tp.MountPoint(source_volume="v", container_path="/v", read_only=True),),
        ),
        container("db"),
        volumes=(tp.VolumePayload(name="v", host=tp.HostVolume()),),
    )
    host = body(payload.containers[0], payload, volumes=volumes.sources(payload))["HostConfig"]
    db = names.container_name(payload, "db")
    assert host["Links"] == [f"{db}:database"]  # type: ignore[index]
    assert host["VolumesFrom"] == [f"{db}:ro"]  # type: ignore[index]
    assert host["Binds"] == [f"{names.volume_name(payload, 'v')}:/v:ro"]  # type: ignore[index]


def test_a_docker_text_that_is_no_object_is_refused() -> None:
    bad = tp.ContainerPayload(name="a", image="i", docker_config=tp.DockerConfig(host_config="[1]"))
    with pytest.raises(container_body.DockerConfigError, match="hostConfig"):
        body(bad)


def test_awslogs_gets_the_execution_roles_credentials() -> None:
    log = {"LogConfig": {"Type": "awslogs", "Config": {"mode": "non-blocking"}}}
    made = body(container(host=log, logs_auth_strategy="ExecutionRole"), log_credentials="/v2/credentials/x")
    assert made["HostConfig"]["LogConfig"]["Config"] == {  # type: ignore[index]
        "mode": "non-blocking",
        "max-buffer-size": "10m",
        "awslogs-credentials-endpoint": "/v2/credentials/x",
    }


def test_container_names_are_stable_and_clean() -> None:
    payload = task()
    name = names.container_name(payload, "a_b.c")
    assert name == names.container_name(payload, "a_b.c")
    assert name.startswith("ecs-web-3-abc-")
    assert len(name.rsplit("-", 1)[1]) == 20
    assert names.container_name(task(number=2), "a_b.c") != name


def test_ports_rotate_skip_what_is_taken_and_come_back() -> None:
    pool = ports.PortPool((100, 109), reserved=(101,), is_free=lambda port, _: port != 102)
    one = [tp.PortMapping(container_port=80)]
    assert [pool.assign("a", one)[0].host_port for _ in range(3)] == [100, 103, 104]
    (block,) = pool.assign("b", [tp.PortMapping(container_port_range="1-4")])
    assert block.host_port_range == "105-108"
    with pytest.raises(ports.PortsError, match="2 contiguous host ports are unavailable"):
        pool.assign("c", [tp.PortMapping(container_port_range="1-2")])
    pool.release("b")
    assert pool.assign("c", one)[0].host_port == 109
    assert pool.assign("c", one)[0].host_port == 105


def test_a_failed_assignment_takes_nothing() -> None:
    pool = ports.PortPool((100, 101), is_free=lambda *_: True)
    with pytest.raises(ports.PortsError, match="a host port is unavailable"):
        pool.assign("a", [tp.PortMapping(container_port=n) for n in (1, 2, 3)])
    assert {b.host_port for b in pool.assign("b", [tp.PortMapping(container_port=n) for n in (1, 2)])} == {100, 101}


def test_limits_for_each_kind_of_cgroup() -> None:
    payload = task(cpu=0.25, memory=64)
    assert limits.v1_files(payload)["cpu"]["cpu.cfs_quota_us"] == "25000"
    assert limits.v2_files(payload) == {"memory.max": str(64 * 1024 * 1024), "cpu.max": "25000 100000"}
    assert limits.systemd_properties(payload) == ("MemoryMax=67108864", "CPUQuota=25%")
    number = names.task_id(payload.arn)
    assert limits.CgroupLimits("2", "systemd").parent(payload) == f"ecs-{number}.slice"
    assert limits.CgroupLimits("1", "cgroupfs").parent(payload) == f"/ecs/{number}"
    assert limits.CgroupLimits("1", "cgroupfs").parent(task()) is None


def test_version_2_limits_enable_controllers_on_the_way(tmp_path: Path) -> None:
    payload = task(cpu=1, memory=8)
    limits.CgroupLimits("2", "cgroupfs", root=tmp_path)._make_v2("/ecs/t", payload)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (tmp_path / "ecs/cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (tmp_path / "ecs/t/memory.max").read_text() == str(8 * 1024 * 1024)


def eni(address: str = "10.0.0.5", gateway: str = "10.0.0.1/24") -> tp.TaskPayload:
    interface = tp.ElasticNetworkInterface(
        ec2_id="eni-1",
        attachment_arn="a",
        mac_address="0a:58:0a:00:00:05",
        ipv4_addresses=(tp.Ipv4Address(primary=True, private_address=address),),
        subnet_gateway_ipv4_address=gateway,
    )
    return task(network_mode="awsvpc", elastic_network_interfaces=(interface,))


def test_an_interface_is_wired_by_routes() -> None:
    plan = wiring.plan(eni())
    assert plan.host_end == "eni0a000005"
    assert "address 0a:58:0a:00:00:05 netns 77" in wiring.make_pair(plan, 77)
    assert "route replace 10.0.0.5/32 dev eni0a000005" in wiring.connect_host(plan)
    assert "default via 10.0.0.1" in wiring.connect_inside(plan)


@pytest.mark.parametrize(
    ("address", "gateway"),
    [("10.0.0.5; rm -rf /", "10.0.0.1/24"), ("10.0.0.5", "10.0.0.1"), ("10.9.0.5", "10.0.0.1/24")],
)
def test_a_bad_interface_is_refused(address: str, gateway: str) -> None:
    with pytest.raises(wiring.InterfaceError, match="eni message validation"):
        wiring.plan(eni(address, gateway))


def test_resolvers_that_a_task_cannot_reach_are_left_out() -> None:
    text = "nameserver 127.0.0.53\nnameserver 10.0.0.2\n# x\nnameserver ::1\noptions edns0\nnameserver nonsense\n"
    assert wiring.resolvers(text) == ("10.0.0.2",)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program is run")
def test_the_pause_program_sleeps_until_a_signal_comes(tmp_path: Path) -> None:
    file = tmp_path / "pause"
    file.write_bytes(pause_image.program("x86_64"))
    file.chmod(stat.S_IRWXU)
    process = subprocess.Popen([file])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    assert Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM


def test_the_arm_program_loops_over_its_system_call() -> None:
    code = pause_image.program("arm64")[120:]
    assert code[-4:] == (0x14000000 | (-7 & 0x3FFFFFF)).to_bytes(4, "little")
    with pytest.raises(ValueError, match="riscv"):
        pause_image.program("riscv")


def test_reports_merge_without_skipping_a_change_of_the_task() -> None:
    def said(name: str) -> tuple[ecs.ContainerStateChange, ...]:
        return (ecs.ContainerStateChange(container_name=name),)

    waiting = [
        Report(status="PENDING", task_changed=False, containers=said("a")),
        Report(status="RUNNING", containers=said("b")),
        Report(status="RUNNING", task_changed=False, containers=said("c")),
        Report(status="STOPPED", containers=said("d"), reason="why"),
    ]
    first, count = merge(waiting)
    assert (first.status, [c.container_name for c in first.containers], count) == ("RUNNING", ["a", "b", "c"], 3)
    last, count = merge(waiting[count:])
    assert (last.status, last.reason, count) == ("STOPPED", "why", 1)


@pytest.mark.parametrize(
    ("reference", "known", "digest"),
    [
        ("repo/app:1", ("repo/app@sha256:aa",), "sha256:aa"),
        ("nginx", ("nginx@sha256:bb",), "sha256:bb"),
        ("docker.io/library/nginx:2", ("nginx@sha256:bb",), "sha256:bb"),
        ("host:5000/app", ("other@sha256:cc",), None),
        ("app@sha256:dd", (), "sha256:dd"),
    ],
)
def test_digests_are_those_of_the_images_own_repository(
    reference: str, known: tuple[str, ...], digest: str | None
) -> None:
    assert digest_of(reference, known) == digest


async def test_pull_behaviors() -> None:
    clock = ManualClock()
    runtime = FakeRuntime(clock, SeededIds(1))
    with pytest.raises(PullError, match="CannotPullContainerError: "):
        await Images(runtime, clock, "default").ensure("nowhere/missing:1")
    pulled = await Images(runtime, clock, "default").ensure("app:1")
    assert pulled.pull_started_at is not None
    cached = await Images(runtime, clock, "prefer-cached").ensure("app:1")
    assert cached.pull_started_at is None
    assert (await Images(runtime, clock, "always").ensure("app:1")).pull_started_at is not None


def test_secrets_come_by_the_environment_only_and_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    settings = {"endpoint": "http://127.0.0.1:1", "region": "r", "data_dir": "/tmp"}
    file.write_text(json.dumps(settings))
    keys = {"OPENECS_AGENT_ACCESS_KEY_ID": "AKIA1", "OPENECS_AGENT_SECRET_KEY": "hidden"}
    config = load(file, keys)
    assert config.secret_key == "hidden"
    assert "hidden" not in repr(config)
    with pytest.raises(OperatorError, match="key pair"):
        load(file, {})
    file.write_text(json.dumps({**settings, "endpont": "typo"}))
    with pytest.raises(OperatorError, match="endpont"):
        load(file, keys)
    assert AgentConfig(**settings).runtime == "docker"


def test_times_are_rfc_3339_in_utc() -> None:
    assert views.timestamp(0.5) == "1970-01-01T00:00:00.5Z"
    assert views.timestamp(None) is None


def test_device_tables_are_read_without_loopback() -> None:
    text = "Inter-|\n face |\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 3 4 0 0 0 0 20 5 6 7 0 0 0 0\n"
    assert stats.devices(text) == {
        "eth0": {
            "rx_bytes": 10,
            "rx_packets": 2,
            "rx_errors": 3,
            "rx_dropped": 4,
            "tx_bytes": 20,
            "tx_packets": 5,
            "tx_errors": 6,
            "tx_dropped": 7,
        }
    }
