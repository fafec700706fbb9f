"""Requests of the AWS JSON protocol as bytes, every one signed for itself.

They are made before the clock runs, so that a load client measures the server.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any, NamedTuple

import cbor2

from openecs.wire.sigv4 import Credentials, sign

_TARGET = "AmazonEC2ContainerServiceV20141113."


class Endpoint(NamedTuple):
    """Where requests go and who signs them."""

    host: str
    port: int
    credentials: Credentials
    region: str = "us-east-1"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def ecs_request(endpoint: Endpoint, operation: str, parameters: dict[str, Any]) -> bytes:
    """One ECS call with the headers that botocore sends."""
    return json_request(endpoint, "ecs", _TARGET + operation, parameters)


def json_request(
    endpoint: Endpoint, service: str, target: str, parameters: dict[str, Any], *, version: str = "1.1"
) -> bytes:
    """One call of a service that speaks AWS JSON; ``target`` is the value of ``X-Amz-Target``."""
    headers = {
        "Content-Type": f"application/x-amz-json-{version}",
        "X-Amz-Target": target,
        # Of each call its own, as SDKs do: no two requests have the same signature.
        "amz-sdk-invocation-id": str(uuid.uuid4()),
        "amz-sdk-request": "attempt=1",
    }
    return _bytes(endpoint, service, headers, json.dumps(parameters).encode())


def cbor_request(endpoint: Endpoint, service: str, target: str, parameters: dict[str, Any]) -> bytes:
    """One call of smithy-rpc-v2-cbor; ``target`` is ``Service.Operation``."""
    headers = {"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor", "Accept": "application/cbor"}
    name, _, operation = target.partition(".")
    path = f"/service/{name}/operation/{operation}"
    return _bytes(endpoint, service, headers, cbor2.dumps(parameters), path)


def form_request(endpoint: Endpoint, service: str, form: str) -> bytes:
    """One call of the Query protocol."""
    return _bytes(endpoint, service, {"Content-Type": "application/x-www-form-urlencoded"}, form.encode())


def forged(request: bytes) -> bytes:
    """The same request with another signature, which the server must refuse."""
    head, marker, rest = request.partition(b"Signature=")
    first = b"0" if rest[:1] != b"0" else b"1"
    return head + marker + first + rest[1:]


def _bytes(endpoint: Endpoint, service: str, headers: dict[str, str], body: bytes, path: str = "/") -> bytes:
    added = sign(
        endpoint.credentials,
        method="POST",
        url=endpoint.url + path,
        headers=headers,
        body=body,
        region=endpoint.region,
        service=service,
        now=time.time(),  # noqa: TID251 -- a client's clock
    )
    sent = {
        "Host": f"{endpoint.host}:{endpoint.port}",
        "Accept-Encoding": "identity",
        "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux lang/python#3.11.2 cfg/retry-mode#standard",
        **headers,
        **added,
        "Content-Length": str(len(body)),
    }
    lines = [f"{name}: {value}" for name, value in sent.items()]
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode() + body
