"""The agent's side of the resolver: keeps its process running and tells it what to answer.

``servers`` is what the engine puts into a task's containers.  It is empty while the resolver does
not answer, and says so in ``problem``: then containers get the host's own name servers, as they
would without OpenECS, and names of this installation are unknown to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path

import msgspec
import structlog

from openecs import __version__
from openecs.acs.host_documents import Document, InterfaceDocument
from openecs.agent.dns.feed import KINDS, Entry, Status, Told
from openecs.agent.dns.process import ADDRESS, PORT, SOCKET
from openecs.agent.dns.upstream import RESOLV_CONF, name_servers
from openecs.agent.host.documents import HostDocuments, Key

_log = structlog.get_logger("openecs.agent")
#: Seconds for which a task's start waits for a resolver that is being started.
PATIENCE = 5.0
#: Seconds between two tries to reach a process that has just been started, and to start another one.
TICK, PAUSE = 0.02, 1.0
#: Seconds that a new process may take to listen.
START = 10.0


class HostResolver:
    """The resolver of this host, shared with its other agents."""

    def __init__(
        self,
        documents: HostDocuments,
        node_id: str,
        run_dir: Path,
        *,
        address: str = ADDRESS,
        port: int = PORT,
        needs_root: bool = True,
    ) -> None:
        self._documents = documents
        self._node_id = node_id
        self._run_dir = run_dir
        self._address = address
        self._port = port
        self._needs_root = needs_root
        self._changed: set[Key] = set()
        #: Interfaces of this host that the resolver knows.
        self._told_interfaces: set[str] = set()
        self._wake = asyncio.Event()
        self._known = asyncio.Event()
        #: Process id of the resolver that this agent started, until it is seen to have ended.
        self._child: int | None = None
        self._serving: frozenset[str] = frozenset()
        #: Why names of this installation are not answered here; empty when they are.
        self.problem = "the resolver has not been started"
        self._encode = msgspec.json.Encoder(order="deterministic").encode
        documents.watch(KINDS, self._note)

    def __repr__(self) -> str:
        return f"<HostResolver: {self.problem or ', '.join(sorted(self._serving))}>"

    async def servers(self, vpc_address: str | None = None) -> tuple[str, ...]:
        """The name servers of a task; of the interface with that address, when it is in a VPC.

        Empty when the task is to have the host's own.
        """
        if not self._known.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._known.wait()
        if vpc_address is not None:
            from openecs.agent.dns.zones import Zones  # Imported here: nothing else of the agent needs it.

            zones = Zones({"vpc": self._documents.all("vpc")})
            own = (i.vpc_id for i in self._interfaces().values() if i.address == vpc_address)
            vpc = next(own, "") or zones.scope(vpc_address)
            if vpc and vpc not in zones.resolvers:
                return ()  # The VPC has DNS support turned off.
            resolver = zones.resolvers.get(vpc)
            if resolver in self._serving:
                return (resolver,)
        return (self._address,) if self._address in self._serving else ()

    async def run(self) -> None:
        """Keep the resolver running and up to date, for ever."""
        if self._needs_root and os.geteuid() != 0:
            self._is("the resolver needs the agent to run as root")
            return
        if self._address in _hosts_own():
            # An EC2 instance may have it so: its own look-ups would come to us, and ours to nobody.
            self._is(f"this host itself uses the name server {self._address}")
            _log.warning("the resolver is off", reason=self.problem)
            return
        time = asyncio.get_running_loop().time
        while True:
            began = time()
            try:
                await self._tell(*await self._reach(self._folder()))
                _log.warning("the resolver ended, another one is started")
            except (OSError, ValueError, msgspec.DecodeError) as error:
                if str(error) != self.problem:
                    _log.warning("the resolver cannot be used", error=str(error))
                self._is(str(error))
            self._child_runs()
            # Tasks are without names meanwhile; but one that ends at once is not started in a circle.
            await asyncio.sleep(PAUSE if time() - began < PAUSE else TICK)

    async def leave(self) -> None:
        """Tell the resolver that neither this agent nor a task of it needs it any more; ``run`` must have ended."""
        with contextlib.suppress(OSError):
            await leave(self._folder(), self._node_id)

    def _note(self, changed: frozenset[Key]) -> None:
        self._changed |= {key for key in changed if self._concerns(*key)}
        if self._changed:
            self._wake.set()

    def _concerns(self, kind: str, key: str) -> bool:
        """Whether the resolver is told of a document's change: of interfaces, only where they are this host's."""
        return kind != "interface" or key in self._told_interfaces or self._document(kind, key) is not None

    def _document(self, kind: str, key: str) -> Document | None:
        """The document, if it is one to tell."""
        document = self._documents.get(kind, key)
        return None if isinstance(document, InterfaceDocument) and document.node_id != self._node_id else document

    def _interfaces(self) -> dict[str, InterfaceDocument]:
        """Those of this host."""
        return {key: i for key, i in self._documents.all("interface").items() if i.node_id == self._node_id}

    def _is(self, problem: str, serving: tuple[str, ...] = ()) -> None:
        self.problem = problem
        self._serving = frozenset(serving)
        self._known.set()

    def _folder(self) -> Path:
        folder = resolver_folder(self._run_dir)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    async def _reach(self, folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the host's resolver, which is started if there is none.  Raises ``OSError``."""
        with contextlib.suppress(OSError):
            return await asyncio.open_unix_connection(str(folder / SOCKET))
        deadline = asyncio.get_running_loop().time() + START
        while True:
            if not self._child_runs():
                # The last one may have lost the race against another agent's, or against one that was ending.
                self._child = self._start(folder)
            await asyncio.sleep(TICK)
            with contextlib.suppress(OSError):
                return await asyncio.open_unix_connection(str(folder / SOCKET))
            if asyncio.get_running_loop().time() > deadline:
                raise OSError(f"the resolver does not start; look at {folder / 'resolver.log'}")

    def _child_runs(self) -> bool:
        """Whether the process that this agent started last has not ended; one that has is buried."""
        if self._child is None:
            return False
        with contextlib.suppress(ChildProcessError):
            pid, _ = os.waitpid(self._child, os.WNOHANG)
            if pid == 0:
                return True
        self._child = None
        return False

    def _start(self, folder: Path) -> int:
        """Start a resolver that outlives this process; its process id."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENECS_")}
        log = str(folder / "resolver.log")
        return os.posix_spawn(
            sys.executable,
            (
                *(sys.executable, "-P", "-m", "openecs.agent.dns", str(folder)),
                *("--address", self._address, "--port", str(self._port)),
            ),
            environment,
            setsid=True,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ),
        )

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk until the resolver ends the connection."""
        self._changed.clear()
        found = {kind: self._interfaces() if kind == "interface" else self._documents.all(kind) for kind in KINDS}
        self._told_interfaces = set(found["interface"])
        entries = tuple(
            Entry(kind, key, self._body(document))
            for kind, documents in found.items()
            for key, document in documents.items()
        )
        self._write(writer, Told(node=self._node_id, version=__version__, all=True, entries=entries))
        try:
            async with asyncio.TaskGroup() as group:
                speaking = group.create_task(self._speak(writer))
                await self._listen(reader)
                speaking.cancel()
        except* (OSError, ValueError, msgspec.DecodeError) as errors:
            raise OSError(f"the resolver's connection: {errors.exceptions[0]}") from None
        finally:
            writer.close()

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        """Tell what changes."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            changed, self._changed = self._changed, set()
            found = [(key, self._document(*key)) for key in sorted(changed)]
            interfaces = {key: document is not None for (kind, key), document in found if kind == "interface"}
            self._told_interfaces |= {key for key, there in interfaces.items() if there}
            self._told_interfaces -= {key for key, there in interfaces.items() if not there}
            self._write(
                writer,
                Told(
                    node=self._node_id,
                    entries=tuple(Entry(*key, self._body(document)) for key, document in found if document is not None),
                    removed=tuple(key for key, document in found if document is None),
                ),
            )
            await writer.drain()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            status = msgspec.json.decode(line, type=Status)
            problem = "" if self._address in status.addresses else status.problem
            if status.problem and status.problem != self.problem:
                _log.warning("the resolver does not answer everywhere", problem=status.problem)
            self._is(problem, status.addresses)

    def _body(self, document: object) -> msgspec.Raw:
        return msgspec.Raw(self._encode(document))

    def _write(self, writer: asyncio.StreamWriter, told: Told) -> None:
        writer.write(self._encode(told) + b"\n")


def resolver_folder(run_dir: Path) -> Path:
    """Where the agents of this network namespace find their resolver."""
    namespace = Path("/proc/self/ns/net").stat().st_ino
    return run_dir / "resolver" / f"net-{namespace}"


async def leave(folder: Path, node_id: str) -> None:
    """Tell a running resolver, if there is one, that an agent needs it no more.  Raises ``OSError``."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.closing(sock):
        sock.settimeout(1.0)
        sock.connect(str(folder / SOCKET))
        sock.sendall(msgspec.json.encode(Told(node=node_id, leave=True)) + b"\n")


def _hosts_own() -> tuple[str, ...]:
    """The name servers of the host."""
    try:
        return name_servers(RESOLV_CONF.read_text(errors="replace"))
    except OSError:
        return ()
