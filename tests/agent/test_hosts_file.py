"""Names of load balancers in a file like ``/etc/hosts``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from openecs.acs import messages as m
from openecs.acs.host_documents import NameDocument
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.hosts_file import HostsFile

OWN = "127.0.0.1 localhost\n# mine\n10.0.0.9 printer"
WEB = "web-1.us-east-1.elb.openecs.internal"


def tell(documents: HostDocuments, *names: NameDocument, gone: tuple[str, ...] = ()) -> None:
    entries = tuple(
        m.HostEntry(kind="name", key=f"*/{name.name}", body=msgspec.Raw(msgspec.json.encode(name))) for name in names
    )
    removed = tuple(m.HostKey(kind="name", key=f"*/{name}") for name in gone)
    documents.take(m.HostDocumentsMessage(entries=entries, removed=removed))


def running(hosts: HostsFile, act: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(hosts.run())
            await act()
            task.cancel()

    asyncio.run(go())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def balancer(*addresses: str, name: str = WEB) -> NameDocument:
    return NameDocument(name=name, scope="*", a=addresses)


def test_the_names_stand_in_the_file_and_what_others_wrote_stays(tmp_path: Path) -> None:
    path, documents = tmp_path / "hosts", HostDocuments(None)
    path.write_text(OWN)
    path.chmod(0o640)
    other = HostsFile(path, "other", documents)

    async def act() -> None:
        await asyncio.sleep(0)
        # Nothing is known yet, and an earlier agent's names may still be right.
        assert path.read_text() == OWN
        tell(documents, balancer("10.208.0.4", "10.208.64.4"), balancer("10.208.0.8", name="www.example.com"))
        await until(lambda: WEB in path.read_text())
        begin, end = "# openecs n1: names of load balancers\n", "# openecs n1: end\n"
        assert path.read_text() == f"{OWN}\n{begin}10.208.0.4 {WEB}\n10.208.64.4 {WEB}\n{end}"
        other._write(["10.208.0.5 other"])
        tell(documents, balancer("10.208.0.6"))
        await until(lambda: f"10.208.0.6 {WEB}" in path.read_text())
        assert "10.208.0.4" not in path.read_text()
        assert "10.208.0.5 other" in path.read_text()
        tell(documents, gone=(WEB,))
        await until(lambda: WEB not in path.read_text())

    hosts = HostsFile(path, "n1", documents)
    running(hosts, act)
    other.leave()
    assert path.read_text() == OWN + "\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [found.name for found in tmp_path.iterdir()] == ["hosts"]


def test_a_file_that_cannot_be_replaced_is_written_into(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (real / "hosts").write_text(OWN)
    link = tmp_path / "hosts"
    link.symlink_to(real / "hosts")
    documents = HostDocuments(None)
    tell(documents, balancer("10.208.0.4"))

    async def act() -> None:
        await until(lambda: WEB in (real / "hosts").read_text())

    hosts = HostsFile(link, "n1", documents)
    running(hosts, act)
    assert link.is_symlink()
    hosts.leave()
    assert (real / "hosts").read_text() == OWN + "\n"


def test_what_cannot_be_written_does_not_end_the_agent(tmp_path: Path) -> None:
    documents = HostDocuments(None)
    tell(documents, balancer("10.208.0.4"))
    hosts = HostsFile(tmp_path, "n1", documents)

    async def act() -> None:
        await asyncio.sleep(0.01)

    running(hosts, act)
    hosts.leave()
    assert list(tmp_path.iterdir()) == []
