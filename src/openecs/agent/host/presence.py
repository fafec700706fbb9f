"""What this host says of itself: once at the start, and again when its address changes.

The address may be another one after a lease has ended or a cable was moved; the other hosts
then send to the new one.  Nothing else in the report changes while an agent runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from openecs.acs.host_documents import HostReport
from openecs.agent.host.reports import HostReports
from openecs.agent.network import vicinity

_log = structlog.get_logger("openecs.agent")


class Presence:
    """The report of the kind ``host``.  ``find`` looks for the host's address: ``None`` while it has none."""

    def __init__(self, reports: HostReports, report: HostReport, find: Callable[[], str | None]) -> None:
        self._reports = reports
        self._report = report
        self._find = find
        reports.put("host", "", report)

    async def run(self) -> None:
        """Follow the address until cancelled."""
        with vicinity.watching(self.look):
            self.look()
            await asyncio.Event().wait()

    def look(self) -> None:
        """Report the address if it is another one.  While there is none the last one stands: it may come back."""
        address = self._find()
        if address is not None and address != self._report.address:
            _log.info("this host has another address", before=self._report.address, now=address)
            self._report = msgspec.structs.replace(self._report, address=address)
            self._reports.put("host", "", self._report)
