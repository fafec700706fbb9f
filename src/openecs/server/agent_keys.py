"""The key pairs of other machines' agents: made, listed, replaced and revoked by root.

An agent's principal has a name of its own, so that what it registered stays its own when its
key is replaced.  The gateway closes connections whose key is gone.  The key pair of this
machine's own agent is not among them: the installation makes and keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from openecs.clock import Clock
from openecs.errors import AWSError, client_error
from openecs.model.access_key import AccessKey
from openecs.server.keys import LOCAL_AGENT, Keys
from openecs.state.state import State

_log = structlog.get_logger("openecs.server")
Body = Mapping[str, Any]


class AgentKeys:
    """The actions behind ``/_openecs/agent-keys``.  Bodies name a key by ``access_key_id``."""

    def __init__(self, state: State, keys: Keys, clock: Clock) -> None:
        self._state = state
        self._keys = keys
        self._clock = clock

    async def list(self, _: Body) -> dict[str, Any]:
        """Every key without its secret: whose, since when (seconds), and the nodes of its agent."""
        return {
            "keys": [
                {
                    "access_key_id": key.access_key_id,
                    "agent": _name(key),
                    "created_at": key.created_at,
                    "nodes": [node.id for node in self._state.nodes if node.owner == key.principal_arn],
                }
                for key in self._state.access_keys
                if _is_listed(key)
            ]
        }

    async def create(self, _: Body) -> dict[str, Any]:
        """A key pair for a new agent; its secret is shown this once."""
        return _shown(self._keys.new_agent(self._clock.now()))

    async def replace(self, body: Body) -> dict[str, Any]:
        """Another key pair for the same agent; the present one ends."""
        old = self._find(body)
        made = self._keys.replace(old, self._clock.now())
        _log.info("agent key replaced", agent=_name(old), revoked=old.access_key_id, made=made[0])
        return _shown(made)

    async def revoke(self, body: Body) -> dict[str, Any]:
        """End a key; its agent is sent away and cannot come back."""
        key = self._find(body)
        self._keys.revoke(key)
        _log.info("agent key revoked", agent=_name(key), revoked=key.access_key_id)
        return {}

    def _find(self, body: Body) -> AccessKey:
        wanted = body.get("access_key_id")
        if not isinstance(wanted, str) or not wanted:
            raise client_error("The body must name an access_key_id.")
        key = self._state.access_keys.get(wanted)
        if key is not None and key.kind == "agent" and _name(key) == LOCAL_AGENT:
            raise client_error(f"{wanted} is the key of this machine's own agent, which the installation looks after.")
        if key is None or not _is_listed(key):
            raise AWSError(
                "NoSuchEntityException",
                f"No agent has the key {wanted}. List them with: openecs join-key --list",
                status=404,
            )
        return key


def _is_listed(key: AccessKey) -> bool:
    return key.kind == "agent" and _name(key) != LOCAL_AGENT


def _name(key: AccessKey) -> str:
    return key.principal_arn.rpartition("/")[2]


def _shown(pair: tuple[str, str]) -> dict[str, str]:
    return {"access_key_id": pair[0], "secret_key": pair[1]}
