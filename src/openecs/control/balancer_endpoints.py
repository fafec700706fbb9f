"""Where listeners are reached from outside their VPC, as their hosts say."""

from __future__ import annotations

from typing import NamedTuple

from openecs.control.target_lookup import TargetLookup
from openecs.state.state import State


class Endpoint(NamedTuple):
    """One listener at one host's address."""

    port: int
    protocol: str
    #: ``127.0.0.1:8080``.
    address: str
    listener_arn: str


def balancer_endpoints(state: State, load_balancer_arn: str) -> list[Endpoint]:
    """The endpoints of all listeners of a load balancer, by the listener's port."""
    # A host that is away has not withdrawn what it said when its interfaces moved.
    nodes = TargetLookup(state).hosts_of(load_balancer_arn)
    found = []
    for listener in state.listeners.by("load_balancer", load_balancer_arn):
        for host in state.balancer_hosts.by("load_balancer", load_balancer_arn):
            address = host.endpoints.get(listener.arn)
            if address and host.node_id in nodes:
                found.append(Endpoint(listener.port, listener.protocol, address, listener.arn))
    return sorted(found)


def listener_endpoint(state: State, listener_arn: str) -> str | None:
    """The first endpoint of a listener, ``None`` while no host has one."""
    listener = state.listeners.get(listener_arn)
    if listener is None:
        return None
    endpoints = balancer_endpoints(state, listener.load_balancer_arn)
    return next((each.address for each in endpoints if each.listener_arn == listener_arn), None)
