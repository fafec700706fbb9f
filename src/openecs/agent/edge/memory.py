"""What an agent leaves to the next one: the health of targets, so that those that get requests go on
getting them until probes say otherwise.  In the run directory: it means nothing after a reboot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from openecs.agent.edge.health import Health

_log = structlog.get_logger("openecs.agent")
#: Target group ARN → ``id|port`` → health.
Book = dict[str, dict[str, Health]]


class HealthMemory:
    """A file.  Failing to write it is no reason to stop."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._written = b""

    def read(self) -> Book:
        """What the last agent knew; empty when that is not known."""
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Book)
        except OSError:
            return {}
        except msgspec.DecodeError as error:
            _log.warning("health of targets is learned anew", file=str(self._file), error=str(error))
            return {}

    def write(self, book: Mapping[str, Mapping[str, Health]]) -> None:
        """Keep this, unless it is there already."""
        body = msgspec.json.encode(book, order="deterministic")
        if body == self._written or (not book and not self._written):
            # Most hosts run no load balancer, and leave nothing.
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._file.with_suffix(".new")
            temporary.write_bytes(body)
            os.replace(temporary, self._file)  # noqa: PTH105 -- the atomic one by name
        except OSError as error:
            _log.warning("health of targets is not kept for the next agent", file=str(self._file), error=str(error))
            return
        self._written = body
