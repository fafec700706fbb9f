"""The files that Envoy watches: written only where they changed, each by one rename."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from openecs.agent.edge.envoy_resources import XdsFile


class XdsFolder:
    """The folder of one Envoy's configuration files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        return self._folder

    def write(self, files: Iterable[XdsFile], *, again: frozenset[str] = frozenset()) -> tuple[XdsFile, ...]:
        """Write those whose content differs from the disk's, and those whose path is in ``again``; which these were."""
        written = []
        for file in files:
            target = self._folder / file.path
            if file.path not in again and _content(target) == file.content:
                continue
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Envoy watches for renames onto the name: a half-written file is never read.
            draft = target.with_suffix(".new")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(file.content)
            draft.replace(target)
            written.append(file)
        return tuple(written)

    def resources(self, path: str) -> dict[str, dict[str, Any]]:
        """The resources in a file, by name; none when there is no such file."""
        content = _content(self._folder / path)
        if content is None:
            return {}
        try:
            found = msgspec.json.decode(content)["resources"]
        except (msgspec.DecodeError, KeyError):
            return {}
        return {
            resource.get("name") or resource["cluster_name"]: {k: v for k, v in resource.items() if k != "@type"}
            for resource in found
        }

    def prune(self, keep: Iterable[str]) -> None:
        """Remove every file of a single resource that is not among ``keep``."""
        wanted = set(keep)
        for folder in ("endpoints", "routes", "secrets"):
            for path in (self._folder / folder).glob("*.json"):
                if f"{folder}/{path.name}" not in wanted:
                    path.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
