"""Evidence: what an agent saw of a container that ended, failed or turned UNHEALTHY.

An extension of our own to the agent protocol, for ``openecs why``: agents send it to ``PATH``,
signed like their other calls; nothing depends on it.  It never holds environment variables.
Sender and receiver both keep to the limits here.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

PATH = "/_openecs/evidence"
#: Probes of a health check, lines of output, and their lengths in characters.
PROBES, PROBE_LENGTH = 3, 1024
LOG_LINES, LOG_LENGTH = 20, 8192
REASON_LENGTH = 1024
#: What a whole message may have, in bytes: JSON may need six for one character.
BODY_LIMIT = 6 * (PROBES * PROBE_LENGTH + LOG_LENGTH + REASON_LENGTH) + 4096

Occasion = Literal["ended", "failed", "restarted", "unhealthy"]


class Probe(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of a health check."""

    exit_code: int
    output: Annotated[str, msgspec.Meta(max_length=PROBE_LENGTH)] = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was seen of one container on one occasion."""

    task_arn: str
    container: Annotated[str, msgspec.Meta(max_length=255)]
    occasion: Occasion
    #: Seconds since the epoch, by the agent's clock.
    at: float
    exit_code: int | None = None
    #: The kernel killed it for its memory use.
    oom_killed: bool = False
    #: MiB; the container's own limit, or else the task's.
    memory_limit: int | None = None
    #: The engine's words.
    reason: Annotated[str, msgspec.Meta(max_length=REASON_LENGTH)] = ""
    restarts: int = 0
    #: Seconds that the task's image pulls took.
    pull_seconds: float | None = None
    #: Oldest first.
    probes: Annotated[tuple[Probe, ...], msgspec.Meta(max_length=PROBES)] = ()
    #: The newest lines of its output; ``None`` when its log driver keeps nothing here.
    log: Annotated[str, msgspec.Meta(max_length=LOG_LENGTH)] | None = None
