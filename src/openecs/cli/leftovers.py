"""After an installation went down with its tasks: removing what they left on this machine."""

from __future__ import annotations

import asyncio

import click

from openecs.cli.installation import Installation
from openecs.cli.plan import StartPlan
from openecs.config import read_file
from openecs.errors import OperatorError


def remove_leftovers(installation: Installation) -> None:
    """Remove stopped containers and volumes of this installation's tasks; complaints go to stderr."""
    # Imported here: the other commands start faster without it.
    from openecs.agent.leaving import leave

    try:
        plan = read_file(installation.home / "run" / "plan.json", StartPlan)
        if plan.agent is None:
            return
        asyncio.run(leave(plan.agent.data_dir, plan.agent.runtime, plan.agent.docker_host))
    except (OperatorError, FileNotFoundError) as error:
        click.echo(f"warning: stopped containers may be left: {error}", err=True)
