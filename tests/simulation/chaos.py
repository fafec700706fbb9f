"""Life in the simulation: what clients do and what befalls machines, drawn from the seed.

Every seed has its own mix: some kinds of fault are left out and the pace differs, so that seeds
differ in more than their order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients import Clients
from faults import Faults
from service_clients import ServiceClients

if TYPE_CHECKING:
    from simulation import World


class Chaos:
    """Draws steps and carries them out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        clients = Clients(world)
        self._faults = Faults(world, clients)
        kept = {fault: weight for fault, weight in self._faults.steps().items() if self._rng.random() < 0.6}
        self._steps = {**clients.steps(), **ServiceClients(world, clients).steps(), **kept}
        self._gap = self._rng.choice((0.3, 2.0, 6.0))

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
