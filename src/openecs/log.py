"""How OpenECS logs about itself: structured events, as JSON lines in a file or text on a terminal.

This configures structlog once per process, at its start.  It is not the log service for
users' tasks (``openecs.logs``).  Values under keys that name a secret never reach the output.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from openecs.clock import Clock

Level = Literal["debug", "info", "warning", "error"]

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

#: A key that contains one of these words, in any spelling, has its value replaced.
SECRET_WORDS: Final = ("secret", "token", "password", "authorization", "credential")
REDACTED: Final = "[redacted]"


class RotatingFile:
    """An append-only file of lines, renamed to ``.1``, ``.2`` … when it has grown to ``limit`` bytes."""

    def __init__(self, path: Path, *, limit: int = 10 * 1024 * 1024, keep: int = 5) -> None:
        self._path = path
        self._limit = limit
        self._keep = keep
        # Threads (the journal's writer) log too.
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def write_line(self, line: bytes) -> None:
        """Append one line, given without its line end."""
        with self._lock:
            if self._size and self._size + len(line) >= self._limit:
                self._rotate()
            self._size += os.write(self._descriptor, line + b"\n")

    def close(self) -> None:
        """Close the file; nothing is buffered."""
        with self._lock:
            os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _rotate(self) -> None:
        os.close(self._descriptor)
        for number in range(self._keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class _FileLogger:
    """structlog's last station: one finished line goes to the file."""

    def __init__(self, file: RotatingFile, name: str) -> None:
        self._file = file
        self.name = name

    def msg(self, line: bytes) -> None:
        self._file.write_line(line)

    debug = info = warning = warn = error = critical = exception = fatal = msg


class _TextLogger:
    """The same for a stream that people read."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def msg(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    debug = info = warning = warn = error = critical = exception = fatal = msg


class _Bridge(logging.Handler):
    """Takes records of libraries that use the standard library's logging."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger(record.name).log(
            record.levelno, record.getMessage(), exc_info=record.exc_info if record.exc_info else None
        )


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The processor that replaces the values of secret-looking keys, also in nested mappings."""
    return {key: _redacted(key, value) for key, value in event.items()}


def configure_logging(*, level: Level, clock: Clock, file: RotatingFile | None = None) -> None:
    """Send every event of this process to ``file`` as JSON lines, or to standard error.

    Standard error gets JSON lines too unless it is a terminal, where people read it.
    """

    def stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        moment = datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="milliseconds")
        # The order in which people read a line.
        head = {key: event.pop(key) for key in ("level", "logger", "event") if key in event}
        return {"time": moment.replace("+00:00", "Z"), **head, **event}

    first: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        redact,
    ]
    if file is None and sys.stderr.isatty():
        last: list[Processor] = [stamp, structlog.dev.ConsoleRenderer(timestamp_key="time")]
    else:
        last = [structlog.processors.format_exc_info, stamp, _to_json if file else _to_json_text]

    def make_logger(*args: Any) -> WrappedLogger:
        name = str(args[0]) if args else "openecs"
        return _TextLogger(sys.stderr, name) if file is None else _FileLogger(file, name)

    structlog.configure(
        processors=[*first, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=make_logger,
        cache_logger_on_first_use=True,
    )
    # Libraries speak at warning and above only: their informational lines repeat ours.
    logging.basicConfig(handlers=[_Bridge()], level=max(LEVELS[level], logging.WARNING), force=True)


def _to_json(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    return msgspec.json.encode(event, enc_hook=repr)


def _to_json_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return _to_json(logger, method, event).decode()


def _redacted(key: Any, value: Any) -> Any:
    word = str(key).lower().replace("-", "").replace("_", "")
    if value is not None and any(secret in word for secret in SECRET_WORDS):
        return REDACTED
    if isinstance(value, Mapping):
        return {inner: _redacted(inner, item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value
