"""Envoy's configuration as resources by name, and as the files that it reads.  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

#: One resource, as Envoy's JSON has it.
Resource = dict[str, Any]

_TYPE = "type.googleapis.com"
_TYPES = {
    "clusters": "envoy.config.cluster.v3.Cluster",
    "endpoints": "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "routes": "envoy.config.route.v3.RouteConfiguration",
    "listeners": "envoy.config.listener.v3.Listener",
    "secrets": "envoy.extensions.transport_sockets.tls.v3.Secret",
}

#: Above what a host can do: Envoy's own limits are 1,024 each, and nothing here is a circuit breaker.
UNLIMITED: Resource = {
    "thresholds": [dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 1_000_000)]
}
#: What is sent again goes to another target.
PREVIOUS_HOSTS: Resource = {
    "name": "envoy.retry_host_predicates.previous_hosts",
    "typed_config": {"@type": f"{_TYPE}/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
}


@dataclass(frozen=True)
class Resources:
    """Everything that one Envoy serves; each mapping goes from a resource's name to the resource."""

    clusters: Mapping[str, Resource] = field(default_factory=dict)
    endpoints: Mapping[str, Resource] = field(default_factory=dict)
    routes: Mapping[str, Resource] = field(default_factory=dict)
    listeners: Mapping[str, Resource] = field(default_factory=dict)
    #: Certificates with their keys: never shown.
    secrets: Mapping[str, Resource] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.listeners or self.clusters)

    def joined(self, other: Resources) -> Resources:
        """Both together."""
        return Resources(
            {**self.clusters, **other.clusters},
            {**self.endpoints, **other.endpoints},
            {**self.routes, **other.routes},
            {**self.listeners, **other.listeners},
            {**self.secrets, **other.secrets},
        )

    def names(self) -> frozenset[str]:
        """The names of all resources."""
        return frozenset().union(self.clusters, self.endpoints, self.routes, self.listeners, self.secrets)


class XdsFile(NamedTuple):
    """One file that Envoy watches."""

    #: Relative to the folder of such files.
    path: str
    kind: str
    #: Name of the resource; empty for the files that hold all of a kind.
    name: str
    #: Digest of the content, that Envoy shows when it has taken it.
    version: str
    content: bytes

    def __repr__(self) -> str:
        return f"XdsFile({self.path!r}, version={self.version!r})"


def file_logger(path: str, form: Resource) -> Resource:
    """A log that is appended to a file; ``form`` is Envoy's ``log_format``."""
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{_TYPE}/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": form,
        },
    }


def file_name(kind: str, name: str) -> str:
    """Path of the file of one resource; names of users never become paths."""
    return f"{kind}/{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"


def single_file(kind: str, name: str, resource: Resource) -> XdsFile:
    """The file of one resource that has its own."""
    return _file(file_name(kind, name), kind, name, [resource])


def list_file(kind: str, resources: Mapping[str, Resource]) -> XdsFile:
    """The file with all listeners, or all clusters."""
    return _file(f"{kind}.json", kind, "", [resources[name] for name in sorted(resources)])


def _file(path: str, kind: str, name: str, resources: list[Resource]) -> XdsFile:
    typed = [{"@type": f"{_TYPE}/{_TYPES[kind]}", **resource} for resource in resources]
    body = msgspec.json.encode(typed)
    version = hashlib.sha256(body).hexdigest()[:16]
    return XdsFile(path, kind, name, version, b'{"version_info":"%s","resources":%s}' % (version.encode(), body))
