"""Which state of a load balancer's listeners and rules is in force on its hosts.

A routing revision names what listeners and rules say now.  Hosts are told it with the load
balancer's document and report it when the document is in force, so that whoever shifted traffic
knows when the traffic has shifted.
"""

from __future__ import annotations

import hashlib

import msgspec

from openecs.control.target_lookup import TargetLookup
from openecs.state.state import State


def routing_revision(state: State, load_balancer_arn: str) -> str:
    """The revision of the listeners and rules of a load balancer as they should be now."""
    digest = hashlib.blake2b(digest_size=8)
    for listener in sorted(state.listeners.by("load_balancer", load_balancer_arn), key=lambda x: x.arn):
        digest.update(msgspec.json.encode(listener, order="deterministic"))
        for rule in sorted(state.listener_rules.by("listener", listener.arn), key=lambda x: x.arn):
            digest.update(msgspec.json.encode(rule, order="deterministic"))
    return digest.hexdigest()


def in_force(state: State, load_balancer_arn: str) -> bool:
    """Whether every host of a load balancer serves its listeners and rules as they should be now."""
    wanted = routing_revision(state, load_balancer_arn)
    said = {host.node_id: host.applied for host in state.balancer_hosts.by("load_balancer", load_balancer_arn)}
    return all(said.get(node) == wanted for node in TargetLookup(state).hosts_of(load_balancer_arn))
