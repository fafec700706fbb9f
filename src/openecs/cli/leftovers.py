"""After an installation went down with its tasks: removing what they left on this machine."""

from __future__ import annotations

import asyncio

import click

from openecs.cli.installation import Installation
from openecs.cli.plan import StartPlan
from openecs.config import read_file
from openecs.errors import OperatorError


def remove_leftovers(installation: Installation) -> None:
    """Remove containers and volumes of this installation's tasks; complaints go to stderr.

    Those that run are left alone, unless the installation is ephemeral.
    """
    # Imported here: the other commands start faster without it.
    from openecs.agent.leaving import leave

    try:
        plan = read_file(installation.home / "run" / "plan.json", StartPlan)
        if plan.agent is None:
            return
        # Nobody knows the tasks of an ephemeral installation once it has ended.
        running = plan.server.ephemeral
        asyncio.run(leave(plan.agent.data_dir, plan.agent.runtime, plan.agent.docker_host, running=running))
    except (OperatorError, FileNotFoundError) as error:
        click.echo(f"warning: stopped containers may be left: {error}", err=True)


def remove_abandoned(installation: Installation) -> None:
    """Remove the containers of an ephemeral run that ended without ``down``.

    To be called before its files are cleared, by whoever holds the lock.
    """
    last = installation.last_run()
    if last is not None and last.ephemeral and not last.alive:
        remove_leftovers(installation)
