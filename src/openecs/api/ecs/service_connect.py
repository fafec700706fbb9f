"""The ``serviceConnectConfiguration`` of services: checked, and settled into names and ports.

Reads state; what is written is written by ``make_endpoints`` in the caller's transaction.
Messages are AWS's where AWS's are known.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from openecs.api.ecs import connect_namespaces
from openecs.api.ecs.connect_ports import named_port
from openecs.api.ecs.definition import logs
from openecs.api.servicediscovery.lookup import resource_arn
from openecs.api.servicediscovery.records import short_id
from openecs.control import connect_lookup
from openecs.errors import invalid_parameter, not_supported
from openecs.model.cluster import Cluster
from openecs.model.discovery import DiscoveryService, Namespace
from openecs.model.service import Deployment, Service
from openecs.model.service_connect import ConnectName, ConnectPort, ServiceConnect
from openecs.planning import target_slots
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call

_DISCOVERY_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
#: Marks test traffic where no rule says otherwise.
TEST_HEADER = "x-amzn-ecs-blue-green-test"
_DNS_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,126}")


class Settled(NamedTuple):
    """The configuration as it is shown, and what it comes to; both ``None`` without Service Connect."""

    configuration: ecs.ServiceConnectConfiguration | None = None
    connect: ServiceConnect | None = None


def settle(
    state: State,
    call: Call,
    cluster: Cluster,
    service_arn: str,
    given: ecs.ServiceConnectConfiguration | None,
    definition: ecs.TaskDefinition,
    *,
    launch_type: str,
    before: Deployment | None = None,
) -> Settled:
    """What tasks of a deployment that begins now have of Service Connect; raises AWS's errors."""
    if given is None or not given.enabled:
        return Settled()
    _refuse(given, definition, launch_type)
    namespace = connect_namespaces.of_service(state, call, cluster, given.namespace)
    ports: list[ConnectPort] = []
    own: list[ConnectName] = []
    for service in given.services or ():
        port = _port(service, definition)
        if any(port.discovery_name == other.discovery_name for other in ports):
            raise invalid_parameter(f"The discoveryName {port.discovery_name} is specified more than once.")
        _check_owner(state, namespace, port.discovery_name, service_arn)
        ports.append(port)
        own += _names(service, port, namespace)
    _check_protocols(before, namespace, ports)
    others = _others(state, namespace, service_arn)
    _check_names(own, others, namespace)
    names = tuple(sorted((*own, *others), key=lambda name: (name.dns_name, name.port)))
    shown = msgspec.structs.replace(given, namespace=given.namespace or namespace.name)
    connect = ServiceConnect(
        namespace_id=namespace.id,
        names=names,
        ports=tuple(ports),
        log_configuration=given.log_configuration,
        access_log=given.access_log_configuration,
    )
    return Settled(shown, connect)


def in_place(service: Service, wanted: Deployment, strategy: str | None) -> ServiceConnect | None:
    """The part of a new deployment: one that shifts traffic has its tasks not where those in production are.

    Of several that shift traffic one after the other, each is in the place that the one in production leaves free.
    """
    if wanted.connect is None:
        return None
    base = target_slots.base(service) or service.last_completed
    occupied = base is not None and base.connect is not None and base.connect.alternate
    shifts = strategy not in (None, "ROLLING") and base is not None and base.connect is not None
    return msgspec.structs.replace(wanted.connect, alternate=occupied != shifts)


def make_endpoints(state: State, tx: Transaction, call: Call, service_arn: str, begun: Deployment) -> None:
    """Write the Cloud Map services of the ports that a deployment offers, where they are not there."""
    connect = begun.connect
    for port in connect.ports if connect is not None else ():
        assert connect is not None  # noqa: S101 -- there are ports
        if connect_lookup.owned_service(state, connect.namespace_id, port.discovery_name) is not None:
            continue
        identifier = f"srv-{short_id(call)}"
        tx.put(
            DiscoveryService(
                id=identifier,
                arn=resource_arn(call, "service", identifier),
                region=call.region,
                name=port.discovery_name,
                namespace_id=connect.namespace_id,
                created_at=call.now,
                creator_request_id=call.ids.uuid(),
                type="HTTP",
                description="Managed by Amazon ECS Service Connect",
                health_check_custom_config=sd.HealthCheckCustomConfig(failure_threshold=1),
                owner_arn=service_arn,
            )
        )


def resources(state: State, deployment: Deployment) -> tuple[ecs.ServiceConnectServiceResource, ...] | None:
    """The Cloud Map services of a deployment, as DescribeServices shows them."""
    connect = deployment.connect
    if connect is None:
        return None
    found = ((p, connect_lookup.owned_service(state, connect.namespace_id, p.discovery_name)) for p in connect.ports)
    return tuple(
        ecs.ServiceConnectServiceResource(discovery_name=port.discovery_name, discovery_arn=endpoint.arn)
        for port, endpoint in found
        if endpoint is not None
    )


def _refuse(given: ecs.ServiceConnectConfiguration, definition: ecs.TaskDefinition, launch_type: str) -> None:
    mode = definition.network_mode or "bridge"
    if mode in ("host", "none"):
        raise invalid_parameter(f"Service Connect is not supported with the {mode} network mode.")
    if mode != "awsvpc":
        raise not_supported("serviceConnectConfiguration with the bridge network mode (use awsvpc)")
    if launch_type == "EXTERNAL":
        raise invalid_parameter("Service Connect is not supported with the EXTERNAL launch type.")
    log = given.log_configuration
    if log is not None:
        if log.log_driver not in logs.OPTIONS or log.log_driver == "awsfirelens":
            raise not_supported(f"serviceConnectConfiguration.logConfiguration with the logDriver {log.log_driver}")
        if log.secret_options:
            raise not_supported("serviceConnectConfiguration.logConfiguration.secretOptions")
        logs.check(ecs.ContainerDefinition(name="ecs-service-connect", log_configuration=log))
    elif given.access_log_configuration is not None:
        raise invalid_parameter(
            "logConfiguration must be specified in the serviceConnectConfiguration to use accessLogConfiguration."
        )
    if given.container_configurations:
        raise not_supported("serviceConnectConfiguration.containerConfigurations")
    if any(service.tls is not None for service in given.services or ()):
        raise not_supported("serviceConnectConfiguration.services.tls (there is no AWS Private CA)")


def _port(given: ecs.ServiceConnectService, definition: ecs.TaskDefinition) -> ConnectPort:
    mapping = named_port(definition, given.port_name)
    name = given.discovery_name or given.port_name
    if not _DISCOVERY_NAME.fullmatch(name):
        raise invalid_parameter(
            f"The discoveryName {name} is not valid. It can contain up to 64 lowercase letters, numbers, underscores, "
            "and hyphens, and can't start with a hyphen."
        )
    override = given.ingress_port_override
    if override is not None and not 0 < override < 65536:
        raise invalid_parameter("ingressPortOverride must be between 1 and 65535.")
    container_port = mapping.container_port or 0
    if override is not None and any(
        other.container_port == override
        for container in definition.container_definitions or ()
        for other in container.port_mappings or ()
    ):
        raise invalid_parameter(
            f"The ingressPortOverride {override} conflicts with a port mapping of the task definition."
        )
    timeout = given.timeout or ecs.TimeoutConfiguration()
    protocol = mapping.app_protocol or "tcp"
    if protocol == "tcp" and timeout.per_request_timeout_seconds is not None:
        raise invalid_parameter("perRequestTimeoutSeconds can't be set for the TCP appProtocol.")
    header, value = _test_header(given, protocol)
    return ConnectPort(
        discovery_name=name,
        container_port=container_port,
        ingress_port=override or container_port,
        protocol=protocol,
        idle_timeout=timeout.idle_timeout_seconds,
        request_timeout=timeout.per_request_timeout_seconds,
        test_header=header,
        test_value=value,
    )


def _test_header(given: ecs.ServiceConnectService, protocol: str) -> tuple[str, str | None]:
    """The header of test traffic and its value, ``None`` for any; no header for protocols that have none."""
    rules = next((a.test_traffic_rules for a in given.client_aliases or () if a.test_traffic_rules is not None), None)
    if protocol == "tcp":
        if rules is not None:
            raise invalid_parameter("testTrafficRules can't be set for the TCP appProtocol.")
        return "", None
    if rules is None:
        return TEST_HEADER, None
    if not _HEADER.fullmatch(rules.header.name):
        raise invalid_parameter(f"The header name {rules.header.name} of the testTrafficRules is not valid.")
    return rules.header.name.lower(), rules.header.value.exact if rules.header.value is not None else None


def _names(given: ecs.ServiceConnectService, port: ConnectPort, namespace: Namespace) -> list[ConnectName]:
    aliases = given.client_aliases or ()
    if len(aliases) != 1:
        raise invalid_parameter(
            f"The Service Connect service {given.port_name} must have exactly one client alias with a port."
        )
    found = []
    for alias in aliases:
        if not 0 < alias.port < 65536:
            raise invalid_parameter("The port of a client alias must be between 1 and 65535.")
        name = alias.dns_name or f"{port.discovery_name}.{namespace.name}".lower()
        if not _DNS_NAME.fullmatch(name):
            raise invalid_parameter(
                f"The dnsName {name} is not valid. It can contain up to 127 lowercase letters, numbers, underscores, "
                "hyphens, and periods, and can't start with a hyphen."
            )
        found.append(
            ConnectName(dns_name=name, port=alias.port, discovery_name=port.discovery_name, protocol=port.protocol)
        )
    return found


def _others(state: State, namespace: Namespace, service_arn: str) -> list[ConnectName]:
    """The endpoints of the namespace's other services."""
    found = []
    for service, deployment in connect_lookup.offering(state, namespace.id):
        if service.arn == service_arn or deployment.connect is None:
            continue
        ports = {port.discovery_name: port for port in deployment.connect.ports}
        configured = deployment.service_connect.services if deployment.service_connect is not None else ()
        for given in configured or ():
            found += _names(given, ports[given.discovery_name or given.port_name], namespace)
    return found


def _check_owner(state: State, namespace: Namespace, name: str, service_arn: str) -> None:
    for other in state.discovery_services.by("namespace", namespace.id):
        if other.name == name and other.owner_arn != service_arn:
            raise invalid_parameter(f"The discoveryName {name} is already in use in the namespace {namespace.name}.")


def _check_names(own: list[ConnectName], others: list[ConnectName], namespace: Namespace) -> None:
    taken = {(name.dns_name, name.port) for name in others}
    for name in own:
        if (name.dns_name, name.port) in taken:
            raise invalid_parameter(
                f"The client alias {name.dns_name}:{name.port} is already in use in the namespace {namespace.name}."
            )
        taken.add((name.dns_name, name.port))


def _check_protocols(before: Deployment | None, namespace: Namespace, ports: list[ConnectPort]) -> None:
    """A discovery name keeps its protocol: clients that run already speak it."""
    if before is None or before.connect is None or before.connect.namespace_id != namespace.id:
        return
    known = {port.discovery_name: port.protocol for port in before.connect.ports}
    for port in ports:
        if known.get(port.discovery_name, port.protocol) != port.protocol:
            raise invalid_parameter(
                f"The appProtocol of the Service Connect service {port.discovery_name} can't be changed. Delete the "
                "service and create it again."
            )
