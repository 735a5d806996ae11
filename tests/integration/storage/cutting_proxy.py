"""Stands between a client and MariaDB's unix socket, and cuts the line at the commit."""

import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_COMMIT = b"\x03COMMIT"  # the command byte of a query, and its text


class CuttingProxy:
    """Passes everything on until it is armed and a COMMIT comes; then it closes both ends.

    With `deliver`, the server gets the COMMIT, acts on it, and only its answer is lost.
    """

    def __init__(self, folder: Path, server: Path, deliver: bool) -> None:
        self.path = folder / "proxy.sock"
        self.cuts = 0
        self._armed = False
        self._server = server
        self._deliver = deliver
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def arm(self) -> None:
        """From now on, a COMMIT cuts."""
        self._armed = True

    def disarm(self) -> None:
        """Pass everything on again."""
        self._armed = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            threading.Thread(target=self._upward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._downward, args=(server, client), daemon=True).start()

    def _upward(self, client: socket.socket, server: socket.socket) -> None:
        while data := _receive(client):
            if self._armed and data.endswith(_COMMIT):
                self.cuts += 1
                _close(client)
                if self._deliver:
                    server.sendall(data)
                    return  # the other thread reads the answer, then meets a closed client
                break
            server.sendall(data)
        _close(server)

    def _downward(self, server: socket.socket, client: socket.socket) -> None:
        while data := _receive(server):
            try:
                client.sendall(data)
            except OSError:
                break
        _close(client)
        _close(server)


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65_536)
    except OSError:
        return b""


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
