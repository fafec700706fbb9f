"""What a control plane is told when it starts, and where an installation keeps its files.

An installation is one folder, the home.  ``Layout`` names every file in it once, so that the
server, the agent and the commands agree; ``ServerConfig`` is the whole of what the server is
told.  Nothing here reads the environment, starts anything or knows about the command line.

A durable installation keeps everything in its home.  An ephemeral one keeps only what its
own processes need to find each other, in ``<home>/run``, which ``openecs down`` removes.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from openecs import arn as arns
from openecs.errors import OperatorError
from openecs.model.network import DEFAULT_RANGE

DEFAULT_PORT = 8327
DEFAULT_REGION = "us-east-1"
DEFAULT_REPLACE_LOST_AFTER = 300
#: Visibly not an account of AWS, so that nobody takes these ARNs for real ones.
DEFAULT_ACCOUNT_ID = "000000000000"

RuntimeKind = Literal["docker", "fake"]
#: What an agent tells of containers that end, for ``openecs why``.
EvidenceLevel = Literal["full", "status", "none"]

_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_CLUSTER = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,254}")
_T = TypeVar("_T")


class Layout:
    """Where one installation keeps its files."""

    def __init__(self, home: Path, *, ephemeral: bool = False) -> None:
        self.home = home
        self.ephemeral = ephemeral
        #: Files of running processes; worthless after a reboot.
        self.run = home / "run"
        #: What must survive, or what stands in for it in an ephemeral installation.
        self.state = self.run if ephemeral else home
        #: What the programs log about themselves (``logs`` holds the users' log groups).
        self.log = self.state / "log"
        self.agent = self.state / "agent"

    @property
    def settings_file(self) -> Path:
        """Account and region that the installation was made with."""
        return self.home / "installation.json"

    @property
    def credentials_file(self) -> Path:
        """The root key pair; readable by the owner only."""
        return self.state / "credentials.json"

    @property
    def kept_keys_file(self) -> Path:
        """Keys of an ephemeral run, sealed; a durable installation has them in its journal."""
        return self.run / "keys.json"

    @property
    def agent_credentials_file(self) -> Path:
        """The key pair of this machine's agent; readable by the owner only."""
        return self.agent / "credentials.json"

    @property
    def metrics_token_file(self) -> Path:
        """The token with which ``/metrics`` is read; readable by the owner only."""
        return self.state / "metrics-token"

    @property
    def server_file(self) -> Path:
        """Written by the server when it answers."""
        return self.run / "server.json"

    @property
    def server_config_file(self) -> Path:
        """The ``ServerConfig`` of the running server."""
        return self.run / "server-config.json"

    @property
    def agent_config_file(self) -> Path:
        """The settings of the running agent, without keys."""
        return self.run / "agent-config.json"

    @property
    def supervisor_file(self) -> Path:
        """Which processes belong to the running installation."""
        return self.run / "supervisor.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.run / "lock"


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a control plane is told.  The server writes into these folders and nowhere else."""

    #: Address and port to listen on.
    bind: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    #: Where durable state goes; ``None`` keeps state in memory only and serves ``/_openecs/reset``.
    data_dir: Path | None
    #: Where ``server.json`` goes; without a ``data_dir`` also the credentials.
    run_dir: Path
    account_id: str = DEFAULT_ACCOUNT_ID
    #: The region of calls that name none and of the local agent; other regions work as well.
    region: str = DEFAULT_REGION
    #: What runs the local node's containers.  The server only reports it.
    runtime: RuntimeKind = "docker"
    #: URL under which other machines and engines reach this server; ``None``: the bound address.
    advertise_url: str | None = None
    #: Names of the clusters in which this machine shows up as a container instance; they are made
    #: in ``region`` when they are not there.  None without an agent of its own.
    lend_to: tuple[str, ...] = ("default",)
    #: Private IPv4 addresses for awsvpc tasks; no other network of the hosts may overlap it.
    address_range: str = DEFAULT_RANGE
    #: Seconds after which services replace tasks whose agent is not connected; 0: never, as AWS.
    replace_lost_after: int = DEFAULT_REPLACE_LOST_AFTER
    #: New targets are probed every second until they pass once, then at their configured interval.
    fast_probes: bool = True
    #: Draining of a target ends when nothing is in flight to it, not only after the whole delay.
    fast_drain: bool = True
    #: A GET, HEAD or OPTIONS request whose target is lost before it answers goes to another target.
    retries_safe: bool = True
    #: Program that starts and stops machines of Auto Scaling groups; None: there is none.
    provisioner: str | None = None
    #: URL of a VictoriaLogs that takes over log events which are no longer new; None: there is none.
    log_engine: str | None = None
    #: URL of what takes Prometheus' remote writes of all metrics; None: there is none.
    metrics_remote_write: str | None = None
    #: ARNs of SNS topics, and the URLs to which alarms post what they would publish there.
    alarm_topics: tuple[tuple[str, str], ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __post_init__(self) -> None:
        if not _ACCOUNT_ID.fullmatch(self.account_id):
            raise OperatorError(f"{self.account_id!r} is not an account id. Give 12 digits with --account-id.")
        if not arns.REGION.fullmatch(self.region):
            raise OperatorError(f"{self.region!r} is not a region name. Give one like eu-central-1 with --region.")
        if not _is_range(self.address_range):
            raise OperatorError(
                f"{self.address_range!r} is not a range of IPv4 addresses that tasks can have. Give one between /8 and "
                "/24 like 10.208.0.0/16 with --address-range."
            )
        if not 0 < self.port < 65536:
            raise OperatorError(f"{self.port} is not a port to listen on. Give 1 to 65535 with --port.")
        if self.advertise_url is not None and not _is_url(self.advertise_url):
            raise OperatorError(
                f"{self.advertise_url!r} is not a URL under which clients could reach this control plane. Give one "
                "like https://ecs.example.com with --advertise-url."
            )
        for topic, url in self.alarm_topics:
            if not topic.startswith("arn:aws:sns:") or not _is_url(url):
                raise OperatorError(
                    f"{topic}={url} does not map an SNS topic to a URL. Give one like "
                    "arn:aws:sns:us-east-1:000000000000:ops=https://ops.example.com/hook with --alarm-topic."
                )
        for name in self.lend_to:
            if not _CLUSTER.fullmatch(name):
                raise OperatorError(
                    f"{name!r} is not a cluster name. Give letters, numbers, hyphens and underscores with --lend-to, "
                    "a letter first."
                )

    @property
    def ephemeral(self) -> bool:
        """Whether state is lost at the end, by intention."""
        return self.data_dir is None

    @property
    def endpoint(self) -> str:
        """The URL for clients, without a trailing slash."""
        if self.advertise_url is not None:
            return self.advertise_url.rstrip("/")
        return f"http://{_url_host(self.bind)}:{self.port}"

    @property
    def layout(self) -> Layout:
        """The files of this installation."""
        return Layout(self.data_dir or self.run_dir.parent, ephemeral=self.ephemeral)


class RootCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What ``credentials.json`` holds: all that a client needs."""

    access_key_id: str
    secret_key: str
    account_id: str
    region: str
    endpoint: str

    def __repr__(self) -> str:
        return f"RootCredentials(access_key_id={self.access_key_id!r}, endpoint={self.endpoint!r})"


class AgentCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What ``agent/credentials.json`` holds: the key pair of one machine's agent."""

    access_key_id: str
    secret_key: str

    def __repr__(self) -> str:
        return f"AgentCredentials(access_key_id={self.access_key_id!r})"


class RunningServer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``server.json`` holds from the moment the server answers."""

    pid: int
    #: Seconds since the epoch.
    started_at: float
    endpoint: str
    version: str


def write_private(path: Path, value: Any) -> None:
    """Replace the file at once with ``value`` as JSON, readable by its owner only, and sync it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file with mode 0600, so that the content is never readable by others.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=_encode), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_file(path: Path, kind: type[_T]) -> _T:
    """The value that ``write_private`` wrote; ``FileNotFoundError`` when there is none.

    Raises ``OperatorError`` when the file holds something else.
    """
    raw = path.read_bytes()
    try:
        return msgspec.json.decode(raw, type=kind, dec_hook=_decode)
    except msgspec.DecodeError as error:
        raise OperatorError(
            f"{path} cannot be read as {kind.__name__}: {error}. Restore the file from a backup or remove it."
        ) from None


def _encode(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} has no JSON form here")


def _decode(kind: type, value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} has no JSON form here")


def _is_range(text: str) -> bool:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError:
        return False
    return 8 <= network.prefixlen <= 24 and not network.is_loopback and not network.is_multicast


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _url_host(bind: str) -> str:
    """The host part of a URL that reaches a server bound to ``bind`` from this machine."""
    if bind in ("0.0.0.0", ""):  # noqa: S104 -- compared, not bound
        return "127.0.0.1"
    if bind == "::":
        return "[::1]"
    return f"[{bind}]" if ":" in bind else bind
