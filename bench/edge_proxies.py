"""Load balancers in front of the same two servers: ours, Envoy configured by hand, nginx and HAProxy.

Every one listens on the same address in the same network namespace, with two threads or
processes, keeps connections to the servers, and writes no access log.  ``Started`` says at which port, and which
processes are its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from edge_lab import Lab

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    BalancerRule,
    HealthCheckDocument,
    TargetEntry,
    TargetGroupDocument,
)
from openecs.agent.edge.envoy import Envoy
from openecs.agent.edge.envoy_proxy import EnvoyProxy
from openecs.agent.edge.proxy import Part, Serving
from openecs.agent.edge.rendering import Renderer
from openecs.agent.edge.select import find_envoy
from openecs.planning import balancer_attributes as attributes
from openecs.shapes import elbv2

ADDRESS, TARGET_PORT = "10.60.0.10", 8080
TARGETS = ("10.60.0.21", "10.60.0.22")
#: Of every proxy, as many as Envoy has in a host's agent.
THREADS = 2
_ARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000"
_BALANCER, _GROUP = f"{_ARN}:loadbalancer/app/bench/0123456789abcdef", f"{_ARN}:targetgroup/bench/fedcba9876543210"
_TYPE = "type.googleapis.com/envoy.extensions"


class Started(NamedTuple):
    """A proxy that runs."""

    port: int
    processes: Callable[[], list[int]]


async def ours(folder: Path, namespace: Path, port: int) -> tuple[Started, Envoy]:
    """The product's: documents of a load balancer with AWS's default settings, as agents get them."""
    envoy = Envoy(_binary(), folder / "ours", concurrency=THREADS)
    served = await EnvoyProxy(envoy, Renderer(folder / "logs")).serve(_serving(namespace, port))
    if not served[_BALANCER].ready or served[_BALANCER].problem:
        raise RuntimeError(f"the load balancer is not served: {served}")
    return Started(port, lambda: [pid] if (pid := envoy.pid()) else []), envoy


def _serving(namespace: Path, port: int) -> Serving:
    forward = elbv2.Action(type="forward", target_group_arn=_GROUP)
    listener = BalancerListener(
        arn=_BALANCER.replace("loadbalancer", "listener") + "/0011223344556677",
        port=port,
        protocol="HTTP",
        rules=(BalancerRule(arn="default", priority=0, actions=(forward,)),),
        attributes=attributes.effective(attributes.of_listener("HTTP"), {}),
    )
    interface = BalancerInterface(
        interface_id="eni-1", subnet_id="subnet-1", availability_zone="us-east-1a", address=ADDRESS
    )
    balancer = BalancerDocument(
        name="bench",
        type="application",
        scheme="internal",
        vpc_id="vpc-1",
        dns_name="internal-bench.us-east-1.elb.openecs.internal",
        interfaces=(interface,),
        addresses=(ADDRESS,),
        listeners=(listener,),
        attributes=attributes.effective(attributes.of_load_balancer("application", "internal"), {}),
    )
    group = TargetGroupDocument(
        name="bench",
        protocol="HTTP",
        port=TARGET_PORT,
        target_type="ip",
        load_balancer_arn=_BALANCER,
        health_check=HealthCheckDocument(protocol="HTTP"),
        targets=tuple(TargetEntry(id=address, port=TARGET_PORT, address=address) for address in TARGETS),
        attributes=attributes.effective(attributes.of_target_group("HTTP"), {}),
    )
    routes = {_GROUP: {(address, TARGET_PORT): "routable" for address in TARGETS}}
    part = Part(_BALANCER, balancer, namespace, {})
    return Serving((part,), {_GROUP: group}, {}, routes, "127.0.0.1")  # type: ignore[arg-type]


def by_hand(lab: Lab, folder: Path, namespace: Path, port: int, *, alike: bool) -> Started:
    """Envoy with a configuration that fits on a page.

    ``alike``: targets get the headers that AWS's load balancers add, and its timeouts hold;
    otherwise it is the least that spreads requests over two servers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"by-hand-{port}.json"
    config.write_text(json.dumps(_by_hand(str(namespace), port, alike=alike)))
    command = [str(_binary()), "--config-path", str(config), "--disable-hot-restart", "--log-level", "warning"]
    process = lab.start(None, *command, "--concurrency", str(THREADS))
    return Started(port, lambda: [process.pid])


_TRACE = """
function envoy_on_request(handle)
  local headers = handle:headers()
  local old = headers:get("x-amzn-trace-id")
  local id = string.format("1-%08x-%08x%08x%08x", os.time(),
    math.random(0, 4294967295), math.random(0, 4294967295), math.random(0, 4294967295))
  if old == nil then
    headers:add("x-amzn-trace-id", "Root=" .. id)
  else
    headers:replace("x-amzn-trace-id", "Self=" .. id .. ";" .. old)
  end
end
"""


def _by_hand(namespace: str, port: int, *, alike: bool) -> dict[str, Any]:
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "web"}}
    hosts: list[dict[str, Any]] = [{"name": "all", "domains": ["*"], "routes": [route]}]
    manager: dict[str, Any] = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [router],
        "use_remote_address": True,
    }
    if alike:
        script = {"@type": f"{_TYPE}.filters.http.lua.v3.Lua", "default_source_code": {"inline_string": _TRACE}}
        manager["http_filters"] = [{"name": "trace", "typed_config": script}, router]
        manager |= {"stream_idle_timeout": "60s", "common_http_protocol_options": {"idle_timeout": "60s"}}
        added = {"header": {"key": "x-forwarded-port", "value": str(port)}}
        hosts[0] |= {
            "request_headers_to_add": [added],
            "retry_policy": {"retry_on": "connect-failure,refused-stream", "num_retries": 2},
        }
    listener = {
        "name": "web",
        "address": _socket(ADDRESS, port, namespace),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoints = [{"endpoint": {"address": _socket(address, TARGET_PORT)}} for address in TARGETS]
    cluster = {
        "name": "web",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "web", "endpoints": [{"lb_endpoints": endpoints}]},
        "upstream_bind_config": {"source_address": _socket("0.0.0.0", 0, namespace)["socket_address"]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _socket(address: str, port: int, namespace: str | None = None) -> dict[str, Any]:
    place = {"network_namespace_filepath": namespace} if namespace else {}
    return {"socket_address": {"address": address, "port_value": port, **place}}


def nginx(lab: Lab, folder: Path, namespace: Path, port: int) -> Started | None:
    """nginx, if there is one."""
    binary = find("nginx")
    if binary is None:
        return None
    home = folder / "nginx"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "nginx.conf"
    servers = " ".join(f"server {address}:{TARGET_PORT};" for address in TARGETS)
    paths = " ".join(
        f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"daemon off; user root; worker_processes {THREADS}; pid {home}/pid; error_log {home}/log;"
        f" events {{ worker_connections 4096; }} http {{ access_log off; {paths}"
        f" keepalive_requests 1000000000; upstream web {{ {servers} keepalive 64; keepalive_requests 1000000000; }}"
        f" server {{ listen {ADDRESS}:{port} backlog=1024; location / {{ proxy_pass http://web; proxy_http_version 1.1;"
        ' proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } } }\n'
    )
    process = lab.start(namespace, binary, "-p", str(home), "-e", str(home / "log"), "-c", str(config), **LIBRARIES)
    return Started(port, lambda: _children(process.pid))


def haproxy(lab: Lab, folder: Path, namespace: Path, port: int) -> Started | None:
    """HAProxy, if there is one."""
    binary = find("haproxy")
    if binary is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "haproxy.cfg"
    servers = "".join(f" server s{number} {address}:{TARGET_PORT}\n" for number, address in enumerate(TARGETS))
    config.write_text(
        f"global\n nbthread {THREADS}\n maxconn 4096\n"
        "defaults\n mode http\n timeout connect 4s\n timeout client 60s\n timeout server 60s\n option forwardfor\n"
        f" http-reuse always\nfrontend web\n bind {ADDRESS}:{port}\n default_backend web\n"
        f"backend web\n balance roundrobin\n{servers}"
    )
    process = lab.start(namespace, binary, "-db", "-f", str(config), **LIBRARIES)
    return Started(port, lambda: [process.pid])


#: Where ``scripts/ensure_peers.sh`` unpacks Debian's packages; nothing of them is installed.
_PACKAGES = Path(__file__).parent.parent / ".venv-bench" / "debian"
LIBRARIES: Mapping[str, str] = {
    "LD_LIBRARY_PATH": ":".join(str(path) for path in sorted(_PACKAGES.glob("usr/lib/*-linux-gnu*")))
}


def find(name: str) -> str | None:
    """A program of the machine, or of the packages that were unpacked for this; ``None`` without."""
    places = os.pathsep.join([os.environ.get("PATH", ""), *(str(_PACKAGES / "usr" / kind) for kind in ("bin", "sbin"))])
    return shutil.which(name, path=places)


def _binary() -> Path:
    binary = find_envoy(os.environ)
    if binary is None:
        sys.exit("bench: no Envoy")
    return binary


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, listed.split())]
