"""A Docker Engine of the test's own, in namespaces of its own, to be killed and restarted.

Its network namespace has nothing but loopback, so containers run with network mode ``none`` or
``host``.  A process that only sleeps holds the namespaces while the engine is down: containers
that outlive their engine (``--live-restore``) are found again in the same mount namespace.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from chaos_processes import eventually


class PrivateEngine:
    """One ``dockerd`` with its data below ``home``."""

    def __init__(self, home: Path, *, live_restore: bool) -> None:
        self._home = home
        self._name = f"oecs-{uuid.uuid4().hex[:8]}"
        self._live_restore = live_restore
        # Paths of Unix sockets may have 107 characters, which pytest's folders use up.
        self._socket = Path(f"/run/{self._name}.sock")
        self._exec_root = Path(f"/run/{self._name}.exec")
        self.address = f"unix://{self._socket}"
        self._holder: subprocess.Popen[bytes] | None = None
        self._engine: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "add", self._name], check=True)
        try:
            subprocess.run(["ip", "-n", self._name, "link", "set", "lo", "up"], check=True)
            # nsenter, because ip netns exec would remount /sys and hide the cgroups.
            command = ["nsenter", f"--net=/var/run/netns/{self._name}", "unshare", "--mount", "--uts"]
            self._holder = subprocess.Popen([*command, "--propagation", "private", "sleep", "infinity"])
            eventually(lambda: self._unshared(self._holder), "the engine's namespaces are there")
            self.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @staticmethod
    def _unshared(holder: subprocess.Popen[bytes] | None) -> bool:
        assert holder is not None
        return Path(f"/proc/{holder.pid}/comm").read_text().strip() == "sleep"

    def start(self) -> None:
        """Start the engine and wait until it answers."""
        assert self._holder is not None
        for stale in (self._home / "pid", self._exec_root / "containerd/containerd.pid"):
            stale.unlink(missing_ok=True)
        options = ["--data-root", str(self._home / "data"), "--exec-root", str(self._exec_root)]
        options += ["--pidfile", str(self._home / "pid"), "-H", self.address, "--storage-driver", "overlay2"]
        options += ["--bridge=none", "--iptables=false", "--ip-masq=false", "--cgroup-parent", f"/{self._name}"]
        options += ["--live-restore"] if self._live_restore else []
        with (self._home / "dockerd.log").open("ab") as log:
            self._engine = subprocess.Popen(
                ["nsenter", "-t", str(self._holder.pid), "-m", "-u", "-n", "dockerd", *options], stdout=log, stderr=log
            )

        def answers() -> bool:
            assert self._engine is not None
            assert self._engine.poll() is None, (self._home / "dockerd.log").read_text()[-3000:]
            return self.docker("version", check=False).returncode == 0

        eventually(answers, "the private engine answers")

    def stop(self, number: signal.Signals) -> None:
        """Send the engine a signal that ends it, and wait for its end."""
        if self._engine is not None:
            self._engine.send_signal(number)
            self._engine.wait(60)

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "-H", self.address, *words], capture_output=True, text=True, check=check, timeout=60
        )

    def take_image(self, name: str) -> None:
        """Copy an image from the machine's engine."""
        saved = subprocess.run(["docker", "save", name], capture_output=True, check=True).stdout
        subprocess.run(["docker", "-H", self.address, "load"], input=saved, capture_output=True, check=True)

    def _leave(self) -> None:
        if self._engine is not None and self._engine.poll() is None:
            ids = self.docker("ps", "-aq", check=False).stdout.split()
            if ids:
                self.docker("rm", "-f", *ids, check=False)
            self.stop(signal.SIGTERM)
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
        subprocess.run(["ip", "netns", "del", self._name], check=False)
        self._socket.unlink(missing_ok=True)
        shutil.rmtree(self._exec_root, ignore_errors=True)
