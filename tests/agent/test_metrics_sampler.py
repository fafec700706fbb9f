"""What agents measure of containers: counters of both kinds of control groups, and messages made of samples."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from openecs.agent.metrics.counters import Counters, KernelSource, number_after, traffic
from openecs.agent.metrics.exposition import AgentExposition
from openecs.agent.metrics.host import HostSampler, read_host
from openecs.agent.metrics.sampler import KEPT, Sampler, next_cut
from openecs.clock import ManualClock
from openecs.errors import OperatorError

#: As the kernel writes it, but for the width of its columns.
TABLE = """Inter-|   Receive                            |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 1000 10 0 0 0 0 0 0 200 2 0 0 0 0 0 0
  eth1: 10 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def v1(root: Path) -> KernelSource:
    write(
        root / "proc/7",
        {"cgroup": "4:cpuacct,cpu:/d/x\n3:memory:/d/x\n2:blkio:/d/x\n1:name=systemd:/d/x\n0::/d/x\n", "net/dev": TABLE},
    )
    write(
        root / "cgroup",
        {
            "cpuacct/d/x/cpuacct.usage": "5000000000\n",
            "memory/d/x/memory.usage_in_bytes": "10485760\n",
            "memory/d/x/memory.stat": "cache 5\ninactive_file 7\ntotal_inactive_file 1048576\ntotal_active_file 3\n",
            "blkio/d/x/blkio.throttle.io_service_bytes": "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n9:0 Read 1\n",
        },
    )
    return KernelSource(7, 7, proc=root / "proc", cgroups=root / "cgroup")


def v2(root: Path) -> KernelSource:
    write(root / "proc/7", {"cgroup": "0::/d.slice/x.scope\n", "net/dev": TABLE})
    write(
        root / "cgroup/d.slice/x.scope",
        {
            "cpu.stat": "usage_usec 5000000\nuser_usec 1\n",
            "memory.current": "10485760\n",
            "memory.stat": "anon 1\nfile 2\ninactive_anon 9\ninactive_file 1048576\n",
            "io.stat": "8:0 rbytes=100 wbytes=20 rios=1 wios=1\n9:0 rbytes=1 wbytes=0 rios=1 wios=0\n",
        },
    )
    return KernelSource(7, 7, proc=root / "proc", cgroups=root / "cgroup")


@pytest.mark.parametrize("make", [v1, v2])
def test_counters_of_both_kinds(tmp_path: Path, make) -> None:
    source = make(tmp_path)
    expected = Counters(cpu=5_000_000_000, memory=9 * 1024 * 1024, read=101, written=20, received=1010, sent=205)
    # The files stay open and are read anew each time.
    assert source.read() == source.read() == expected
    source.close()
    with pytest.raises(OSError, match="descriptor"):
        source.read()


def test_nothing_stays_open_when_a_file_is_missing(tmp_path: Path) -> None:
    v2(tmp_path).close()
    (tmp_path / "cgroup/d.slice/x.scope/memory.stat").unlink()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        KernelSource(7, None, proc=tmp_path / "proc", cgroups=tmp_path / "cgroup")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_this_process_can_be_read() -> None:
    source = KernelSource(os.getpid(), os.getpid())
    assert source.read().cpu > 0
    source.close()


@pytest.mark.parametrize(
    ("text", "expected"), [(b"a 1\nkey 2\n", 2), (b"key 3\na 1", 3), (b"akey 4\n", 0), (b"", 0), (b"a 1\nkey 5", 5)]
)
def test_number_after(text: bytes, expected: int) -> None:
    assert number_after(text, b"key ") == expected


def test_traffic_is_without_the_loopback() -> None:
    assert traffic(TABLE.encode()) == (1010, 205)


class Source:
    """A container that uses half a core, 100 MiB and some network."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.ended = False
        self.closed = False

    def read(self) -> Counters:
        if self.ended:
            raise OSError("gone")
        seconds = self.clock.now()
        return Counters(int(seconds * 5e8), 100 << 20, 7, int(seconds), int(seconds * 1000), int(seconds * 10))

    def close(self) -> None:
        self.closed = True


class Host:
    def __init__(self, network_mode: str = "bridge", containers: int = 1) -> None:
        self.clock = ManualClock(1_700_000_001.0)
        self.sources: list[Source] = []
        self.containers = [
            SimpleNamespace(name=f"c{n}", status="RUNNING", container_id=f"id{n}", started_at=1.0, restarts=n)
            for n in range(containers)
        ]
        payload = SimpleNamespace(arn="arn:task", family="web", version="1", network_mode=network_mode)
        self.worker = SimpleNamespace(
            payload=payload, cluster="default", state=SimpleNamespace(containers=self.containers)
        )
        self.sampler = Sampler(self, lambda: [self.worker], self.clock, cores=2, open_source=self.open)

    async def inspect(self, container_id: str) -> SimpleNamespace:
        return SimpleNamespace(pid=100)

    def open(self, pid: int, network_pid: int | None) -> Source:
        self.sources.append(Source(self.clock))
        return self.sources[-1]

    async def samples(self, count: int) -> None:
        for _ in range(count):
            await self.sampler.sample()
            self.clock.advance(2.5)


async def test_a_message_of_samples() -> None:
    host = Host()
    await host.samples(9)
    host.sampler.cut(1_700_000_020.0)
    (batch,) = host.sampler.batches
    assert batch.at == 1_700_000_020.0
    (task,) = batch.tasks
    assert (task["taskArn"], task["clusterArn"], task["taskDefinitionFamily"]) == ("arn:task", "default", "web")
    (container,) = task["containerMetrics"]
    # Half a core of two.
    assert container["cpuStatsSet"] == {"min": 25.0, "max": 25.0, "sampleCount": 8, "sum": 200.0}
    assert container["memoryStatsSet"]["max"] == 100.0
    assert container["networkStatsSet"]["rxBytesPerSecond"]["sum"] == pytest.approx(8000, rel=0.01)
    assert container["storageStatsSet"]["readSizeBytes"]["max"] == 7
    assert container["restartStatsSet"] == {"restartCount": 0}
    # Each sample is told once.
    host.sampler.cut(1_700_000_040.0)
    assert len(host.sampler.batches) == 1


async def test_containers_of_one_network_share_its_traffic() -> None:
    host = Host("awsvpc", containers=2)
    await host.samples(3)
    host.sampler.cut(0.0)
    rates = [
        one["networkStatsSet"]["rxBytesPerSecond"]["max"]
        for one in host.sampler.batches[0].tasks[0]["containerMetrics"]
    ]
    assert rates == [pytest.approx(500, rel=0.01)] * 2


async def test_the_host_s_traffic_is_nobody_s() -> None:
    host = Host("host")
    await host.samples(3)
    host.sampler.cut(0.0)
    assert "networkStatsSet" not in host.sampler.batches[0].tasks[0]["containerMetrics"][0]


async def test_a_new_run_is_measured_from_its_start_and_an_ended_one_is_let_go() -> None:
    host = Host()
    await host.samples(2)
    host.containers[0].started_at = 2.0
    await host.samples(1)
    assert host.sources[0].closed
    assert len(host.sources) == 2
    host.sources[1].ended = True
    await host.samples(2)
    assert host.sources[1].closed
    host.containers[0].status = "STOPPED"
    await host.samples(1)
    host.sampler.cut(0.0)
    assert not host.sampler.batches


async def test_the_newest_messages_are_kept() -> None:
    host = Host()
    for number in range(KEPT + 5):
        await host.samples(2)
        host.sampler.cut(float(number))
    assert len(host.sampler.batches) == KEPT
    assert host.sampler.batches[-1].at == KEPT + 4


def test_cuts_are_at_multiples_of_the_period() -> None:
    assert [next_cut(at) for at in (0.0, 19.9, 20.0, 59.9)] == [20.0, 20.0, 40.0, 60.0]


def test_what_the_kernel_does_not_count_is_not_told(tmp_path: Path) -> None:
    v2(tmp_path).close()
    (tmp_path / "cgroup/d.slice/x.scope/io.stat").unlink()
    source = KernelSource(7, 7, proc=tmp_path / "proc", cgroups=tmp_path / "cgroup")
    assert source.read()[2:4] == (None, None)
    source.close()


async def test_a_page_for_prometheus() -> None:
    host = Host("awsvpc", containers=2)
    await host.samples(2)
    families = {family.name: family for family in AgentExposition(host.sampler).families()}
    first, second = families["openecs_container_cpu_seconds_total"].samples
    assert first.labels == {"cluster": "default", "family": "web", "task": "arn:task", "container": "c0"}
    assert (second.labels["container"], second.value) == ("c1", pytest.approx((1_700_000_001 + 2.5) / 2))
    assert families["openecs_container_memory_bytes"].samples[0].value == 100 << 20
    # Both share one network.
    (received,) = families["openecs_container_network_receive_bytes_total"].samples
    assert received.labels["container"] == "c0"
    assert families["process_cpu_seconds_total"].samples[0].value > 0


async def test_the_page_is_served_on_the_loopback_only() -> None:
    port = free_port()
    exposition = AgentExposition(None)

    async def ask(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(exposition.run(port))
        while True:
            try:
                page = await ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                break
            except ConnectionRefusedError:
                await asyncio.sleep(0)
        assert page.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
        assert b'openecs_build_info{version="' in page
        assert (await ask(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        assert (await ask(b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        with pytest.raises(OperatorError, match="Choose another --metrics-port"):
            await AgentExposition(None).run(port)
        running.cancel()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def host_files(root: Path, stat: str, free: int, received: int) -> tuple[Path, Path]:
    table = TABLE + f"  real: {received} 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n"
    files = {
        "stat": f"cpu  {stat} 0 0\ncpu0 1\n",
        "meminfo": f"MemTotal: 4096000 kB\nMemFree: 1 kB\nMemAvailable: {free} kB\n",
    }
    write(root / "proc", {**files, "net/dev": table})
    (root / "net/real/device").mkdir(parents=True, exist_ok=True)
    return root / "proc", root / "net"


def test_a_host_as_a_whole(tmp_path: Path) -> None:
    proc, devices = host_files(tmp_path, "100 20 30 5000 50 6 7 8", 1024000, 300)
    found = read_host(tmp_path, proc=proc, devices=devices)
    # Neither idle nor waiting for a disk; a hundredth of a second each.
    assert found.cpu == pytest.approx((100 + 20 + 30 + 6 + 7 + 8) / os.sysconf("SC_CLK_TCK"))
    assert (found.memory, found.memory_limit) == (3000.0, 4000.0)
    # Devices of hardware only.
    assert found.traffic == 305
    assert 0 < found.filesystem <= 100


def test_a_host_without_hardware_counts_all_devices_but_the_loopback(tmp_path: Path) -> None:
    proc, _ = host_files(tmp_path, "1 1 1 1 1 1 1 1", 1024, 300)
    assert read_host(tmp_path, proc=proc, devices=tmp_path / "none").traffic == 1010 + 205 + 305


def test_this_host_can_be_sampled(tmp_path: Path) -> None:
    sampler = HostSampler(tmp_path, cores=1)
    assert sampler.told() is None
    sampler.sample(10.0)
    sampler.sample(12.5)
    told = sampler.told()
    assert told is not None
    assert (told["cpuStatsSet"]["sampleCount"], told["memoryStatsSet"]["sampleCount"]) == (1, 2)
    assert told["memoryStatsSet"]["max"] < told["memoryLimit"]
    assert sampler.told() is None


async def test_a_host_without_tasks_is_told_of(tmp_path: Path) -> None:
    host = Host(containers=0)
    sampler = Sampler(host, list, host.clock, cores=1, host=HostSampler(tmp_path, cores=1))  # type: ignore[arg-type]
    await sampler.sample()
    sampler.cut(20.0)
    (batch,) = sampler.batches
    assert batch.tasks == []
    assert batch.host is not None
    assert batch.host["memoryLimit"] > 0
