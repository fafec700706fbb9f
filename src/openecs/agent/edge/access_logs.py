"""Access logs of load balancers: what Envoy wrote down, as files that have AWS's form and names.

On AWS a bucket gets a file every five minutes; here it is a folder, in which the newest file is
still growing as plain text and the others are compressed.  Nothing is ever deleted, as in a
bucket.  Envoy's own files, the spool, survive restarts of the agent and of Envoy.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from openecs.acs.host_documents import CertificateDocument
from openecs.agent.edge.access_lines import Raw, line, origin
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")
#: Seconds between looks at what Envoy has written, and seconds of one file.
PAUSE, WINDOW = 2.0, 300
#: What Envoy writes to, and what it has finished with.
_SPOOL, _TAKEN = ".json", ".taken"
_decode = msgspec.json.Decoder(Raw).decode


class AccessLogs:
    """``reopen`` has Envoy open its files anew; ``token`` tells the files of this agent from others'."""

    def __init__(
        self, spool: Path, root: Path, reopen: Callable[[], Awaitable[None]], clock: Clock, *, token: str
    ) -> None:
        self.spool = spool
        self._root = root
        self._reopen = reopen
        self._clock = clock
        self._token = token
        self._names: Mapping[str, frozenset[str]] = {}
        #: Files that are not compressed yet; ``None`` until an earlier agent's are known.
        self._growing: set[Path] | None = None

    def know(self, certificates: Mapping[str, CertificateDocument]) -> None:
        """The certificates whose ARNs lines name."""
        self._names = {arn: frozenset(found.names) for arn, found in certificates.items()}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.collect()
            except OSError as error:
                _log.warning("access logs are not written", reason=str(error))

    async def collect(self) -> None:
        """Write what there is, and compress the files whose time is over.  Raises ``OSError``."""
        if not self.spool.is_dir():
            return
        for taken in sorted(self.spool.glob(f"*{_TAKEN}")):
            # An agent was ended between taking it and writing its lines.
            await asyncio.to_thread(self._write, taken)
        moved = []
        for path in self.spool.glob(f"*{_SPOOL}"):
            if path.stat().st_size:
                path.replace(path.with_suffix(_TAKEN))
                moved.append(path)
        if moved:
            await self._reopen()
            for path in moved:
                if await _appears(path):
                    # Envoy writes to the new file now: the other one is complete.
                    await asyncio.to_thread(self._write, path.with_suffix(_TAKEN))
        await asyncio.to_thread(self._compress)

    def _write(self, taken: Path) -> None:
        lines: defaultdict[Path, list[str]] = defaultdict(list)
        with taken.open("rb") as stream:
            for entry in stream:
                try:
                    raw = _decode(entry)
                    lines[self._file(raw)].append(line(raw, self._choose))
                except (msgspec.DecodeError, ValueError) as error:
                    _log.warning("a line of an access log is lost", reason=str(error), line=entry[:200])
        for path, texts in lines.items():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            with path.open("a", encoding="ascii", errors="backslashreplace") as out:
                out.writelines(texts)
            if self._growing is not None:
                self._growing.add(path)
        taken.unlink()

    def _file(self, raw: Raw) -> Path:
        whose = origin(raw.listener)
        now = int(self._clock.now())
        ending = datetime.fromtimestamp(now - now % WINDOW + WINDOW, UTC)
        service = f"{whose.account}_elasticloadbalancing_{whose.region}_{whose.balancer.replace('/', '.')}"
        address = (raw.local or "-").rpartition(":")[0] or "-"
        name = f"{service}_{ending:%Y%m%dT%H%MZ}_{address}_{self._token}.log"
        days = Path("AWSLogs", whose.account, "elasticloadbalancing", whose.region, f"{ending:%Y}", f"{ending:%m}")
        return self._root / raw.folder / days / f"{ending:%d}" / name

    def _choose(self, arns: tuple[str, ...], names: str) -> str:
        """The one whose names were shown; the first when that is not known (any more)."""
        shown = frozenset(name.strip().lower() for name in names.split(","))
        return next((arn for arn in arns if self._names.get(arn) == shown), arns[0])

    def _compress(self) -> None:
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y%m%dT%H%MZ")
        if self._growing is None:
            self._growing = set(self._root.rglob("*_*_*_*.log"))
        for path in sorted(self._growing):
            if path.stem.rsplit("_", 3)[1] > now:
                continue
            draft = path.with_name(f".{path.name}.gz")
            with path.open("rb") as source, gzip.open(draft, "wb") as target:
                shutil.copyfileobj(source, target)
            os.replace(draft, path.with_name(f"{path.name}.gz"))  # noqa: PTH105 -- the atomic one by name
            path.unlink()
            self._growing.discard(path)


async def _appears(path: Path) -> bool:
    for _ in range(200):
        if await asyncio.to_thread(path.exists):
            return True
        await asyncio.sleep(0.01)
    return False
