"""The ECS API as the agent calls it: five operations with its own key, others in a task's name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from openecs import arn as arns
from openecs.acs import evidence
from openecs.acs.task_payload import RoleCredentials
from openecs.clock import Clock
from openecs.errors import AWSError, OperatorError, Retryable
from openecs.http.address import parse_address
from openecs.http.client import HttpClient
from openecs.http.errors import HttpProtocolError
from openecs.http.response import Response
from openecs.shapes import ecs
from openecs.shapes.base import Shape
from openecs.wire.sigv4 import Credentials, sign

_TARGET = "AmazonEC2ContainerServiceV20141113."
_SERVICE = "ecs"
_Output = TypeVar("_Output", bound=Shape)
#: Errors that say "later", whatever their HTTP status.
_LATER = frozenset({"ThrottlingException", "ServerException", "LimitExceededException", "InternalFailure"})


class _ErrorBody(msgspec.Struct):
    type: str = msgspec.field(name="__type", default="")
    message: str = ""
    Message: str = ""


class RawReply(NamedTuple):
    """An answer as it came; ``code`` and ``message`` are an error's."""

    status: int
    body: bytes
    code: str = ""
    message: str = ""
    request_id: str = ""


class ControlPlane:
    """Calls raise ``AWSError`` when refused and ``Retryable`` when they may be repeated."""

    def __init__(
        self, endpoint: str, region: str, credentials: Credentials, clock: Clock, *, ca_file: str | None = None
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self.tls: ssl.SSLContext | None = None
        if urlsplit(endpoint).scheme == "https":
            try:
                self.tls = ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                raise OperatorError(f"{ca_file} cannot be read: {error}. Name the PEM file of the authority.") from None
        self._http = HttpClient(parse_address(endpoint), tls=self.tls)
        self._encode = msgspec.json.Encoder().encode

    async def register(self, request: ecs.RegisterContainerInstanceRequest) -> ecs.ContainerInstance:
        """RegisterContainerInstance."""
        answer = await self._call("RegisterContainerInstance", request, ecs.RegisterContainerInstanceResponse)
        if answer.container_instance is None or not answer.container_instance.container_instance_arn:
            raise Retryable("RegisterContainerInstance was answered without a container instance")
        return answer.container_instance

    async def discover(self, cluster: str, container_instance: str) -> ecs.DiscoverPollEndpointResponse:
        """DiscoverPollEndpoint."""
        request = ecs.DiscoverPollEndpointRequest(cluster=cluster, container_instance=container_instance)
        return await self._call("DiscoverPollEndpoint", request, ecs.DiscoverPollEndpointResponse)

    async def submit_task_state_change(self, request: ecs.SubmitTaskStateChangeRequest) -> None:
        """SubmitTaskStateChange."""
        await self._call("SubmitTaskStateChange", request, ecs.SubmitTaskStateChangeResponse)

    async def list_tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, asked in the ARN's own region: key → value."""
        request = ecs.ListTagsForResourceRequest(resource_arn=arn)
        parsed = arns.parse(arn)
        region = parsed.region if parsed else ""
        answer = await self._call("ListTagsForResource", request, ecs.ListTagsForResourceResponse, region=region)
        return {tag.key or "": tag.value or "" for tag in answer.tags or ()}

    async def call_as(
        self, operation: str, request: Shape, keys: RoleCredentials, region: str, within: float
    ) -> RawReply:
        """One call with a task's keys, answered in ``within`` seconds.

        Refusals are answers here.  Raises ``TimeoutError``, and ``Retryable`` when there is no answer.
        """
        credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
        async with asyncio.timeout(within):
            reply = await self._send(operation, request, region, credentials)
        request_id = reply.header("x-amzn-requestid") or ""
        if reply.status == 200:
            return RawReply(200, reply.body, request_id=request_id)
        answer = _error_body(reply.body)
        return RawReply(reply.status, reply.body, _code(answer), answer.message or answer.Message, request_id)

    async def submit_evidence(self, body: bytes) -> None:
        """Our own extension: an encoded ``acs.evidence.Evidence``."""
        headers = {"Content-Type": "application/json"}
        reply = await self._post("the evidence", evidence.PATH, headers, body, self._region, self._credentials)
        if reply.status != 200:
            raise _error("the evidence", reply.status, reply.body)

    def sign_get(self, url: str, body: bytes = b"") -> Mapping[str, str]:
        """The headers that sign a GET of a websocket URL."""
        return sign(
            self._credentials,
            method="GET",
            url=url,
            headers={},
            body=body,
            region=self._region,
            service=_SERVICE,
            now=self._clock.now(),
        )

    async def close(self) -> None:
        """Drop the connections."""
        await self._http.close()

    async def _call(self, operation: str, request: Shape, output: type[_Output], *, region: str = "") -> _Output:
        """One call in the agent's own region, or in another one."""
        reply = await self._send(operation, request, region or self._region, self._credentials)
        if reply.status == 200:
            try:
                return msgspec.json.decode(reply.body, type=output)
            except msgspec.DecodeError as error:
                raise Retryable(f"{operation} was answered with something else: {error}") from error
        raise _error(operation, reply.status, reply.body)

    async def _send(self, operation: str, request: Shape, region: str, credentials: Credentials) -> Response:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": _TARGET + operation}
        return await self._post(operation, "/", headers, self._encode(request), region, credentials)

    async def _post(
        self, what: str, path: str, headers: dict[str, str], body: bytes, region: str, credentials: Credentials
    ) -> Response:
        headers = {"Host": self._http.host_header, **headers}
        headers |= sign(
            credentials,
            method="POST",
            url=self._endpoint + path,
            headers=headers,
            body=body,
            region=region,
            service=_SERVICE,
            now=self._clock.now(),
        )
        try:
            # The operations are idempotent, so a request on a stale connection may be repeated.
            return await self._http.request("POST", path, headers=headers.items(), body=body, repeatable=True)
        except HttpProtocolError as error:
            raise Retryable(f"{what}: {error}") from error


def _error(operation: str, status: int, body: bytes) -> Exception:
    answer = _error_body(body)
    code = _code(answer)
    if status >= 500 or not code or code in _LATER:
        return Retryable(f"{operation} failed with status {status} {code}")
    return AWSError(code, answer.message or answer.Message, status=status)


def _error_body(body: bytes) -> _ErrorBody:
    try:
        return msgspec.json.decode(body, type=_ErrorBody)
    except msgspec.DecodeError:
        return _ErrorBody()


def _code(answer: _ErrorBody) -> str:
    return answer.type.rsplit("#", 1)[-1]
