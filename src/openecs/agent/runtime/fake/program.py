"""The language in which a fake container is told what to do: its command.

==============================  ========================================================
``exit N``                      starts and ends at once with that code
``true`` / ``false``            the same with 0 / 1
``sleep S``                     ends with 0 after S seconds (``infinity``: never)
``oom`` / ``oom S``             is killed for its memory use at once / after S seconds
``ignore-term``                 runs, ignores SIGTERM, ends with 137 when killed
``no-such-command``             cannot be started
``sh -c TEXT``                  statements separated by ``;`` or ``&&``: the above, ``echo``,
                                ``exec``, ``trap '' TERM`` and ``trap 'exit N' TERM``
anything else, or nothing       runs until stopped; SIGTERM ends it at once with 143
==============================  ========================================================

What ``echo`` statements print is there from the start.

Health checks: ``fake-unhealthy``, ``false`` and ``exit N`` (N not 0) fail every probe;
``fake-starting`` never comes to an end; ``fake-unhealthy-after S`` passes until S seconds after
the start; anything else passes.  Unlike a real process 1, one without a handler for SIGTERM
obeys it here, so that simulations need not wait for the kill.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence

import msgspec

_SHELLS = {"sh", "bash", "ash", "dash"}
_SEPARATOR = re.compile(r";|&&|\n")
_TRAP = re.compile(r"trap\s+(?:''|\"\"|(['\"])(.*?)\1)\s+(?:SIG)?TERM\s*(?:;|&&|\n|$)")


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What a container does once it is started."""

    #: Seconds until it ends by itself; ``None`` for never.
    runs_for: float | None = None
    exit_code: int = 0
    oom_killed: bool = False
    #: ``None`` when it ignores SIGTERM.
    code_on_term: int | None = 143
    #: The executable that the image does not have.
    missing_executable: str = ""


class HealthScript(msgspec.Struct, frozen=True, kw_only=True):
    """How a container's health check goes; times in seconds after the start."""

    #: When the first probe passes, ``None`` for never.
    healthy_at: float | None = None
    #: When enough probes in a row have failed, ``None`` for never.
    unhealthy_at: float | None = None


def parse_program(argv: Sequence[str]) -> Program:
    """The program of a command line (entry point and command joined)."""
    if not argv:
        return Program()
    name = argv[0].rpartition("/")[2]
    if name in _SHELLS and len(argv) >= 3 and argv[1] == "-c":
        return _parse_shell(argv[2])
    return _statement(name, argv[1:]) or Program()


def parse_health(check: object) -> HealthScript | None:
    """The script of a ``Healthcheck`` member, ``None`` when it declares no check."""
    if not isinstance(check, dict):
        return None
    test = list(check.get("Test") or ())
    if not test or test[0] == "NONE":
        return None
    words = _words(test[1]) if test[0] == "CMD-SHELL" and len(test) > 1 else [str(word) for word in test[1:]]
    interval = _seconds(check.get("Interval")) or 30.0
    retries = int(check.get("Retries") or 3)
    grace = _seconds(check.get("StartPeriod"))
    name, arguments = (words[0], words[1:]) if words else ("", [])
    if name == "fake-starting":
        return HealthScript()
    # Probes run at every multiple of the interval; failures within the start period do not count.
    failing_from = grace
    if name == "fake-unhealthy-after":
        failing_from = max(grace, _duration(arguments[0]) if arguments else 0.0)
    elif not (name in {"fake-unhealthy", "false"} or (name == "exit" and arguments not in ([], ["0"]))):
        return HealthScript(healthy_at=interval)
    unhealthy_at = interval * (math.floor(failing_from / interval) + retries)
    return HealthScript(healthy_at=interval if name == "fake-unhealthy-after" else None, unhealthy_at=unhealthy_at)


def parse_output(argv: Sequence[str]) -> tuple[str, ...]:
    """The lines that a command line prints: the texts of its ``echo`` statements, up to one that goes on."""
    name = argv[0].rpartition("/")[2] if argv else ""
    if name == "echo":
        return (" ".join(argv[1:]),)
    if name not in _SHELLS or len(argv) < 3 or argv[1] != "-c":
        return ()
    printed: list[str] = []
    for part in _SEPARATOR.split(_TRAP.sub("", argv[2])):
        words = _words(part)
        if words[:1] == ["echo"]:
            printed.append(" ".join(words[1:]))
        elif words[:1] == ["exit"] or (words and words[0] not in {"printf", ":", "sleep", "true", "false"}):
            break
    return tuple(printed)


def _parse_shell(text: str) -> Program:
    code_on_term: int | None = 143
    if trap := _TRAP.search(text):
        action = (trap.group(2) or "").split()
        code_on_term = int(action[1]) if action[:1] == ["exit"] and len(action) > 1 else (0 if action else None)
        text = text[: trap.start()] + text[trap.end() :]
    elapsed, code = 0.0, 0
    for part in _SEPARATOR.split(text):
        words = _words(part)
        if words[:1] == ["exec"]:
            words = words[1:]
        if not words or words[0] in {"echo", "printf", ":"}:
            continue
        step = _statement(words[0], words[1:])
        if step is None or step.runs_for is None:
            # Something that goes on until stopped, or that ignores SIGTERM while it does.
            return Program(code_on_term=None if words[0] == "ignore-term" else code_on_term)
        elapsed, code = elapsed + step.runs_for, step.exit_code
        if step.oom_killed or words[0] == "exit":
            return msgspec.structs.replace(step, runs_for=elapsed, code_on_term=code_on_term)
    return Program(runs_for=elapsed, exit_code=code, code_on_term=code_on_term)


def _statement(name: str, arguments: Sequence[str]) -> Program | None:
    """One simple command; ``None`` when the language does not know it."""
    match name:
        case "exit":
            return Program(runs_for=0, exit_code=_number(arguments, 0))
        case "true" | "false":
            return Program(runs_for=0, exit_code=int(name == "false"))
        case "sleep":
            forever = not arguments or arguments[0] in {"infinity", "inf"}
            return Program(code_on_term=143) if forever else Program(runs_for=_duration(arguments[0]))
        case "oom":
            seconds = _duration(arguments[0]) if arguments else 0.0
            return Program(runs_for=seconds, exit_code=137, oom_killed=True)
        case "ignore-term":
            return Program(code_on_term=None)
        case "no-such-command":
            return Program(missing_executable=name)
        case _:
            return None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        # Half of a quoted text: nothing of this language.
        return text.split()


def _number(arguments: Sequence[str], default: int) -> int:
    return int(arguments[0]) & 0xFF if arguments and arguments[0].lstrip("-").isdigit() else default


def _duration(text: str) -> float:
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(text[-1:], 0)
    try:
        return float(text[:-1]) * unit if unit else float(text)
    except ValueError:
        return 0.0


def _seconds(nanoseconds: object) -> float:
    return nanoseconds / 1e9 if isinstance(nanoseconds, int) else 0.0
