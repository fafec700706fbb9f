"""The host's network tools: what is cancelled ends, and is no error of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from openecs.agent.network.commands import run


async def test_a_cancelled_command_is_not_left_running(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    script = f"echo $$ >{told}.new; mv {told}.new {told}; exec sleep 60"
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run(("sh", "-c", script), "x"))
        while not told.exists():
            await asyncio.sleep(0.01)
        running.cancel()
    assert running.cancelled()
    assert not Path(f"/proc/{told.read_text().strip()}").exists()


async def test_a_command_that_ends_in_the_moment_in_which_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    class Ended:
        """What asyncio has of a process of which it has heard the end, while its waiter has not run yet."""

        async def communicate(self, _: bytes | None = None) -> tuple[bytes, bytes]:
            waited.append(0)
            if len(waited) == 1:
                await asyncio.Event().wait()
            return b"", b""

        def kill(self) -> None:
            raise ProcessLookupError

    async def start(*_: object, **__: object) -> Ended:
        return Ended()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run(("true",), ""))
        await asyncio.sleep(0)
        running.cancel()
    assert running.cancelled()
    assert len(waited) == 2
