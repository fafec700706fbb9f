"""Which targets a zone of a load balancer sends to.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openecs.acs.host_documents import BalancerDocument, TargetEntry, TargetGroupDocument

_ATTRIBUTE = "load_balancing.cross_zone.enabled"


def crosses_zones(group: TargetGroupDocument, balancer: BalancerDocument) -> bool:
    """Whether targets of all zones get what came in by one."""
    own = group.attributes.get(_ATTRIBUTE, "use_load_balancer_configuration")
    if own in {"true", "false"}:
        return own == "true"
    usual = "true" if balancer.type == "application" else "false"
    return balancer.attributes.get(_ATTRIBUTE, usual) == "true"


def in_zone(targets: Sequence[TargetEntry], zone: str, usable: Callable[[TargetEntry], bool]) -> Sequence[TargetEntry]:
    """The targets of a zone; all of them when it has none that is usable.

    AWS takes the address of such a zone out of the load balancer's name instead.
    """
    chosen = [target for target in targets if target.availability_zone in {zone, "all", ""}]
    return chosen if any(usable(target) for target in chosen) else targets
