"""The files of a task's log router (FireLens) on this host: made before its containers, removed after them."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from openecs.acs.task_payload import TaskPayload
from openecs.agent.engine.firelens import Place, Record, configuration, router


def place_of(run_dir: Path, task_arn: str) -> Place:
    """The task's folder; short, because the path of a socket may not be long."""
    return Place(run_dir / "firelens" / hashlib.sha256(task_arn.encode()).hexdigest()[:16])


def make(task: TaskPayload, run_dir: Path, cluster: str) -> None:
    """Write the configuration.  Raises ``OSError`` and ``FirelensError``."""
    if router(task) is None:
        return
    place = place_of(run_dir, task.arn)
    text = configuration(task, Record(cluster.rpartition("/")[2], task.arn, f"{task.family}:{task.version}"))
    place.folder.mkdir(parents=True, exist_ok=True)
    # Options may hold what is for nobody else on the host.  The router, which may run as any user, has what is
    # inside by mounts of its own.
    place.folder.chmod(0o700)
    place.config.parent.mkdir(exist_ok=True)
    place.config.write_text(text)
    place.config.chmod(0o644)
    place.sockets.mkdir(exist_ok=True)
    place.sockets.chmod(0o777)


def remove(task: TaskPayload, run_dir: Path) -> None:
    """Take the folder away; no error when there is none."""
    if router(task) is not None:
        shutil.rmtree(place_of(run_dir, task.arn).folder, ignore_errors=True)
