"""The host's own names of load balancers: lines of a file like ``/etc/hosts``.

For programs on the machine, which ask its own name servers and not the resolver.  Everything else in
the file stays as it is; the lines of each agent stand between comments of its own.
"""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from pathlib import Path

import structlog

from openecs.agent.host.documents import HostDocuments
from openecs.model.load_balancer import DNS_ZONE

_log = structlog.get_logger("openecs.agent.host.hosts_file")


class HostsFile:
    """Keeps this agent's part of the file."""

    def __init__(self, path: Path, node_id: str, documents: HostDocuments) -> None:
        self._path = path
        self._documents = documents
        self._begin = f"# openecs {node_id}: names of load balancers"
        self._end = f"# openecs {node_id}: end"

    async def run(self) -> None:
        """Write the names whenever they change, until cancelled."""
        changed = asyncio.Event()
        changed.set()
        # Names of tasks change all the time, and are not written.
        self._documents.watch(("name",), lambda keys: changed.set() if any(_is_ours(key) for _, key in keys) else None)
        while True:
            await changed.wait()
            changed.clear()
            if self._documents.known:
                self._write(self._names())

    def leave(self) -> None:
        """Take the names out of the file."""
        self._write([])

    def _names(self) -> list[str]:
        return sorted(
            f"{address} {document.name}"
            for document in self._documents.all("name").values()
            if _is_ours(document.name)
            for address in document.a
        )

    def _write(self, lines: list[str]) -> None:
        try:
            old = self._path.read_text() if self._path.exists() else ""
            new = self._replaced(old, lines)
            if new != old:
                _put(self._path.resolve(), new)
        except (OSError, UnicodeDecodeError) as error:
            _log.warning("names of load balancers are not written", file=str(self._path), reason=str(error))

    def _replaced(self, text: str, lines: list[str]) -> str:
        """The text with these lines in place of the old ones, at its end."""
        kept, mine = [], False
        for line in text.splitlines(keepends=True):
            said = line.rstrip("\n")
            if said == self._begin:
                mine = True
            if not mine:
                kept.append(line)
            if said == self._end:
                mine = False
        rest = "".join(kept)
        if not lines:
            return rest
        if rest and not rest.endswith("\n"):
            rest += "\n"
        return rest + "".join(f"{line}\n" for line in (self._begin, *lines, self._end))


def _is_ours(name: str) -> bool:
    return name.endswith(f".{DNS_ZONE}")


def _put(path: Path, text: str) -> None:
    """Replace the file's content, at once where that can be: what is mounted can only be written into."""
    try:
        handle, name = tempfile.mkstemp(prefix=".openecs-", dir=path.parent)
    except OSError:
        path.write_text(text)
        return
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        found = path.stat() if path.exists() else None
        Path(name).chmod(stat.S_IMODE(found.st_mode) if found is not None else 0o644)
        if found is not None:
            os.chown(name, found.st_uid, found.st_gid)
        try:
            Path(name).replace(path)
        except OSError:
            path.write_text(text)
    finally:
        Path(name).unlink(missing_ok=True)
