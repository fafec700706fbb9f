"""Whether what a route names still takes traffic.  Otherwise the route is a black hole, as on AWS."""

from __future__ import annotations

from openecs.model.route_table import InternetGateway, NatGateway


def is_active(target: object, vpc_id: str) -> bool:
    """Whether a route of a table of ``vpc_id`` leads somewhere.

    ``target`` is ``"local"`` or the gateway that the route names, ``None`` when there is no such
    gateway any more.
    """
    if isinstance(target, InternetGateway):
        return target.vpc_id == vpc_id
    if isinstance(target, NatGateway):
        return target.vpc_id == vpc_id and target.state == "available"
    return target == "local"
