"""The AWS CLI v1 run in this process: as quick as a function call, and its replies are checked.

It is the unmodified program (its ``main`` with its arguments); only the start of a Python
process is saved, which matters with a hundred commands.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awscli.clidriver
import pytest
from conformance_support import Installation
from reply_check import watch


@functools.cache
def _models() -> dict[str, Any]:
    return {}


def _loader(session: Any) -> Any:
    """The first session's reader of models: each is read once and kept."""
    return _models().setdefault("loader", session.get_component("data_loader"))


@dataclass
class Outcome:
    """What one command did."""

    status: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        """The printed JSON, ``None`` when nothing was printed."""
        return json.loads(self.stdout) if self.stdout.strip() else None


class CommandLine:
    """Runs ``aws`` commands against an installation in one region."""

    def __init__(self, installation: Installation, region: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        environ = installation.client_environ()
        for name, value in environ.items():
            if name.startswith("AWS_"):
                monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        monkeypatch.delenv("AWS_REGION", raising=False)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        # The CLI refuses execute-command by itself when this program is absent.
        plugin = folder / "bin" / "session-manager-plugin"
        plugin.parent.mkdir()
        plugin.write_text("#!/bin/sh\n")
        plugin.chmod(0o755)
        monkeypatch.setenv("PATH", f"{plugin.parent}:{environ['PATH']}")

    def aws(self, *words: str) -> Outcome:
        """Run ``aws WORDS``."""
        stdout, stderr = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), warnings.catch_warnings():
            # What the CLI's own code is warned about is not ours to judge.
            warnings.simplefilter("ignore")
            driver = awscli.clidriver.create_clidriver()
            driver.session.register_component("data_loader", _loader(driver.session))
            watch(driver.session.get_component("event_emitter"))
            try:
                status = driver.main(list(words))
            except SystemExit as end:
                status = int(end.code or 0)
        return Outcome(status, stdout.getvalue(), stderr.getvalue())
