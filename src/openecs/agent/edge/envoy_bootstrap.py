"""What Envoy is told at its start: where its configuration files are, and its limits.  Pure."""

from __future__ import annotations

from pathlib import Path

import msgspec

#: Envoy waits this long for a resource's file at its start; the files are there before.
_FETCH_TIMEOUT = "5s"


def render_bootstrap(folder: Path, *, node_id: str, max_connections: int) -> bytes:
    """The bootstrap file of an Envoy whose files are below ``folder``."""
    bootstrap = {
        "node": {"id": node_id, "cluster": "openecs"},
        "admin": {"address": {"pipe": {"path": str(folder / "admin.sock"), "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": file_source(folder / "xds" / "listeners.json"),
            "cds_config": file_source(folder / "xds" / "clusters.json"),
        },
        # Nothing may end a program that users' patterns make; their length is limited by the API.
        "layered_runtime": {
            "layers": [
                {
                    "name": "openecs",
                    "static_layer": {
                        "re2.max_program_size.error_level": 1_000_000,
                        "re2.max_program_size.warn_level": 1_000_000,
                    },
                }
            ]
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": max_connections,
                    },
                }
            ]
        },
    }
    return msgspec.json.format(msgspec.json.encode(bootstrap), indent=1)


def file_source(path: Path) -> dict[str, object]:
    """A configuration source: one file, read again whenever another is renamed onto it."""
    return {
        "path_config_source": {"path": str(path)},
        "initial_fetch_timeout": _FETCH_TIMEOUT,
        "resource_api_version": "V3",
    }
