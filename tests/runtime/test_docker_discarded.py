"""Limits that the engine leaves out of a container which it creates all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted_engine import answer, scripted

from openecs.agent.runtime.docker.discarded import discarded_limit
from openecs.agent.runtime.protocol import EngineError

NO = "Your kernel does not support "
SWAPPINESS = NO + "memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded."
SWAP = NO + "swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
SHARES = NO + "CPU shares or the cgroup is not mounted. Shares discarded."
MEMORY = NO + "memory limit capabilities or the cgroup is not mounted. Limitation discarded."
PORTS = "Published ports are discarded when using host network mode"
FORWARDING = "IPv4 forwarding is disabled. Networking will not work."


@pytest.mark.parametrize(
    ("warnings", "host_config", "told"),
    [
        ([], {"Memory": 1, "MemorySwap": 2}, None),
        ([FORWARDING, PORTS], {"Memory": 1}, None),
        ([FORWARDING, SWAPPINESS], {"MemorySwappiness": 7}, SWAPPINESS),
        ([MEMORY], {"Memory": 1}, MEMORY),
        # Docker says so of every memory limit there.
        ([SWAP], {"Memory": 1}, None),
        ([SWAP], {"Memory": 1, "MemorySwap": 2}, SWAP),
        # Every container is given the least weight when it asks for none.
        ([SHARES], {"CpuShares": 2}, None),
        ([SHARES, SWAP], {"CpuShares": 256, "MemorySwap": 1}, SHARES),
    ],
)
def test_only_what_was_asked_for_can_be_missed(
    warnings: list[str], host_config: dict[str, Any], told: str | None
) -> None:
    assert discarded_limit(warnings, host_config) == told


async def test_a_container_without_its_limit_is_removed_and_refused(tmp_path: Path) -> None:
    answers = {
        "POST /containers/create": answer(201, f'{{"Id":"c1","Warnings":["{SWAPPINESS}"]}}'),
        "DELETE /containers/c1": answer(204),
    }
    async with scripted(tmp_path, answers) as (runtime, engine):
        with pytest.raises(EngineError, match="Memory swappiness discarded") as refusal:
            await runtime.create("a", {"Image": "x", "HostConfig": {"MemorySwappiness": 7}})
        assert refusal.value.message == SWAPPINESS
        assert engine.targets[-1].startswith("DELETE /v1.41/containers/c1")


async def test_it_is_refused_even_when_it_cannot_be_removed_now(tmp_path: Path) -> None:
    answers = {
        "POST /containers/create": answer(201, f'{{"Id":"c1","Warnings":["{SWAPPINESS}"]}}'),
        "DELETE /containers/c1": answer(500, '{"message":"driver failed"}'),
    }
    async with scripted(tmp_path, answers) as (runtime, _):
        with pytest.raises(EngineError, match="Memory swappiness discarded"):
            await runtime.create("a", {"Image": "x", "HostConfig": {"MemorySwappiness": 7}})


async def test_other_warnings_are_no_refusal(tmp_path: Path) -> None:
    answers = {"POST /containers/create": answer(201, f'{{"Id":"c1","Warnings":["{FORWARDING}","{SWAP}"]}}')}
    async with scripted(tmp_path, answers) as (runtime, _):
        assert await runtime.create("a", {"Image": "x", "HostConfig": {"Memory": 4194304}}) == "c1"
