"""An installation for tests: the real program, started by its own command.

Clients are the unmodified ones.  What they get is checked against the model on the way: in
boto3 by ``reply_check``, for programs of their own by ``reply_proxy``.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from reply_check import watch
from reply_proxy import ReplyProxy

BIN = Path(sys.executable).parent
#: Without this, the second generation of the AWS CLI must be there.
NO_CLI2 = "OPENECS_TEST_NO_CLI2"


class Installation:
    """One running installation and clients for it."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.port = free_port()
        self.options = options
        self._proxy: ReplyProxy | None = None
        self.environ = {**os.environ, "OPENECS_DATA_DIR": str(home)}
        for name in list(self.environ):
            if name.startswith("AWS_"):
                del self.environ[name]

    def up(self, *options: str) -> None:
        self.openecs("up", "--detach", "--port", str(self.port), *self.options, *options)
        self.credentials: dict[str, str] = json.loads(self.openecs("env", "--json"))

    def down(self, *options: str) -> None:
        if self._proxy is not None:
            self._proxy.stop()
            self._proxy = None
        self.openecs("down", *options)

    def openecs(self, *arguments: str) -> str:
        command = [str(BIN / "openecs"), *arguments]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=110, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def session(self) -> Any:
        """A new boto3 session."""
        return boto3.session.Session()

    def client(self, service: str, region: str = "us-east-1", **config: Any) -> Any:
        client = self.session().client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"max_attempts": 1}, **{"parameter_validation": True, **config}),
        )
        watch(client.meta.events)
        return client

    def aws(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The AWS CLI of this virtual environment: its first generation."""
        return self.run([str(BIN / "aws"), *arguments], check=check)

    def aws2(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The second generation of the AWS CLI, as the distribution has it.

        It is older than ``AWS_ENDPOINT_URL``, so the endpoint is an option.
        """
        return self.run([aws_cli_2(), "--endpoint-url", self.proxy_url, *arguments], check=check)

    def run(self, command: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Any client program, in the environment that ``openecs env`` prints."""
        done = subprocess.run(
            command, env=self.client_environ(), capture_output=True, text=True, timeout=110, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def client_environ(self) -> dict[str, str]:
        """What client programs see: ``openecs env``, and nothing of the user's own AWS files.

        The endpoint is the proxy that checks replies.
        """
        nothing = {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": ""}
        return {**self.environ, **self.credentials, "AWS_ENDPOINT_URL": self.proxy_url, **nothing}

    @property
    def proxy_url(self) -> str:
        """The endpoint for programs in processes of their own."""
        if self._proxy is None:
            self._proxy = ReplyProxy(self.endpoint)
        return self._proxy.url

    @property
    def endpoint(self) -> str:
        return self.credentials["AWS_ENDPOINT_URL"]

    def now(self) -> int:
        """The installation's time in milliseconds, to the second, as its replies tell it."""
        headers = self.client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]
        return int(parsedate_to_datetime(headers["date"]).timestamp() * 1000)

    def status(self) -> dict[str, Any]:
        """What the running installation says of itself."""
        result: dict[str, Any] = json.loads(self.openecs("status", "--json"))
        return result

    def subnet(self) -> str:
        """The first subnet of the default region."""
        subnet: str = self.status()["control_plane"]["subnets"][0]
        return subnet

    def security_group(self) -> str:
        """The security group of the default region."""
        group: str = self.status()["control_plane"]["security_group"]
        return group

    def log(self, name: str) -> str:
        files = list(self.home.rglob(f"{name}.log"))
        return files[0].read_text() if files else ""


@functools.cache
def aws_cli_2() -> str:
    """The path of ``aws`` version 2 outside of this virtual environment; the test fails without."""
    if os.environ.get(NO_CLI2) == "1":
        pytest.skip(f"{NO_CLI2}=1")
    folders = [Path(p) for p in os.environ.get("PATH", "").split(os.pathsep) if p and Path(p) != BIN]
    found = [str(folder / "aws") for folder in dict.fromkeys((*folders, Path("/usr/bin"))) if (folder / "aws").exists()]
    for program in found:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        if told.startswith("aws-cli/2"):
            return program
    pytest.fail(
        f"The AWS CLI v2 is not installed (looked at: {', '.join(found) or 'nothing'}). Install it (apt-get install "
        f"awscli), or set {NO_CLI2}=1 to leave these tests out.",
        pytrace=False,
    )


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
