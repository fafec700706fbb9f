"""``openecs env``: the lines that point AWS's clients at this installation."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import click

from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.config import RootCredentials

#: Set by other credentials; they would go before or mix with the key pair.
UNSET = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")


@click.command()
@data_dir_option
@click.option("--json", "style", flag_value="json", help="Print one JSON object.")
@click.option("--fish", "style", flag_value="fish", help="Print commands for the fish shell.")
@click.option("--sh", "style", flag_value="sh", default="sh", help="Print commands for sh, bash and zsh (default).")
def env(installation: Installation, style: str) -> None:
    """Print settings for the AWS CLI and SDKs: eval "$(openecs env)"."""
    click.echo(render(variables(installation.credentials()), style))


def variables(credentials: RootCredentials) -> dict[str, str]:
    """Name to value, as AWS's clients read them."""
    return {
        "AWS_ENDPOINT_URL": credentials.endpoint,
        # Otherwise DiscoverInstances would go to a host whose name is "data-" before the endpoint's.
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_REGION": credentials.region,
        "AWS_DEFAULT_REGION": credentials.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
    }


def render(values: Mapping[str, str], style: str) -> str:
    """The text for one kind of reader: ``sh``, ``fish`` or ``json``."""
    if style == "json":
        return json.dumps(values, indent=2)
    if style == "fish":
        return "\n".join(
            [f"set -gx {name} {_fish_quoted(value)};" for name, value in values.items()]
            + [f"set -e {name};" for name in UNSET]
        )
    return "\n".join(
        [f"export {name}={shlex.quote(value)}" for name, value in values.items()] + [f"unset {name}" for name in UNSET]
    )


def _fish_quoted(value: str) -> str:
    # Within single quotes fish knows two escapes: of the quote and of the backslash.
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
