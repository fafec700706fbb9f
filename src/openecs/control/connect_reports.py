"""What hosts say of Service Connect's endpoints: to whom nothing is in flight, and which routing is in force.

Kept in memory only: each host says all of it again when it connects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import ConnectReport, Document

_NOTHING = ConnectReport()


class ConnectNews(NamedTuple):
    """An endpoint of which a host said something new: ``namespace id/discovery name``."""

    endpoint: str
    drained: bool
    routing: bool


class ConnectReports:
    """The newest report of each host on each endpoint."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], ConnectReport] = {}
        self._watchers: list[Callable[[ConnectNews], None]] = []

    def attach(self, board: HostBoard) -> None:
        """Hear what hosts report."""
        board.take_reports("connect", self.take)

    def watch(self, watcher: Callable[[ConnectNews], None]) -> None:
        """Call ``watcher`` whenever a host says something new."""
        self._watchers.append(watcher)

    def take(self, node_id: str, key: str, report: Document | None) -> None:
        """What a host says of an endpoint; ``None``: it has nothing to do with it any more."""
        old = self._said.pop((node_id, key), _NOTHING)
        new = report if isinstance(report, ConnectReport) else _NOTHING
        if isinstance(report, ConnectReport):
            self._said[node_id, key] = report
        news = ConnectNews(key, old.drained != new.drained, old.routing != new.routing)
        if news.drained or news.routing:
            for watcher in self._watchers:
                watcher(news)

    def drained(self, node_id: str, key: str) -> frozenset[str]:
        """``address:port`` of the targets that drain, and to which nothing is in flight from the host."""
        return frozenset(self._said.get((node_id, key), _NOTHING).drained)

    def routing(self, node_id: str, key: str) -> str:
        """The ``ConnectDocument.routing`` that is in force on the host; empty: none that is known."""
        return self._said.get((node_id, key), _NOTHING).routing
