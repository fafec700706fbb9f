"""Process identities."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from openecs.cli.process import ProcessIdentity


@pytest.fixture
def sleeper() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["sleep", "100"])
    yield process
    process.kill()
    process.wait()


def test_a_living_process_is_alive_and_a_dead_one_is_not(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity.is_alive()
    identity.send(signal.SIGKILL)
    assert identity.wait(10), "a process that only waits to be reaped has ended"
    sleeper.wait()
    assert not identity.is_alive()
    identity.send(signal.SIGKILL)  # nobody is there: nothing happens


@pytest.mark.parametrize("change", [{"start_ticks": 1}, {"boot_id": "another boot"}])
def test_another_process_with_the_same_pid_is_spared(
    sleeper: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    stale = msgspec.structs.replace(ProcessIdentity.of(sleeper.pid), **change)
    assert not stale.is_alive()
    stale.send(signal.SIGKILL)
    assert sleeper.poll() is None
    assert ProcessIdentity.of(sleeper.pid).is_alive()


def test_nobody_has_that_pid() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessIdentity.of(2**22 + 1)


def test_a_command_with_parentheses_and_spaces_does_not_confuse(tmp_path: Path) -> None:
    odd = tmp_path / "a) R (b"
    odd.symlink_to("/bin/sleep")
    process = subprocess.Popen([odd, "100"])
    try:
        assert ProcessIdentity.of(process.pid).is_alive()
    finally:
        process.kill()
        process.wait()
