"""Life in the simulation: what clients do and what befalls machines, drawn from the seed.

Every seed has a theme and its own mix: some kinds of fault are left out and the pace differs, so
that seeds differ in more than their order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from clients import Clients
from faults import Faults
from service_clients import ServiceClients

if TYPE_CHECKING:
    from simulation import World


class Theme(NamedTuple):
    """What a seed is about."""

    #: How many of the kinds of fault it has.
    faults: float = 0.6
    #: Mean seconds between two steps, one of these.
    gaps: tuple[float, ...] = (0.3, 2.0, 6.0)
    #: How often services are replicas, daemons, of task sets, such that shift traffic.
    kinds: tuple[float, float, float, float] = (6.0, 1.5, 1.5, 1.5)
    #: Steps that come more often, or less.
    more: tuple[tuple[str, float], ...] = ()


_FEW_TASKS = (("run_task", 0.3), ("stop_task", 0.5), ("create_service", 2.0))
THEMES = {
    "everything": Theme(),
    "roll-outs": Theme(0.3, (4.0, 10.0), (9.0, 1.0, 0.0, 1.0), (*_FEW_TASKS, ("roll_out_what_fails", 4.0))),
    "task sets": Theme(0.3, (1.0, 4.0), (1.0, 0.0, 6.0, 0.0), (*_FEW_TASKS, ("change_task_sets", 4.0))),
    "daemons": Theme(0.4, (1.0, 4.0), (1.0, 5.0, 0.0, 0.0), (*_FEW_TASKS, ("drain_instance", 5.0))),
    "zones": Theme(0.3, (4.0, 10.0), (9.0, 0.0, 0.5, 0.0), (*_FEW_TASKS, ("drain_instance", 6.0), ("partition", 2.0))),
    "balancers": Theme(
        0.4,
        (1.0, 4.0),
        (6.0, 1.0, 0.5, 2.0),
        (*_FEW_TASKS, ("partition", 4.0), ("reboot_host", 4.0), ("lose_host", 5.0)),
    ),
    "shifts": Theme(0.3, (4.0, 10.0, 30.0), (1.0, 0.0, 0.0, 9.0), (*_FEW_TASKS, ("stop_deployment", 3.0))),
    "capacity": Theme(0.3, (1.0, 4.0), (9.0, 0.0, 2.0, 0.0), (("interrupt_spot", 8.0), ("create_service", 2.0))),
}


class Chaos:
    """Draws steps and carries them out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        clients = Clients(world)
        self._faults = Faults(world, clients)
        theme = THEMES[world.theme]
        kept = {f: w for f, w in self._faults.steps().items() if self._rng.random() < theme.faults}
        steps = {**clients.steps(), **ServiceClients(world, clients, theme.kinds).steps(), **kept}
        more = dict(theme.more)
        self._steps = {step: weight * more.get(step.__name__, 1.0) for step, weight in steps.items()}
        self._gap = self._rng.choice(theme.gaps)

    async def run(self) -> None:
        """All steps of the seed, with pauses in which the world goes on."""
        functions, weights = list(self._steps), list(self._steps.values())
        for _ in range(self._rng.randint(20, 80)):
            step = self._rng.choices(functions, weights)[0]
            name = step.__name__  # type: ignore[attr-defined]
            self._world.counts[name] = self._world.counts.get(name, 0) + 1
            await step()
            await asyncio.sleep(self._rng.expovariate(1 / self._gap))

    async def heal(self) -> None:
        """Everything works again."""
        await self._faults.heal()
