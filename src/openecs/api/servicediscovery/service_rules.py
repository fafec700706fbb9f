"""What a service's settings may be, by themselves and beside its namespace.  Pure."""

from __future__ import annotations

from typing import Literal

from openecs.api.servicediscovery.errors import invalid_input, not_supported
from openecs.model.discovery import MAX_NAME, Namespace
from openecs.shapes import servicediscovery as sd


def service_type(namespace: Namespace, request: sd.CreateServiceRequest) -> Literal["HTTP", "DNS_HTTP"]:
    """How instances will be found; refuses settings that do not fit the namespace or each other."""
    dns = request.dns_config
    if request.health_check_config is not None:
        raise not_supported("HealthCheckConfig: nothing here probes from the Internet. Use HealthCheckCustomConfig. It")
    if request.type == "HTTP" and dns is not None:
        raise invalid_input("DnsConfig cannot be specified for a service of the type HTTP")
    if dns is None:
        return "HTTP"
    if namespace.type == "HTTP":
        raise invalid_input(f"DnsConfig cannot be specified for a service of the HTTP namespace {namespace.id}")
    if dns.namespace_id is not None and request.namespace_id and dns.namespace_id != namespace.id:
        raise invalid_input("NamespaceId and DnsConfig.NamespaceId name different namespaces")
    if request.name == ".":
        raise not_supported("The service name '.'")
    if len(f"{request.name}.{namespace.name}") > MAX_NAME:
        raise invalid_input(f"The DNS name of the service would be longer than {MAX_NAME} characters")
    check_records(dns)
    return "DNS_HTTP"


def dns_config(namespace: Namespace, given: sd.DnsConfig) -> sd.DnsConfig:
    """The settings as Cloud Map shows them: namespace and routing policy filled in."""
    return sd.DnsConfig(
        namespace_id=namespace.id,
        routing_policy=given.routing_policy or "MULTIVALUE",
        dns_records=given.dns_records,
    )


def check_records(dns: sd.DnsConfig) -> None:
    """Refuse combinations of record types that Cloud Map does not know."""
    types = [record.type for record in dns.dns_records]
    if not types:
        raise invalid_input("DnsConfig must have at least one DnsRecord")
    if "AAAA" in types:
        raise not_supported("The record type AAAA: interfaces have no IPv6 address. It")
    if len(set(types)) != len(types):
        raise invalid_input("Each type of DnsRecord can be specified once only")
    if "CNAME" in types:
        if len(types) > 1:
            raise invalid_input("The record type CNAME cannot be combined with other types")
        if dns.routing_policy != "WEIGHTED":
            raise invalid_input("The record type CNAME needs the routing policy WEIGHTED")
    if "SRV" in types and len(types) > 1:
        raise invalid_input("The record type SRV cannot be combined with other types")
