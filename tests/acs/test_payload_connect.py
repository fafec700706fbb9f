"""A task's part in Service Connect as its agent gets it: the ports behind which its proxy stands."""

from __future__ import annotations

from openecs.acs import payload_connect
from openecs.acs.payload_logs import LogTarget
from openecs.acs.task_payload import ConnectIngress
from openecs.model.service_connect import ConnectPort, ServiceConnect
from openecs.shapes import ecs

PORTS = (
    ConnectPort(discovery_name="web", container_port=80, ingress_port=80, protocol="http"),
    ConnectPort(discovery_name="admin", container_port=81, ingress_port=8181, protocol="grpc"),
    ConnectPort(discovery_name="again", container_port=80, ingress_port=80, protocol="http"),
)
LOG = ecs.LogConfiguration(log_driver="json-file")


def ingress(**settings: object) -> tuple[ConnectIngress, ...]:
    connect = ServiceConnect(namespace_id="ns-1", ports=PORTS, **settings)  # type: ignore[arg-type]
    return payload_connect.render(connect, "id", LogTarget("http://127.0.0.1")).ingress


def test_without_access_logs_only_overridden_ports_have_the_proxy_before_them() -> None:
    assert ingress(log_configuration=LOG) == (ConnectIngress(8181, 81, "grpc"),)


def test_with_access_logs_all_ports_have() -> None:
    access = ecs.ServiceConnectAccessLogConfiguration(format="TEXT")
    assert ingress(log_configuration=LOG, access_log=access) == (
        ConnectIngress(80, 80, "http", payload_connect.FIRST_LISTENER),
        ConnectIngress(8181, 81, "grpc"),
    )
