"""What Service Connect gives the tasks of a deployment: names that they may call, ports that they offer.

Settled when the deployment begins and the same for all its tasks, those that come later too:
a task knows the endpoints that its namespace had then.  Which tasks are behind a name is not
said here: that always follows the tasks.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.shapes import ecs

AppProtocol = Literal["http", "http2", "grpc", "tcp"]


class ConnectName(Record, frozen=True, kw_only=True):
    """A name and port under which a task reaches the tasks of another service."""

    #: As clients write it, lower case.
    dns_name: str
    port: int
    #: The Cloud Map service, unique in its namespace.
    discovery_name: str
    protocol: AppProtocol = "tcp"


class ConnectPort(Record, frozen=True, kw_only=True):
    """A port that the task offers under a discovery name."""

    discovery_name: str
    container_port: int
    #: Where others reach it: the container's own port, unless the configuration overrides it.
    ingress_port: int
    protocol: AppProtocol = "tcp"
    #: Seconds; ``None`` for the default, 0 for none.
    idle_timeout: int | None = None
    request_timeout: int | None = None
    #: While a deployment shifts traffic, requests with this header are test traffic; empty: none are.
    test_header: str = ""
    #: Its exact value; ``None`` for any.
    test_value: str | None = None


class ServiceConnect(Record, frozen=True, kw_only=True):
    """The part that tasks of one deployment have in a namespace."""

    namespace_id: str
    names: tuple[ConnectName, ...] = ()
    ports: tuple[ConnectPort, ...] = ()
    #: Where what the proxy could not deliver is written.
    log_configuration: ecs.LogConfiguration | None = None
    #: How what passes the proxy is written there, if it is.
    access_log: ecs.ServiceConnectAccessLogConfiguration | None = None
    #: In which of two places its tasks are for those who call them: a deployment that shifts traffic
    #: uses the one that the revision in production does not use.
    alternate: bool = False


def endpoint_key(namespace_id: str, discovery_name: str) -> str:
    """What hosts know an endpoint by."""
    return f"{namespace_id}/{discovery_name}"
