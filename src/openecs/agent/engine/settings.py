"""What the task engine needs to know and to have, given to it by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from openecs.agent.credentials import CredentialStore
from openecs.agent.engine.evidence import EvidenceGatherer
from openecs.agent.engine.images import Images
from openecs.agent.engine.limits import TaskLimits
from openecs.agent.engine.ports import PortPool
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.network.driver import NameServers, NetworkDriver, host_name_servers
from openecs.agent.reporting import Reporter
from openecs.agent.runtime.protocol import Runtime
from openecs.clock import Clock
from openecs.ids import Ids


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The node's choices.  Times in seconds."""

    node_id: str
    #: Folder of what lasts until the host starts again; its path is short.
    run_dir: Path = Path("/run/openecs")
    #: Cluster name or ARN for tasks whose payload names none.
    cluster: str
    region: str
    #: ``http://169.254.170.2`` or ``None`` when this node serves no metadata.
    metadata_url: str | None = None
    #: Whether log drivers really fetch keys from the credentials endpoint; not with a fake engine.
    log_drivers_sign: bool = True
    #: Whether the containers' processes are this kernel's, so that its log knows of their ends.
    kernel_log: bool = False
    stop_timeout: int = 30
    start_deadline: float = 180.0
    create_deadline: float = 240.0
    #: Between a task's STOPPED and the removal of its containers.
    cleanup_delay: float = 600.0


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What every worker works with."""

    settings: EngineSettings
    runtime: Runtime
    images: Images
    limits: TaskLimits
    network: NetworkDriver
    ports: PortPool
    store: TaskStore
    credentials: CredentialStore
    reporter: Reporter
    clock: Clock
    ids: Ids
    #: ``None``: nobody is told what is seen of containers that end.
    evidence: EvidenceGatherer | None = None
    #: The name servers of tasks in bridge and host mode; the network driver knows those of others.
    name_servers: NameServers = host_name_servers
