"""``openecs agent``: lend this machine to a control plane that runs elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from openecs.cli.installation import Installation
from openecs.cli.options import (
    edge_address_option,
    evidence_option,
    group_option,
    host_address_option,
    hosts_file_option,
    log_level_option,
    overlay_option,
    require_zone_of,
    zone_option,
)
from openecs.cli.plan import AgentPlan
from openecs.clock import SystemClock
from openecs.config import AgentCredentials, EvidenceLevel, read_file
from openecs.errors import OperatorError
from openecs.log import configure_logging

KEY_ID_VARIABLE = "OPENECS_AGENT_ACCESS_KEY_ID"
SECRET_VARIABLE = "OPENECS_AGENT_SECRET_KEY"  # noqa: S105 -- the name of a variable


def _gpu_ids(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    ids = None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())
    if ids and len(set(ids)) != len(ids):
        raise click.BadParameter("an id is given twice.")
    return ids


@click.command()
@click.option("--endpoint", required=True, envvar="OPENECS_ENDPOINT", help="URL of the control plane.")
@click.option("--cluster", default="default", show_default=True, help="Cluster to register in.")
@click.option("--lend-to", multiple=True, metavar="CLUSTER", help="Further clusters in which the machine shows up.")
@group_option
@zone_option
@click.option("--region", default="us-east-1", show_default=True, help="Region to register in.")
@click.option("--fargate/--no-fargate", default=True, help="Serve Fargate tasks too [default: yes].")
@click.option("--external", is_flag=True, help="Serve the launch type EXTERNAL only, not EC2 too.")
@click.option("--runtime", type=click.Choice(["docker", "fake"]), default="docker", show_default=True)
@click.option("--cpu", type=click.IntRange(min=128), help="CPU units to offer [default: all].")
@click.option("--memory", type=click.IntRange(min=64), help="MiB to offer [default: all].")
@click.option(
    "--gpus",
    metavar="ID,ID",
    callback=_gpu_ids,
    help="Ids of the GPUs to offer, as nvidia-smi -L shows them; empty for none [default: all].",
)
@click.option(
    "--data-dir",
    envvar="OPENECS_AGENT_DATA_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the agent keeps its state [default: joined-agent in the default installation's folder].",
)
@click.option(
    "--credentials-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with access_key_id and secret_key, instead of the environment.",
)
@host_address_option
@edge_address_option
@hosts_file_option
@overlay_option
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65535),
    help="Port of 127.0.0.1 at which Prometheus reads /metrics of this agent [default: none].",
)
@evidence_option
@log_level_option
def agent(
    *,
    endpoint: str,
    data_dir: Path | None,
    credentials_file: Path | None,
    lend_to: tuple[str, ...],
    evidence: EvidenceLevel | None,
    **given: Any,
) -> None:
    """Run the node agent in the foreground and join a control plane.

    Its key pair comes from 'openecs join-key' over there, in OPENECS_AGENT_ACCESS_KEY_ID and
    OPENECS_AGENT_SECRET_KEY.
    """
    home = data_dir or Installation.locate(None, os.environ).home / "joined-agent"
    docker_host = os.environ.get("DOCKER_HOST") or None
    plan = AgentPlan(
        lend_to=lend_to,
        docker_host=docker_host,
        data_dir=home.expanduser().absolute(),
        evidence=evidence or "full",
        overlay=given.pop("overlay") or "vxlan",
        **given,
    )
    require_zone_of(plan.region, plan.availability_zone)
    configure_logging(level=plan.log_level, clock=SystemClock())
    keys = read_file(credentials_file, AgentCredentials) if credentials_file else keys_from(os.environ)
    run(plan, endpoint, keys)


def keys_from(environ: Mapping[str, str]) -> AgentCredentials:
    """The agent's key pair; ``OperatorError`` when it is not in the environment."""
    key_id, secret = environ.get(KEY_ID_VARIABLE), environ.get(SECRET_VARIABLE)
    if not key_id or not secret:
        raise OperatorError(
            f"The agent has no key pair. Run 'openecs join-key' where the control plane is, and set {KEY_ID_VARIABLE} "
            f"and {SECRET_VARIABLE} here, or name a --credentials-file."
        )
    return AgentCredentials(access_key_id=key_id, secret_key=secret)


def run(plan: AgentPlan, endpoint: str, keys: AgentCredentials) -> None:
    """Run the agent until it is stopped."""
    # Imported here: the other commands start faster without it.
    from openecs.agent.config import AgentConfig
    from openecs.agent.main import run_agent

    plan.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = AgentConfig(
        endpoint=endpoint,
        region=plan.region,
        access_key_id=keys.access_key_id,
        secret_key=keys.secret_key,
        cluster=plan.cluster,
        data_dir=str(plan.data_dir),
        runtime=plan.runtime,
        docker_host=plan.docker_host,
        fargate=plan.fargate,
        lend_to=plan.lend_to,
        group=plan.group or None,
        availability_zone=plan.availability_zone or None,
        external=plan.external,
        cpu=plan.cpu,
        memory=plan.memory,
        gpus=plan.gpus,
        evidence=plan.evidence,
        host_address=plan.host_address or None,
        edge_address=plan.edge_address or "127.0.0.1",
        hosts_file=plan.hosts_file,
        overlay=plan.overlay,
        metrics_port=plan.metrics_port,
    )
    if plan.reserved_port is not None:
        ports = (*config.reserved_ports, plan.reserved_port)
        config = msgspec.structs.replace(config, reserved_ports=ports)
    if plan.runtime == "fake":
        # Nothing that could ask for metadata runs, so the address of it is not taken either.
        config = msgspec.structs.replace(config, metadata_bind=None)
    asyncio.run(_until_signalled(run_agent(config)))


async def _until_signalled(running: Coroutine[Any, Any, None]) -> None:
    """Run the agent; SIGTERM and SIGINT end it, and its containers go on."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as group:
        agent = group.create_task(running)
        waiting = group.create_task(stopped.wait())
        await asyncio.wait({agent, waiting}, return_when=asyncio.FIRST_COMPLETED)
        agent.cancel()
        waiting.cancel()
