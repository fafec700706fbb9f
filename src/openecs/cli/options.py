"""Options that several commands share."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from openecs.cli.installation import Installation
from openecs.errors import OperatorError

_LEVELS = click.Choice(["debug", "info", "warning", "error"])

F = TypeVar("F", bound=Callable[..., Any])

MAX_GROUP = 128
_ZONE = re.compile(r"[a-z0-9-]{3,127}[a-z]")
#: What ``Amount`` makes of the word ``all``: the kept limit ends.
ALL = "all"


class Amount(click.ParamType[Any]):
    """A number of at least ``least``, or ``all`` for no limit."""

    name = "integer|all"

    def __init__(self, least: int) -> None:
        self._number = click.IntRange(min=least)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or ``ALL``."""
        return ALL if value == ALL else self._number.convert(value, param, ctx)


def _to_installation(_: click.Context, __: click.Parameter, value: Path | None) -> Installation:
    return Installation.locate(value, os.environ)


def data_dir_option(function: F) -> F:
    """``--data-dir``: arrives as the parameter ``installation``."""
    return click.option(
        "--data-dir",
        "installation",
        envvar="OPENECS_DATA_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        callback=_to_installation,
        help="Folder of the installation [default: ~/.local/share/openecs, for root /var/lib/openecs].",
    )(function)


def _group(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A group's name goes over the wire as the value of an attribute."""
    if value and (len(value) > MAX_GROUP or not value.isascii() or not value.isprintable()):
        raise click.BadParameter(f"a group's name has up to {MAX_GROUP} printable ASCII characters.")
    return value


def group_option(function: F) -> F:
    """``--group``; an empty name means none."""
    return click.option(
        "--group", callback=_group, help="Auto Scaling group that the machine belongs to, for capacity providers."
    )(function)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return str(ipaddress.IPv4Address(value)) if value else value
    except ValueError:
        raise click.BadParameter("an IPv4 address, like 192.168.1.10.") from None


def host_address_option(function: F) -> F:
    """``--host-address``; an empty one means that it is found out."""
    return click.option(
        "--host-address",
        metavar="IP",
        callback=_address,
        help="Address at which the other machines reach this one [default: found out].",
    )(function)


def _absolute(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    return str(Path(value).absolute()) if value else value


def edge_address_option(function: F) -> F:
    """``--edge-address``; an empty one means the loopback."""
    return click.option(
        "--edge-address",
        metavar="IP",
        callback=_address,
        help="Address of this machine at which load balancers are reached from outside the VPC [default: 127.0.0.1].",
    )(function)


def hosts_file_option(function: F) -> F:
    """``--hosts-file``; an empty one means none."""
    return click.option(
        "--hosts-file",
        metavar="FILE",
        callback=_absolute,
        help="File, /etc/hosts for example, that gets the names of load balancers, for programs on this machine.",
    )(function)


def overlay_option(function: F) -> F:
    """``--overlay``."""
    return click.option(
        "--overlay",
        type=click.Choice(["vxlan", "direct"]),
        help="How tasks here are reached from other machines: by a tunnel or by plain routes [default: vxlan].",
    )(function)


def _zone(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A zone's name begins with its region's; which one that is, is known later."""
    if value and not _ZONE.fullmatch(value):
        raise click.BadParameter("a zone is named like us-east-1b: its region and what tells it from the others.")
    return value


def zone_option(function: F) -> F:
    """``--availability-zone``; an empty name means the region's first."""
    return click.option(
        "--availability-zone",
        metavar="ZONE",
        callback=_zone,
        help="Where the machine is, for spreading tasks [default: the region's zone a].",
    )(function)


def require_zone_of(region: str, zone: str | None) -> None:
    """Raise ``OperatorError`` for a zone that is in another region."""
    if zone and not zone.startswith(region):
        raise OperatorError(f"{zone} is no availability zone of {region}. Name one like {region}b.")


def evidence_option(function: F) -> F:
    """``--evidence``."""
    return click.option(
        "--evidence",
        envvar="OPENECS_EVIDENCE",
        type=click.Choice(["full", "status", "none"]),
        help="What 'openecs why' is told of containers that end; status: nothing that they printed [default: full].",
    )(function)


def log_level_option(function: F) -> F:
    """``--log-level``."""
    return click.option("--log-level", type=_LEVELS, default="info", show_default=True)(function)
