"""Task sizes: how they are written, which of them AWS Fargate has, and its platform versions.

Constants, parsing and look-ups only; nothing here knows a request or a record.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from openecs.errors import client_error

#: CPU units → the amounts of memory (MiB) that a Fargate task of that size may have.
SIZES: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
}

#: The Linux platform versions that tasks may ask for; the last is the newest.
PLATFORM_VERSIONS = ("1.3.0", "1.4.0")
#: What LATEST stands for, and the one version that tasks run on here.
LATEST_PLATFORM_VERSION = PLATFORM_VERSIONS[-1]

PLATFORM_FAMILY = "Linux"


_MAXIMUM = 2**31 - 1
_CPU = re.compile(r"(\d{1,9}|\d{0,6}\.\d{1,9}(?= ?vcpu))(?: ?(vcpu)s?)?", re.IGNORECASE | re.ASCII)
_MEMORY = re.compile(r"(\d{1,10}|\d{0,6}\.\d{1,9}(?= ?gb))(?: ?(gb))?", re.IGNORECASE | re.ASCII)


def parse_cpu(text: str | None) -> int | None:
    """CPU units of ``1024``, ``1 vCPU`` or ``.25 vcpu``; ``None`` when not given.

    ``ClientException`` for anything else, as everywhere in this module.
    """
    return None if text is None else _amount(text, _CPU, "cpu")


def parse_memory(text: str | None) -> int | None:
    """MiB of ``2048``, ``2GB`` or ``.5 gb``; ``None`` when not given."""
    return None if text is None else _amount(text, _MEMORY, "memory")


def normalise_cpu(text: str | None) -> str | None:
    """CPU units as ECS keeps them: ``1 vCPU`` → ``1024``."""
    cpu = parse_cpu(text)
    return None if cpu is None else str(cpu)


def normalise_memory(text: str | None) -> str | None:
    """MiB as ECS keeps them: ``2GB`` → ``2048``."""
    memory = parse_memory(text)
    return None if memory is None else str(memory)


def check_size(cpu: str | None, memory: str | None) -> None:
    """Refuse a task size that Fargate does not have."""
    for field, text in (("cpu", cpu), ("memory", memory)):
        if text is None:
            raise client_error(f"Fargate requires that '{field}' be defined at the task level.")
    units, mib = parse_cpu(cpu), parse_memory(memory)
    if mib not in SIZES.get(units or 0, ()):
        raise client_error(
            f"No Fargate configuration exists for given values: {units} CPU, {mib} memory."
            " See the Amazon ECS documentation for the valid values."
        )


def platform_version(wanted: str | None) -> str | None:
    """The version that ``LATEST``, a number or nothing stands for; ``None`` if there is none such."""
    if wanted in (None, "", "LATEST"):
        return LATEST_PLATFORM_VERSION
    return wanted if wanted in PLATFORM_VERSIONS else None


def _amount(text: str, pattern: re.Pattern[str], field: str) -> int:
    match = pattern.fullmatch(text.strip())
    amount = Decimal(match[1]) * (1024 if match[2] else 1) if match else Decimal(0)
    if amount <= 0 or amount > _MAXIMUM or amount != int(amount):
        raise client_error(f"Invalid '{field}' setting for task.")
    return int(amount)
