"""`./dev up` as a person runs it: a network of real programs in processes of their own."""

import os
import queue
import re
import secrets
import signal
import socket
import subprocess
import threading
from pathlib import Path

from tests.support.network import free_ports
from tests.support.polling import wait_until

ROOT = Path(__file__).parents[2]
READY_SECONDS = 90
STOP_SECONDS = 15
MARK = "DEVNET_TEST_MARK"


class DevUp:
    """One run of `./dev up`."""

    def __init__(self, data: Path, *arguments: str, base_port: int) -> None:
        self.mark = secrets.token_hex(16)
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        command = [str(ROOT / "dev"), "up", "--data", str(data), "--base-port", str(base_port)]
        self.process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, MARK: self.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All it said so far."""
        return "\n".join(self.lines)

    def wait_line(self, pattern: str, timeout_seconds: float = READY_SECONDS) -> str:
        """The first line, from the next one on, that matches."""

        def found() -> str:
            while not self._queue.empty():
                line = self._queue.get()
                if line is None:
                    raise AssertionError(f"it ended before it said {pattern!r}:\n{self.output}")
                if re.search(pattern, line):
                    return line
            return ""

        return wait_until(found, timeout_seconds, f"it says {pattern!r}", lambda: self.output)

    def wait_end(self, timeout_seconds: float = STOP_SECONDS) -> int:
        """Its exit code, once it ended."""
        code = self.process.wait(timeout_seconds)
        self._reader.join(timeout_seconds)
        return code

    def descendants(self) -> dict[int, str]:
        """Every process on this machine that bears the mark: pid to command line."""
        wanted = f"{MARK}={self.mark}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    found[int(entry.name)] = b" ".join(words).decode(errors="replace")
            except OSError:
                continue  # ended meanwhile, or another user's
        return found

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._queue.put(line.rstrip("\n"))
        self.process.stdout.close()
        self._queue.put(None)

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)


def is_free(port: int) -> bool:
    """Whether a program could listen on this port of the loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_base_port(nodes: int) -> int:
    """So that the ports of as many nodes from it on are free."""
    while True:
        port = free_ports(1)[0]
        wanted = [port + 10 * node + i for node in range(nodes) for i in range(3)]
        if max(wanted) < 65_536 and all(map(is_free, wanted)):
            return port
