"""``openecs interrupt``: take the capacity of one FARGATE_SPOT task away, with AWS's warning."""

from __future__ import annotations

import click

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.errors import OperatorError


@click.command()
@click.argument("task")
@data_dir_option
def interrupt(installation: Installation, *, task: str) -> None:
    """Interrupt a FARGATE_SPOT task, named by its id or ARN.

    Its containers get their stop signal now and are killed when their stopTimeout has passed
    (30 seconds unless the task definition says otherwise, at most 120). Its service starts
    another one at once.
    """
    client = Client(installation.credentials())
    try:
        reply = client.post("/_openecs/interrupt", task=task)
    except UnreachableError as error:
        raise OperatorError(f"{error}. Is it running? {installation.command('status')} tells.") from None
    except CallError as error:
        raise OperatorError(f"The control plane refused: {error}") from None
    click.echo(f"{reply['task']} is interrupted.")
