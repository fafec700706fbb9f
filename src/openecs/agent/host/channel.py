"""The host's side of the channel for documents and reports, as ``acs.link`` wants it."""

from __future__ import annotations

from openecs.acs import messages as m
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports


class HostChannel:
    """Documents in, reports out."""

    def __init__(self, documents: HostDocuments, reports: HostReports) -> None:
        self._documents = documents
        self._reports = reports

    def take(self, message: m.HostDocumentsMessage) -> None:
        self._documents.take(message)

    def connected(self) -> None:
        self._reports.connected()

    async def next(self) -> m.HostReportsMessage:
        return await self._reports.next()
