"""Amazon Resource Names: how OpenECS writes and reads them.  No I/O, no lookups."""

from __future__ import annotations

import re
from typing import NamedTuple

#: What may be a region: those of AWS, and any other such name.
REGION = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)


class Arn(NamedTuple):
    """The parts of ``arn:partition:service:region:account:resource``."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def kind(self) -> str:
        """What comes before the first ``/`` or ``:`` of the resource: ``task``, ``cluster``."""
        return self.resource.replace(":", "/", 1).split("/", 1)[0]

    @property
    def path(self) -> tuple[str, ...]:
        """The ``/`` separated parts after the kind."""
        return tuple(self.resource.split("/")[1:])


def parse(text: str) -> Arn | None:
    """The parts of an ARN, or ``None`` when the text is not one."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[5]:
        return None
    return Arn(*parts[1:])


def ecs(region: str, account: str, resource: str) -> str:
    """An ECS ARN: ``ecs(r, a, "cluster/default")``."""
    return f"arn:aws:ecs:{region}:{account}:{resource}"


def short(arn: str) -> str:
    """The last ``/`` part of an ARN: a task's id, a cluster's name."""
    return arn.rsplit("/", 1)[-1]
