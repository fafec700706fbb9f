"""The form of messages to and from the kernel over netlink: headers, attributes, answers.

Nothing here knows what is asked; ``kernel`` does for addresses and routes, ``agent.edge.flows`` for flows.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

#: Flags of messages: a question; one whose success is told too; one that is answered with a list.
REQUEST, ACK, DUMP = 0x001, 0x004, 0x300
#: Bytes that one read takes at the most.
BUFFER = 1 << 18
_ERROR, _DONE = 2, 3
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")


def connect(protocol: int, groups: int = 0) -> socket.socket:
    """A socket of one of the kernel's protocols in this thread's network namespace, which hears those groups.

    Raises ``OSError``, also on systems that have no such thing.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("this system has no netlink")
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    kernel.bind((0, groups))
    return kernel


def message(kind: int, flags: int, body: bytes) -> bytes:
    """A message of one kind."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body


def answers(kernel: socket.socket, about: str = "") -> Iterator[bytes]:
    """The bodies of what the kernel answers to a question, until it says that it is done.

    A question without ``DUMP`` has one answer and no end, unless it asks for an acknowledgement.
    Raises ``OSError``, whose text begins with ``about`` when the kernel refuses.
    """
    while True:
        data = kernel.recv(BUFFER)
        while len(data) >= _HEADER.size:
            length, kind, _, _, _ = _HEADER.unpack_from(data)
            body, data = data[_HEADER.size : length], data[-(-length // 4) * 4 :]
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", body)[0]
                if number:
                    raise OSError(number, f"{about}: {os.strerror(number)}" if about else os.strerror(number))
                return
            yield body


def attribute(kind: int, content: bytes) -> bytes:
    """An attribute, for the end of a body."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), kind) + content + b"\0" * (-len(content) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kinds and contents of the attributes that end a body, or that are another attribute's content."""
    place = 0
    while place + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, place)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[place + _ATTRIBUTE.size : place + length]
        place += -(-length // 4) * 4
