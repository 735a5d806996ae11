"""A listener's real process, spoken to over its local sockets alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cairn.consensus.params import NetworkParams
from cairn.consensus.transaction import Transaction
from cairn.ipc.client import IpcClient, ListenerUnavailable
from cairn.ipc.events import EventSubscriber
from cairn.ipc.messages import GetStatus, Status, SubmitResult, Submitted, SubmitTransactions
from tests.support.builders import genesis_text
from tests.support.network import free_ports
from tests.support.polling import wait_until

START_SECONDS = 30.0
_PROGRAM = "import sys; from cairn.services.listener import main; sys.exit(main())"


class ListenerProcess:
    """A node of which only the listener runs; it has no peers and listens on free ports."""

    def __init__(self, folder: Path, params: NetworkParams, database_url: str = "") -> None:
        self.folder = folder
        self.params = params
        self.database_url = database_url or f"sqlite:///{folder / 'data' / 'cairn.db'}"
        self._run = Path(tempfile.mkdtemp(prefix="cairn-run-"))
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(exist_ok=True)
        genesis = folder / "genesis.toml"
        genesis.write_text(genesis_text(params), encoding="utf-8")
        publish, request = free_ports(2)
        sections = {
            "node": {
                "name": "test",
                "network": str(genesis),
                "data_directory": str(folder / "data"),
                "run_directory": str(self._run),
            },
            "database": {"url": self.database_url},
            "peers": {
                "publish": f"tcp://127.0.0.1:{publish}",
                "request": f"tcp://127.0.0.1:{request}",
                "admission": "open",
            },
        }
        lines = []
        for section, values in sections.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        self.config = folder / "cairn.toml"
        self.config.write_text("\n".join(lines), encoding="utf-8")
        self.client = IpcClient(f"ipc://{self._run / 'listener.sock'}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self.client.close()
        shutil.rmtree(self._run, ignore_errors=True)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The one that was started last."""
        assert self._process is not None
        return self._process

    def begin(self, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """One more process on the same configuration; the caller ends it."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    def start(self) -> None:
        """Starts the process and waits until it answers."""
        self._process = self.begin()
        wait_until(self._answers, START_SECONDS, "the listener answers", self.log_tail)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds it took."""
        begun = time.monotonic()
        self.process.terminate()
        code = self.process.wait(30)
        return code, time.monotonic() - begun

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def status(self) -> Status:
        """What it says of itself."""
        reply = self.client.request(GetStatus())
        assert isinstance(reply, Status)
        return reply

    def submit(self, *transactions: Transaction) -> list[SubmitResult]:
        """Offers transactions; one result for each."""
        reply = self.client.request(SubmitTransactions([each.raw for each in transactions]))
        assert isinstance(reply, Submitted), reply
        return reply.results

    def events(self) -> EventSubscriber:
        """Its events from now on; the caller closes it."""
        return EventSubscriber(f"ipc://{self._run / 'events.sock'}")

    @property
    def log(self) -> Path:
        """What it wrote, over all starts."""
        return self.folder / "listener.log"

    def log_tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-20:])

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log_tail()
        try:
            self.status()
        except ListenerUnavailable:
            return False
        return True
