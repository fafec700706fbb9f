"""What an instance's attributes must say for its service's DNS records.  Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from openecs.api.servicediscovery.errors import invalid_input, not_supported
from openecs.model import network_text
from openecs.model.discovery import MAX_NAME, DiscoveryService, InstanceHealth, Namespace

IPV4, IPV6, PORT, CNAME = "AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6", "AWS_INSTANCE_PORT", "AWS_INSTANCE_CNAME"
ALIAS, EC2, INIT_HEALTH = "AWS_ALIAS_DNS_NAME", "AWS_EC2_INSTANCE_ID", "AWS_INIT_HEALTH_STATUS"
#: Attributes of Cloud Map; others are the caller's own.
KNOWN = frozenset({IPV4, IPV6, PORT, CNAME, ALIAS, EC2, INIT_HEALTH})
MAX_CUSTOM, MAX_TOTAL = 30, 5000
_HOST = re.compile(
    r"(?=.{1,253}\.?$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


def check(
    namespace: Namespace,
    service: DiscoveryService,
    attributes: Mapping[str, str],
    instance_address: Callable[[str], str | None],
    is_load_balancer: Callable[[str], bool],
) -> dict[str, str]:
    """The attributes to keep.  Raises InvalidInput for those that cannot be.

    ``instance_address`` tells the private address of an EC2 instance, ``is_load_balancer``
    whether a DNS name is one of a load balancer.
    """
    kept = dict(attributes)
    custom = [name for name in kept if name not in KNOWN]
    if len(custom) > MAX_CUSTOM:
        raise invalid_input(f"An instance can have no more than {MAX_CUSTOM} custom attributes")
    if sum(len(name) + len(value) for name, value in kept.items()) > MAX_TOTAL:
        raise invalid_input(f"The total size of the attributes must not exceed {MAX_TOTAL} characters")
    _check_health(service, kept)
    if IPV6 in kept:
        raise not_supported(f"{IPV6}: interfaces have no IPv6 address. It")
    if EC2 in kept:
        return _of_instance(namespace, kept, instance_address)
    _check_forms(kept)
    if ALIAS in kept:
        _check_alias(service, kept, is_load_balancer)
    else:
        _check_records(service, kept)
    return kept


def check_id(namespace: Namespace, service: DiscoveryService, instance_id: str) -> None:
    """Raises InvalidInput for an id that SRV records cannot lead to: in them it begins a DNS name."""
    if service.dns_config is None or all(record.type != "SRV" for record in service.dns_config.dns_records):
        return
    if not all(0 < len(label) <= 63 for label in instance_id.split(".")):
        raise invalid_input(f"{instance_id} cannot be part of a DNS name, which the SRV record needs")
    if len(f"{instance_id}.{service.name}.{namespace.name}") > MAX_NAME:
        raise invalid_input(
            f"The DNS name of the instance, which the SRV record needs, would be longer than {MAX_NAME} characters"
        )


def initial_health(service: DiscoveryService, attributes: Mapping[str, str]) -> InstanceHealth:
    """What a new instance's health is."""
    if service.health_check_custom_config is None or attributes.get(INIT_HEALTH) != "UNHEALTHY":
        return "HEALTHY"
    return "UNHEALTHY"


def _check_health(service: DiscoveryService, kept: Mapping[str, str]) -> None:
    initial = kept.get(INIT_HEALTH)
    if initial is None:
        return
    if initial not in ("HEALTHY", "UNHEALTHY"):
        raise invalid_input(f"{INIT_HEALTH} must be HEALTHY or UNHEALTHY")
    if service.health_check_custom_config is None:
        raise invalid_input(f"{INIT_HEALTH} can be specified only for a service with HealthCheckCustomConfig")


def _of_instance(
    namespace: Namespace, kept: dict[str, str], instance_address: Callable[[str], str | None]
) -> dict[str, str]:
    if namespace.type != "HTTP":
        raise invalid_input(f"{EC2} can be specified only for services of HTTP namespaces")
    if set(kept) - {EC2, INIT_HEALTH}:
        raise invalid_input(f"With {EC2} the only other attribute that can be specified is {INIT_HEALTH}")
    address = instance_address(kept[EC2])
    if address is None:
        raise invalid_input(f"The instance {kept[EC2]} does not exist in this region")
    return {**kept, IPV4: address}


def _check_forms(kept: Mapping[str, str]) -> None:
    if IPV4 in kept:
        try:
            ipaddress.IPv4Address(kept[IPV4])
        except ValueError:
            raise invalid_input(f"{kept[IPV4]} is no valid value of {IPV4}") from None
    if PORT in kept and network_text.port(kept[PORT]) is None:
        raise invalid_input(f"{PORT} must be a port from 1 to 65535")
    for name in (CNAME, ALIAS):
        if name in kept and not _HOST.fullmatch(kept[name]):
            raise invalid_input(f"{kept[name]} is no valid value of {name}")


def _check_alias(service: DiscoveryService, kept: Mapping[str, str], is_load_balancer: Callable[[str], bool]) -> None:
    if any(name in kept for name in (IPV4, PORT, CNAME)):
        raise invalid_input(f"With {ALIAS} no AWS_INSTANCE attribute can be specified")
    dns = service.dns_config
    if dns is None or [record.type for record in dns.dns_records] != ["A"] or dns.routing_policy != "WEIGHTED":
        raise invalid_input(f"{ALIAS} needs a service with an A record and the routing policy WEIGHTED")
    if not is_load_balancer(kept[ALIAS].lower().rstrip(".")):
        raise invalid_input(f"{kept[ALIAS]} is no DNS name of a load balancer")


def _check_records(service: DiscoveryService, kept: Mapping[str, str]) -> None:
    for record in service.dns_config.dns_records if service.dns_config else ():
        needed = {"A": (IPV4,), "SRV": (IPV4, PORT), "CNAME": (CNAME,)}[record.type]
        for name in needed:
            if name not in kept:
                raise invalid_input(f"{name} must be specified for a service with a record of the type {record.type}")
