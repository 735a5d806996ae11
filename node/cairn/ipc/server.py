"""The listener's side of the local sockets: requests answered, events published."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import zmq

from cairn.ipc.messages import MAX_MESSAGE_BYTES, Event, Problem, Refused, Reply, Request

MAX_UNDER_WAY = 1_024
"""Requests being handled at once; more wait in their sockets."""
DRAIN_SECONDS = 3.0
"""How long `close` lets requests under way finish."""
TAKE_SECONDS = 0.1
"""How long clients get to take the last replies: ZMQ drops what a client has not taken when the
connection ends, as it must not queue requests for a listener that is away (ZMQ_IMMEDIATE)."""
FLUSH_MILLISECONDS = 200
_BATCH = 64
_REQUEST_ID_BYTES = 8
_SOCKET_MODE = 0o660

Handler = Callable[[Request], Awaitable[Reply]]

_logger = logging.getLogger(__name__)


class IpcServer:
    """Binds the two local sockets and serves them on the running asyncio loop.

    All methods belong to the loop's thread. `serve` returns after `close`.
    """

    def __init__(self, request_endpoint: str, event_endpoint: str) -> None:
        self._endpoints = (request_endpoint, event_endpoint)
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._router: zmq.Socket[bytes] | None = None
        self._publisher: zmq.Socket[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handler: Handler | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Request)

    def bind(self) -> None:
        """Binds both sockets, unless they are; their files get mode 0660.

        Raises zmq.ZMQError when the run directory is missing or not writable.
        """
        if self._context is not None:
            return
        self._context = zmq.Context()
        try:
            self._router = self._bound(self._context, zmq.ROUTER, self._endpoints[0])
            self._publisher = self._bound(self._context, zmq.PUB, self._endpoints[1])
        except zmq.ZMQError:
            self._close_sockets()
            raise

    async def serve(self, handler: Handler) -> None:
        """Answers requests with `handler` until `close`, any number of them at a time.

        A handler that raises is logged and answered Refused `internal-error`. After `close`
        the requests under way get DRAIN_SECONDS to finish and to be answered.
        """
        self.bind()
        assert self._router is not None  # noqa: S101 - bound above
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        descriptor = int(self._router.getsockopt(zmq.FD))
        self._loop.add_reader(descriptor, self._read)
        self._loop.call_soon(self._read)  # what came before the reader was there
        try:
            await self._closing.wait()
            self._handler = None
            self._loop.remove_reader(descriptor)
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
                await asyncio.sleep(TAKE_SECONDS)
        finally:
            self._loop.remove_reader(descriptor)
            self._handler = None
            await self._cancel_tasks()
            self._loop = None
            self._close_sockets()

    def publish(self, event: Event) -> None:
        """Announces `event` to whoever is subscribed now. Never waits, never raises."""
        if self._publisher is None:
            return
        try:
            frames = [type(event).__name__.encode(), self._encoder.encode(event)]
            self._publisher.send_multipart(frames, zmq.NOBLOCK)
        except (zmq.ZMQError, TypeError, OverflowError) as error:
            _logger.warning("event not published: %s", error)

    def close(self) -> None:
        """Ends `serve` soon. Where it is not running, closes the sockets now."""
        self._closing.set()
        if self._loop is None:
            self._close_sockets()

    def _read(self) -> None:
        """Takes waiting requests until none is left: ZMQ signals a change of state only once."""
        if self._handler is None or self._router is None or self._loop is None:
            return
        for _ in range(_BATCH):
            if len(self._tasks) >= MAX_UNDER_WAY:
                return  # the next task to end reads on
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            except zmq.ZMQError as error:
                _logger.warning("request not received: %s", error)
                return
            self._take(frames, self._handler, self._loop)
        self._loop.call_soon(self._read)  # others' turn, then the rest

    def _take(self, frames: list[bytes], handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        """Starts the work one message asks for; refuses it when it is not a request."""
        if len(frames) != 3 or len(frames[1]) != _REQUEST_ID_BYTES:
            request_id = frames[1] if len(frames) > 1 else b""
            detail = "a message is an 8-byte request id and a request"
            self._send(frames[0], request_id[:_REQUEST_ID_BYTES], _malformed(detail))
            return
        identity, request_id, payload = frames
        try:
            request = self._decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._send(identity, request_id, _malformed(str(error)))
            return
        task = loop.create_task(self._answer(identity, request_id, request, handler))
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    async def _answer(
        self, identity: bytes, request_id: bytes, request: Request, handler: Handler
    ) -> None:
        try:
            reply = await handler(request)
        except Exception:
            _logger.exception("request %s failed", type(request).__name__)
            reply = _internal_error(f"{type(request).__name__} failed; the listener's log says why")
        self._send(identity, request_id, reply)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        was_full = len(self._tasks) >= MAX_UNDER_WAY
        self._tasks.discard(task)
        if was_full and self._loop is not None:
            self._loop.call_soon(self._read)

    def _send(self, identity: bytes, request_id: bytes, reply: Reply) -> None:
        if self._router is None:
            return
        payload = self._encoded(reply)
        try:
            self._router.send_multipart([identity, request_id, payload], zmq.NOBLOCK)
            # Sending may use up the signal that a request came.
            if self._loop is not None and int(self._router.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                self._loop.call_soon(self._read)
        except zmq.ZMQError as error:
            _logger.warning("reply not sent: %s", error)

    def _encoded(self, reply: Reply) -> bytes:
        try:
            payload = self._encoder.encode(reply)
        except (TypeError, OverflowError) as error:  # an integer above 64 bits, say
            _logger.error("%s cannot be sent: %s", type(reply).__name__, error)
            return self._encoder.encode(_internal_error("the reply cannot be sent"))
        if len(payload) <= MAX_MESSAGE_BYTES:
            return payload
        _logger.error("reply of %d bytes is above %d", len(payload), MAX_MESSAGE_BYTES)
        return self._encoder.encode(_internal_error("the reply is too large to send"))

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _bound(
        self, context: "zmq.Context[zmq.Socket[bytes]]", kind: int, endpoint: str
    ) -> "zmq.Socket[bytes]":
        socket = context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        socket.setsockopt(zmq.SNDHWM, 1_000)
        socket.setsockopt(zmq.RCVHWM, 100)
        mask = os.umask(0o777 & ~_SOCKET_MODE)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError:
            socket.close(linger=0)
            raise
        finally:
            os.umask(mask)
        if endpoint.startswith("ipc://"):
            Path(endpoint.removeprefix("ipc://")).chmod(_SOCKET_MODE)
        return socket

    def _close_sockets(self) -> None:
        context, self._context = self._context, None
        if context is None:
            return
        if self._router is not None:
            self._router.close(linger=FLUSH_MILLISECONDS)  # the last replies
        if self._publisher is not None:
            self._publisher.close(linger=FLUSH_MILLISECONDS)
        self._router = self._publisher = None
        context.term()


def _malformed(detail: str) -> Refused:
    return Refused(Problem("message-malformed", detail))


def _internal_error(detail: str) -> Refused:
    return Refused(Problem("internal-error", detail))
