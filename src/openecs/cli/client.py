"""A signed client for this installation's own endpoint, for the commands.

It makes plain blocking calls and knows no operation.  It never goes through a proxy: the
endpoint is this machine's, or one that the operator named.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from openecs.clock import Clock, SystemClock
from openecs.config import RootCredentials
from openecs.wire.sigv4 import Credentials, sign

#: X-Amz-Target prefixes of the services that commands and examples call.
TARGETS: Mapping[str, str] = {
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "logs": "Logs_20140328",
}


class UnreachableError(Exception):
    """Nobody answers at the endpoint."""


class CallError(Exception):
    """The endpoint answered with an error: ``status`` (HTTP), ``code`` and ``message`` as AWS words them."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else f"HTTP {status}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Client:
    """Calls one endpoint with the root key pair."""

    def __init__(self, credentials: RootCredentials, *, clock: Clock | None = None, timeout: float = 20.0) -> None:
        """``timeout`` is in seconds, for one call."""
        self._credentials = credentials
        self._clock = clock or SystemClock()
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, service: str, operation: str, region: str | None = None, /, **members: Any) -> dict[str, Any]:
        """Call an AWS JSON operation with its members as AWS spells them; its reply."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"{TARGETS[service]}.{operation}",
        }
        return self._request("POST", "/", json.dumps(members).encode(), headers, service, region)

    def get(self, path: str, region: str | None = None) -> dict[str, Any]:
        """A signed GET of one of our own routes (``/_openecs/…``); ``region`` as the signature names it."""
        return self._request("GET", path, b"", {}, "ecs", region)

    def post(self, path: str, **members: Any) -> dict[str, Any]:
        """A signed POST to one of our own routes."""
        headers = {"content-type": "application/json"}
        return self._request("POST", path, json.dumps(members).encode(), headers, "ecs", None)

    def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str], service: str, region: str | None
    ) -> dict[str, Any]:
        url = self._credentials.endpoint + path
        keys = Credentials(self._credentials.access_key_id, self._credentials.secret_key)
        signed = sign(
            keys,
            method=method,
            url=url,
            headers=headers,
            body=body,
            region=region or self._credentials.region,
            service=service,
            now=self._clock.now(),
        )
        # The scheme comes from credentials.json, which only the server writes.
        request = urllib.request.Request(  # noqa: S310
            url, data=body if method == "POST" else None, headers={**headers, **signed}, method=method
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as reply:
                raw = reply.read()
        except urllib.error.HTTPError as error:
            raise _failure(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{self._credentials.endpoint} does not answer: {error}") from None
        decoded: dict[str, Any] = json.loads(raw) if raw else {}
        return decoded


def is_healthy(endpoint: str, timeout: float = 5.0) -> bool:
    """Whether a control plane answers its health check there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{endpoint}/_openecs/health", timeout=timeout) as reply:
            return bool(json.load(reply).get("status") == "ok")
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _failure(error: urllib.error.HTTPError) -> CallError:
    raw = error.read()
    try:
        body = json.loads(raw)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    code = str(body.get("__type", "")).rpartition("#")[2]
    message = str(body.get("message") or body.get("Message") or error.reason)
    return CallError(error.code, code, message)
