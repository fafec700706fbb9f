"""``openecs join-key`` and ``openecs reset``: one signed call each."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.errors import OperatorError

#: How long a reset may take; the control plane gives up before.
RESET_SECONDS = 150.0


@click.command("join-key")
@data_dir_option
@click.option("--list", "listing", is_flag=True, help="Show the key pairs of other machines' agents, without secrets.")
@click.option("--revoke", metavar="ID", help="End this access key; its agent cannot come back, its containers go on.")
@click.option("--replace", metavar="ID", help="Make a new key pair for the agent of this access key, which ends.")
def join_key(installation: Installation, *, listing: bool, revoke: str | None, replace: str | None) -> None:
    """Make a key pair for another machine's agent and print how to use it.

    Every machine gets its own; the secret is shown once.
    """
    if listing + (revoke is not None) + (replace is not None) > 1:
        raise click.UsageError("Give one of --list, --revoke and --replace.")
    if listing:
        for line in listed(_call(installation, lambda client: client.get("/_openecs/agent-keys"))["keys"]):
            click.echo(line)
    elif revoke is not None:
        _call(installation, lambda client: client.post("/_openecs/agent-keys/revoke", access_key_id=revoke))
        click.echo(f"{revoke} is revoked.")
    elif replace is not None:
        show(
            installation,
            _call(installation, lambda client: client.post("/_openecs/agent-keys/replace", access_key_id=replace)),
        )
    else:
        show(installation, _call(installation, lambda client: client.post("/_openecs/agent-keys")))


def listed(keys: list[dict[str, Any]]) -> list[str]:
    """One line for each key: its id, since when, and the machines that joined with it."""
    if not keys:
        return ["No machine has a key. Make one with: openecs join-key"]
    return [
        f"{key['access_key_id']}  {_date(key['created_at'])}  {', '.join(key['nodes']) or 'not used yet'}"
        for key in sorted(keys, key=lambda key: float(key["created_at"]))
    ]


def show(installation: Installation, pair: dict[str, Any]) -> None:
    """How to use a new key pair on the other machine."""
    credentials = installation.credentials()
    click.echo(f"export OPENECS_AGENT_ACCESS_KEY_ID={shlex.quote(pair['access_key_id'])}")
    click.echo(f"export OPENECS_AGENT_SECRET_KEY={shlex.quote(pair['secret_key'])}")
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
    # It waits for containers to stop.
    _call(installation, lambda client: client.post("/_openecs/reset"), timeout=RESET_SECONDS)
    click.echo("Everything is wiped.")


def _call(
    installation: Installation, action: Callable[[Client], dict[str, Any]], *, timeout: float = 20.0
) -> dict[str, Any]:
    client = Client(installation.credentials(), timeout=timeout)
    try:
        return action(client)
    except UnreachableError as error:
        raise OperatorError(f"{error}. Is it running? {installation.command('status')} tells.") from None
    except CallError as error:
        raise OperatorError(f"The control plane refused: {error}") from None


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
