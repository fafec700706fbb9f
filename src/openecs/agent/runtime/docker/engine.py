"""Calls of the engine's API: version, query, body, and errors in the engine's own words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, NoSuchContainer
from openecs.http import HttpClient, HttpProtocolError, HttpUnavailable, Response, StreamingResponse

#: Docker 20.10 and Podman speak 1.41; 1.52 is the newest that this driver was written for.
OLDEST = (1, 41)
NEWEST = (1, 52)

_JSON_HEADERS = (("Content-Type", "application/json"),)

_Decoded = TypeVar("_Decoded")


class _ErrorBody(msgspec.Struct):
    message: str = ""


class EngineApi:
    """The engine's HTTP API at the newest version that both sides know."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._version: tuple[int, int] | None = None
        #: Podman's compatible service, which filters events by other names.
        self.is_podman = False

    @property
    def address(self) -> str:
        """Where the engine is, for messages."""
        return str(self._client.address)

    async def version(self) -> tuple[int, int]:
        """The API version in use.

        It is asked for once, and again after the engine was away: it may have been upgraded.
        Raises ``EngineError`` for an engine that is too old.
        """
        if self._version is None:
            with self._telling_of_absence():
                response = await self._client.request("GET", "/_ping")
            if response.status != 200:
                raise self.refusal(response)
            self.is_podman = response.header("Libpod-Api-Version") is not None
            self._version = _negotiate(response.header("Api-Version"))
        return self._version

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        within: float = 60.0,
        fine: tuple[int, ...] = (),
    ) -> Response:
        """One call; ``fine`` lists further statuses that are not errors.

        Every call of this driver may be repeated, since the engine answers the second one with
        a status that says so.  Raises ``EngineError``, for 404 ``NoSuchContainer``.
        """
        target = await self._target(path, query)
        with self._telling_of_absence():
            response = await self._client.request(
                method,
                target,
                headers=() if body is None else _JSON_HEADERS,
                body=b"" if body is None else msgspec.json.encode(body),
                within=within,
                repeatable=True,
            )
        if response.status >= 400 and response.status not in fine:
            raise self.refusal(response)
        return response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        headers: tuple[tuple[str, str], ...] = (),
        within: float = 60.0,
    ) -> AsyncIterator[StreamingResponse]:
        """A call whose answer goes on; ``within`` seconds are for its beginning."""
        target = await self._target(path, query)
        with self._telling_of_absence():
            async with self._client.stream(method, target, headers=headers, within=within, repeatable=True) as response:
                if response.status >= 400:
                    raise self.refusal(Response(response.status, response.headers, await response.read()))
                yield response

    def decode(self, decoder: msgspec.json.Decoder[_Decoded], data: bytes, what: str) -> _Decoded:
        """The answer as a struct; raises ``EngineError`` when it is not what the API promises."""
        try:
            return decoder.decode(data)
        except msgspec.DecodeError as error:
            raise EngineError(f"the engine's answer about {what} cannot be read: {error}") from error

    def refusal(self, response: Response) -> EngineError:
        """The engine's refusal in its own words."""
        try:
            message = msgspec.json.decode(response.body, type=_ErrorBody).message
        except msgspec.DecodeError:
            message = response.body.decode("utf-8", "replace").strip()
        kind = NoSuchContainer if response.status == 404 else EngineError
        return kind(message or f"the engine answered with status {response.status}", response.status)

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.close()

    async def _target(self, path: str, query: Mapping[str, str] | None) -> str:
        major, minor = self._version or await self.version()
        target = f"/v{major}.{minor}{path}"
        return f"{target}?{urlencode(query)}" if query else target

    @contextmanager
    def _telling_of_absence(self) -> Iterator[None]:
        try:
            yield
        except HttpUnavailable as error:
            self._version = None
            raise EngineUnavailable(f"the container engine does not answer: {error}") from error
        except HttpProtocolError as error:
            raise EngineError(f"what answers at {self.address} is no container engine: {error}") from error


def _negotiate(offered: str | None) -> tuple[int, int]:
    major, _, minor = (offered or "").partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise EngineError("the engine does not tell its API version")
    version = (int(major), int(minor))
    if version < OLDEST:
        raise EngineError(
            f"the engine speaks API version {offered}, but OpenECS needs "
            f"{OLDEST[0]}.{OLDEST[1]} or newer (Docker 20.10)",
            400,
        )
    return min(version, NEWEST)
