"""What the listener announces, received by the web tier and the miner."""

from collections.abc import Iterator, Sequence
from time import monotonic

import msgspec
import zmq

from cairn.ipc.messages import MAX_MESSAGE_BYTES, Event

EVENTS_WAITING = 1_000
"""Events held for a subscriber that does not read; those after are dropped."""
RECONNECT_MILLISECONDS = 20
RECONNECT_MAX_MILLISECONDS = 500


class EventSubscriber:
    """The listener's events from now on. For one thread of one process.

    Events published while there is no connection are lost: whoever needs the whole picture
    asks for it. A listener that restarts is found again without help.
    """

    def __init__(self, endpoint: str, event_types: Sequence[type[Event]] = ()) -> None:
        """Subscribes to `event_types`; to all when none is named."""
        self._decoder = msgspec.msgpack.Decoder(Event)
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.RCVHWM, EVENTS_WAITING)
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MILLISECONDS)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MILLISECONDS)
        for topic in [event.__name__.encode() for event in event_types] or [b""]:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._socket.connect(endpoint)

    def next(self, timeout_seconds: float, also: Sequence[int] = ()) -> Event | None:
        """The next event, or None when none came in time. What is not an event is dropped.

        Returns None early when one of the file descriptors `also` can be read.
        """
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        for descriptor in also:
            poller.register(descriptor, zmq.POLLIN)
        deadline = monotonic() + timeout_seconds
        while True:
            event = self._receive()
            if event is not None:
                return event
            left = max(0.0, deadline - monotonic())
            ready = dict(poller.poll(int(left * 1000) + (left > 0)))
            if not ready or any(descriptor in ready for descriptor in also):
                return self._receive()

    def __iter__(self) -> Iterator[Event]:
        """Every event; ends only with an exception or with the process."""
        while True:
            event = self.next(3600.0)
            if event is not None:
                yield event

    def close(self) -> None:
        """Ends the subscription."""
        self._socket.close(linger=0)
        self._context.term()

    def __enter__(self) -> "EventSubscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> Event | None:
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            if len(frames) != 2:
                continue
            try:
                event: Event = self._decoder.decode(frames[1])
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            return event
