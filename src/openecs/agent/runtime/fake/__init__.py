"""A container engine in memory: the same contract as the real drivers, and no containers.

It serves tests, simulations, benchmarks and ``openecs up --runtime fake``.  What a container
does is directed by its command and its image's name; ``program`` holds that small language.
Lifecycle, names, ports, volumes, health and events behave as Docker's; limits, files, logs and
packets do not exist.
"""

from __future__ import annotations

from openecs.agent.runtime.fake.runtime import FakeRuntime
from openecs.agent.runtime.fake.timers import ManualTimers

__all__ = ["FakeRuntime", "ManualTimers"]
