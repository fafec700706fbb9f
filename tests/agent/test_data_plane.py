"""The loop that puts rules in force, the gate that new interfaces wait at, and published ports."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from agent_payloads import container, task
from network_documents import Documents, group, interface, networks, peers
from network_table import Table, run

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.agent.host.documents import HostDocuments
from openecs.agent.network import dataplane, overlay, vicinity, wiring
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.frame import Published
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.published import PublishedPorts, parse, wanted

OWN = wiring.interface("10.60.1.11", "10.60.1.1/24", "")


class KernelTable:
    """Takes scripts as the kernel does; ``flush`` is somebody else's doing."""

    def __init__(self) -> None:
        self.table = Table()

    async def run(self, script: str) -> str:
        if script.startswith("list"):
            if not self.table.there:
                raise NetworkError("No such file or directory")
            return ""
        try:
            run(self.table, script)
        except (AssertionError, KeyError) as error:
            raise NetworkError(str(error)) from None
        return ""

    def flush(self) -> None:
        self.table = Table()


def tell(documents: HostDocuments, put: Documents, *removed: tuple[str, str]) -> None:
    entries = tuple(m.HostEntry(*key, msgspec.Raw(msgspec.json.encode(document))) for key, document in put.items())
    documents.take(m.HostDocumentsMessage(entries=entries, removed=tuple(m.HostKey(*key) for key in removed)))


@asynccontextmanager
async def plane(tmp_path: Path, kernel: KernelTable, documents: HostDocuments) -> AsyncIterator[DataPlane]:
    made = DataPlane("node1", documents, HostNetwork(tmp_path), kernel)
    running = asyncio.get_running_loop().create_task(made.run())
    try:
        yield made
    finally:
        running.cancel()


@pytest.fixture(autouse=True)
def _no_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the filter is looked at here: nothing of this machine is touched."""

    async def nothing(*_: object) -> overlay.Overlay:
        return overlay.NOTHING

    monkeypatch.setattr(DataPlane, "_found", nothing)
    monkeypatch.setattr(vicinity, "container_bridges", frozenset)


async def test_an_interface_waits_until_everything_that_it_names_has_come(tmp_path: Path) -> None:
    documents, kernel = HostDocuments(None), KernelTable()
    async with plane(tmp_path, kernel, documents) as made:
        tell(documents, networks())
        waiting = asyncio.get_running_loop().create_task(made.gate(OWN))
        tell(documents, {("interface", "eni-1"): interface("10.60.1.11", "node1", "sg-web")})
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        tell(documents, {("security-group", "sg-web"): group()})
        await asyncio.wait_for(waiting, 5)
        assert "out_sg-web" in kernel.table.chains
        # It is another interface's turn at the address.
        other = OWN._replace(interface_id="eni-2")
        waiting = asyncio.get_running_loop().create_task(made.gate(other))
        tell(
            documents,
            {("interface", "eni-2"): interface("10.60.1.11", "node1", "sg-web")},
            ("interface", "eni-1"),
        )
        await asyncio.wait_for(waiting, 5)


async def test_what_never_comes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataplane, "PATIENCE", 0.05)
    documents = HostDocuments(None)
    async with plane(tmp_path, KernelTable(), documents) as made:
        tell(documents, {("interface", "eni-1"): interface("10.60.1.11", "node1", "sg-web")})
        with pytest.raises(NetworkError, match=r"has not told the subnet subnet-1, the network ACL .*, the security"):
            await made.gate(OWN)


async def test_an_older_control_plane_tells_nothing_and_nothing_is_waited_for(tmp_path: Path) -> None:
    kernel, documents = KernelTable(), HostDocuments(None)
    async with plane(tmp_path, kernel, documents) as made:
        await asyncio.wait_for(made.gate(OWN), 1)
        assert not kernel.table.there
        host = HostNetwork(tmp_path)
        assert host.translates()
        assert made.problem == ""


async def test_a_flushed_table_is_loaded_again_with_the_next_change_and_by_the_slow_look(tmp_path: Path) -> None:
    documents, kernel = HostDocuments(None), KernelTable()
    tell(
        documents,
        networks()
        | {
            ("security-group", "sg-web"): group(),
            ("interface", "eni-1"): interface("10.60.1.11", "node1", "sg-web"),
        },
    )
    made = DataPlane("node1", documents, HostNetwork(tmp_path), kernel)
    await made.apply()
    before = kernel.table.contents()
    kernel.flush()
    tell(documents, {("security-group", "sg-web"): group(egress=())})
    await made.apply()
    assert kernel.table.chains["out_sg-web"] == []
    kernel.flush()
    await made._look()
    tell(documents, {("security-group", "sg-web"): group()})
    await made.apply()
    assert kernel.table.contents() == before
    tell(documents, {}, ("interface", "eni-1"))
    await made.apply()
    assert kernel.table.contents() == Table().contents()


def test_the_tunnel_and_the_routes_follow_from_documents() -> None:
    hosts = peers(1, 2)
    documents = {key: document for (_, key), document in hosts.items()}
    interfaces = {
        "eni-1": interface("10.60.1.11", "node1", public="10.60.200.1"),
        "eni-2": interface("10.60.1.12", "node2", public="10.60.200.2"),
        "eni-3": interface("10.60.1.13", ""),
    }
    plan = overlay.plan("node1", documents, interfaces, frozenset({"127.0.0.1", "192.168.77.1"}))  # type: ignore[arg-type]
    via = "via 192.168.77.2 dev openecs77 onlink src 169.254.64.1"
    assert plan.device == overlay.Device("openecs77", 77, "192.168.77.1", "169.254.64.1")
    assert plan.neighbours == {"192.168.77.2"}
    assert plan.routes == {
        "10.60.200.1": "dev lo",
        "169.254.64.2": via,
        "10.60.1.12": via,
        "10.60.200.2": via,
    }
    # Two agents of one host need no way to each other.
    here = overlay.plan("node1", documents, interfaces, frozenset({"192.168.77.1", "192.168.77.2"}))  # type: ignore[arg-type]
    assert here == overlay.NOTHING._replace(routes={"10.60.200.1": "dev lo"}, hosts=plan.hosts)
    direct = {key: document for (_, key), document in peers(1, 2, overlay="direct").items()}
    plain = overlay.plan("node1", direct, interfaces, frozenset())  # type: ignore[arg-type]
    assert (plain.device, plain.routes["10.60.1.12"]) == (None, "via 192.168.77.2")
    assert overlay.mac("192.168.77.2") == "02:6f:c0:a8:4d:02"


def test_published_ports_are_read_from_labels() -> None:
    labels = {"Labels": {"openecs.publish": "8080:80, 53/udp"}}
    labelled = msgspec.structs.replace(
        container("a", "image"), docker_config=tp.DockerConfig(config=json.dumps(labels))
    )
    payload = task(labelled, container("b", "image"))
    assert wanted(payload, "10.0.0.4") == {
        Published("10.0.0.4", "tcp", 8080, 80),
        Published("10.0.0.4", "udp", 53, 53),
    }
    for wrong in ("80:", "http:80", "0:80", "80:70000", "80:80/sctp", "-1:80"):
        with pytest.raises(NetworkError, match="write host-port:task-port"):
            list(parse(wrong, "10.0.0.4"))


def test_a_port_that_is_taken_is_refused_and_given_back_whole() -> None:
    ports = PublishedPorts()
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as shortly:
        taken, free = other.getsockname()[1], shortly.getsockname()[1]
        shortly.close()
        both = frozenset({Published("10.0.0.4", "tcp", taken, 80), Published("10.0.0.4", "tcp", free, 81)})
        with pytest.raises(NetworkError, match=f"port {taken}/tcp .* cannot be had: Address already in use"):
            ports.take("task", both)
        assert ports.all == frozenset()
        only = frozenset({Published("10.0.0.4", "tcp", free, 81)})
        ports.take("task", only)
        ports.take("task", only)
        assert ports.all == only
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", free)).close()
        assert ports.release("task")
        assert not ports.release("task")
        socket.create_server(("127.0.0.1", free)).close()
