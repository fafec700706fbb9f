"""Settings that Envoy cannot keep, each as a sentence for the user.  Pure."""

from __future__ import annotations

from openecs.acs.host_documents import BalancerDocument, TargetGroupDocument

#: Attribute → values that are kept.
_BALANCER = {
    "routing.http.desync_mitigation_mode": {"defensive"},
    "connection_logs.s3.enabled": {"false"},
    "health_check_logs.s3.enabled": {"false"},
    "zonal_shift.config.enabled": {"false"},
}
_GROUP = {
    "load_balancing.algorithm.anomaly_mitigation": {"off"},
}


def balancer_problems(balancer: BalancerDocument) -> list[str]:
    """What of a load balancer's attributes is not kept."""
    attributes = sorted(balancer.attributes.items())
    return [_sentence(key, value) for key, value in attributes if _unkept(key, value, _BALANCER)]


def group_problems(group: TargetGroupDocument, balancer: BalancerDocument) -> list[str]:
    """What of a target group's attributes is not kept."""
    found = [_sentence(key, value) for key, value in sorted(group.attributes.items()) if _unkept(key, value, _GROUP)]
    if balancer.type == "network" and group.attributes.get("preserve_client_ip.enabled") == "true":
        found.append(
            f"Targets of {group.name} see the load balancer's address: preserve_client_ip.enabled is not kept. "
            "Proxy protocol (proxy_protocol_v2.enabled) tells them the client's."
        )
    return found


def _unkept(key: str, value: str, kept: dict[str, set[str]]) -> bool:
    return key in kept and value not in kept[key]


def _sentence(key: str, value: str) -> str:
    return f"The attribute {key} is not kept with the value {value}."
