"""A task's part in Service Connect, as its agent gets it.  Pure.

Each name of the namespace has an address of the task's own loopback network, where the proxy
listens: names on the same port do not meet.
"""

from __future__ import annotations

import ipaddress

import msgspec

from openecs.acs.messages import ConnectAlias, ConnectIngress, ConnectPayload
from openecs.acs.payload_logs import LogTarget, log_config
from openecs.model.service_connect import ServiceConnect, endpoint_key

#: Stands for the proxy in names of log streams.
PROXY = "ecs-service-connect"
#: The first address of names: as AWS has it.
FIRST_ADDRESS = ipaddress.IPv4Address("127.255.0.1")


def render(connect: ServiceConnect, task_id: str, log_target: LogTarget) -> ConnectPayload:
    """The names with their addresses, the ports that lead elsewhere in the task, and the proxy's log."""
    addresses = {
        name: str(FIRST_ADDRESS + number)
        for number, name in enumerate(dict.fromkeys(name.dns_name for name in connect.names))
    }
    return ConnectPayload(
        aliases=tuple(
            ConnectAlias(
                name=name.dns_name,
                address=addresses[name.dns_name],
                port=name.port,
                endpoint=endpoint_key(connect.namespace_id, name.discovery_name),
                protocol=name.protocol,
            )
            for name in connect.names
        ),
        ingress=tuple(
            ConnectIngress(port=port.ingress_port, container_port=port.container_port)
            for port in connect.ports
            if port.ingress_port != port.container_port
        ),
        log_config=_log(connect, task_id, log_target),
    )


def _log(connect: ServiceConnect, task_id: str, target: LogTarget) -> str:
    given = connect.log_configuration
    if given is None:
        return ""
    return msgspec.json.encode(log_config(given, container=PROXY, task_id=task_id, target=target)).decode()
