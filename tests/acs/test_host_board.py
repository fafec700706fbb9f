"""Documents reach exactly the hosts of their audience, once for each change; reports come back."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.acs import messages as m
from openecs.acs.host_board import AT_ONCE, HostBoard, Placed
from openecs.acs.host_documents import BalancerReport, PeerDocument, VpcDocument
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports


class Peers:
    """A source over a dict: key → (address, audience)."""

    kinds = frozenset({"peer"})

    def __init__(self, board: HostBoard) -> None:
        self._board = board
        self.there: dict[str, tuple[str, frozenset[str] | None]] = {}
        board.add_source(self)

    def keys(self, kind: str) -> Iterable[str]:
        return list(self.there)

    def render(self, kind: str, key: str) -> Placed | None:
        found = self.there.get(key)
        return Placed(PeerDocument(address=found[0]), found[1]) if found else None

    def put(self, key: str, address: str, audience: frozenset[str] | None = None) -> None:
        self.there[key] = (address, audience)
        self._board.changed("peer", key)

    def drop(self, key: str) -> None:
        self.there.pop(key, None)
        self._board.changed("peer", key)


class Host:
    """A connected host: what its agent keeps, fed by its link."""

    def __init__(self, board: HostBoard, name: str) -> None:
        self.board, self.name = board, name
        self.documents = HostDocuments(None)
        self.wakes = 0
        self.connect()

    def connect(self) -> None:
        self.link = self.board.open(self.name, self._woken)

    def _woken(self) -> None:
        self.wakes += 1

    def sync(self) -> list[m.HostDocumentsMessage]:
        messages = []
        for message in self.link.news():
            # Over the wire and back.
            received = m.decode(m.encode(message), m.TO_AGENT)
            assert isinstance(received, m.HostDocumentsMessage)
            self.documents.take(received)
            messages.append(message)
        return messages

    @property
    def peers(self) -> dict[str, str]:
        return {key: document.address for key, document in self.documents.all("peer").items()}


def test_a_connection_begins_with_everything_and_goes_on_with_changes() -> None:
    board = HostBoard()
    peers = Peers(board)
    peers.put("a", "10.0.0.1")
    host = Host(board, "h1")
    (first,) = host.sync()
    assert (first.first, first.last) == (True, True)
    assert host.peers == {"a": "10.0.0.1"}
    assert host.sync() == []
    peers.put("b", "10.0.0.2")
    peers.put("b", "10.0.0.3")
    assert host.wakes == 1
    (news,) = host.sync()
    assert [entry.key for entry in news.entries] == ["b"]
    peers.put("b", "10.0.0.3")
    assert host.sync() == []
    peers.drop("a")
    host.sync()
    assert host.peers == {"b": "10.0.0.3"}


def test_only_the_audience_is_told_and_who_leaves_it_is_told_that() -> None:
    board = HostBoard()
    peers = Peers(board)
    hosts = {name: Host(board, name) for name in ("h1", "h2")}
    peers.put("x", "10.0.0.1", frozenset({"h1"}))
    for host in hosts.values():
        host.sync()
    assert [host.peers for host in hosts.values()] == [{"x": "10.0.0.1"}, {}]
    peers.put("x", "10.0.0.1", frozenset({"h2"}))
    for host in hosts.values():
        host.sync()
    assert [host.peers for host in hosts.values()] == [{}, {"x": "10.0.0.1"}]


def test_what_went_while_a_host_was_away_is_gone_when_it_is_back() -> None:
    board = HostBoard()
    peers = Peers(board)
    peers.put("old", "10.0.0.1")
    peers.put("kept", "10.0.0.2")
    host = Host(board, "h1")
    host.sync()
    host.link.close()
    peers.drop("old")
    peers.put("new", "10.0.0.3")
    changed: list[frozenset[tuple[str, str]]] = []
    host.documents.watch({"peer"}, changed.append)
    host.connect()
    host.sync()
    assert host.peers == {"kept": "10.0.0.2", "new": "10.0.0.3"}
    assert changed == [frozenset({("peer", "old"), ("peer", "new")})]


def test_many_documents_come_in_several_messages() -> None:
    board = HostBoard()
    peers = Peers(board)
    for number in range(AT_ONCE * 2 + 1):
        peers.put(str(number), "10.0.0.1")
    host = Host(board, "h1")
    messages = host.sync()
    assert [(len(x.entries), x.first, x.last) for x in messages] == [
        (AT_ONCE, True, False),
        (AT_ONCE, False, False),
        (1, False, True),
    ]
    assert len(host.peers) == AT_ONCE * 2 + 1


_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "drop", "sync h1", "sync h2", "again h1", "again h2"]),
        st.sampled_from("abc"),
        st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        st.sampled_from([None, frozenset(), frozenset({"h1"}), frozenset({"h2"}), frozenset({"h1", "h2"})]),
    ),
    max_size=30,
)


@given(_CHANGES)
def test_hosts_end_with_exactly_the_documents_of_their_audience(
    changes: list[tuple[str, str, str, frozenset[str] | None]],
) -> None:
    board = HostBoard()
    peers = Peers(board)
    hosts = {name: Host(board, name) for name in ("h1", "h2")}
    for what, key, address, audience in changes:
        if what == "put":
            peers.put(key, address, audience)
        elif what == "drop":
            peers.drop(key)
        else:
            host = hosts[what.split()[1]]
            if what.startswith("again"):
                host.link.close()
                host.connect()
            host.sync()
    for name, host in hosts.items():
        host.sync()
        there = {k: a for k, (a, audience) in peers.there.items() if audience is None or name in audience}
        assert host.peers == there
        host.documents.close()


def test_documents_outlive_the_agent(tmp_path) -> None:
    board = HostBoard()
    peers = Peers(board)
    peers.put("a", "10.0.0.1")
    documents = HostDocuments(tmp_path / "host.db")
    assert not documents.known
    for message in board.open("h1", lambda: None).news():
        documents.take(message)
    documents.close()
    again = HostDocuments(tmp_path / "host.db")
    assert again.known
    assert again.get("peer", "a") == PeerDocument(address="10.0.0.1")
    assert (tmp_path / "host.db").stat().st_mode & 0o077 == 0
    again.close()


def test_a_document_that_is_not_understood_leaves_the_older_one() -> None:
    documents = HostDocuments(None)
    good = m.HostEntry("vpc", "v", msgspec.Raw(b'{"cidrs":["10.0.0.0/16"],"resolver":"10.0.0.2"}'))
    bad = m.HostEntry("vpc", "v", msgspec.Raw(b'{"cidrs":7}'))
    strange = m.HostEntry("from-the-future", "v", msgspec.Raw(b"{}"))
    documents.take(m.HostDocumentsMessage(entries=(good,)))
    documents.take(m.HostDocumentsMessage(entries=(bad, strange)))
    assert documents.get("vpc", "v") == VpcDocument(cidrs=("10.0.0.0/16",), resolver="10.0.0.2")


async def test_reports_are_sent_when_they_change_and_all_at_each_connection() -> None:
    board = HostBoard()
    heard: list[tuple[str, str, object]] = []
    board.take_reports("balancer", lambda *report: heard.append(report))
    with pytest.raises(ValueError, match="two takers"):
        board.take_reports("balancer", lambda *_: None)
    link = board.open("h1", lambda: None)
    reports = HostReports()
    reports.put("balancer", "a", BalancerReport(ready=False))
    reports.connected()
    first = await reports.next()
    assert first.all
    link.take(first)
    reports.put("balancer", "a", BalancerReport(ready=True))
    reports.put("balancer", "a", BalancerReport(ready=True))
    reports.put("balancer", "b", BalancerReport(ready=True))
    link.take(await reports.next())
    reports.remove("balancer", "b")
    link.take(await reports.next())
    assert heard == [
        ("h1", "a", BalancerReport(ready=False)),
        ("h1", "a", BalancerReport(ready=True)),
        ("h1", "b", BalancerReport(ready=True)),
        ("h1", "b", None),
    ]


async def test_a_full_set_of_reports_withdraws_what_it_does_not_name() -> None:
    board = HostBoard()
    heard: list[tuple[str, str, object]] = []
    board.take_reports("balancer", lambda *report: heard.append(report))
    link = board.open("h1", lambda: None)
    old, new = HostReports(), HostReports()
    old.put("balancer", "a", BalancerReport(ready=True))
    link.take(await _everything(old))
    new.put("balancer", "b", BalancerReport(ready=True))
    link.take(await _everything(new))
    assert heard[1:] == [("h1", "a", None), ("h1", "b", BalancerReport(ready=True))]


async def _everything(reports: HostReports) -> m.HostReportsMessage:
    reports.connected()
    return await reports.next()


def test_a_taker_that_fails_and_a_report_that_is_none_cost_only_themselves() -> None:
    board = HostBoard()
    heard: list[str] = []

    def taker(node_id: str, key: str, report: object) -> None:
        if key == "bad":
            raise RuntimeError("a bug")
        heard.append(key)

    board.take_reports("balancer", taker)
    ready = msgspec.Raw(b'{"ready":true}')
    entries = (
        m.HostEntry("balancer", "bad", ready),
        m.HostEntry("balancer", "broken", msgspec.Raw(b"7")),
        m.HostEntry("nobody-takes", "x", ready),
        m.HostEntry("balancer", "good", ready),
    )
    board.open("h1", lambda: None).take(m.HostReportsMessage(entries=entries))
    assert heard == ["good"]
