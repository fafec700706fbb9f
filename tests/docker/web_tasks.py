"""Task definitions whose containers run ``web_program.py`` with this machine's own Python.

The image has busybox only; the interpreter and its libraries are mounted from the machine, which
takes no time and no registry.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("web_program.py")


def web_task(image: str, *serves: str, **container: Any) -> dict[str, Any]:
    """Arguments of RegisterTaskDefinition, all but the family, for an awsvpc task with one container.

    ``serves`` are the program's words; ``container`` goes into the container definition.
    """
    ports = [
        {"containerPort": int(word.rpartition("=")[2]), "protocol": "udp" if word.startswith("udp:") else "tcp"}
        for word in serves
    ]
    mounts = dict(_mounts())
    return {
        "networkMode": "awsvpc",
        "containerDefinitions": [
            {
                "name": "main",
                "image": image,
                "memory": 256,
                "command": [str(Path(sys.executable).resolve()), "-S", str(PROGRAM), *serves],
                "environment": [{"name": "PYTHONPATH", "value": sysconfig.get_path("purelib")}],
                "portMappings": ports,
                "mountPoints": [
                    {"sourceVolume": name, "containerPath": path, "readOnly": True} for name, path in mounts.items()
                ],
                **container,
            }
        ],
        "volumes": [{"name": name, "host": {"sourcePath": path}} for name, path in mounts.items()],
    }


def _mounts() -> list[tuple[str, str]]:
    folders = ["/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix, str(PROGRAM.parent)]
    kept: list[str] = []
    for folder in folders:
        # What is below another one is there already.
        if Path(folder).is_dir() and not any(Path(folder).is_relative_to(other) for other in kept):
            kept.append(folder)
    return [(f"part{number}", folder) for number, folder in enumerate(kept)]
