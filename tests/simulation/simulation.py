"""A whole cluster in one process under virtual time, and everything that befalls it, from a seed.

``run_seed(seed)`` builds the world, lets clients and chaos at it, heals everything and waits
until it is quiet.  The same seed gives the same trace.  To replay one with its trace::

    .venv/bin/python tests/simulation/simulation.py SEED [--log]
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import simulated_registry
import structlog
from chaos import THEMES, Chaos
from faults import DiskFullError
from invariants import Checker
from quiet import Quiet
from service_clients import ServiceModel
from simulated_balancer import Balancer
from simulated_client import Client, Ledger
from simulated_control_plane import ControlPlane
from simulated_journal import Disk
from simulated_network import Link, Server, SimulatedHttp
from simulated_node import Node
from simulated_process import Process
from virtual_loop import SkewedClock, StalledError, VirtualLoop
from workload import DEFINITIONS, PROVIDERS

from openecs.agent.runtime.fake.container import FakeContainer
from openecs.errors import Retryable
from openecs.ids import SeededIds
from openecs.shapes import ecs
from openecs.state.journal.protocol import Change
from openecs.state.state import State
from openecs.wire.sigv4 import Credentials

#: Messages of the product's log that are always a mistake of somebody's.
MISTAKES = ("reconcile.bug", "internal error", "report refused, dropped", "task has no task definition")


#: Commits that are too many for one moment, and for a whole seed.
AT_ONCE = 1000
ALTOGETHER = 20_000


class BrokenError(Exception):
    """A rule was broken; the text says which."""


class Outcome(NamedTuple):
    """How a seed went: what was wrong, if anything, and what happened."""

    seed: int
    wrong: str | None
    trace: tuple[str, ...]
    #: Seconds of virtual time.
    lasted: float
    #: Steps of chaos by name, and task launches.
    counts: dict[str, int]

    @property
    def digest(self) -> str:
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    def report(self) -> str:
        """What a failing test prints."""
        return "\n".join(
            [
                *self.trace[-120:],
                f"seed {self.seed}: {self.wrong or 'well'} ({self.lasted:.0f} s of virtual time)",
                f"replay: .venv/bin/python tests/simulation/simulation.py {self.seed} --log",
            ]
        )


class World:
    """All parts, and what can be done to them."""

    def __init__(self, seed: int, theme: str | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(f"{seed}/chaos")
        self._noise = random.Random(f"{seed}/noise")
        self.loop = asyncio.get_running_loop()
        self.trace: list[str] = []
        self.counts: dict[str, int] = {}
        self.broken: asyncio.Future[None] = self.loop.create_future()
        self._wrong: str | None = None
        self.ended = False
        #: After how many more commits the control plane is killed.
        self.aim_control_plane: int | None = None
        self.ids = SeededIds(seed)
        self.server = Server()
        self.disk = Disk()
        #: Longest time that a write to the control plane's disk takes.
        self.slow_disk = 0.01
        self.clock = SkewedClock(self.loop)
        #: Whether the control plane looks at everything now and then.  Without it every lost signal shows.
        self.resync = seed % 4 == 0
        drawn = self.rng.choice(("everything", *THEMES))
        #: What the seed is about: one of ``chaos.THEMES``.
        self.theme = theme or drawn
        #: Image names whose tag was moved → how often.
        self.moved_tags: dict[str, int] = {}
        self.ledger = Ledger(self.loop.time, self.wrong)
        self.checker = Checker(self.clock.now, self.ledger, self.wrong, self.note)
        self.checker.clocks_are_right = lambda: "clock_skips" not in self.counts
        self.checker.shift_rules.proxies = lambda: {node.node_id: node.serves for node in self.nodes}
        self.checker.target_rules.documents = lambda: {node.node_id: node.documents for node in self.nodes}
        self.balancer = Balancer(self)
        self.control_plane: ControlPlane | None = None
        self.user_link = Link("user", self._noise)
        self.root = Credentials("", "", None)
        self.user = Process("user", self.failed)
        client_clock = SkewedClock(self.loop)
        self.client = Client(
            SimulatedHttp(self.user_link, self.server, "api.sim"), lambda: self.root, client_clock, self.wrong
        )
        self.node_clocks: dict[str, SkewedClock] = {}
        self.nodes: list[Node] = []
        #: Commits of all incarnations of the control plane.
        self.commits = 0
        #: The time of the last commit, and how many there were at that time.
        self._at_once = (0.0, 0)
        #: What clients know of their services.
        self.services: dict[str, ServiceModel] = {}

    # -- what is heard --------------------------------------------------------------------

    def note(self, text: str) -> None:
        """One line of the trace."""
        self.trace.append(f"{self.loop.time():10.3f} {text}")

    def wrong(self, text: str) -> None:
        """A rule is broken: the first breach ends the simulation."""
        self.note(f"WRONG: {text}")
        if self._wrong is None:
            self._wrong = text
            if not self.broken.done():
                self.broken.set_exception(BrokenError(text))
                self.broken.exception()

    def failed(self, process: str, error: BaseException) -> None:
        """A task of a live process died of an exception that nobody expected."""
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.wrong(f"{process} died: {error!r}")

    def happened(self, node: Node, action: str, container: FakeContainer) -> None:
        self.checker.happened(node.name, action, container, node.engine.digests(container))

    def loaded(self, state: State) -> None:
        self.checker.loaded(state)

    def committed(self, changes: list[Change]) -> None:
        """A commit of the control plane: checked, and perhaps its last one."""
        self.commits += 1
        at, count = self._at_once
        self._at_once = (self.loop.time(), count + 1) if at == self.loop.time() else (self.loop.time(), 1)
        if self.commits == ALTOGETHER:
            self.wrong(f"{ALTOGETHER} commits: something goes on for ever")
        if count == AT_ONCE:
            self.wrong(f"{AT_ONCE} commits in one moment: somebody writes for ever")
        self.checker.committed(changes)
        if self.aim_control_plane is not None:
            self.aim_control_plane -= 1
            if self.aim_control_plane == 0:
                self.aim_control_plane = None
                self.loop.call_later(self._noise.random() * 2 * self.slow_disk, self.crash_control_plane)

    # -- the control plane ----------------------------------------------------------------

    def start_control_plane(self) -> ControlPlane:
        """A new incarnation, unless one runs."""
        if self.control_plane is not None and self.control_plane.process.alive:
            return self.control_plane
        process = Process("control plane", self.failed)
        process.at_crash[self._supervise] = None
        plane = self.control_plane = ControlPlane(
            process,
            self.disk,
            rng=self._noise,
            ids=self.ids,
            clock=self.clock,
            observer=self,
            slow_write=lambda: self._noise.random() * self.slow_disk,
            resync=self.resync,
        )
        plane.run()
        self.balancer.serve(plane)
        simulated_registry.serve(plane)
        self.server.listen(process, plane.gateway)
        return plane

    def crash_control_plane(self) -> None:
        """``kill -9``; somebody starts it again after a while."""
        if self.control_plane is not None:
            self.control_plane.process.crash()

    def _supervise(self) -> None:
        if not self.ended:
            self.note("the control plane is gone")
            self.loop.call_later(0.05 * 800 ** self._noise.random(), self._start_again)

    def _start_again(self) -> None:
        if not self.ended:
            self.start_control_plane()

    # -- life -----------------------------------------------------------------------------

    async def call(self, operation: str, request: Any) -> Any:
        """An API call of the user; see ``Client.call``."""
        asked_at = self.loop.time()
        answer = await self.client.call(operation, request)
        shown: tuple[ecs.Task, ...] = getattr(answer, "tasks", None) or ()
        if operation == "StopTask":
            shown = (answer.task,)
        for task in shown:
            self.ledger.task(task, asked_at)
        if operation == "RunTask" and request.client_token:
            self.ledger.token(request.client_token, shown)
        return answer

    async def call_until_answered(self, operation: str, request: Any) -> Any:
        """For set-up and the end: the network works, or will soon."""
        while True:
            try:
                return await self.call(operation, request)
            except Retryable:
                await asyncio.sleep(0.5)

    async def live(self) -> None:
        """From the first start to the end of everything."""
        await self._set_up()
        chaos = Chaos(self)
        await chaos.run()
        await chaos.heal()
        self.balancer.calm = True
        quiet = Quiet(self)
        await quiet.converges()
        await quiet.winds_down()

    async def _set_up(self) -> None:
        plane = self.start_control_plane()
        self.root = Credentials(*plane.keys.root(self.clock.now()), None)
        rng = self.rng
        zones = rng.choice(("ab", "abc", "abc"))
        for number in range(rng.choice((3, 4, 6) if self.theme == "zones" else (1, 2, 3, 3, 4))):
            name = f"node-{number}"
            clock = self.node_clocks[name] = SkewedClock(self.loop)
            node = Node(
                name,
                rng=self._noise,
                ids=self.ids,
                clock=clock,
                server=self.server,
                failed=self.failed,
                happened=self.happened,
                cpu=rng.choice((1024, 2048)),
                memory=rng.choice((1536, 2048)),
                fargate=rng.random() < 0.6,
                zone=f"eu-west-1{zones[number % len(zones)]}",
                group=PROVIDERS[number % 2],
                moved_tags=self.moved_tags,
                balancer=self.balancer,
                address=f"192.0.2.{number + 1}",
                # The first one always does, and is never lost.
                balancer_problem="no proxy" if number and self._noise.random() < 0.2 else "",
            )
            node.credentials = Credentials(*plane.keys.new_agent(self.clock.now()), None)
            self.nodes.append(node)
        await plane.state.store.durable()
        await self.call_until_answered("CreateCluster", ecs.CreateClusterRequest(cluster_name="default"))
        for name in PROVIDERS:
            # The last one has no machine where there is only one.
            group = ecs.AutoScalingGroupProvider(auto_scaling_group_arn=name)
            request = ecs.CreateCapacityProviderRequest(name=name, auto_scaling_group_provider=group)
            await self.call_until_answered("CreateCapacityProvider", request)
        providers = ecs.PutClusterCapacityProvidersRequest(
            cluster="default",
            capacity_providers=(*PROVIDERS, "FARGATE", "FARGATE_SPOT"),
            default_capacity_provider_strategy=(),
        )
        await self.call_until_answered("PutClusterCapacityProviders", providers)
        for definition in DEFINITIONS:
            await self.call_until_answered("RegisterTaskDefinition", definition)
        for node in self.nodes:
            node.start_agent()
        while not all(record.agent_connected for record in plane.state.nodes) or len(plane.state.nodes) != len(
            self.nodes
        ):
            await asyncio.sleep(0.1)

    async def end(self) -> None:
        """Let everything end, so that nothing of it outlives the loop."""
        self.ended = True
        processes = [self.user, *(node.host for node in self.nodes)]
        processes += [node.agent for node in self.nodes if node.agent is not None]
        if self.control_plane is not None:
            processes.append(self.control_plane.process)
        for process in processes:
            process.crash()
        for process in processes:
            await process.gone()
        for node in self.nodes:
            await node.engine.close()
            node.store.close()
            node.documents.close()

    def outcome(self) -> Outcome:
        return Outcome(self.seed, self._wrong, tuple(self.trace), self.loop.time(), dict(self.counts))


def run_seed(seed: int, *, theme: str | None = None, log: Callable[[str], None] | None = None) -> Outcome:
    """Live through one seed.  ``log`` gets the product's own log lines.

    With ``theme`` the seed is about that one, and not about the one that it draws.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(_run(seed, theme, log))
    finally:
        if collecting:
            gc.enable()


async def _run(seed: int, theme: str | None, log: Callable[[str], None] | None) -> Outcome:
    world = World(seed, theme)
    with _listening(world, log):
        life = world.loop.create_task(world.live())
        try:
            await asyncio.wait({life, world.broken}, return_when=asyncio.FIRST_COMPLETED)
            if life.done() and (error := life.exception()) is not None:
                world.wrong(f"{type(error).__name__}: {error}")
        except StalledError as stalled:
            world.wrong(str(stalled))
        finally:
            life.cancel()
            await asyncio.wait({life})
            await world.end()
    return world.outcome()


@contextmanager
def _listening(world: World, log: Callable[[str], None] | None) -> Iterator[None]:
    """The product's log: mistakes end the simulation, the rest is dropped or shown."""

    def hear(logger: Any, method: str, event: Any) -> Any:
        text = str(event.get("event"))
        if log is not None:
            members = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("event", "exc_info"))
            log(f"{world.loop.time():10.3f}   log {text} {members}")
        if text.startswith(MISTAKES):
            error = sys.exc_info()[1]
            if isinstance(error, DiskFullError):
                raise structlog.DropEvent
            world.wrong(f"the log says: {text} {error!r} {event.get('error', '')}")
        raise structlog.DropEvent

    before = structlog.get_config()
    level = logging.DEBUG if log is not None else logging.ERROR
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, hear],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def main(arguments: list[str]) -> int:
    """Replay one seed and print its trace."""
    seed = int(arguments[0])
    lines: list[str] = []
    outcome = run_seed(seed, log=lines.append if "--log" in arguments else None)
    for line in sorted([*lines, *outcome.trace], key=lambda text: float(text.split(maxsplit=1)[0])):
        print(line)  # noqa: T201 -- a command line
    print(outcome.report().splitlines()[-2])  # noqa: T201
    print(f"trace {outcome.digest[:16]}, {outcome.counts}")  # noqa: T201
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
