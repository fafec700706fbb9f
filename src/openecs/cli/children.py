"""The hidden commands that ``openecs up`` starts: supervisor, control plane, local agent.

Each configures its own log file and runs one coroutine.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from openecs.cli.agent import KEY_ID_VARIABLE, SECRET_VARIABLE, keys_from
from openecs.cli.agent import run as run_local_agent
from openecs.cli.installation import Installation
from openecs.cli.plan import AgentPlan, StartPlan
from openecs.cli.supervisor import Supervisor
from openecs.clock import SystemClock
from openecs.config import Layout, ServerConfig, read_file
from openecs.log import Level, RotatingFile, configure_logging

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(hidden=True)
@click.argument("plan_file", type=_EXISTING)
def supervise(plan_file: Path) -> None:
    """Keep a control plane and an agent running."""
    _write_privately()
    plan = read_file(plan_file, StartPlan)
    _log_to(Layout(plan.home, ephemeral=plan.server.ephemeral), "supervisor", plan.server.log_level)
    with Installation(plan.home).locked():
        asyncio.run(Supervisor(plan, environ=os.environ).run())


@click.command(hidden=True)
@click.argument("config_file", type=_EXISTING)
def serve(config_file: Path) -> None:
    """Run the control plane."""
    # Imported here: the other commands start faster without it.
    import uvloop

    from openecs.server import run_server

    _write_privately()
    config = read_file(config_file, ServerConfig)
    _log_to(config.layout, "server", config.log_level)
    # With uvloop a request costs about a tenth less CPU than with asyncio's own loop.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_server(config))


@click.command("agent-run", hidden=True)
@click.argument("plan_file", type=_EXISTING)
@click.option("--endpoint", required=True)
def agent_run(plan_file: Path, endpoint: str) -> None:
    """Run the local agent."""
    _write_privately()
    plan = read_file(plan_file, AgentPlan)
    keys = keys_from(os.environ)
    # Programs that the agent starts need not inherit its keys.
    for variable in (KEY_ID_VARIABLE, SECRET_VARIABLE):
        del os.environ[variable]
    file = RotatingFile(plan.data_dir.parent / "log" / "agent.log")
    configure_logging(level=plan.log_level, clock=SystemClock(), file=file)
    run_local_agent(plan, endpoint, keys)


def _write_privately() -> None:
    """Whatever this process writes is for its user only: state, logs of tasks, environments."""
    os.umask(0o077)


def _log_to(layout: Layout, name: str, level: Level) -> None:
    configure_logging(level=level, clock=SystemClock(), file=RotatingFile(layout.log / f"{name}.log"))
