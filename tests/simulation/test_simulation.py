"""Seeds of the simulation: whole clusters under virtual time, with everything that can befall them.

``OPENECS_SIMULATION_SEEDS`` is how many seeds to run instead of the usual number,
``OPENECS_SIMULATION_FIRST`` the first of them: a soak takes thousands from where the last ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulation import run_seed

SEEDS = int(os.environ.get("OPENECS_SIMULATION_SEEDS", "800"))
FIRST = int(os.environ.get("OPENECS_SIMULATION_FIRST", "0"))
#: Seeds of one test: few enough to share them out among processes and to stay below its timeout.
BATCH = 25


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BATCH))
def test_every_rule_holds_in_every_seed(first: int) -> None:
    for seed in range(first, min(first + BATCH, FIRST + SEEDS)):
        outcome = run_seed(seed)
        if outcome.wrong is not None:
            pytest.fail(outcome.report(), pytrace=False)


def test_seeds_have_consequences() -> None:
    """The rules hold, but not because nothing happens."""
    outcomes = [run_seed(seed) for seed in range(900_017, 900_057)]
    lines = [line for outcome in outcomes for line in outcome.trace]
    for happening in (
        "RunTask: done",
        "StopTask: done",
        "UpdateTaskProtection: done",
        "UpdateService",
        "outcome unknown",
        "is RUNNING, desired RUNNING",
        "is STOPPED, desired STOPPED",
        "the control plane is gone",
        "the agent of",
        "the engine of",
        "is cut off",
        "CreateTaskSet: done",
        "UpdateTaskSet: done",
        "DeleteTaskSet: done",
        "UpdateServicePrimaryTaskSet: done",
        "StopServiceDeployment: done",
        "FAILED: ECS deployment circuit breaker",
        "FAILED: ECS deployment stop request",
        "ROLLBACK_SUCCESSFUL",
        "ROLLBACK_FAILED",
        "desired STOPPED Availability-zone rebalancing",
        "desired STOPPED Task failed container health checks",
        "a spot task is interrupted",
        "is moved",
        "waits for capacity",
        "has found capacity",
        "eni-0123456789abcdef0 moves from",
        "the load balancer is active_impaired",
        "has the weights [0, 100]",
        "ContinueServiceDeployment: done",
    ):
        assert any(happening in line for line in lines), f"nothing of the kind: {happening}"
    assert len({outcome.digest for outcome in outcomes}) == len(outcomes)


@pytest.mark.parametrize("seed", [900_001, 900_005])
def test_a_seed_always_goes_the_same_way(seed: int) -> None:
    first, second = run_seed(seed), run_seed(seed)
    assert first.trace == second.trace
    assert first.digest == second.digest


def test_a_seed_goes_the_same_way_in_another_process() -> None:
    """Sets of strings come in another order there; nothing may follow from it."""
    seed = 900_003
    script = Path(__file__).with_name("simulation.py")
    done = subprocess.run(
        [sys.executable, str(script), str(seed)],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"trace {run_seed(seed).digest[:16]}" in done.stdout
