"""Where tasks of a service may run, as far as the planner must know.  Pure data.

Placement itself finds nodes when tasks are launched; only DAEMON services and availability
zone rebalancing decide by places, and only for them a snapshot carries these facts.
"""

from __future__ import annotations

from typing import NamedTuple


class DaemonInstance(NamedTuple):
    """One container instance of the cluster as a DAEMON service sees it."""

    arn: str
    #: ACTIVE; otherwise DRAINING.
    active: bool
    #: Whether its agent is connected, so that something can be started there.
    connected: bool
    #: Ids of the service's deployments whose launch type, attributes and constraints it meets.
    matches: frozenset[str]
    #: Whether live tasks of others than DAEMON services are on it; known for DRAINING ones only.
    occupied: bool = False
    #: Whether the last launch on it failed and nothing on its node has changed since.
    refused: bool = False


class Zones(NamedTuple):
    """The availability zones of a service."""

    #: Zones with a node that may take tasks of the service, whether or not it has room.
    usable: frozenset[str] = frozenset()
    #: Those in which the last attempt found no room, until a node changes.
    full: frozenset[str] = frozenset()
