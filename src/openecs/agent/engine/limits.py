"""Limits of a whole task: a parent cgroup that all its containers are put under.

Version 1 and 2 with the cgroupfs driver are written directly, with the systemd driver the
parent is a slice whose properties systemd sets.  Removed when the task's containers have
ended.  Needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

import structlog

from openecs.acs.task_payload import TaskPayload
from openecs.agent.engine import names

_log = structlog.get_logger("openecs.agent")
MIB = 1024 * 1024
#: Length of a CFS period in microseconds; the quota is per period.
PERIOD = 100_000


class LimitsError(Exception):
    """The parent cgroup cannot be made; the text says why."""


class TaskLimits(Protocol):
    """Makes and removes tasks' parent cgroups."""

    def parent(self, task: TaskPayload) -> str | None:
        """What goes into HostConfig.CgroupParent; ``None`` when the task has no limits."""
        ...

    async def make(self, task: TaskPayload) -> None:
        """Idempotent; raises ``LimitsError``."""
        ...

    async def remove(self, task: TaskPayload) -> None:
        """Idempotent; leaves what still has processes."""
        ...


class NoLimits:
    """For engines without cgroups (the fake one): limits have nothing to act on."""

    def parent(self, task: TaskPayload) -> str | None:  # noqa: ARG002
        return None

    async def make(self, task: TaskPayload) -> None:
        pass

    async def remove(self, task: TaskPayload) -> None:
        pass


class CgroupLimits:
    """Parent cgroups of Linux, ``/ecs/<task id>`` or ``ecs-<task id>.slice``."""

    def __init__(
        self, version: Literal["1", "2"], driver: str, root: Path = Path("/sys/fs/cgroup"), parent: str = "ecs"
    ) -> None:
        self._version = version
        self._systemd = driver == "systemd"
        self._root = root
        self._parent = parent

    def parent(self, task: TaskPayload) -> str | None:
        if not task.cpu and not task.memory:
            return None
        task_id = names.task_id(task.arn)
        return f"{self._parent}-{task_id}.slice" if self._systemd else f"/{self._parent}/{task_id}"

    async def make(self, task: TaskPayload) -> None:
        parent = self.parent(task)
        if parent is None:
            return
        if self._systemd:
            await _systemctl("set-property", "--runtime", parent, *systemd_properties(task))
            await _systemctl("start", parent)
            return
        try:
            if self._version == "1":
                self._make_v1(parent, task)
            else:
                self._make_v2(parent, task)
        except OSError as error:
            raise LimitsError(f"unable to create the task's cgroup {parent}: {error}") from None

    async def remove(self, task: TaskPayload) -> None:
        parent = self.parent(task)
        if parent is None:
            return
        if self._systemd:
            try:
                await _systemctl("stop", parent)
            except LimitsError as error:
                _log.warning("slice left behind", slice=parent, error=str(error))
            return
        roots = [self._root] if self._version == "2" else [p for p in self._root.iterdir() if p.is_dir()]
        for root in roots:
            folder = root / parent.lstrip("/")
            # Podman leaves the group of its monitor behind.
            with contextlib.suppress(OSError):
                (folder / "conmon").rmdir()
            try:
                folder.rmdir()
            except OSError:
                continue  # Not there, or a container is still leaving; the engine drops it with its own.

    def _make_v1(self, parent: str, task: TaskPayload) -> None:
        for controller, files in v1_files(task).items():
            folder = self._root / controller / parent.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
            for name, value in files.items():
                _write(folder / name, value)

    def _make_v2(self, parent: str, task: TaskPayload) -> None:
        folder = self._root
        for part in parent.strip("/").split("/"):
            _write(folder / "cgroup.subtree_control", "+cpu +memory +pids")
            folder = folder / part
            folder.mkdir(exist_ok=True)
        for name, value in v2_files(task).items():
            _write(folder / name, value)


def v1_files(task: TaskPayload) -> Mapping[str, Mapping[str, str]]:
    """controller → file → content."""
    files: dict[str, dict[str, str]] = {}
    if task.memory:
        files["memory"] = {"memory.limit_in_bytes": str(task.memory * MIB)}
    if task.cpu:
        files["cpu"] = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(int(task.cpu * PERIOD))}
    return files


def v2_files(task: TaskPayload) -> Mapping[str, str]:
    """file → content."""
    files: dict[str, str] = {}
    if task.memory:
        files["memory.max"] = str(task.memory * MIB)
    if task.cpu:
        files["cpu.max"] = f"{int(task.cpu * PERIOD)} {PERIOD}"
    return files


def systemd_properties(task: TaskPayload) -> tuple[str, ...]:
    """Unit properties of the task's slice."""
    properties = []
    if task.memory:
        properties.append(f"MemoryMax={task.memory * MIB}")
    if task.cpu:
        properties.append(f"CPUQuota={task.cpu * 100:g}%")
    return tuple(properties)


def _write(path: Path, value: str) -> None:
    with path.open("w") as file:
        file.write(value)


async def _systemctl(*arguments: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            "systemctl", *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise LimitsError(f"unable to run systemctl: {error}") from None
    _, stderr = await process.communicate()
    if process.returncode and arguments[0] != "stop":
        raise LimitsError(f"systemctl {' '.join(arguments)}: {stderr.decode(errors='replace').strip()}")
