"""ARNs of Elastic Load Balancing: how they are written, and what they say of their parents.

``…:loadbalancer/app/web/<id>``, ``…:listener/app/web/<id>/<id>`` and
``…:listener-rule/app/web/<id>/<id>/<id>``: the ARN of a part holds those of all that it is part of.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from openecs import arn as arns

_TYPES = {"application": "app", "network": "net"}


class Kind(NamedTuple):
    """A kind of resource: its name in ARNs and how many parts come after it."""

    name: str
    parts: int


KINDS = {
    kind.name: kind
    for kind in (Kind("loadbalancer", 3), Kind("listener", 4), Kind("listener-rule", 5), Kind("targetgroup", 2))
}


def load_balancer(region: str, account: str, kind: Literal["application", "network"], name: str, id16: str) -> str:
    """The ARN of a load balancer; ``id16``: 16 hexadecimal digits."""
    return _arn(region, account, f"loadbalancer/{_TYPES[kind]}/{name}/{id16}")


def target_group(region: str, account: str, name: str, id16: str) -> str:
    """The ARN of a target group."""
    return _arn(region, account, f"targetgroup/{name}/{id16}")


def listener(load_balancer_arn: str, id16: str) -> str:
    """The ARN of a listener of a load balancer."""
    return f"{load_balancer_arn.replace(':loadbalancer/', ':listener/', 1)}/{id16}"


def rule(listener_arn: str, id16: str) -> str:
    """The ARN of a rule of a listener."""
    return f"{listener_arn.replace(':listener/', ':listener-rule/', 1)}/{id16}"


def default_rule(listener_arn: str) -> str:
    """The ARN of the default rule, which is no record: its id is the listener's."""
    return rule(listener_arn, listener_arn.rpartition("/")[2])


def listener_of_rule(rule_arn: str) -> str:
    """The ARN of the listener that a rule belongs to."""
    return rule_arn.replace(":listener-rule/", ":listener/", 1).rpartition("/")[0]


def load_balancer_of(part_arn: str) -> str:
    """The ARN of the load balancer that a listener or rule belongs to."""
    if ":listener-rule/" in part_arn:
        part_arn = listener_of_rule(part_arn)
    return part_arn.replace(":listener/", ":loadbalancer/", 1).rpartition("/")[0]


def kind_of(text: str) -> str | None:
    """``loadbalancer``, ``listener``, ``listener-rule`` or ``targetgroup``; ``None`` for anything else."""
    arn = arns.parse(text)
    if arn is None or arn.service != "elasticloadbalancing":
        return None
    kind = KINDS.get(arn.kind)
    return kind.name if kind is not None and len(arn.path) == kind.parts and all(arn.path) else None


def full_name(arn: str) -> str:
    """What metrics and logs call a load balancer: ``app/web/<id>``."""
    return arn.partition("loadbalancer/")[2]


def _arn(region: str, account: str, resource: str) -> str:
    return f"arn:aws:elasticloadbalancing:{region}:{account}:{resource}"
