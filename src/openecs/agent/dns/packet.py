"""DNS messages as bytes (RFC 1035, 6891): reads questions, writes answers.  Pure, no I/O.

Queries are read strictly, because anybody may send them: ``read_query`` gives a ``Query``, a
``Refused`` with the code to answer, or ``None`` for what deserves no answer.  Replies of other
servers are read by ``read_answers`` as far as their answer section, for CNAMEs to be followed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, ANY = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 255
IN, CHAOS = 1, 3
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
BADVERS = 16

HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
#: The name of the question, which every answer of ours begins with: a pointer to byte 12.
QUESTION_NAME = b"\xc0\x0c"
#: The most that a UDP message may have without the other side saying more, and the most that we send.
PLAIN_SIZE, EDNS_SIZE = 512, 1232
MAX_NAME = 255
_QR, _AA, _TC, _RD, _RA, _CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0010
_OPCODE = 0x7800


class Query(NamedTuple):
    """One question as it came."""

    id: int
    flags: int
    #: The name in lower case, without the final dot; the root is empty.
    name: str
    type: int
    cls: int
    #: Name, type and class as they came, upper and lower case kept.
    question: bytes
    #: Bytes that the asker takes in a UDP message; ``None`` without EDNS.
    udp_size: int | None


class Refused(NamedTuple):
    """A message that gets no answer but a code."""

    reply: bytes


class PacketError(ValueError):
    """Bytes that are no DNS message, or one that ends too early."""


class Record(NamedTuple):
    """One resource record; ``owner`` in wire form, uncompressed."""

    owner: bytes
    type: int
    cls: int
    ttl: int
    data: bytes


def read_query(message: bytes) -> Query | Refused | None:
    """What a client asks."""
    if len(message) < HEADER.size:
        return None
    identifier, flags, questions, answers, authorities, additionals = HEADER.unpack_from(message)
    if flags & _QR:
        return None
    if flags & _OPCODE:
        return Refused(_bare(identifier, flags, NOTIMP))
    if questions != 1 or answers or authorities:
        return Refused(_bare(identifier, flags, FORMERR))
    try:
        name, end = _question_name(message)
        kind, cls = _unpack(_QUESTION, message, end)
        question = message[HEADER.size : end + _QUESTION.size]
        size, version = _edns(message, end + _QUESTION.size, additionals)
    except PacketError:
        return Refused(_bare(identifier, flags, FORMERR))
    query = Query(identifier, flags, name, kind, cls, question, size)
    if version:
        return Refused(write(query, BADVERS))
    return query


def write(
    query: Query,
    code: int,
    answers: list[bytes] | tuple[bytes, ...] = (),
    authority: list[bytes] | tuple[bytes, ...] = (),
    *,
    limit: int | None = None,
) -> bytes:
    """The reply to a query; with more than ``limit`` bytes only its head, marked as cut off."""
    flags = _QR | _RA | (query.flags & (_RD | _CD)) | (code & 0xF)
    parts = [query.question, *answers, *authority]
    additional = 0
    if query.udp_size is not None:
        # An extended code has its upper bits in the OPT record.
        parts.append(b"\0" + _RECORD.pack(OPT, EDNS_SIZE, (code >> 4) << 24, 0))
        additional = 1
    size = HEADER.size + sum(map(len, parts))
    if limit is not None and size > limit:
        head = HEADER.pack(query.id, flags | _TC, 1, 0, 0, additional)
        return head + query.question + (parts[-1] if additional else b"")
    return HEADER.pack(query.id, flags, 1, len(answers), len(authority), additional) + b"".join(parts)


def udp_limit(query: Query) -> int:
    """How many bytes the asker's UDP reply may have."""
    return min(max(query.udp_size or PLAIN_SIZE, PLAIN_SIZE), EDNS_SIZE)


def record(owner: bytes, kind: int, ttl: int, data: bytes) -> bytes:
    """A record of class IN in wire form."""
    return owner + _RECORD.pack(kind, IN, ttl, len(data)) + data


def name_bytes(name: str) -> bytes:
    """A name in wire form, uncompressed.  Raises ``PacketError`` for what is no name."""
    wire = b""
    for label in name.rstrip(".").split(".") if name.strip(".") else ():
        octets = label.encode("ascii", "replace")
        if not 0 < len(octets) < 64:
            raise PacketError(f"{name!r} is no DNS name")
        wire += bytes((len(octets),)) + octets
    if len(wire) >= MAX_NAME:
        raise PacketError(f"{name!r} is too long for a DNS name")
    return wire + b"\0"


def soa_data(zone: bytes, ttl: int) -> bytes:
    """The data of a zone's SOA record; ``ttl`` is how long "no such name" may be remembered."""
    return b"\x02ns" + zone + b"\x0ahostmaster" + zone + struct.pack("!IIIII", 1, 7200, 900, 1209600, ttl)


def srv_data(priority: int, weight: int, port: int, target: bytes) -> bytes:
    """The data of an SRV record."""
    return struct.pack("!HHH", priority, weight, port) + target


def ask(identifier: int, name: bytes, kind: int) -> bytes:
    """A query of our own, for recursion and with EDNS."""
    head = HEADER.pack(identifier, _RD, 1, 0, 0, 1)
    return head + name + _QUESTION.pack(kind, IN) + b"\0" + _RECORD.pack(OPT, EDNS_SIZE, 0, 0)


def is_truncated(reply: bytes) -> bool:
    """Whether a reply of another server was cut off."""
    return bool(int.from_bytes(reply[2:4], "big") & _TC)


def answers_question(reply: bytes, query: bytes) -> bool:
    """Whether a reply of another server belongs to a query of ours: id and question."""
    if len(reply) < HEADER.size or reply[:2] != query[:2] or not reply[2] & 0x80:
        return False
    try:
        name, end = _question_name(query)
        if reply[4:6] == b"\0\0":
            return reply[3] & 0xF != NOERROR  # A refusal may come without the question.
        other, other_end = _question_name(reply)
    except PacketError:
        return False
    return name == other and reply[other_end : other_end + 4] == query[end : end + 4]


def code_of(reply: bytes) -> int:
    """The plain response code."""
    return reply[3] & 0xF


def read_answers(reply: bytes) -> list[Record]:
    """The answer section of a reply, names spelled out.  Raises ``PacketError``."""
    if len(reply) < HEADER.size:
        raise PacketError("too short")
    _, _, questions, answers, _, _ = HEADER.unpack_from(reply)
    at = HEADER.size
    for _ in range(questions):
        _, at = _expand(reply, at)
        at += _QUESTION.size
    found = []
    for _ in range(answers):
        owner, at = _expand(reply, at)
        kind, cls, ttl, length = _unpack(_RECORD, reply, at)
        at += _RECORD.size
        if at + length > len(reply):
            raise PacketError("a record ends too early")
        found.append(Record(owner, kind, cls, ttl, _spelled_out(reply, kind, at, length)))
        at += length
    return found


def _spelled_out(message: bytes, kind: int, at: int, length: int) -> bytes:
    """A record's data without pointers into the message that it came in."""
    if kind in (CNAME, NS, PTR):
        return _expand(message, at)[0]
    if kind == MX and length > 2:
        return message[at : at + 2] + _expand(message, at + 2)[0]
    if kind == SRV and length > 6:
        return message[at : at + 6] + _expand(message, at + 6)[0]
    if kind == SOA:
        first, after = _expand(message, at)
        second, after = _expand(message, after)
        return first + second + message[after : at + length]
    return message[at : at + length]


def _expand(message: bytes, at: int) -> tuple[bytes, int]:
    """A name without pointers, and where what follows it begins."""
    wire = b""
    after = None
    lowest = at
    while True:
        if at >= len(message):
            raise PacketError("a name ends too early")
        length = message[at]
        if length >= 0xC0:
            if at + 1 >= len(message):
                raise PacketError("a pointer ends too early")
            after = at + 2 if after is None else after
            at = (length & 0x3F) << 8 | message[at + 1]
            # Every pointer leads further to the front, so there are no circles.
            if at >= lowest:
                raise PacketError("a pointer leads forward")
            lowest = at
            continue
        if length > 63:
            raise PacketError("a label of an unknown kind")
        wire += message[at : at + 1 + length]
        if len(wire) > MAX_NAME or at + 1 + length > len(message):
            raise PacketError("a name is too long")
        at += 1 + length
        if not length:
            return wire, at if after is None else after


def _question_name(message: bytes) -> tuple[str, int]:
    """The question's name in lower case, and where its type begins.  No pointers: there is nothing to point to."""
    at = HEADER.size
    labels = []
    size = len(message)
    while True:
        if at >= size:
            raise PacketError("the question's name ends too early")
        length = message[at]
        at += 1
        if not length:
            break
        if length > 63 or at + length > size or at + length - HEADER.size >= MAX_NAME:
            raise PacketError("the question's name is malformed")
        labels.append(message[at : at + length])
        at += length
    # A dot inside of a label must not be taken for one between two.
    return b".".join(label.replace(b".", b"\\.") for label in labels).decode("latin-1").lower(), at


def _edns(message: bytes, at: int, additionals: int) -> tuple[int | None, int]:
    """The UDP size and version of the OPT record; ``None`` and 0 without one."""
    size, version = None, 0
    for _ in range(additionals):
        owner, at = _expand(message, at)
        kind, cls, ttl, length = _unpack(_RECORD, message, at)
        at += _RECORD.size + length
        if at > len(message):
            raise PacketError("a record ends too early")
        if kind == OPT:
            if size is not None or owner != b"\0":
                raise PacketError("OPT must come once and belong to the root")
            size, version = cls, ttl >> 16 & 0xFF
    return size, version


def _unpack(structure: struct.Struct, message: bytes, at: int) -> tuple[int, ...]:
    try:
        return structure.unpack_from(message, at)
    except struct.error:
        raise PacketError("the message ends too early") from None


def _bare(identifier: int, flags: int, code: int) -> bytes:
    """A refusal without the question, which could not be read."""
    return HEADER.pack(identifier, _QR | _RA | (flags & (_OPCODE | _RD)) | code, 0, 0, 0, 0)
