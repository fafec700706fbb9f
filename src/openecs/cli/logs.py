"""``openecs logs``: what OpenECS's own programs logged (not the output of tasks)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.errors import OperatorError

_TICK = 0.2


@click.command()
@data_dir_option
@click.option("--agent", "program", flag_value="agent", help="The agent's log instead of the control plane's.")
@click.option("--supervisor", "program", flag_value="supervisor", help="The supervisor's log.")
@click.option("--server", "program", flag_value="server", default="server", help="The control plane's log (default).")
@click.option("--follow", "-f", is_flag=True, help="Go on printing as lines arrive.")
@click.option("--lines", "-n", type=click.IntRange(min=0), default=200, show_default=True, help="Lines to begin with.")
def logs(installation: Installation, *, program: str, follow: bool, lines: int) -> None:
    """Print the log of the control plane or of the agent, as JSON lines.

    The output of tasks is in their log groups: aws logs tail GROUP.
    """
    path = installation.layout().log / f"{program}.log"
    if not path.exists():
        raise OperatorError(f"There is no {path}. Has it been started? {installation.command('status')} tells.")
    for line in last_lines(path, lines):
        click.echo(line)
    if follow:
        for line in following(path):
            click.echo(line)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log file, going back into the one rotated away last if need be."""
    found = _lines(path)
    older = path.with_name(f"{path.name}.1")
    if len(found) < count and older.exists():
        found = _lines(older) + found
    return found[-count:] if count else []


def following(path: Path) -> Iterator[str]:
    """Lines as they are appended, across rotation; never ends by itself."""
    file = path.open(encoding="utf-8", errors="replace")
    try:
        file.seek(0, 2)
        rest = ""
        while True:
            chunk = file.read()
            if chunk:
                *complete, rest = (rest + chunk).split("\n")
                yield from complete
                continue
            # Nothing new here: either nothing was logged, or the file was renamed away.
            if path.exists() and path.stat().st_ino != _inode(file.fileno()):
                # Lines may have come between the read above and the renaming.
                yield from (rest + file.read()).splitlines()
                rest = ""
                file.close()
                file = path.open(encoding="utf-8", errors="replace")
                continue
            time.sleep(_TICK)
    finally:
        file.close()


def _inode(descriptor: int) -> int:
    return Path(f"/proc/self/fd/{descriptor}").stat().st_ino


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()
