"""The resolver's process: ``python -m openecs.agent.dns DIRECTORY``.

One per host, started by whichever agent comes first, and in a session of its own so that it
outlives that agent.  It holds a lock in the directory, listens there for agents and ends when no
agent needs it any more.  The addresses at which it answers are on ``lo`` for as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import structlog

from openecs import __version__
from openecs.agent.dns.answers import Answers
from openecs.agent.dns.feed import Feed, Status, Told
from openecs.agent.dns.server import DnsServer
from openecs.agent.dns.upstream import Upstream
from openecs.agent.dns.zones import Zones
from openecs.agent.metadata.http import listen, same_user
from openecs.agent.network import vicinity
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError

_log = structlog.get_logger("openecs.dns")
LOCK, SOCKET = "resolver.lock", "resolver.sock"
#: The address for tasks that are in no VPC, as on AWS's own hosts.
ADDRESS, PORT = "169.254.169.253", 53
#: A message of an agent may have so many bytes.
LINE = 64 * 1024 * 1024
#: Seconds for which a new resolver waits for its first agent.
EXPECTS_AGENT = 10.0
#: Seconds for which changes are gathered before they count: many come together.
GATHER = 0.005


class ResolverProcess:
    """The resolver of this network namespace."""

    def __init__(
        self, folder: Path, *, address: str = ADDRESS, port: int = PORT, expects_agent: float = EXPECTS_AGENT
    ) -> None:
        self._expects_agent = expects_agent
        self._folder = folder
        self._address = address
        self._feed = Feed()
        self._answers = Answers(Zones({}), vicinity.is_here)
        #: What the zones were made of.
        self._documents: dict[str, dict[str, Any]] = {}
        self._server = DnsServer(self._answers, Upstream(lambda: self._server.addresses), port=port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()
        self._done = asyncio.Event()
        self._status = b""

    async def run(self) -> None:
        """Serve until nobody needs it, or until told to end."""
        sock = listen(self._folder / SOCKET)
        server = await asyncio.start_unix_server(self._serve_agent, sock=sock, limit=LINE)
        try:
            # A kept asker's address may be somebody else's when addresses or routes change.
            with vicinity.watching(self._answers.forget_askers):
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._apply_changes()), group.create_task(self._end_unless_needed())]
                    await self._done.wait()
                    for task in tasks:
                        task.cancel()
        finally:
            # Gone before the lock is: whoever finds no socket starts another resolver.
            (self._folder / SOCKET).unlink(missing_ok=True)
            server.close()
            for writer in tuple(self._writers):
                writer.close()
            addresses = self._server.addresses
            self._server.close()
            for address in sorted(addresses):
                await _on_lo("delete", address)

    def stop(self) -> None:
        """End."""
        self._done.set()

    async def _end_unless_needed(self) -> None:
        """The agent that started this process may have found another one, or have ended."""
        await asyncio.sleep(self._expects_agent)
        if self._feed.empty:
            self.stop()

    async def _serve_agent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        node: str | None = None
        try:
            if not same_user(writer.get_extra_info("socket")):
                return
            while line := await reader.readline():
                told = msgspec.json.decode(line, type=Told)
                if told.version and told.version != __version__:
                    _log.info("another version takes over", version=told.version)
                    self.stop()
                    return
                if node is None and not told.leave:
                    node = told.node
                    self._feed.connected(node)
                    self._writers.add(writer)
                self._feed.take(told)
                if told.leave:
                    node = None
                    if self._feed.empty:
                        self.stop()
                self._changed.set()
                if self._status and not told.leave:
                    writer.write(self._status)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            _log.warning("an agent's message was not understood", error=str(error))
        finally:
            self._writers.discard(writer)
            if node is not None:
                self._feed.disconnected(node)
                self._changed.set()
            writer.close()

    async def _apply_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(GATHER)
            self._changed.clear()
            documents = self._feed.documents()
            # Interfaces change with every task that starts here, names with few of them.
            interfaces = {i.address: i.vpc_id for i in reversed(documents.pop("interface").values())}
            zones = self._answers.zones
            if documents != self._documents:
                zones, self._documents = Zones(documents), documents
            self._answers.replace(zones, interfaces)
            await self._listen({self._address, *zones.resolvers.values()})

    async def _listen(self, wanted: set[str]) -> None:
        before = self._server.addresses
        problems = await self._server.listen(wanted)
        for address in sorted(before - self._server.addresses):
            await _on_lo("delete", address)
        for address in sorted(self._server.addresses - before):
            problem = await _on_lo("replace", address)
            if problem:
                problems[address] = problem
        serving = self._server.addresses - problems.keys()
        status = Status(
            version=__version__,
            addresses=tuple(sorted(serving)),
            problem="; ".join(problems[a] for a in sorted(problems)),
        )
        encoded = msgspec.json.encode(status) + b"\n"
        if encoded != self._status:
            self._status = encoded
            for writer in tuple(self._writers):
                writer.write(encoded)


async def _on_lo(what: str, address: str) -> str:
    """Put an address on ``lo`` or take it away; why not, if it cannot be.  Loopback ones are there."""
    if address.startswith("127."):
        return ""
    try:
        await run(("ip", "address", what, f"{address}/32", "dev", "lo"), "")
    except NetworkError as error:
        _log.warning("address of the resolver", address=address, what=what, error=str(error))
        return f"{address} on lo: {error}"
    return ""


def main(arguments: list[str]) -> int:
    """The process; 0 also when another one has the lock already."""
    import uvloop  # Imported here: agents import this module for its names.

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder = Path(arguments[0])
    os.chdir("/")
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    with contextlib.closing(os.fdopen(lock, "wb")):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(folder, options.get("--address", ADDRESS), int(options.get("--port", PORT))))
    return 0


async def _serve(folder: Path, address: str, port: int) -> None:
    process = ResolverProcess(folder, address=address, port=port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, process.stop)
    await process.run()
