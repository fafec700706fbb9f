"""Chooses the node's network driver: the routed one, or a refusal that says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from openecs.agent.network import routed
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.driver import NameServers, NetworkDriver, NoNetwork, TaskConnector, host_name_servers
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.pause_image import EngineImporter
from openecs.agent.runtime.docker import find_endpoint
from openecs.agent.runtime.protocol import Runtime
from openecs.http.client import HttpClient

_log = structlog.get_logger("openecs.agent")


def open_network(
    runtime: Runtime,
    architecture: str,
    docker_host: str | None,
    run_dir: Path,
    *,
    shares_name_servers: bool = True,
    make_plane: Callable[[HostNetwork], DataPlane] | None = None,
    name_servers: NameServers = host_name_servers,
    connect: TaskConnector | None = None,
) -> NetworkDriver:
    """The network driver for an engine on this host; ``architecture`` as ECS spells it.

    ``run_dir`` is where the agents of a host meet; ``shares_name_servers`` is what the engine's info says.
    ``make_plane`` makes what filters and routes; ``None`` for networks without.  ``name_servers`` and
    ``connect`` as of ``RoutedNetwork``.
    """
    missing = routed.refusal()
    if missing is None and not shares_name_servers:
        missing = "awsvpc needs Docker Engine: on Podman the containers of such a task would have no name servers"
    if missing is None and architecture not in ("x86_64", "arm64"):
        missing = f"awsvpc is not available on {architecture}"
    if missing is not None:
        _log.warning("awsvpc is off", reason=missing)
        return NoNetwork(missing)
    endpoint = find_endpoint(docker_host)
    importer = EngineImporter(lambda: HttpClient(endpoint.address, tls=endpoint.tls_context()))
    host = HostNetwork(run_dir)
    plane = make_plane(host) if make_plane is not None else None
    return routed.RoutedNetwork(
        runtime, importer, architecture, host, plane, name_servers=name_servers, connect=connect
    )
