"""Who is connected to our public sockets, so that a banned key can be cut off at once.

ZMQ asks for admission at the handshake and offers no way to end a connection later; but each
message names the file descriptor it came through, and that can be shut down. As descriptors
are reused, only one whose both ends are as remembered is touched.
"""

import os
import socket
from collections import OrderedDict
from contextlib import suppress

import zmq

MAX_KEYS = 4_096
MAX_CONNECTIONS_PER_KEY = 16


class Visitors:
    """Connections by CURVE key, as their messages showed them; bounded."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, OrderedDict[int, str]] = OrderedDict()
        """Key to descriptor to the other end's IP address."""
        self._ports: set[int] = set()

    def listen_at(self, endpoint: str) -> None:
        """One of our own endpoints, `tcp://host:port`."""
        self._ports.add(int(endpoint.rpartition(":")[2]))

    def note(self, key: str, frame: zmq.Frame) -> None:
        """A message of this key came in."""
        connections = self._seen.setdefault(key, OrderedDict())
        self._seen.move_to_end(key)
        connections[int(frame["__fd"])] = str(frame["Peer-Address"])
        if len(connections) > MAX_CONNECTIONS_PER_KEY:
            connections.popitem(last=False)
        if len(self._seen) > MAX_KEYS:
            self._seen.popitem(last=False)

    def cut_off(self, key: str) -> int:
        """Ends the key's connections; how many that were."""
        ended = 0
        for descriptor, address in self._seen.pop(key, OrderedDict()).items():
            with suppress(OSError):
                ended += self._shut(descriptor, address)
        return ended

    def _shut(self, descriptor: int, address: str) -> bool:
        connection = socket.socket(fileno=os.dup(descriptor))
        with connection:
            ours, theirs = connection.getsockname(), connection.getpeername()
            if ours[1] not in self._ports or theirs[0] != address:
                return False
            connection.shutdown(socket.SHUT_RDWR)
            return True
