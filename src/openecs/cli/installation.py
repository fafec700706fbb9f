"""Finding an installation, remembering its settings, and what of it runs.

The home folder is the only handle: every command takes it from ``--data-dir`` or
``OPENECS_DATA_DIR``.  That several installations live on one machine follows from that.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from openecs.cli.process import ProcessIdentity
from openecs.config import (
    DEFAULT_ACCOUNT_ID,
    DEFAULT_PORT,
    DEFAULT_REGION,
    DEFAULT_REPLACE_LOST_AFTER,
    EvidenceLevel,
    Layout,
    RootCredentials,
    RuntimeKind,
    read_file,
    write_private,
)
from openecs.errors import OperatorError
from openecs.model.network import DEFAULT_RANGE


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an installation keeps from one ``up`` to the next."""

    account_id: str = DEFAULT_ACCOUNT_ID
    region: str = DEFAULT_REGION
    bind: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    runtime: RuntimeKind = "docker"
    lend_to: tuple[str, ...] = ("default",)
    advertise_url: str | None = None
    #: Auto Scaling group that this machine belongs to; empty for none.
    group: str | None = None
    #: The machine's availability zone; empty for the region's first.
    availability_zone: str | None = None
    #: CPU units and MiB that this machine offers, ``None`` for all.
    cpu: int | None = None
    memory: int | None = None
    #: What this machine's agent tells of containers that end.
    evidence: EvidenceLevel = "full"
    #: Address at which the other machines reach this one; ``None`` finds it out.
    host_address: str | None = None
    #: Address of this machine at which load balancers are reached from outside the VPC; ``None`` for the loopback.
    edge_address: str | None = None
    #: File that gets the names of load balancers.
    hosts_file: str | None = None
    overlay: Literal["vxlan", "direct"] = "vxlan"
    #: Whether this machine has an agent.
    agent: bool = True
    #: Seconds after which services replace tasks whose agent is not connected; 0 for never.
    replace_lost_after: int = DEFAULT_REPLACE_LOST_AFTER
    #: Whether load balancers probe new targets every second, and stop draining when nothing is in flight.
    fast_probes: bool = True
    fast_drain: bool = True
    #: Whether they send a GET, HEAD or OPTIONS request to another target when the first is lost before it answers.
    retries_safe: bool = True
    #: Program that starts and stops machines of Auto Scaling groups.
    provisioner: str | None = None
    #: VictoriaLogs that takes over log events.
    log_engine: str | None = None
    #: URL to which all metrics are sent on.
    metrics_remote_write: str | None = None
    #: ARNs of SNS topics and the URLs that stand for them: ``ARN=URL``.
    alarm_topic: tuple[str, ...] = ()
    #: Chosen at the first ``up`` and kept.
    address_range: str = DEFAULT_RANGE


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor writes down about the processes that it looks after."""

    supervisor: ProcessIdentity
    server: ProcessIdentity | None = None
    agent: ProcessIdentity | None = None
    endpoint: str
    ephemeral: bool
    #: Whether an agent belongs to it (not with ``--no-agent``).
    with_agent: bool
    #: The server's and the agent's unexpected ends so far.
    server_crashes: int = 0
    agent_crashes: int = 0
    #: Why the supervisor gave up, or what keeps the agent from starting.
    trouble: str | None = None

    @property
    def alive(self) -> tuple[ProcessIdentity, ...]:
        """Those of its processes that run, the supervisor first."""
        known = (self.supervisor, self.agent, self.server)
        return tuple(process for process in known if process is not None and process.is_alive())


class Installation:
    """One home folder and what is known from its files."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def locate(cls, data_dir: Path | None, environ: Mapping[str, str]) -> Installation:
        """The installation that ``data_dir`` names, else the user's default one."""
        if data_dir is not None:
            return cls(data_dir.expanduser().absolute())
        if os.geteuid() == 0:
            return cls(Path("/var/lib/openecs"))
        base = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
        return cls(Path(base) / "openecs")

    def settings(self) -> Settings | None:
        """What it was set up with; ``None`` when it never was."""
        try:
            return read_file(Layout(self.home).settings_file, Settings)
        except FileNotFoundError:
            return None

    def save_settings(self, settings: Settings) -> None:
        """Remember for the next ``up``."""
        write_private(Layout(self.home).settings_file, settings)

    def running(self) -> Running | None:
        """The processes of this installation, ``None`` when none of them is alive."""
        try:
            found = read_file(Layout(self.home).supervisor_file, Running)
        except FileNotFoundError:
            return None
        return found if found.alive else None

    def last_run(self) -> Running | None:
        """What the newest supervisor wrote, alive or not."""
        try:
            return read_file(Layout(self.home).supervisor_file, Running)
        except FileNotFoundError:
            return None

    def layout(self) -> Layout:
        """The files of the newest run."""
        last = self.last_run()
        return Layout(self.home, ephemeral=last is not None and last.ephemeral)

    def credentials(self) -> RootCredentials:
        """The root key pair and the endpoint; ``OperatorError`` when it was never started."""
        try:
            return read_file(self.layout().credentials_file, RootCredentials)
        except FileNotFoundError:
            raise OperatorError(
                f"There is no OpenECS installation in {self.home}. Start one with: {self.command('up')}"
            ) from None
        except PermissionError:
            raise OperatorError(
                f"The installation in {self.home} belongs to another user. Become that user, or start your own "
                "with: openecs up --data-dir DIR --port PORT"
            ) from None

    def command(self, words: str) -> str:
        """An ``openecs`` command line for this installation, to be shown to people."""
        named = [] if self.home == Installation.locate(None, os.environ).home else ["--data-dir", str(self.home)]
        return " ".join([_program(), words, *map(shlex.quote, named)])

    def clear_run(self) -> None:
        """Remove what only a running installation needs; durable state stays.

        To be called by whoever holds the lock, so that it is nobody else's run.
        """
        layout = Layout(self.home)
        for path in layout.run.iterdir():
            if path == layout.lock_file:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the installation as its only supervisor; ``OperatorError`` when another one does."""
        layout = Layout(self.home)
        layout.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        layout.run.mkdir(exist_ok=True, mode=0o700)
        with layout.lock_file.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OperatorError(self.already_running()) from None
            yield

    def already_running(self) -> str:
        """The polite refusal of a second ``up``."""
        found = self.running()
        who = f"pid {found.supervisor.pid}, endpoint {found.endpoint}" if found else "it is just starting or stopping"
        return (
            f"OpenECS is already running in {self.home} ({who}).\n"
            f'Use it:      eval "$({self.command("env")})"\n'
            f"Stop it:     {self.command('down')}\n"
            "Run another: openecs up --data-dir DIR --port PORT"
        )


def _program() -> str:
    """How the person at the shell can call this program: by name, else by path."""
    if shutil.which("openecs") is not None:
        return "openecs"
    path = Path(sys.executable).with_name("openecs")
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
