"""Docker Engine over its HTTP API, versions 1.41 to 1.52; Podman's compatible socket too.

The driver translates and nothing else: it keeps no state of containers, starts no task and
does not reconnect by itself.  An engine that does not answer is ``EngineUnavailable``.
"""

from __future__ import annotations

from openecs.agent.runtime.docker.endpoint import Endpoint, find_endpoint
from openecs.agent.runtime.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime", "Endpoint", "find_endpoint"]
