"""The documents of all hosts, as they are now, and who still has to be told of which.

Sources make documents from state; whoever changes state only says ``changed(kind, key)``.  A
document is made when somebody is there to be told, however often it changed meanwhile, and is
sent when it is another one than before.  Nothing is stored: at a start every document is made
anew, and a connection begins with all documents of its host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec
import structlog

from openecs.acs import messages as m
from openecs.acs.host_documents import REPORTS, Document

_log = structlog.get_logger("openecs.acs")

#: What agents that take documents put into the query of their connection.
HOST_QUERY = "openecsHost"
#: Documents in one message: a frame of some hundred kilobytes at most.
AT_ONCE = 500

Key = tuple[str, str]
#: (node id, key, report) of one kind; ``None``: the host withdrew it.  Opens its own transaction.
ReportTaker = Callable[[str, str, Document | None], None]


class Placed(NamedTuple):
    """A document and the hosts that get it; ``None`` for every host."""

    document: Document
    audience: frozenset[str] | None = None


class DocumentSource(Protocol):
    """Makes the documents of some kinds.  Several sources may share a kind with different keys."""

    @property
    def kinds(self) -> frozenset[str]: ...

    def keys(self, kind: str) -> Iterable[str]:
        """The keys of all documents there are."""
        ...

    def render(self, kind: str, key: str) -> Placed | None:
        """The document as it should be now; ``None`` when there is none of this source."""
        ...


class _Kept(NamedTuple):
    body: bytes
    audience: frozenset[str] | None


class HostBoard:
    """Every document, and the links of the hosts that are connected."""

    def __init__(self) -> None:
        self._sources: dict[str, list[DocumentSource]] = {}
        self._takers: dict[str, ReportTaker] = {}
        self._kept: dict[Key, _Kept] = {}
        #: Keys to look at, in the order in which they changed.
        self._dirty: dict[Key, None] = {}
        #: Sources whose documents have not been listed yet.
        self._unlisted: list[DocumentSource] = []
        #: In the order in which they connected: nothing follows from where they lie in memory.
        self._links: dict[HostLink, None] = {}
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def __repr__(self) -> str:
        return f"<HostBoard: {len(self._kept)} documents, {len(self._links)} hosts>"

    def add_source(self, source: DocumentSource) -> None:
        """Have ``source`` make documents."""
        for kind in sorted(source.kinds):
            self._sources.setdefault(kind, []).append(source)
        self._unlisted.append(source)

    def take_reports(self, kind: str, taker: ReportTaker) -> None:
        """Have ``taker`` hear the reports of one kind.  Raises ``ValueError`` for a second one."""
        if kind in self._takers:
            raise ValueError(f"two takers for reports of kind {kind}")
        self._takers[kind] = taker

    def changed(self, kind: str, key: str) -> None:
        """The document may be another one now, or gone."""
        quiet = not self._dirty
        self._dirty[kind, key] = None
        if quiet:
            for link in self._links:
                link.wake()

    def open(self, node_id: str, wake: Callable[[], None]) -> HostLink:
        """The link of a host that has connected; ``wake`` is called when there may be news."""
        link = HostLink(self, node_id, wake)
        self._links[link] = None
        return link

    def close(self, link: HostLink) -> None:
        """The host of the link is not connected any more."""
        self._links.pop(link, None)

    def settle(self) -> None:
        """Make the documents that may have changed, and note for every link which of them did."""
        for source in self._unlisted:
            for kind in sorted(source.kinds):
                self._dirty.update(((kind, key), None) for key in source.keys(kind))
        self._unlisted.clear()
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            placed = self._render(key)
            new = _Kept(self._encode(placed.document), placed.audience) if placed else None
            if new == self._kept.get(key):
                continue
            if new is None:
                del self._kept[key]
            else:
                self._kept[key] = new
            for link in self._links:
                link.note(key)

    def get(self, key: Key) -> _Kept | None:
        """A document as it was made last."""
        return self._kept.get(key)

    def keys(self) -> Iterable[Key]:
        """Of all documents."""
        return self._kept

    def take(self, node_id: str, kind: str, key: str, body: bytes | None) -> None:
        """Hand one report on; ``None`` withdraws it."""
        taker, structure = self._takers.get(kind), REPORTS.get(kind)
        if taker is None or structure is None:
            _log.debug("report of a kind that nobody takes", node=node_id, kind=kind)
            return
        try:
            report = None if body is None else msgspec.json.decode(body, type=structure)
        except msgspec.DecodeError as error:
            _log.warning("report not understood, ignored", node=node_id, kind=kind, key=key, error=str(error))
            return
        try:
            taker(node_id, key, report)
        except Exception:  # noqa: BLE001 -- logged with its traceback
            # A bug with one report must not cut the host off from everything else.
            _log.exception("report not taken", node=node_id, kind=kind, key=key)

    def _render(self, key: Key) -> Placed | None:
        for source in self._sources.get(key[0], ()):
            placed = source.render(*key)
            if placed is not None:
                return placed
        return None


class HostLink:
    """What one connected host still has to be told, and what it has reported."""

    def __init__(self, board: HostBoard, node_id: str, wake: Callable[[], None]) -> None:
        self._board = board
        self._node_id = node_id
        self.wake = wake
        self._told: set[Key] = set()
        self._pending: dict[Key, None] = {}
        self._begun = False
        self._reported: set[Key] = set()

    def note(self, key: Key) -> None:
        """The document changed."""
        self._pending[key] = None

    def close(self) -> None:
        """The connection has ended."""
        self._board.close(self)

    def news(self) -> Iterator[m.HostDocumentsMessage]:
        """The messages that bring the host up to date."""
        self._board.settle()
        if not self._begun:
            self._begun = True
            self._pending.clear()
            yield from self._everything()
        elif self._pending:
            pending, self._pending = self._pending, {}
            removed = tuple(m.HostKey(*key) for key in pending if key in self._told and not self._for_me(key))
            self._told.difference_update((gone.kind, gone.key) for gone in removed)
            entries = self._entries(pending)
            while chunk := tuple(islice(entries, AT_ONCE)):
                yield m.HostDocumentsMessage(entries=chunk)
            if removed:
                # Last, so that nothing is missed for a moment that only got another name.
                yield m.HostDocumentsMessage(removed=removed)

    def take(self, message: m.HostReportsMessage) -> None:
        """Reports of the host."""
        given = {(entry.kind, entry.key) for entry in message.entries}
        gone = {(key.kind, key.key) for key in message.removed}
        if message.all:
            gone |= self._reported - given
        for kind, key in sorted(gone):
            self._board.take(self._node_id, kind, key, None)
        for entry in message.entries:
            self._board.take(self._node_id, entry.kind, entry.key, bytes(entry.body))
        self._reported = (self._reported - gone) | given

    def _everything(self) -> Iterator[m.HostDocumentsMessage]:
        entries = self._entries(list(self._board.keys()))
        chunk = tuple(islice(entries, AT_ONCE))
        first = True
        while True:
            following = tuple(islice(entries, AT_ONCE))
            yield m.HostDocumentsMessage(entries=chunk, first=first, last=not following)
            if not following:
                return
            chunk, first = following, False

    def _entries(self, keys: Iterable[Key]) -> Iterator[m.HostEntry]:
        for key in keys:
            kept = self._board.get(key)
            if kept is not None and self._for_me(key):
                self._told.add(key)
                yield m.HostEntry(key[0], key[1], msgspec.Raw(kept.body))

    def _for_me(self, key: Key) -> bool:
        kept = self._board.get(key)
        return kept is not None and (kept.audience is None or self._node_id in kept.audience)
