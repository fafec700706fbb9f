"""What reaches the log file, and what must not."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from openecs.cli.logs import following, last_lines
from openecs.clock import ManualClock
from openecs.log import RotatingFile, configure_logging


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    file = RotatingFile(tmp_path / "server.log")
    configure_logging(level="info", clock=ManualClock(1_700_000_000.25), file=file)
    yield tmp_path / "server.log"
    file.close()
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_events_are_json_lines_with_time_level_and_logger(log_file: Path) -> None:
    structlog.get_logger("openecs.journal").info("written", revision=7)
    structlog.get_logger("openecs.journal").debug("not at this level")
    assert events(log_file) == [
        {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "info",
            "logger": "openecs.journal",
            "event": "written",
            "revision": 7,
        }
    ]
    assert log_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "key", ["secret", "secret_key", "Authorization", "X-Amz-Security-Token", "sessionToken", "password", "credentials"]
)
def test_values_of_secret_keys_are_replaced_at_any_depth(log_file: Path, key: str) -> None:
    structlog.get_logger("openecs.wire").info(
        "call", **{key: "hunter2"}, inner={"list": [{key: "hunter2"}]}, kept="yes"
    )
    assert "hunter2" not in log_file.read_text()
    assert events(log_file)[0]["kept"] == "yes"


def test_libraries_that_use_the_standard_library_are_heard(log_file: Path) -> None:
    logging.getLogger("asyncio").error("a %s problem", "real")
    logging.getLogger("asyncio").info("chatter")
    assert [(event["logger"], event["event"]) for event in events(log_file)] == [("asyncio", "a real problem")]


def test_exceptions_carry_their_traceback(log_file: Path) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("openecs.control").exception("a bug")
    assert "ValueError: broken" in str(events(log_file)[0]["exception"])


def test_a_full_file_is_rotated_and_nothing_is_lost_in_between(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = RotatingFile(path, limit=100, keep=3)
    for number in range(70):
        file.write_line(f"line {number:04}".encode())
    file.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    names = ("a.log.3", "a.log.2", "a.log.1", "a.log")
    lines = [line for name in names for line in (tmp_path / name).read_text().splitlines()]
    assert [line.strip() for line in lines] == [f"line {number:04}" for number in range(70 - len(lines), 70)]
    assert all((tmp_path / name).stat().st_size <= 100 for name in ("a.log", "a.log.1"))


def test_threads_do_not_tear_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = RotatingFile(path, limit=2000, keep=50)

    def write(letter: str) -> None:
        for _ in range(200):
            file.write_line((letter * 40).encode())

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    lines = [line for p in tmp_path.iterdir() for line in p.read_text().splitlines()]
    assert len(lines) == 800
    assert all(len(set(line)) == 1 and len(line) == 40 for line in lines)


def test_last_lines_go_back_into_the_rotated_file(tmp_path: Path) -> None:
    (tmp_path / "a.log.1").write_text("1\n2\n3\n")
    (tmp_path / "a.log").write_text("4\n")
    assert last_lines(tmp_path / "a.log", 3) == ["2", "3", "4"]
    assert last_lines(tmp_path / "a.log", 1) == ["4"]
    assert last_lines(tmp_path / "a.log", 0) == []


def test_following_crosses_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = RotatingFile(path, limit=60, keep=9)
    file.write_line(b"before")
    lines = following(path)

    def write() -> None:
        # Only what is written while somebody follows is expected, and that has begun below.
        for number in range(20):
            file.write_line(f"{number:020}".encode())
            seen.acquire(timeout=20)

    seen = threading.Semaphore(0)
    started = threading.Thread(target=write)
    file.write_line(b"first")
    # The generator opens the file at its end when it is first asked; ask in this thread while
    # the other one writes.
    found: list[str] = []
    timer = threading.Timer(0.3, started.start)
    timer.start()
    while len(found) < 20:
        found.append(next(lines))
        seen.release()
    started.join()
    file.close()
    assert found == [f"{number:020}" for number in range(20)]
