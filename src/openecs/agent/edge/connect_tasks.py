"""The tasks of this host that have a part in Service Connect, and their network namespaces by name.

A task's namespace gets a name (``ip netns list`` shows it), so that Envoy holds it by a path that
outlives the agent and cannot come to mean another process.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import structlog

from openecs.acs.task_payload import ConnectPayload, TaskPayload
from openecs.agent.edge.connect_render import ConnectPart
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.interfaces import inside

_log = structlog.get_logger("openecs.agent")
FOLDER = Path("/run/netns")
#: The nftables table in a task's namespace.
TABLE = "openecs_connect"
#: Seconds for which a task that starts waits for its listeners, and before that for its endpoints.
PATIENCE, ENDPOINTS_PATIENCE = 20.0, 5.0


class ConnectTasks:
    """Those of one node.  ``problem`` says why none can be served; empty when they can."""

    def __init__(self, node_id: str, logs: Path) -> None:
        #: Folder of links to what tasks' proxies write to.
        self._logs = logs
        self.problem = ""
        self._prefix = f"oecs-sc-{node_id[:8]}-"
        self._parts: dict[str, ConnectPart] = {}
        self._served: dict[str, str] = {}
        #: Endpoints that the control plane has told of.
        self._known: frozenset[str] = frozenset()
        self._changed: Callable[[], None] = lambda: None
        self._news = asyncio.Condition()

    # -- the edge's side ------------------------------------------------------------------

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` when tasks come or go."""
        self._changed = changed

    def parts(self) -> tuple[ConnectPart, ...]:
        """All of them, in the same order each time."""
        return tuple(self._parts[arn] for arn in sorted(self._parts))

    async def settle(self, known: Iterable[str], served: Mapping[str, str]) -> None:
        """What came of it: ``served`` goes from tasks to what is wrong, empty for nothing."""
        async with self._news:
            self._known, self._served = frozenset(known), dict(served)
            self._news.notify_all()

    # -- the task's side ------------------------------------------------------------------

    async def attach(self, task: TaskPayload, pid: int) -> None:
        """Serve the task; returns when its listeners are up.  Raises ``NetworkError``."""
        if task.openecs_connect is None:
            return
        if self.problem:
            raise NetworkError(f"Service Connect: {self.problem}")
        path = self._path(task.arn)
        if _there(path) and not _same(path, pid):
            await self._forget(path)
        if not _there(path):
            await run(("ip", "netns", "attach", path.name, str(pid)), "")
        if task.openecs_connect.log_config:
            _link(self._log(path), pid)
        rules = redirects(task.openecs_connect)
        if rules:
            await run(inside(path, "nft", "-f", "-"), rules)
        self._parts[task.arn] = self._part(task, task.openecs_connect)
        self._changed()
        await self._wait(task.arn, {alias.endpoint for alias in task.openecs_connect.aliases})

    async def detach(self, task_arn: str) -> None:
        """Serve the task no more; no error when it is not served."""
        if self._parts.pop(task_arn, None) is not None:
            self._served.pop(task_arn, None)
            self._changed()
        path = self._path(task_arn)
        if _there(path):
            await self._forget(path)

    def resume(self, tasks: Iterable[TaskPayload]) -> None:
        """Go on with the tasks that run already; called once at the agent's start."""
        for task in tasks:
            path = self._path(task.arn)
            if task.openecs_connect is not None and path.exists():
                self._parts[task.arn] = self._part(task, task.openecs_connect)

    async def tidy(self) -> None:
        """Take away the names that an earlier agent left for tasks that are gone."""
        wanted = {part.namespace for part in self._parts.values()}
        for path in self._found():
            if path not in wanted:
                await self._forget(path)

    def _found(self) -> list[Path]:
        return sorted(FOLDER.glob(f"{self._prefix}*"))

    def _part(self, task: TaskPayload, connect: ConnectPayload) -> ConnectPart:
        path = self._path(task.arn)
        log = self._log(path)
        return ConnectPart(task.arn, path, connect, str(log) if connect.log_config and log.is_symlink() else "")

    def _log(self, path: Path) -> Path:
        return self._logs / path.name

    def _path(self, task_arn: str) -> Path:
        return FOLDER / f"{self._prefix}{hashlib.sha256(task_arn.encode()).hexdigest()[:12]}"

    async def _forget(self, path: Path) -> None:
        _unlink(self._log(path))
        try:
            await run(("ip", "netns", "delete", path.name), "")
        except NetworkError as error:
            _log.warning("the name of a task's network was left behind", path=str(path), reason=str(error))

    async def _wait(self, task_arn: str, endpoints: set[str]) -> None:
        try:
            async with asyncio.timeout(ENDPOINTS_PATIENCE), self._news:
                await self._news.wait_for(lambda: endpoints <= self._known and task_arn in self._served)
        except TimeoutError:
            _log.warning("a task starts before all endpoints are known", task=task_arn)
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: self._served.get(task_arn) == "")
        except TimeoutError:
            problem = self._served.get(task_arn) or "the proxy did not take it in time"
            raise NetworkError(f"Service Connect: the listeners of the task are not up: {problem}") from None


def redirects(connect: ConnectPayload) -> str:
    """The nftables rules that lead what comes in at container ports to the proxy; empty for none.  Pure.

    What the proxy sends on stays within the task, so it does not meet them.
    """
    lines = [
        f'iifname != "lo" tcp dport {ingress.port} redirect to :{ingress.listener}'
        for ingress in connect.ingress
        if ingress.listener
    ]
    if not lines:
        return ""
    chain = "\n".join(["type nat hook prerouting priority dstnat; policy accept;", *lines])
    # Made anew, whatever an agent that was killed left of it.
    fresh = f"table ip {TABLE}\ndelete table ip {TABLE}\n"
    return f"{fresh}table ip {TABLE} {{\nchain incoming {{\n{chain}\n}}\n}}\n"


def _there(path: Path) -> bool:
    return path.exists()


def _link(link: Path, pid: int) -> None:
    """Have ``link`` lead to what the process writes to: its engine takes that to the log driver."""
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(f"/proc/{pid}/fd/1")


def _unlink(link: Path) -> None:
    link.unlink(missing_ok=True)


def _same(path: Path, pid: int) -> bool:
    """Whether both are the same namespace."""
    try:
        return path.stat().st_ino == Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return False
