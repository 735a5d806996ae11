"""Requests to the listener: synchronous, for any number of threads, safe across a fork."""

import os
import threading
import weakref
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import monotonic

import msgspec
import zmq

from cairn.ipc.messages import MAX_MESSAGE_BYTES, Problem, Refused, Reply, Request

REQUEST_ID_BYTES = 8
CONNECT_PATIENCE_SECONDS = 1.0
"""How long a request waits for a connection: a listener that restarts comes back within it."""
LOOK_SECONDS = 0.1
"""How often a request that waits looks whether its connection is still there."""
RECONNECT_MILLISECONDS = 20
RECONNECT_MAX_MILLISECONDS = 500

_inherited: list[object] = []
"""ZMQ objects of a parent process. A fork must neither use nor close them, so they stay."""


class ListenerUnavailable(Exception):
    """No reply came in time. Whether the listener carried the request out is unknown."""


@dataclass(slots=True)
class _Sockets:
    """The connected sockets of this process; one request at a time uses each."""

    context: "zmq.Context[zmq.Socket[bytes]]"
    idle: "list[zmq.Socket[bytes]]" = field(default_factory=list)
    in_use: int = 0
    closed: bool = False


class IpcClient:
    """Asks the listener at `endpoint`, and waits at most `timeout_seconds` for each reply.

    Any thread may call `request` at any time: a request takes an idle DEALER socket, or makes
    one. After a fork the child starts with sockets of its own. A listener that restarts is
    found again without help.
    """

    def __init__(self, endpoint: str, timeout_seconds: float = 10.0) -> None:
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._sockets: _Sockets | None = None
        os.register_at_fork(after_in_child=partial(_leave_parent, weakref.ref(self)))
        self._ids = count(1)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Reply)

    def request(self, request: Request, timeout_seconds: float | None = None) -> Reply:
        """The listener's reply. Raises ListenerUnavailable when none came in time.

        A request above MAX_MESSAGE_BYTES is Refused `message-too-large` without being sent.
        """
        payload = self._encoder.encode(request)
        if len(payload) > MAX_MESSAGE_BYTES:
            detail = f"request is {len(payload)} bytes, at most {MAX_MESSAGE_BYTES}"
            numbers: dict[str, int | str] = {"length": len(payload), "limit": MAX_MESSAGE_BYTES}
            return Refused(Problem("message-too-large", detail, numbers))
        timeout = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        sockets, dealer = self._take()
        good = False
        try:
            answer = self._exchange(dealer, payload, monotonic() + timeout)
            good = True
        finally:
            # A socket given up with a request in it must not deliver that request later.
            self._give_back(sockets, dealer, good=good)
        try:
            decoded: Reply = self._decoder.decode(answer)
        except msgspec.DecodeError as error:
            raise ListenerUnavailable(
                f"the listener at {self.endpoint} answered what this version does not know"
                f" ({error}): restart both, so that they are of one version"
            ) from None
        return decoded

    def close(self) -> None:
        """Closes the sockets; those of requests under way when these end."""
        with self._lock:
            sockets, self._sockets = self._sockets, None
            if sockets is None:
                return
            sockets.closed = True
            for dealer in sockets.idle:
                dealer.close(linger=0)
            last = sockets.in_use == 0
        if last:
            sockets.context.term()

    def __enter__(self) -> "IpcClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, dealer: "zmq.Socket[bytes]", payload: bytes, deadline: float) -> bytes:
        request_id = next(self._ids).to_bytes(REQUEST_ID_BYTES, "big")
        patience = min(CONNECT_PATIENCE_SECONDS, max(0.0, deadline - monotonic()))
        if not dealer.poll(int(patience * 1000), zmq.POLLOUT):
            raise ListenerUnavailable(
                f"no listener answers at {self.endpoint}: is cairn-listener running?"
            )
        dealer.send_multipart([request_id, payload], zmq.NOBLOCK)
        while (left := deadline - monotonic()) > 0:
            if dealer.poll(int(min(left, LOOK_SECONDS) * 1000) + 1, zmq.POLLIN):
                frames = dealer.recv_multipart(zmq.NOBLOCK)
                if len(frames) == 2 and frames[0] == request_id:
                    return frames[1]
            elif not dealer.poll(0, zmq.POLLOUT):  # a reply comes by the same connection or never
                raise ListenerUnavailable(
                    f"the listener at {self.endpoint} ended before it replied"
                )
        raise ListenerUnavailable(f"the listener at {self.endpoint} did not reply in time")

    def begin_anew(self) -> None:
        """Forgets sockets and lock: in the child of a fork no other thread is left to free it."""
        _inherited.append(self._sockets)
        self._sockets = None
        self._lock = threading.Lock()

    def _take(self) -> "tuple[_Sockets, zmq.Socket[bytes]]":
        with self._lock:
            if self._sockets is None:
                self._sockets = _Sockets(zmq.Context())
            sockets = self._sockets
            dealer = sockets.idle.pop() if sockets.idle else self._connect(sockets.context)
            sockets.in_use += 1
            return sockets, dealer

    def _give_back(self, sockets: _Sockets, dealer: "zmq.Socket[bytes]", *, good: bool) -> None:
        with self._lock:
            sockets.in_use -= 1
            if good and not sockets.closed:
                sockets.idle.append(dealer)
                return
            dealer.close(linger=0)
            last = sockets.closed and sockets.in_use == 0
        if last:
            sockets.context.term()

    def _connect(self, context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
        dealer = context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.IMMEDIATE, 1)  # queue nothing for a listener that is not there
        dealer.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        dealer.setsockopt(zmq.SNDHWM, 16)
        dealer.setsockopt(zmq.RCVHWM, 16)
        dealer.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MILLISECONDS)
        dealer.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MILLISECONDS)
        dealer.connect(self.endpoint)
        return dealer


def _leave_parent(reference: "weakref.ref[IpcClient]") -> None:
    client = reference()
    if client is not None:
        client.begin_anew()
