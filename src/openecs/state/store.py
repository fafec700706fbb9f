"""The store: tables, transactions, durability and change notices.

One thread (the event loop's) reads and writes.  ``transaction()`` collects changes; when the
block ends normally they get one new revision, go to the journal and are announced to
subscribers; when it raises they are undone as if nothing had happened.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import structlog

from openecs.model.history import HistoryEntry
from openecs.state.journal.protocol import Change, HistoryQuery, Journal
from openecs.state.table import Table


class Notice(NamedTuple):
    """One record's change, as subscribers hear it after the commit."""

    table: str
    key: str
    old: Any
    new: Any


Subscriber = Callable[[Notice], None]


class Because(NamedTuple):
    """Why a transaction changes something, for the history."""

    text: str
    facts: dict[str, Any]


class Transaction:
    """The changes of one block.  Reads go to the tables, which already show them."""

    def __init__(self, tables: dict[type, Table[Any]]) -> None:
        self._tables = tables
        #: (table name, key) → (table, record before the transaction)
        self.undo: dict[tuple[str, str], tuple[Table[Any], Any]] = {}
        #: History that goes to the journal with the changes, or is dropped with them.
        self.notes: list[HistoryEntry] = []
        #: Key of a record (an ARN) or id of a deployment (``ecs-svc/N``) → why it is changed.
        self.reasons: dict[str, Because] = {}

    def note(self, entry: HistoryEntry) -> None:
        """Keep an entry of history with this transaction."""
        self.notes.append(entry)

    def because(self, subject: str, text: str, **facts: Any) -> None:
        """Say why ``subject`` is changed; the historian puts it into what it notes of the change.

        Facts of several who know something about it add up; the last text that is not empty counts.
        """
        known = self.reasons.get(subject)
        if known is not None:
            text, facts = text or known.text, known.facts | facts
        self.reasons[subject] = Because(text, facts)

    def put(self, record: Any) -> None:
        """Write one record, new or changed."""
        self._replace(self._tables[type(record)], record.key, record)

    def delete(self, record: Any) -> None:
        """Forget one record."""
        self._replace(self._tables[type(record)], record.key, None)

    def _replace(self, table: Table[Any], key: str, record: Any) -> None:
        old = table.replace(key, record)
        self.undo.setdefault((table.name, key), (table, old))


#: Adds notes to a transaction that is about to be committed; changes nothing else.
NoteTaker = Callable[[Transaction, Sequence[Notice]], None]

#: Gives the records that follow from a transaction's changes and are to be committed with them.
Follower = Callable[[Sequence[Notice]], Iterable[Any]]

_log = structlog.get_logger("openecs.state")


class Store:
    """All tables of an installation and their journal."""

    def __init__(self, tables: Sequence[Table[Any]], journal: Journal) -> None:
        self._by_type = {table.record_type: table for table in tables}
        self._by_name = {table.name: table for table in tables}
        self._journal = journal
        self._revision = 0
        self._durable = 0
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._subscribers: dict[str, list[Subscriber]] = {table.name: [] for table in tables}
        self._failure: BaseException | None = None
        self._open: Transaction | None = None
        self._note_taker: NoteTaker | None = None
        self._followers: list[Follower] = []
        self._strict = False
        #: Transactions whose history was lost because its taker failed.
        self.history_failures = 0

    @property
    def revision(self) -> int:
        """The number of the newest commit; a reply that read state depends on it."""
        return self._revision

    def load(self) -> None:
        """Fill the tables from the journal.  Call once, before anything else."""
        for change in self._journal.load({t.name: t.record_type for t in self._by_name.values()}):
            self._by_name[change.table].replace(change.key, change.record)
        self._revision = self._durable = self._journal.loaded_revision

    def subscribe(self, table: str, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` after every commit that changed a record of ``table``.

        Subscribers only take notes (enqueue keys, update counters); they never write.
        Returns the function that ends the subscription.
        """
        subscribers = self._subscribers[table]
        subscribers.append(subscriber)
        return lambda: subscribers.remove(subscriber)

    def keep_history(self, note_taker: NoteTaker, *, strict: bool = False) -> None:
        """Have ``note_taker`` note what a transaction did, before it is committed and part of it.

        What it raises is logged and costs its own notes, never the transaction: history does not
        decide.  With ``strict`` (tests) it undoes the transaction instead, so that it is seen.
        """
        self._note_taker, self._strict = note_taker, strict

    def follow(self, follower: Follower) -> None:
        """Have what ``follower`` makes of each transaction committed with it.

        Followers see the changes of the transaction, not what other followers add.  What one raises
        is logged and costs what it would have added, never the transaction (as ``keep_history``).
        """
        self._followers.append(follower)

    async def history(self, query: HistoryQuery) -> list[HistoryEntry]:
        """The history of a subject, oldest first, up to now."""
        await self.durable()
        return await self._journal.history(query)

    async def prune_history(self, before: float, at_most: int) -> int:
        """Forget up to ``at_most`` entries older than ``before``; returns how many."""
        return await self._journal.prune_history(before, at_most)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A block whose changes happen all or not at all.  Blocks do not nest."""
        if self._open is not None:
            raise RuntimeError("transactions do not nest: pass the open one down")
        tx = self._open = Transaction(self._by_type)
        try:
            yield tx
            notices = _notices(tx)
            if notices and self._followers and self._follow(tx, notices):
                notices = _notices(tx)
            if notices or tx.notes:
                self._take_notes(tx, notices)
        except BaseException:
            for (_, key), (table, old) in reversed(tx.undo.items()):
                table.replace(key, old)
            raise
        else:
            self._commit(notices, tx.notes)
        finally:
            self._open = None

    def _follow(self, tx: Transaction, notices: list[Notice]) -> bool:
        """Whether a follower added something."""
        added = False
        for follower in self._followers:
            try:
                records = tuple(follower(notices))
            except Exception:
                if self._strict:
                    raise
                changed = sorted({notice.table for notice in notices})
                _log.exception("what follows from a transaction is lost", tables=changed)
                continue
            for record in records:
                tx.put(record)
                added = True
        return added

    def _take_notes(self, tx: Transaction, notices: list[Notice]) -> None:
        if self._note_taker is None:
            return
        given = tuple(tx.notes)
        try:
            self._note_taker(tx, notices)
        except Exception:
            if self._strict:
                raise
            tx.notes = list(given)
            self.history_failures += 1
            changed = sorted({notice.table for notice in notices})
            _log.exception("history of a transaction is lost", tables=changed, failures=self.history_failures)

    def _commit(self, notices: list[Notice], notes: list[HistoryEntry]) -> None:
        if not notices and not notes:
            return
        self._revision += 1
        self._journal.append(self._revision, [Change(n.table, n.key, n.new) for n in notices], notes)
        for notice in notices:
            for subscriber in tuple(self._subscribers[notice.table]):
                subscriber(notice)

    async def durable(self, revision: int | None = None) -> None:
        """Wait until ``revision`` (the newest, when not given) is on disk.

        Raises the journal's failure when it can no longer write.
        """
        wanted = self._revision if revision is None else revision
        if wanted <= self._durable:
            return
        if self._failure is not None:
            raise self._failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((wanted, future))
        await future

    def journal_reached(self, revision: int) -> None:
        """The journal's word, on the event loop, that ``revision`` is on disk."""
        self._durable = max(self._durable, revision)
        waiters = self._waiters
        # Waiters queue in the order of their revisions, or close to it: a later one may
        # wait for an earlier revision and then simply wakes with its neighbours.
        while waiters and waiters[0][0] <= self._durable:
            _, future = waiters.popleft()
            if not future.done():
                future.set_result(None)

    def journal_failed(self, error: BaseException) -> None:
        """The journal's word that nothing more can be made durable."""
        self._failure = error
        while self._waiters:
            _, future = self._waiters.popleft()
            if not future.done():
                future.set_exception(error)


def _notices(tx: Transaction) -> list[Notice]:
    """What a transaction has changed so far."""
    return [
        Notice(name, key, old, new)
        for (name, key), (table, old) in tx.undo.items()
        if (new := table.get(key)) is not old
    ]
