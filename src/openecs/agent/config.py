"""What the agent is told at start: a JSON file, and its key pair from the environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from openecs.agent.engine.evidence import EvidenceLevel
from openecs.agent.engine.images import PullBehavior
from openecs.errors import OperatorError

ACCESS_KEY_ID = "OPENECS_AGENT_ACCESS_KEY_ID"
SECRET_KEY = "OPENECS_AGENT_SECRET_KEY"  # noqa: S105 -- the name of a variable
#: Where the agents of one host meet unless they are told otherwise.
RUN_DIR = "/run/openecs"


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One agent.  Times in seconds, memory in MiB."""

    #: URL of the control plane, ``https://ecs.example:8443``.
    endpoint: str
    region: str
    access_key_id: str = ""
    secret_key: str = ""
    #: Cluster in which this node registers.
    cluster: str = "default"
    data_dir: str
    runtime: Literal["docker", "fake"] = "docker"
    docker_host: str | None = None
    #: Lend this node to the Fargate pool.
    fargate: bool = False
    #: Names of further clusters to which this node is lent, in every region.
    lend_to: tuple[str, ...] = ()
    #: Name of the Auto Scaling group that this node belongs to, for capacity providers.
    group: str | None = None
    #: Serve the launch type EXTERNAL only; otherwise EC2 and EXTERNAL.
    external: bool = False
    #: ``address:port`` of the metadata and credentials endpoint; ``None`` serves none.
    metadata_bind: str | None = "169.254.170.2:80"
    #: Where the agents of one host meet, to share the metadata address and the tasks' network.
    run_dir: str = RUN_DIR
    #: CPU units and memory to register instead of what the engine reports.
    cpu: int | None = None
    memory: int | None = None
    #: Ids of the GPUs to offer; ``None`` for those that the host has.
    gpus: tuple[str, ...] | None = None
    #: Memory kept back for the host.
    reserved_memory: int = 0
    reserved_ports: tuple[int, ...] = (22, 2375, 2376, 51678, 51679)
    reserved_ports_udp: tuple[int, ...] = ()
    availability_zone: str | None = None
    attributes: Mapping[str, str] = {}
    stop_timeout: int = 30
    cleanup_delay: float = 600.0
    image_pull_behavior: PullBehavior = "default"
    #: What the control plane is told of containers that end: ``status`` leaves out what they printed.
    evidence: EvidenceLevel = "full"
    #: Address at which the other hosts reach this one; ``None`` finds it out.
    host_address: str | None = None
    #: How packets from other hosts get to the interfaces here: in a tunnel, or by plain routes.
    overlay: Literal["vxlan", "direct"] = "vxlan"
    #: Address of this host at which listeners of load balancers are reached from outside the VPC.
    edge_address: str = "127.0.0.1"
    #: File like ``/etc/hosts`` that gets the names of load balancers.
    hosts_file: str | None = None
    #: Port of the loopback address at which Prometheus reads ``/metrics``; ``None`` for none.
    metrics_port: int | None = None
    #: PEM file of the authority that signed the control plane's certificate.
    ca_file: str | None = None

    def __repr__(self) -> str:
        return f"AgentConfig(endpoint={self.endpoint!r}, cluster={self.cluster!r}, data_dir={self.data_dir!r})"


def load(path: Path, environment: Mapping[str, str]) -> AgentConfig:
    """The configuration of a file, with the key pair of the environment.

    Raises ``OperatorError``.
    """
    try:
        config = msgspec.json.decode(path.read_bytes(), type=AgentConfig)
    except OSError as error:
        raise OperatorError(
            f"The agent cannot read its configuration: {error}. Give the path of a JSON file."
        ) from None
    except msgspec.DecodeError as error:
        raise OperatorError(f"{path} is no agent configuration: {error}. Correct the file.") from None
    config = msgspec.structs.replace(
        config,
        access_key_id=environment.get(ACCESS_KEY_ID, config.access_key_id),
        secret_key=environment.get(SECRET_KEY, config.secret_key),
    )
    check(config)
    return config


def check(config: AgentConfig) -> None:
    """Raise ``OperatorError`` for what cannot work."""
    if not config.access_key_id or not config.secret_key:
        raise OperatorError(f"The agent has no key pair. Set {ACCESS_KEY_ID} and {SECRET_KEY}.")
    parts = urlsplit(config.endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OperatorError(f"{config.endpoint!r} is no control plane URL. Use http://host:port or https://host:port.")
    if config.host_address is not None:
        try:
            ipaddress.IPv4Address(config.host_address)
        except ValueError:
            raise OperatorError(
                f"{config.host_address!r} is no address for this host. Use an IPv4 address that the other hosts reach."
            ) from None
    try:
        ipaddress.IPv4Address(config.edge_address)
    except ValueError:
        raise OperatorError(
            f"{config.edge_address!r} is no address for load balancers. Use an IPv4 address of this host."
        ) from None
    if config.metadata_bind is not None:
        bind_address(config.metadata_bind)


def bind_address(text: str) -> tuple[str, int]:
    """``"169.254.170.2:80"`` → ``("169.254.170.2", 80)``; raises ``OperatorError``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise OperatorError(f"{text!r} is no address for the metadata endpoint. Use address:port, or null for none.")
    return host, int(port)
