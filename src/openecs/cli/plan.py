"""What ``openecs up`` decided to start, handed to the supervisor in one file without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from openecs.config import EvidenceLevel, RuntimeKind, ServerConfig
from openecs.log import Level


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the local machine's agent is told, apart from its keys and the endpoint."""

    #: The cluster to register in; the machine waits until it exists.
    cluster: str = "default"
    #: Clusters in which the machine shows up as soon as they exist, whatever their region.
    lend_to: tuple[str, ...] = ()
    #: Whether the machine serves Fargate tasks as well.
    fargate: bool = True
    #: Name of the Auto Scaling group that the machine belongs to, for capacity providers.
    group: str | None = None
    #: Where the machine is; empty for the region's first zone.
    availability_zone: str | None = None
    #: Serve the launch type EXTERNAL only; otherwise EC2 and EXTERNAL.
    external: bool = False
    runtime: RuntimeKind = "docker"
    docker_host: str | None = None
    #: CPU units and MiB to offer instead of what the engine reports.
    cpu: int | None = None
    memory: int | None = None
    #: Ids of the GPUs to offer; ``None`` for those that the machine has.
    gpus: tuple[str, ...] | None = None
    #: What it tells of containers that end.
    evidence: EvidenceLevel = "full"
    #: A port of this machine that no task may have: the control plane listens on it.
    reserved_port: int | None = None
    #: Address at which the other hosts reach this one; ``None`` finds it out.
    host_address: str | None = None
    edge_address: str | None = None
    hosts_file: str | None = None
    overlay: Literal["vxlan", "direct"] = "vxlan"
    #: Port of the loopback address at which Prometheus reads the agent's ``/metrics``.
    metrics_port: int | None = None
    #: Where the agent keeps its own state.
    data_dir: Path
    region: str
    log_level: Level = "info"


class StartPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one ``up`` starts."""

    home: Path
    server: ServerConfig
    agent: AgentPlan | None
