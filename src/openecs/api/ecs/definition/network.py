"""Names, links and DNS of containers: what each network mode allows, and their form."""

from __future__ import annotations

import ipaddress
import re

from openecs.api.ecs.definition.refusals import invalid_field, not_in_mode
from openecs.shapes import ecs

_HOSTNAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")

#: What joins a network namespace cannot bring its own; Docker refuses the combination.
_NOT_IN_AWSVPC = (
    ("hostname", "hostname"),
    ("links", "links"),
    ("extraHosts", "extra_hosts"),
    ("dnsServers", "dns_servers"),
    ("dnsSearchDomains", "dns_search_domains"),
    ("disableNetworking", "disable_networking"),
)


def check(container: ecs.ContainerDefinition, mode: str) -> None:
    """The container's network settings fit the task's mode and can be given to an engine."""
    name = container.name or ""
    if mode == "awsvpc":
        for field, attribute in _NOT_IN_AWSVPC:
            if getattr(container, attribute):
                raise not_in_mode(field, mode)
    if container.links and mode != "bridge":
        raise not_in_mode("links", mode)
    if container.disable_networking and mode == "host":
        raise not_in_mode("disableNetworking", mode)
    if container.hostname is not None and not _HOSTNAME.fullmatch(container.hostname):
        raise invalid_field("hostname", name)
    for server in container.dns_servers or ():
        if not _is_address(server):
            raise invalid_field("dnsServers", name, f"'{server}' is not an IP address.")
    for domain in container.dns_search_domains or ():
        if domain != "." and not _HOSTNAME.fullmatch(domain.rstrip(".")):
            raise invalid_field("dnsSearchDomains", name, f"'{domain}' is not a domain name.")
    for entry in container.extra_hosts or ():
        if not _HOSTNAME.fullmatch(entry.hostname):
            raise invalid_field("extraHosts", name, f"'{entry.hostname}' is not a host name.")
        if entry.ip_address != "host-gateway" and not _is_address(entry.ip_address):
            raise invalid_field("extraHosts", name, f"'{entry.ip_address}' is not an IP address.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # Scoped IPv6 addresses name an interface of the host and mean nothing in a container.
    return "%" not in text
