"""An IpcServer running in a thread, and polling instead of sleeping."""

import asyncio
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cairn.ipc.messages import Event, Reply, Request
from cairn.ipc.server import IpcServer

Handler = Callable[[Request], Awaitable[Reply]]


def wait_until(condition: Callable[[], object], seconds: float = 20.0, what: str = "") -> None:
    """Polls until `condition` holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what or "the condition did not come true in time"
        time.sleep(0.005)


class ServerThread:
    """A listener's local sockets with a handler of the test's, on an event loop of its own."""

    def __init__(self, handler: Handler, directory: Path | None = None) -> None:
        self.directory = directory or Path(tempfile.mkdtemp(prefix="cairn-"))
        self.request_socket = f"ipc://{self.directory / 'listener.sock'}"
        self.event_socket = f"ipc://{self.directory / 'events.sock'}"
        self._handler = handler
        self._thread: threading.Thread | None = None
        self.start()

    def start(self) -> None:
        """Starts serving; may follow a `stop`."""
        ready = threading.Event()

        async def serve() -> None:
            self.server = IpcServer(self.request_socket, self.event_socket)
            self._loop = asyncio.get_running_loop()
            self.server.bind()
            ready.set()
            await self.server.serve(self._handler)

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self._thread.start()
        assert ready.wait(10)

    def publish(self, event: Event) -> None:
        """Publishes from any thread."""
        self._loop.call_soon_threadsafe(self.server.publish, event)

    def stop(self) -> None:
        """Closes the server and waits for it."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self.server.close)
            self._thread.join(10)
            assert not self._thread.is_alive()
            self._thread = None

    def remove(self) -> None:
        """Stops, and removes the sockets' directory."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
