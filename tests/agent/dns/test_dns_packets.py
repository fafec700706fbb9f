"""DNS messages against dnspython: what we read of its queries, what it reads of our replies."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.agent.dns import packet
from openecs.agent.dns.packet import Query, Refused

LABEL = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,20}[A-Za-z0-9_])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=5).map(".".join)
TYPES = st.sampled_from(["A", "AAAA", "SRV", "CNAME", "TXT", "SOA", "NS", "PTR", "MX", "ANY"])


@given(name=NAME, kind=TYPES, size=st.one_of(st.none(), st.integers(512, 4096)), identifier=st.integers(0, 65535))
def test_queries_are_read_as_dnspython_writes_them(name: str, kind: str, size: int | None, identifier: int) -> None:
    message = dns.message.make_query(name, kind, use_edns=-1 if size is None else 0, payload=size or 0)
    message.id = identifier
    query = packet.read_query(message.to_wire())
    assert isinstance(query, Query)
    assert (query.id, query.name, query.type, query.cls) == (
        identifier,
        name.lower(),
        int(dns.rdatatype.from_text(kind)),
        1,
    )
    assert query.udp_size == size


@given(name=NAME, addresses=st.lists(st.ip_addresses(v=4), max_size=8, unique=True), target=NAME, edns=st.booleans())
def test_replies_are_what_dnspython_reads(name: str, addresses: list, target: str, edns: bool) -> None:
    asked = dns.message.make_query(name, "A", use_edns=0 if edns else -1)
    query = packet.read_query(asked.to_wire())
    assert isinstance(query, Query)
    wire_target = packet.name_bytes(target)
    answers = [packet.record(packet.QUESTION_NAME, packet.CNAME, 7, wire_target)]
    answers += [packet.record(wire_target, packet.A, 60, address.packed) for address in addresses]
    apex = packet.name_bytes(target)
    soa = packet.record(apex, packet.SOA, 30, packet.soa_data(apex, 30))
    wire = packet.write(query, packet.NOERROR, answers, [soa])
    reply = dns.message.from_wire(wire)
    assert asked.is_response(reply)
    assert reply.question[0].name.to_text() == f"{name}."  # Upper and lower case as asked.
    assert reply.answer[0][0].target == dns.name.from_text(target)
    assert {rdata.address for rrset in reply.answer[1:] for rdata in rrset} == {str(a) for a in addresses}
    assert reply.authority[0][0].minimum == 30
    assert (reply.edns == 0) == edns
    assert reply.flags & dns.flags.RA
    # And read back by ourselves, as from another server that compresses its names.
    read = packet.read_answers(reply.to_wire())
    assert [(r.type, r.data.lower()) for r in read[:1]] == [(packet.CNAME, wire_target.lower())]
    assert sorted(r.data for r in read[1:]) == sorted(address.packed for address in addresses)


@given(st.binary(max_size=600))
def test_any_bytes_get_a_refusal_or_nothing(message: bytes) -> None:
    found = packet.read_query(message)
    if isinstance(found, Refused):
        assert found.reply[:2] == message[:2]
        assert found.reply[2] & 0x80
        dns.message.from_wire(found.reply)  # Well formed.
    elif found is not None:
        assert len(packet.write(found, packet.SERVFAIL)) <= packet.udp_limit(found)


@given(st.binary(max_size=600))
def test_replies_of_any_bytes_are_refused_without_a_bug(reply: bytes) -> None:
    try:
        packet.read_answers(reply)
    except packet.PacketError:
        return


@given(name=NAME, cut=st.integers(12, 60))
def test_queries_that_end_too_early_are_malformed(name: str, cut: int) -> None:
    wire = dns.message.make_query(name, "A", use_edns=0).to_wire()
    if cut < len(wire):
        found = packet.read_query(wire[:cut])
        assert isinstance(found, Refused)
        assert packet.code_of(found.reply) == packet.FORMERR


def _header(**changes: int) -> bytes:
    fields = {"id": 1, "flags": 0x0100, "questions": 1, "answers": 0, "authorities": 0, "additionals": 0} | changes
    return packet.HEADER.pack(*fields.values()) + b"\x03web\0\0\x01\0\x01"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (_header(questions=2), packet.FORMERR),
        (_header(questions=0), packet.FORMERR),
        (_header(answers=1), packet.FORMERR),
        (_header(additionals=1), packet.FORMERR),
        (_header(flags=int(dns.opcode.UPDATE) << 11), packet.NOTIMP),
        (packet.HEADER.pack(1, 0x0100, 1, 0, 0, 0) + b"\xc0\x0c\0\x01\0\x01", packet.FORMERR),
        (packet.HEADER.pack(1, 0x0100, 1, 0, 0, 0) + b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x3f" + b"c" * 63
         + b"\x3f" + b"d" * 63 + b"\0\0\x01\0\x01", packet.FORMERR),
    ],
)  # fmt: skip
def test_what_no_resolver_takes(message: bytes, code: int) -> None:
    found = packet.read_query(message)
    assert isinstance(found, Refused)
    assert packet.code_of(found.reply) == code


def test_replies_are_not_answered() -> None:
    assert packet.read_query(_header(flags=0x8000)) is None
    assert packet.read_query(b"\0\1\0") is None


def test_a_version_of_edns_that_nobody_knows() -> None:
    message = dns.message.make_query("web.test", "A", use_edns=0)
    message.use_edns(1)
    found = packet.read_query(message.to_wire())
    assert isinstance(found, Refused)
    assert dns.message.from_wire(found.reply).rcode() == dns.rcode.BADVERS


def test_names_that_point_in_circles_are_refused() -> None:
    loop = packet.HEADER.pack(1, 0x8180, 0, 1, 0, 0) + b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\0"
    with pytest.raises(packet.PacketError):
        packet.read_answers(loop)


def test_a_reply_too_long_for_its_asker_is_cut_off() -> None:
    query = packet.read_query(dns.message.make_query("web.test", "A").to_wire())
    assert isinstance(query, Query)
    answers = [packet.record(packet.QUESTION_NAME, packet.A, 60, bytes((10, 0, 0, n))) for n in range(60)]
    cut = dns.message.from_wire(packet.write(query, 0, answers, limit=packet.udp_limit(query)))
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    assert len(dns.message.from_wire(packet.write(query, 0, answers)).answer[0]) == 60


def test_answers_to_other_questions_do_not_count() -> None:
    asked = packet.ask(7, packet.name_bytes("web.test"), packet.A)
    other = dns.message.make_response(dns.message.make_query("other.test", "A", id=7)).to_wire()
    right = dns.message.make_response(dns.message.make_query("WEB.test", "A", id=7)).to_wire()
    assert not packet.answers_question(other, asked)
    assert not packet.answers_question(b"\0\0" + right[2:], asked)
    assert packet.answers_question(right, asked)
