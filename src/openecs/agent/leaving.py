"""Removing what stopped tasks left on the host, when an installation goes down with its tasks.

A running agent keeps the containers of stopped tasks for a while, so that their output can be
read.  Once it has ended nobody would remove them: this does.  What still runs is left alone,
unless its installation forgets it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import structlog

from openecs.agent.config import RUN_DIR
from openecs.agent.dns.resolver import leave as leave_resolver
from openecs.agent.dns.resolver import resolver_folder
from openecs.agent.edge.select import leave_edge
from openecs.agent.engine import names, volumes
from openecs.agent.engine.limits import CgroupLimits
from openecs.agent.engine.task_store import TaskStore
from openecs.agent.host.documents import HostDocuments
from openecs.agent.network import wiring
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.host import HostNetwork, remove_interface
from openecs.agent.network.interfaces import Interfaces
from openecs.agent.network.nftables import open_nftables
from openecs.agent.network.routed import refusal
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, NoSuchContainer, Runtime
from openecs.agent.runtime.select import open_runtime

_log = structlog.get_logger("openecs.agent")
#: The fact of the agent's store that says which containers are its own.
NODE_ID = "node-id"


async def leave(
    data_dir: Path,
    runtime: Literal["docker", "fake"],
    docker_host: str | None,
    *,
    running: bool = False,
    run_dir: Path = Path(RUN_DIR),
) -> None:
    """Remove the ended containers and the task volumes of the agent that kept its state there,
    and with ``running`` those that have not ended too, with what their network needed.

    ``run_dir`` is the agent's.  The agent must have ended.  Raises ``OperatorError`` when no engine answers.
    """
    file = data_dir / "agent.db"
    if runtime == "fake" or not file.exists():
        return
    engine = await open_runtime(runtime, docker_host)
    store = TaskStore(file)
    try:
        await _remove_containers(engine, store.get(NODE_ID) or "none", running=running)
        if running:
            await _remove_network(store, HostNetwork(run_dir))
        await _remove_tasks(engine, store, running=running)
        if running or all(state.status == "STOPPED" for _, state in store.tasks()):
            # First of all: addresses of load balancers are addresses of the network that goes next.
            await leave_edge(Interfaces(HostNetwork(run_dir)), run_dir, store.get(NODE_ID) or "none")
            await _remove_rules(data_dir, store.get(NODE_ID), HostNetwork(run_dir))
            with contextlib.suppress(OSError):  # There is no resolver on this host.
                await leave_resolver(resolver_folder(run_dir), store.get(NODE_ID) or "none")
    except (EngineError, EngineUnavailable) as error:
        _log.warning("not everything was removed", error=str(error))
    finally:
        store.close()
        await engine.close()


async def _remove_containers(engine: Runtime, node_id: str, *, running: bool) -> None:
    """Remove what has ended, or everything; containers that others share the network of come
    last, as Podman wants it."""
    mine = f"{names.LABEL_NODE}={node_id}"
    shared = await engine.list([mine, f"{names.LABEL_CONTAINER}={names.PAUSE}"])
    others = [container_id for container_id in await engine.list([mine]) if container_id not in shared]
    for container_id in (*others, *shared):
        try:
            info = await engine.inspect(container_id)
        except NoSuchContainer:
            continue
        if running or info.status in ("created", "exited", "dead"):
            await engine.remove(container_id)


async def _remove_network(store: TaskStore, host: HostNetwork) -> None:
    """Remove the tasks' interfaces, and what no other agent's task uses of the host's network."""
    plans = []
    for payload, _ in store.tasks():
        if payload.network_mode == "awsvpc":
            with contextlib.suppress(wiring.InterfaceError):
                # A payload without a usable interface never had one here.
                plans.append((wiring.plan(payload), payload.arn))
    if not plans:
        return
    try:
        for plan, task_arn in plans:
            await remove_interface(plan, task_arn)
        async with host.locked():
            await host.tidy()
    except NetworkError as error:
        _log.warning("addresses or firewall rules were left behind", error=str(error))


async def _remove_rules(data_dir: Path, node_id: str | None, host: HostNetwork) -> None:
    """Remove this agent's packet filter and its ways to other hosts."""
    file = data_dir / "host.db"
    if node_id is None or refusal() is not None or not file.exists():
        return
    documents = HostDocuments(file)
    try:
        await DataPlane(node_id, documents, host, open_nftables()).remove()
    except NetworkError as error:
        _log.warning("firewall rules or routes were left behind", error=str(error))
    finally:
        documents.close()


async def _remove_tasks(engine: Runtime, store: TaskStore, *, running: bool) -> None:
    info = await engine.info()
    limits = CgroupLimits(info.cgroup_version, info.cgroup_driver)
    for payload, state in store.tasks():
        if state.status != "STOPPED" and not running:
            continue
        try:
            await volumes.remove(payload, engine)
        except EngineError as error:
            _log.warning("volume left", task=payload.arn, error=error.message)
        await limits.remove(payload)
        if running or not state.reports:
            # What was not reported yet is reported at the next start.
            store.remove(payload.arn)
