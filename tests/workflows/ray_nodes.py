"""Two Ray nodes on this machine, each in processes of its own, one of which can be killed as a machine is lost."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

_OBJECTS = 80_000_000


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class RayNodes:
    """A head with one core, and a second node with another."""

    def __init__(self, folder: Path, token: str | None = None):
        self.token = token or secrets.token_hex(32)
        self.address = f"127.0.0.1:{_free_port()}"
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        self._folder = folder
        self.head = self._start(
            "head", "--head", f"--port={self.address.rpartition(':')[2]}", "--include-dashboard=false"
        )
        self._wait_for_head()
        self.second = self._start("second", f"--address={self.address}")

    def _start(self, name, *options):
        log = (self._folder / f"{name}.log").open("wb")
        ray = Path(sys.executable).with_name("ray")
        common = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--disable-usage-stats", "--block"]
        return subprocess.Popen(
            [str(ray), "start", *options, *common, f"--object-store-memory={_OBJECTS}"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )

    def _wait_for_head(self):
        host, _, port = self.address.rpartition(":")
        for _ in range(240):
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                return
            time.sleep(0.25)
        raise AssertionError((self._folder / "head.log").read_text())

    def kill(self, node):
        """End everything of a node at once, as when its machine loses power."""
        try:
            members = psutil.Process(node.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            members = []
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        node.kill()
        node.wait(timeout=30)

    def stop(self):
        for node in (self.second, self.head):
            self.kill(node)
