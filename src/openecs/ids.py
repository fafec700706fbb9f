"""Identifiers as an input: random in production, counted in tests and simulations."""

from __future__ import annotations

import random
import secrets
from typing import Protocol
from uuid import UUID


class Ids(Protocol):
    """A source of fresh identifiers."""

    def hex32(self) -> str:
        """32 lower-case hexadecimal digits: task, container instance and ENI ids."""
        ...

    def uuid(self) -> str:
        """A UUID in the usual form: container and attachment ids, request ids."""
        ...

    def svc_number(self) -> str:
        """19 decimal digits: the number of ``ecs-svc/N``."""
        ...


class RandomIds:
    """Identifiers nobody can guess."""

    def hex32(self) -> str:
        return secrets.token_hex(16)

    def uuid(self) -> str:
        # What ``str(UUID(bytes=…, version=4))`` gives in a third of its time; every call has one.
        octets = bytearray(secrets.token_bytes(16))
        octets[6] = octets[6] & 0x0F | 0x40
        octets[8] = octets[8] & 0x3F | 0x80
        text = octets.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def svc_number(self) -> str:
        return str(secrets.randbelow(9 * 10**18) + 10**18)


class SeededIds:
    """Identifiers that are the same in every run with the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311 -- reproducible on purpose

    def hex32(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def svc_number(self) -> str:
        return str(self._random.randrange(10**18, 10**19))
