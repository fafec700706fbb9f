"""An installation for tests: the real program, started by its own command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BIN = Path(sys.executable).parent


class Installation:
    """One running installation and clients for it."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.port = free_port()
        self.options = options
        self.environ = {**os.environ, "OPENECS_DATA_DIR": str(home)}
        for name in list(self.environ):
            if name.startswith("AWS_"):
                del self.environ[name]

    def up(self, *options: str) -> None:
        self.openecs("up", "--detach", "--port", str(self.port), *self.options, *options)
        self.credentials: dict[str, str] = json.loads(self.openecs("env", "--json"))

    def down(self, *options: str) -> None:
        self.openecs("down", *options)

    def openecs(self, *arguments: str) -> str:
        command = [str(BIN / "openecs"), *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=110, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def client(self, service: str, region: str = "us-east-1", **config: Any) -> Any:
        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.credentials["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 1}, parameter_validation=True, **config),
        )

    def aws(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The AWS CLI of this virtual environment."""
        environ = {**self.environ, **self.credentials, "AWS_PAGER": "", "AWS_CONFIG_FILE": "/dev/null"}
        command = [str(BIN / "aws"), *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def status(self) -> dict[str, Any]:
        """What the running installation says of itself."""
        result: dict[str, Any] = json.loads(self.openecs("status", "--json"))
        return result

    def subnet(self) -> str:
        """The first subnet of the default region."""
        subnet: str = self.status()["subnets"][0]
        return subnet

    def log(self, name: str) -> str:
        files = list(self.home.rglob(f"{name}.log"))
        return files[0].read_text() if files else ""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(condition: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    """The first true value of ``condition``; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}; last: {value!r}")
        time.sleep(0.02)
