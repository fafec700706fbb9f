"""``openecs logs``: the output of a service's or task's containers, or what OpenECS's own programs logged."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import click

from openecs import arn as arns
from openecs.cli.client import Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.cli.options import data_dir_option
from openecs.cli.task_logs import Follower, Line, Source, TaskLogs
from openecs.clock import SystemClock
from openecs.errors import OperatorError

_TICK = 0.2
#: Seconds between two readings of log groups.
_POLL = 1.0
#: How far back the output of a service goes unless ``--since`` says it.
_SERVICE_SINCE = "10m"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "bright_red", "bright_cyan", "bright_yellow", "bright_green")


@click.command()
@click.argument("reference", metavar="[SERVICE|TASK]", required=False)
@data_dir_option
@click.option("--agent", "program", flag_value="agent", help="The agent's log instead of the control plane's.")
@click.option("--supervisor", "program", flag_value="supervisor", help="The supervisor's log.")
@click.option("--server", "program", flag_value="server", help="The control plane's log (default without a name).")
@click.option("--follow", "-f", is_flag=True, help="Go on printing as lines arrive, also of tasks that start later.")
@click.option("--lines", "-n", type=click.IntRange(min=0), help="Lines to begin with [default for programs: 200].")
@click.option(
    "--since", help="How far back: 30s, 10m, 2h, 3d, or an ISO time [default: 10m for services, all of a task]."
)
@click.option("--filter", "pattern", help="Only lines that match this CloudWatch Logs filter pattern.")
@click.option("--container", help="Only the container of this name.")
@click.option("--cluster", default="default", show_default=True, help="The cluster of the service or task.")
@click.option("--region", help="The region of the service or task [default: the installation's].")
def logs(
    installation: Installation,
    *,
    reference: str | None,
    program: str | None,
    follow: bool,
    lines: int | None,
    since: str | None,
    pattern: str | None,
    container: str | None,
    cluster: str,
    region: str | None,
) -> None:
    """Print what the containers of a service or task have logged, ordered by time.

    SERVICE is a name, CLUSTER/NAME or ARN, TASK an id or ARN; tasks that stopped within the last hour count too.
    Without a name it prints the log of the control plane or of the agent, as JSON lines.
    """
    if reference is None:
        if since or pattern or container:
            raise OperatorError("--since, --filter and --container are for tasks. Name a service or a task.")
        _print_program(installation, program or "server", 200 if lines is None else lines, follow=follow)
        return
    if program is not None:
        raise OperatorError("Name a service or task, or one of --server, --agent and --supervisor, but not both.")
    credentials = installation.credentials()
    found = _resolve(reference, cluster, region or credentials.region)
    task_logs = TaskLogs(
        Client(credentials), found.region, found.cluster, task=found.task, service=found.service, container=container
    )
    default = _SERVICE_SINCE if found.task is None else None
    _print_tasks(task_logs, reference, start_of(since or default, SystemClock().now()), pattern, lines, follow=follow)


class _Reference:
    """What a reference means."""

    def __init__(self, region: str, cluster: str, task: str | None, service: str | None) -> None:
        self.region, self.cluster, self.task, self.service = region, cluster, task, service


def _resolve(reference: str, cluster: str, region: str) -> _Reference:
    arn = arns.parse(reference)
    if arn is not None:
        if arn.kind not in ("task", "service") or len(arn.path) != 2:
            raise OperatorError(f"{reference} is neither a task nor a service. Name one of these.")
        is_task = arn.kind == "task"
        return _Reference(arn.region, arn.path[0], arn.path[1] if is_task else None, None if is_task else arn.path[1])
    if "/" in reference:
        cluster, _, reference = reference.partition("/")
    if re.fullmatch(r"[0-9a-f]{32}", reference):
        return _Reference(region, cluster, reference, None)
    return _Reference(region, cluster, None, reference)


def start_of(since: str | None, now: float) -> int:
    """The time (epoch milliseconds) that ``--since`` means at ``now`` (seconds); the beginning without it."""
    if since is None:
        return 0
    match = re.fullmatch(r"(\d+)\s*([smhdw])", since)
    if match is not None:
        return max(0, round((now - int(match[1]) * _UNITS[match[2]]) * 1000))
    try:
        given = datetime.fromisoformat(since)
    except ValueError:
        raise OperatorError(
            f"--since {since} is no time. Write 10m, 2h or 3d, or a time like 2025-01-31T12:00:00Z."
        ) from None
    return max(0, round(given.timestamp() * 1000))


def _print_tasks(
    task_logs: TaskLogs, reference: str, start: int, pattern: str | None, count: int | None, *, follow: bool
) -> None:
    new = task_logs.refresh()
    if not new and not follow:
        raise OperatorError(
            f"{reference} has no containers that run or stopped lately. List tasks with: aws ecs list-tasks"
        )
    paint = Painter()
    follower = Follower(task_logs, start, pattern)
    first: Iterable[Line] = follower.lines()
    if count is not None:
        first = deque(first, maxlen=count)
    _tell_of_others(new)
    for line in first:
        click.echo(paint(line))
    while follow:
        time.sleep(_POLL)
        # A control plane that starts again is back in a moment; what came meanwhile is read then.
        with suppress(UnreachableError):
            _tell_of_others(task_logs.refresh())
            for line in follower.lines():
                click.echo(paint(line))


def _tell_of_others(sources: list[Source]) -> None:
    """Say where the output of containers is that do not log into a group."""
    for source in sources:
        if source.driver == "awslogs":
            continue
        where = f"docker logs {source.runtime_id}" if source.runtime_id else "its machine has not made it yet"
        if source.driver == "awsfirelens":
            where = "it goes where its FireLens router sends it"
        elif source.driver not in ("json-file", "local", "journald"):
            where = f"it goes where the driver {source.driver} sends it"
        click.echo(f"{source.container} of task {source.task} is in no log group ({source.driver}): {where}", err=True)


class Painter:
    """Lines with time, task and container; every task has a colour of its own, as long as there are some."""

    def __init__(self) -> None:
        self._colours = cycle(_COLOURS)
        self._of_task: dict[str, str] = {}

    def __call__(self, line: Line) -> str:
        """The text to print; click leaves out the colours where they cannot be shown."""
        task = line.source.task
        if task not in self._of_task:
            self._of_task[task] = next(self._colours)
        at = (
            datetime.fromtimestamp(line.timestamp / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        whose = click.style(f"{task[:8]} {line.source.container}", fg=self._of_task[task])
        return f"{at} {whose} | {line.message.rstrip()}"


def _print_program(installation: Installation, program: str, lines: int, *, follow: bool) -> None:
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
