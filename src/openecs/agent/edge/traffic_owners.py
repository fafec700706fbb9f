"""Whose the counters of this host's Envoy are: load balancers', target groups', calls'.  Pure."""

from __future__ import annotations

from typing import NamedTuple

from openecs.acs.host_documents import BalancerDocument
from openecs.agent.edge.connect_render import cluster_base, short
from openecs.agent.edge.envoy_clusters import cluster_name
from openecs.agent.edge.proxy import Serving
from openecs.agent.edge.zones import crosses_zones


class Listener(NamedTuple):
    """Who has the counters of one of Envoy's listeners; ``zone`` is empty when they are of several zones."""

    load_balancer_arn: str
    protocol: str
    zone: str


class Group(NamedTuple):
    """The same for a cluster of a target group."""

    target_group_arn: str
    load_balancer_arn: str
    zone: str


class Call(NamedTuple):
    """The same for a cluster of what a task may call."""

    task_arn: str
    endpoint: str
    protocol: str


Owner = Listener | Group | Call


def owners(serving: Serving) -> dict[str, Owner]:
    """By the names of Envoy's listeners and clusters."""
    found: dict[str, Owner] = {}
    for part in serving.parts:
        zones, whole = _zones(part.document), whole_zone(part.document)
        for listener in part.document.listeners:
            name = listener.arn.rpartition("listener/")[2]
            for label in ("all", "outside", *zones):
                zone = label if label in zones else whole
                found[f"{name}@{label}"] = Listener(part.arn, listener.protocol, zone)
        for arn, group in serving.groups.items():
            if group.load_balancer_arn == part.arn:
                found[cluster_name(arn)] = Group(arn, part.arn, whole)
                if not crosses_zones(group, part.document):
                    found |= {cluster_name(arn, zone): Group(arn, part.arn, zone) for zone in zones}
    for task in serving.connect:
        for alias in task.payload.aliases:
            for alternate in (False, True):
                name = f"{cluster_base(alias.endpoint, alternate=alternate)}@{short(task.task_arn)}"
                found[name] = Call(task.task_arn, alias.endpoint, alias.protocol)
    return found


def whole_zone(balancer: BalancerDocument) -> str:
    """The zone of all of a load balancer's addresses on this host; empty when they are in several."""
    zones = _zones(balancer)
    return next(iter(zones)) if len(zones) == 1 else ""


def _zones(balancer: BalancerDocument) -> set[str]:
    return {interface.availability_zone for interface in balancer.interfaces}
