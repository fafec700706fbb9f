"""The engine of a simulated host, and an agent's way to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from simulated_process import Process

from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.fake.container import FakeContainer
from openecs.agent.runtime.fake.images import ImageStore
from openecs.agent.runtime.protocol import ContainerInfo, EngineInfo, EngineUnavailable, Event, ImageInfo, RegistryAuth
from openecs.agent.runtime.reference import parse_reference
from openecs.clock import Clock
from openecs.ids import Ids

if TYPE_CHECKING:
    from simulated_node import Node

T = TypeVar("T")


class MovingImages(ImageStore):
    """Images of a registry in which tags are moved: ``moved`` says how often each name was."""

    def __init__(self, moved: Mapping[str, int]) -> None:
        super().__init__()
        self._moved = moved

    def add(self, reference: str) -> ImageInfo:
        times = self._moved.get(reference, 0)
        if not times:
            return super().add(reference)
        image = super().add(f"{reference}-moved-{times}")
        self._images[str(parse_reference(reference))] = image
        return image


class SimulatedEngine(FakeRuntime):
    """The fake engine, watched: ``happened(action, container)`` hears of starts and ends."""

    def __init__(
        self, clock: Clock, ids: Ids, happened: Callable[[str, FakeContainer], None], moved_tags: Mapping[str, int]
    ) -> None:
        super().__init__(clock, ids)
        self._happened = happened
        self._images = MovingImages(moved_tags)

    @property
    def containers(self) -> list[FakeContainer]:
        return list(self._containers.values())

    def digests(self, container: FakeContainer) -> tuple[str, ...]:
        """The digests under which registries know the image that a container was made from."""
        image = self._images.find(container.image_id)
        return tuple(name.partition("@")[2] for name in image.repo_digests) if image is not None else ()

    @property
    def down(self) -> bool:
        return self._down

    def _run(self, container: FakeContainer) -> None:
        # Heard of first: a program that ends at once ends inside.
        self._happened("start", container)
        super()._run(container)

    def _end(self, container: FakeContainer, code: int, *, oom_killed: bool = False) -> None:
        super()._end(container, code, oom_killed=oom_killed)
        self._happened("end", container)


class EngineSocket:
    """An agent's way to its engine: calls take time, and answers get lost when chaos says so.

    What the engine was asked to do it does to the end, also when the agent has died meanwhile.
    """

    def __init__(self, host: Process, agent: Process, engine: SimulatedEngine, node: Node) -> None:
        self._host = host
        self._agent = agent
        self._engine = engine
        self._node = node

    async def _call(
        self, operation: Callable[[], Coroutine[Any, Any, T]], *, slow: bool = False, container: str = ""
    ) -> T:
        """``container``: engines do one thing at a time to a container, also between agents."""
        if not self._agent.alive:
            raise EngineUnavailable("the caller is dead")
        self._node.engine_called()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def work() -> None:
            try:
                async with self._node.turn(container):
                    await asyncio.sleep(self._node.engine_delay(slow=slow))
                    result = await operation()
            except Exception as error:  # noqa: BLE001 -- the caller's to judge
                if not done.done():
                    done.set_exception(error)
                    done.exception()
                return
            if not done.done():
                if self._node.loses_engine_answer():
                    done.set_exception(EngineUnavailable("the engine's answer was lost"))
                    done.exception()
                else:
                    done.set_result(result)

        self._host.spawn(work())
        return await done

    async def info(self) -> EngineInfo:
        return await self._call(self._engine.info)

    async def inspect_image(self, reference: str) -> ImageInfo | None:
        return await self._call(lambda: self._engine.inspect_image(reference))

    async def pull(self, reference: str, auth: RegistryAuth | None = None) -> None:
        await self._call(lambda: self._engine.pull(reference, auth), slow=True)

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        return await self._call(lambda: self._engine.create(name, body), slow=True)

    async def start(self, container_id: str) -> None:
        await self._call(lambda: self._engine.start(container_id), slow=True, container=container_id)

    async def stop(self, container_id: str, timeout: int) -> None:  # noqa: ASYNC109 -- the engine's grace period
        await self._call(lambda: self._engine.stop(container_id, timeout))

    async def remove(self, container_id: str) -> None:
        await self._call(lambda: self._engine.remove(container_id), container=container_id)

    async def inspect(self, container_id: str) -> ContainerInfo:
        return await self._call(lambda: self._engine.inspect(container_id), container=container_id)

    async def list(self, labels: Sequence[str] = ()) -> list[str]:
        return await self._call(lambda: self._engine.list(labels))

    def events(self, since: float | None = None) -> AsyncGenerator[Event, None]:
        return self._engine.events(since)

    async def create_volume(
        self, name: str, driver: str, options: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        await self._call(lambda: self._engine.create_volume(name, driver, options, labels))

    async def volume_exists(self, name: str) -> bool:
        return await self._call(lambda: self._engine.volume_exists(name))

    async def remove_volume(self, name: str) -> None:
        await self._call(lambda: self._engine.remove_volume(name))

    async def top(self, container_id: str) -> tuple[int, ...]:
        return await self._call(lambda: self._engine.top(container_id))

    async def close(self) -> None:
        return
