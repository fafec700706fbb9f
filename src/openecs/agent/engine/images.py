"""Images on this node: who needs one waits for one pull, and what is known is remembered.

``default``      pull when the image can have come from a registry, and use the local image when
                 that fails.  An image that was built or loaded here is not pulled.
``always``       pull, and fail when that fails.
``once``         pull what this agent has not pulled yet.
``prefer-cached`` pull only what is absent.
"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
import structlog

from openecs.agent.runtime.protocol import EngineError, ImageInfo, Runtime
from openecs.clock import Clock

PullBehavior = Literal["default", "always", "once", "prefer-cached"]
_log = structlog.get_logger("openecs.agent")


class LocalImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that containers can be made of."""

    id: str
    #: ``sha256:…`` by which the registry knows it.
    digest: str | None
    #: Names of variables that the image sets.
    env: frozenset[str]
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None


class PullError(Exception):
    """The image is neither local nor to be had; the text is ``<ErrorName>: <message>``."""

    def __init__(self, text: str, *, started_at: float, stopped_at: float) -> None:
        super().__init__(text)
        self.started_at = started_at
        self.stopped_at = stopped_at


class Images:
    """The node's images.  ``forget`` after the engine was away: it may have lost some."""

    def __init__(self, runtime: Runtime, clock: Clock, behavior: PullBehavior) -> None:
        self._runtime = runtime
        self._clock = clock
        self._behavior: PullBehavior = behavior
        self._known: dict[str, LocalImage] = {}
        self._pulled: set[str] = set()
        self._flights: dict[str, asyncio.Future[LocalImage]] = {}

    def forget(self, reference: str | None = None) -> None:
        """Ask the engine again next time: for one image or for all."""
        if reference is None:
            self._known.clear()
        else:
            self._known.pop(reference, None)

    async def ensure(self, reference: str) -> LocalImage:
        """The local image of that name, pulled if need be.

        Raises ``PullError`` and ``EngineUnavailable``.
        """
        while True:
            known = self._known.get(reference)
            if known is not None:
                return known
            flight = self._flights.get(reference)
            if flight is None:
                return await self._fly(reference)
            await asyncio.wait([flight])
            if not flight.cancelled():
                return flight.result()
            # Whoever asked first was told to stop; now it is this caller's turn.

    async def local(self, reference: str) -> LocalImage | None:
        """The image as it is here, never pulled; ``None`` when absent."""
        known = self._known.get(reference)
        if known is not None:
            return known
        local = await self._runtime.inspect_image(reference)
        return None if local is None else self._remember(reference, local, keep=False)

    async def _fly(self, reference: str) -> LocalImage:
        flight: asyncio.Future[LocalImage] = asyncio.get_running_loop().create_future()
        self._flights[reference] = flight
        try:
            image = await self._settle(reference)
        except PullError as error:
            flight.set_exception(error)
            flight.exception()  # The caller gets it below; nobody else may be waiting.
            raise
        else:
            flight.set_result(image)
            return image
        finally:
            del self._flights[reference]
            flight.cancel()  # Does nothing when it has a result.

    async def _settle(self, reference: str) -> LocalImage:
        local = await self._runtime.inspect_image(reference)
        if local is not None and not self._wants_pull(reference, local):
            return self._remember(reference, local, keep=self._lasting(local))
        started = self._clock.now()
        try:
            await self._runtime.pull(reference)
        except EngineError as error:
            stopped = self._clock.now()
            if local is None or self._behavior in ("always", "once"):
                text = f"CannotPullContainerError: Error response from daemon: {error.message}"
                raise PullError(text, started_at=started, stopped_at=stopped) from None
            _log.info("image not pulled, local one used", image=reference, error=error.message)
            image = self._remember(reference, local, keep=False)
            return msgspec.structs.replace(image, pull_started_at=started, pull_stopped_at=stopped)
        stopped = self._clock.now()
        self._pulled.add(reference)
        local = await self._runtime.inspect_image(reference)
        if local is None:
            text = f"CannotPullContainerError: the engine pulled {reference} but does not have it"
            raise PullError(text, started_at=started, stopped_at=stopped)
        image = self._remember(reference, local, keep=self._behavior in ("once", "prefer-cached"))
        return msgspec.structs.replace(image, pull_started_at=started, pull_stopped_at=stopped)

    def _wants_pull(self, reference: str, local: ImageInfo) -> bool:
        if self._behavior == "prefer-cached" or "@sha256:" in reference or reference.startswith("sha256:"):
            return False
        if self._behavior == "always":
            return True
        if self._behavior == "once":
            return reference not in self._pulled
        return bool(local.repo_digests)

    def _lasting(self, local: ImageInfo) -> bool:
        """Whether the answer may be remembered: not for images that a registry may change."""
        return self._behavior in ("once", "prefer-cached") or (self._behavior == "default" and not local.repo_digests)

    def _remember(self, reference: str, local: ImageInfo, *, keep: bool) -> LocalImage:
        image = LocalImage(
            id=local.id,
            digest=digest_of(reference, local.repo_digests),
            env=frozenset(item.split("=", 1)[0] for item in local.env),
        )
        if keep:
            self._known[reference] = image
        return image


def digest_of(reference: str, repo_digests: tuple[str, ...]) -> str | None:
    """The digest under which the reference's repository knows the image."""
    repository, _, pinned = reference.partition("@")
    if pinned:
        return pinned
    head, slash, tail = repository.rpartition("/")
    repository = head + slash + tail.split(":", 1)[0]
    for candidate in repo_digests:
        name, _, digest = candidate.partition("@")
        if name in (repository, repository.removeprefix("docker.io/").removeprefix("library/")):
            return digest
    return None
