"""The ECS API as the agent calls it: five operations, signed with the agent's key."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from openecs import arn as arns
from openecs.clock import Clock
from openecs.errors import AWSError, OperatorError, Retryable
from openecs.http.address import parse_address
from openecs.http.client import HttpClient
from openecs.http.errors import HttpProtocolError
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
        body = self._encode(request)
        headers = {
            "Host": self._http.host_header,
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": _TARGET + operation,
        }
        headers |= sign(
            self._credentials,
            method="POST",
            url=self._endpoint + "/",
            headers=headers,
            body=body,
            region=region or self._region,
            service=_SERVICE,
            now=self._clock.now(),
        )
        try:
            # The operations are idempotent, so a request on a stale connection may be repeated.
            reply = await self._http.request("POST", "/", headers=headers.items(), body=body, repeatable=True)
        except HttpProtocolError as error:
            raise Retryable(f"{operation}: {error}") from error
        if reply.status == 200:
            try:
                return msgspec.json.decode(reply.body, type=output)
            except msgspec.DecodeError as error:
                raise Retryable(f"{operation} was answered with something else: {error}") from error
        raise _error(operation, reply.status, reply.body)


def _error(operation: str, status: int, body: bytes) -> Exception:
    try:
        answer = msgspec.json.decode(body, type=_ErrorBody)
    except msgspec.DecodeError:
        answer = _ErrorBody()
    code = answer.type.rsplit("#", 1)[-1]
    if status >= 500 or not code or code in _LATER:
        return Retryable(f"{operation} failed with status {status} {code}")
    return AWSError(code, answer.message or answer.Message, status=status)
