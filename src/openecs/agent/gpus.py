"""The GPUs of this host: which ones there are, and how a container gets its own.

NVIDIA's, as its tool ``nvidia-smi`` lists them; engines hand them out by id when NVIDIA's
container toolkit is installed.  Devices inside of a GPU (MIG) are not told apart.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import structlog

from openecs.acs.task_payload import TaskPayload
from openecs.agent.runtime.protocol import EngineInfo
from openecs.errors import OperatorError

_log = structlog.get_logger("openecs.agent")

#: What programs of the container look at, and what NVIDIA's runtime goes by where it is the default.
VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
_TOOL = "nvidia-smi"
#: One of these must be there for Docker to know the driver ``nvidia``.
_TOOLKIT = ("nvidia-container-runtime-hook", "nvidia-ctk")
#: Seconds for the tool's answer; the first one after a boot may load the driver.
_PATIENCE = 30.0
#: ``GPU 0: Tesla T4 (UUID: GPU-0b9e4f3a-…)``; lines of MIG devices are indented.
_LINE = re.compile(r"^GPU \d+: .*\(UUID: (GPU-[0-9A-Za-z-]+)\)\s*$", re.MULTILINE)
_VERSION = re.compile(r"[0-9.]{1,32}")


class HostGpus(NamedTuple):
    """What this host offers."""

    ids: tuple[str, ...] = ()
    #: Version of NVIDIA's driver, empty when unknown.
    driver: str = ""


async def find(named: Sequence[str] | None, info: EngineInfo, *, real: bool = True) -> HostGpus:
    """The GPUs to offer: the ``named`` ones, or (``None``) those that the host's tool lists.

    ``real`` is false for an engine that only pretends: it has the named ones and no others.
    Raises ``OperatorError`` when GPUs are named that the engine cannot give to containers.
    """
    if named and not info.hands_out_gpus:
        raise OperatorError(
            f"GPUs were named ({', '.join(named)}), but the container engine {info.version} cannot give them to "
            "containers by the Docker API. Use Docker Engine with NVIDIA's container toolkit, or leave --gpus out."
        )
    if not real or (named is not None and not named):
        return HostGpus(tuple(named or ()))
    if named is None and not info.hands_out_gpus:
        return HostGpus()
    ids = parse(await _ask("-L")) if named is None else tuple(named)
    if named is None and ids and not any(map(shutil.which, _TOOLKIT)):
        _log.warning("GPUs are not offered: NVIDIA's container toolkit is not installed", gpus=len(ids))
        return HostGpus()
    return HostGpus(ids, _version(await _ask("--query-gpu=driver_version", "--format=csv,noheader")) if ids else "")


def parse(listing: str) -> tuple[str, ...]:
    """Ids of the GPUs in the answer of ``nvidia-smi -L``, in its order."""
    return tuple(dict.fromkeys(_LINE.findall(listing)))


def own(task: TaskPayload, container: str) -> tuple[str, ...]:
    """Ids of the GPUs that a task's container is to have.

    Raises ``ValueError`` when a device of the task is none of this kind, or shared.
    """
    for association in task.associations:
        if association.type != "gpu" or len(association.containers) != 1:
            raise ValueError(f"the device {association.name} ({association.type}) cannot be given to containers here")
    return tuple(a.name for a in task.associations if a.containers == (container,))


def device_requests(ids: Iterable[str]) -> list[dict[str, Any]]:
    """Docker's ``DeviceRequests`` for exactly these GPUs."""
    return [{"Driver": "nvidia", "DeviceIDs": [*ids], "Capabilities": [["gpu"]]}]


def _version(answer: str) -> str:
    found = _VERSION.match(answer)
    return found[0] if found else ""


async def _ask(*arguments: str) -> str:
    """The tool's answer; empty when there is no tool, or it fails, which is logged."""
    tool = shutil.which(_TOOL)
    if tool is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        tool,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        _log.warning("nvidia-smi does not answer", seconds=_PATIENCE)
        return ""
    text = output.decode(errors="replace")
    if process.returncode:
        _log.warning("nvidia-smi failed", code=process.returncode, output=text.strip()[-300:])
        return ""
    return text
