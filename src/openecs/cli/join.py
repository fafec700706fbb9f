"""``openecs join-key`` and ``openecs reset``: one signed call each."""

from __future__ import annotations

import shlex

import click

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.errors import OperatorError


@click.command("join-key")
@data_dir_option
def join_key(installation: Installation) -> None:
    """Make a key pair for another machine's agent and print how to use it.

    Every machine gets its own; the secret is shown once.
    """
    credentials = installation.credentials()
    reply = _post(installation, "/_openecs/agent-keys")
    click.echo(f"export OPENECS_AGENT_ACCESS_KEY_ID={shlex.quote(reply['access_key_id'])}")
    click.echo(f"export OPENECS_AGENT_SECRET_KEY={shlex.quote(reply['secret_key'])}")
    click.echo(
        f"openecs agent --endpoint {shlex.quote(credentials.endpoint)} --region {shlex.quote(credentials.region)}"
    )
    if credentials.endpoint.startswith(("http://127.", "http://localhost", "http://[::1]")):
        click.echo(
            "warning: this control plane listens on loopback only. For other machines start it with "
            "--bind ADDRESS --advertise-url URL.",
            err=True,
        )


@click.command()
@data_dir_option
def reset(installation: Installation) -> None:
    """Wipe everything in an ephemeral installation, tasks included."""
    last = installation.last_run()
    if last is not None and not last.ephemeral:
        raise OperatorError(
            "Only an ephemeral installation can be reset (openecs up --ephemeral). "
            f"To get rid of this one: {installation.command('down')}, then remove {installation.home}."
        )
    _post(installation, "/_openecs/reset")
    click.echo("Everything is wiped.")


def _post(installation: Installation, path: str) -> dict[str, str]:
    client = Client(installation.credentials())
    try:
        return client.post(path)
    except UnreachableError as error:
        raise OperatorError(f"{error}. Is it running? {installation.command('status')} tells.") from None
    except CallError as error:
        raise OperatorError(f"The control plane refused: {error}") from None
