"""How much flows through each connection of a ZMQ socket, and an end to those that flood.

ZMQ bounds the size of a frame but not how many make up a message, and shows none of them
before the last: a message without an end fills the memory unseen. The kernel's counters
(TCP_INFO) show it. The same counters tell how much of what we sent was not yet taken.
"""

import asyncio
import logging
import os
import socket as sockets
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from cairn.network.crowds import subnet

_logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
SECOND_LOOK_SECONDS = 0.02
"""Before a connection is ended, whoever reads its messages gets another turn."""
IDLE_BYTES_PER_SECOND = 32
"""Heartbeats are no messages: some bytes are forgiven with time."""
MAX_UNFINISHED_BYTES_IN_ALL = 32 * 1024 * 1024
"""Of all connections together: beyond it, each may have no more than an equal share."""
MUTE_LOOKS = 150
"""Who never sent a message counts as silent for so much longer than who did: 15 s, in which
every honest peer asks something."""

_BEGINS = zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED
_ENDS = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
_ACKED_AND_RECEIVED = struct.Struct("=QQ")
_COUNTERS_AT = 120
"""Of tcpi_bytes_acked and tcpi_bytes_received in Linux's struct tcp_info."""


@dataclass(slots=True)
class _Connection:
    ends: tuple[object, object]
    """Both addresses: descriptors are reused."""
    host: str
    crowd: str
    """The neighbourhood of `host`."""
    mark: float
    """Bytes received when its last message was seen."""
    heard: bool = True
    """Whether a message came since the last look; a new one is given the time of one look."""
    mute: bool = True
    """Whether none ever came."""
    unfinished: float = 0.0
    """Bytes received after the last message that was seen."""
    suspect: bool = False
    silent_looks: int = 0
    queued: int = 0
    """Bytes of what was sent through it, and as many were acknowledged."""
    acknowledged: int = 0


class Traffic:
    """Watches one socket's connections; `flooded` is told of each that was ended."""

    def __init__(
        self,
        socket: zmq.asyncio.Socket,
        most_bytes: int,
        most_connections: int | None = None,
        flooded: Callable[[int], None] | None = None,
        look_seconds: float = LOOK_SECONDS,
        expects_questions: bool = True,
    ) -> None:
        """`expects_questions`: whether an honest peer sends again and again; a subscriber tells
        once what it wants, so its silence means nothing."""
        self._most_bytes = most_bytes
        self._most_in_all = max(most_bytes, MAX_UNFINISHED_BYTES_IN_ALL)
        self._most_connections = most_connections
        self._flooded = flooded
        self._look_seconds = look_seconds
        self._expects_questions = expects_questions
        self._connections: dict[int, _Connection] = {}
        self._socket = socket
        self._monitor: zmq.asyncio.Socket = socket.get_monitor_socket(_BEGINS | _ENDS)
        # Nobody waits for it: without asyncio around it a look costs next to nothing.
        self._events = zmq.Socket(shadow=self._monitor)

    def __len__(self) -> int:
        return len(self._connections)

    def heard(self, descriptor: int) -> None:
        """A whole message came through this connection."""
        if descriptor not in self._connections:
            self._read_events()  # it may have come since the last look
        connection = self._connections.get(descriptor)
        if connection is not None:
            connection.heard, connection.mute = True, False

    def heard_all(self) -> None:
        """A whole message came, of a socket that has one connection."""
        for connection in self._connections.values():
            connection.heard, connection.mute = True, False

    def queued(self, descriptor: int, size: int) -> None:
        """So many bytes were sent through this connection."""
        connection = self._connections.get(descriptor)
        if connection is not None:
            connection.queued += size

    def waiting(self, descriptor: int) -> int:
        """Bytes sent through this connection that the other end has not taken."""
        connection = self._connections.get(descriptor)
        return 0 if connection is None else _waiting(connection)

    def waiting_in_all(self) -> int:
        """Bytes that wait for all the connections together."""
        return sum(map(_waiting, self._connections.values()))

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            try:
                self._read_events()
                suspects = self._look()
            except zmq.ZMQError:
                raise
            except Exception:
                _logger.exception("connections could not be watched")
                suspects = False
            await asyncio.sleep(SECOND_LOOK_SECONDS if suspects else self._look_seconds)

    def close(self) -> None:
        """Stops watching; before the socket itself is closed."""
        self._socket.disable_monitor()
        self._monitor.close()

    def _read_events(self) -> None:
        while self._events.poll(0):
            event = parse_monitor_message(self._events.recv_multipart())
            descriptor = int(event["value"])
            if event["event"] & _ENDS:
                self._connections.pop(descriptor, None)
            else:
                with suppress(OSError):
                    self._begin(descriptor)

    def _begin(self, descriptor: int) -> None:
        with _borrowed(descriptor) as tcp:
            peer = tcp.getpeername()
            ends = tcp.getsockname(), peer
        host = str(peer[0])
        self._connections[descriptor] = _Connection(ends, host, subnet(ip_address(host)), 0.0)
        if self._most_connections is not None and len(self) > self._most_connections:
            self._make_room()

    def _make_room(self) -> None:
        """Ends the longest silent connection of the neighbourhood that has most of them.

        Many may come between two looks: of equals the newest goes, not who was there before.
        """
        crowds = Counter(each.crowd for each in self._connections.values())
        greedy = max(crowds.values())
        descriptor = max(
            (
                number
                for number, each in reversed(self._connections.items())
                if crowds[each.crowd] == greedy
            ),
            key=lambda number: self._silence(self._connections[number]),
        )
        _logger.info("more than %s connections: one is ended", self._most_connections)
        self._end(descriptor)

    def _silence(self, connection: _Connection) -> int:
        """Looks since it was heard, where that says anything, and more for who never was."""
        counts = self._expects_questions and not connection.heard
        return connection.silent_looks * counts + MUTE_LOOKS * connection.mute

    def _look(self) -> bool:
        """Whether a connection has to be looked at again soon."""
        suspects = False
        allowed = self._allowed()
        for descriptor, connection in list(self._connections.items()):
            try:
                suspects |= self._look_at(descriptor, connection, allowed)
            except OSError:  # it has ended, and its number may be another's
                self._connections.pop(descriptor, None)
        return suspects

    def _allowed(self) -> int:
        """How many unfinished bytes a connection may have now."""
        if sum(each.unfinished for each in self._connections.values()) <= self._most_in_all:
            return self._most_bytes
        return min(self._most_bytes, self._most_in_all // len(self))

    def _look_at(self, descriptor: int, connection: _Connection, allowed: int) -> bool:
        with _borrowed(descriptor) as tcp:
            if (tcp.getsockname(), tcp.getpeername()) != connection.ends:
                raise OSError("the descriptor is another connection's")
            acknowledged, received = _counters(tcp)
        connection.acknowledged = acknowledged
        # ZMQ's own bytes are acknowledged too: they must not count for what is sent later.
        connection.queued = max(connection.queued, acknowledged)
        connection.silent_looks += 1
        if connection.heard:
            connection.heard, connection.suspect = False, False
            connection.mark, connection.silent_looks = received, 0
        connection.mark = min(
            received, connection.mark + IDLE_BYTES_PER_SECOND * self._look_seconds
        )
        connection.unfinished = received - connection.mark
        if connection.unfinished <= allowed:
            connection.suspect = False
        elif connection.suspect:
            excess = int(connection.unfinished)
            _logger.warning("%s sent %d bytes that end no message", connection.host, excess)
            self._end(descriptor)
            if self._flooded is not None:
                self._flooded(excess)
        else:
            connection.suspect = True
        return connection.suspect

    def _end(self, descriptor: int) -> None:
        del self._connections[descriptor]
        with suppress(OSError), _borrowed(descriptor) as tcp:
            tcp.shutdown(sockets.SHUT_RDWR)


def _waiting(connection: _Connection) -> int:
    return max(0, connection.queued - connection.acknowledged)


def _borrowed(descriptor: int) -> sockets.socket:
    """ZMQ's connection through a descriptor of our own. Raises OSError."""
    copy = os.dup(descriptor)
    try:
        return sockets.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _counters(tcp: sockets.socket) -> tuple[int, int]:
    """Bytes acknowledged and received since it began; Linux 4.2 and later."""
    size = _COUNTERS_AT + _ACKED_AND_RECEIVED.size
    info = tcp.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, size)
    if len(info) < size:
        return 0, 0
    acknowledged, received = _ACKED_AND_RECEIVED.unpack_from(info, _COUNTERS_AT)
    return acknowledged, received
