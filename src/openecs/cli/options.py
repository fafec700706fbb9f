"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from openecs.cli.installation import Installation

_LEVELS = click.Choice(["debug", "info", "warning", "error"])

F = TypeVar("F", bound=Callable[..., Any])

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


def log_level_option(function: F) -> F:
    """``--log-level``."""
    return click.option("--log-level", type=_LEVELS, default="info", show_default=True)(function)
