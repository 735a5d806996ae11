"""gunicorn's threaded worker, for clients that mean harm: threads are for whole requests only.

The worker's loop gathers a request's header itself, without a thread, for HEADER_SECONDS at
most. A thread then reads the body for BODY_SECONDS at most, and for STARVED_SECONDS when other
requests wait for a thread. A connection that we end is drained before it is closed, without a
thread too, so that a client which still sends reads our answer and not a reset.
"""

import logging
import selectors
import socket
import threading
import time
from collections import Counter
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from gunicorn import util
from gunicorn.http import RequestParser, get_parser
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from cairn.web.problems import PROBLEM_TYPE, encode_problem, status_of
from cairn.web.security import HEADERS, CountedAddresses

HEADER_SECONDS = 10.0
"""From a connection's opening, or a later request's first byte, to the end of its header."""
BODY_SECONDS = 30.0
STARVED_SECONDS = 2.0
"""Instead of BODY_SECONDS while requests wait for a thread."""
MAX_HEADER_BYTES = 64 * 1024
MAX_CONNECTIONS_PER_ADDRESS = 64
"""In each worker; for the addresses that CountedAddresses counts."""
DRAIN_SECONDS = 2.0
MAX_DRAINED_BYTES = 16 * 1024 * 1024
MAX_DRAINING = 256
"""Connections drained at once; beyond them they are closed at once."""
_LOOK_SECONDS = 0.5
_HEADER_PIECE_BYTES = 8 * 1024
_PIECE_BYTES = 64 * 1024
_BODY_PIECE_BYTES = 1024 * 1024
_PIECES_AT_ONCE = 16
_END_OF_HEADER = b"\r\n\r\n"

_logger = logging.getLogger(__name__)


class TimedUnreader(SocketUnreader):
    """Reads a request's body from its socket until the request's time is over."""

    def __init__(self, sock: socket.socket, worker: "Worker") -> None:
        super().__init__(sock)
        self._worker = worker
        self.started = time.monotonic()
        """When a thread took up the request."""

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes. Raises TimeoutError when the request took too long already."""
        size = min(max(size_hint or 0, self.mxchunk), _BODY_PIECE_BYTES)
        allowed = self.sock.gettimeout()
        idle_end = None if allowed is None else time.monotonic() + allowed
        try:
            while True:
                self.sock.settimeout(self._patience(idle_end))
                try:
                    return self.sock.recv(size)
                except TimeoutError:
                    continue  # a look at who waits meanwhile
        finally:
            self.sock.settimeout(allowed)

    def _patience(self, idle_end: float | None) -> float:
        now = time.monotonic()
        seconds = STARVED_SECONDS if self._worker.is_starved else BODY_SECONDS
        end = self.started + seconds
        if idle_end is not None:
            end = min(end, idle_end)
        if now >= end:
            raise TimeoutError("the request did not come in time")
        return min(_LOOK_SECONDS, end - now)


class Connection(TConn):
    """A client's connection, from its acceptance to its end."""

    def __init__(self, worker: "Worker", sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(worker.cfg, sock, client, server)
        self.worker = worker
        self.address = worker.counted.of(client[0] if isinstance(client, tuple) else None)
        self.header = bytearray()
        """What came of a request's header."""
        self.header_deadline = 0.0
        self.unreader: TimedUnreader | None = None
        """None under TLS, or before a header has come."""
        self.left = False

    def prepare(self) -> None:
        """Hands what came to a parser, for the threads."""
        self.sock.setblocking(True)
        if self.unreader is None:
            self.unreader = TimedUnreader(self.sock, self.worker)
            parser = cast("RequestParser", get_parser(self.cfg, self.sock, self.client))
            parser.unreader = self.unreader
            self.parser = parser
            self.initialized = True
        self.unreader.unread(bytes(self.header))
        self.header = bytearray()

    def close(self, graceful: bool = False) -> None:
        """Closes it; `graceful`: when the client has ended too or was waited for."""
        if self.left:
            return
        self.left = True
        self.worker.forget(self)
        if not graceful or not self.worker.drain(self.sock):
            util.close(self.sock)


class Worker(ThreadWorker):
    """See the module. All but `handle` and what it calls runs in the worker's main thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.counted = CountedAddresses(self.cfg.forwarded_allow_ips)
        self._addresses: Counter[str] = Counter()
        self._heading: dict[Connection, None] = {}
        self._draining: dict[socket.socket, tuple[float, list[int]]] = {}
        self._waiting = 0
        self._busy = 0
        self._count_lock = threading.Lock()

    @property
    def is_starved(self) -> bool:
        """Whether requests wait for a thread."""
        return self._waiting > 0 and self._busy >= self.cfg.threads

    # -- connections -------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Takes a connection, unless its address has enough of them."""
        try:
            sock, client = listener.accept()
        except OSError:
            return  # the other worker was quicker, or the client left
        connection = Connection(self, sock, client, listener.getsockname())
        if connection.address:
            if self._addresses[connection.address] >= MAX_CONNECTIONS_PER_ADDRESS:
                util.close(sock)
                return
            self._addresses[connection.address] += 1
        self.nr_conns += 1
        self.enqueue_req(connection)

    def forget(self, connection: Connection) -> None:
        """The connection ends."""
        self._heading.pop(connection, None)
        if connection.address:
            self._addresses[connection.address] -= 1
            if not self._addresses[connection.address]:
                del self._addresses[connection.address]

    def enqueue_req(self, conn: TConn) -> None:
        """Gives the next request of a connection to a thread as soon as its header is there."""
        assert isinstance(conn, Connection)  # noqa: S101 - accept made it
        if self.cfg.is_ssl:  # only threads may shake hands
            self._submit(conn)
            return
        if conn.unreader is not None:
            conn.header += conn.unreader.take_buffered()  # requests may come in one piece
        conn.header_deadline = time.monotonic() + HEADER_SECONDS
        conn.sock.setblocking(False)
        if not self._gather(conn):
            self._heading[conn] = None
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_header, conn))

    def _on_header(self, conn: Connection, sock: socket.socket) -> None:
        self.poller.unregister(sock)
        if not self._gather(conn):
            self.poller.register(sock, selectors.EVENT_READ, partial(self._on_header, conn))

    def _gather(self, conn: Connection) -> bool:
        """Reads what there is of the header; whether the loop is done with the connection."""
        searched = 0
        while conn.header.find(_END_OF_HEADER, searched) < 0:
            if len(conn.header) > MAX_HEADER_BYTES:
                self._refuse(conn, *_oversize(conn.header))
                return True
            searched = max(0, len(conn.header) - len(_END_OF_HEADER) + 1)
            try:
                piece = conn.sock.recv(_HEADER_PIECE_BYTES)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                piece = b""
            if not piece:
                self._end(conn)
                return True
            conn.header += piece
        self._heading.pop(conn, None)
        conn.prepare()
        self._submit(conn)
        return True

    def _submit(self, conn: Connection) -> None:
        with self._count_lock:
            self._waiting += 1
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Answers a request, in a thread."""
        assert isinstance(conn, Connection)  # noqa: S101 - accept made it
        with self._count_lock:
            self._waiting -= 1
            self._busy += 1
        try:
            if conn.unreader is not None:
                conn.unreader.started = time.monotonic()
            return super().handle(conn)
        finally:
            with self._count_lock:
                self._busy -= 1

    def murder_pending(self) -> None:
        """Ends what is overdue; gunicorn calls it once a second."""
        super().murder_pending()
        now = time.monotonic()
        for conn in list(self._heading):
            if now >= conn.header_deadline or (not self.alive and not conn.header):
                self.poller.unregister(conn.sock)
                if conn.header:
                    self._refuse(conn, "header-incomplete", "the header did not come in time")
                else:
                    self._end(conn)
        for sock, (deadline, _) in list(self._draining.items()):
            if now >= deadline:
                self._drained(sock)

    def _end(self, conn: Connection, *, graceful: bool = False) -> None:
        self.nr_conns -= 1
        conn.close(graceful)

    # -- ending connections ------------------------------------------------------------------

    def drain(self, sock: socket.socket) -> bool:
        """Sends the connection's end, and reads on until the client's comes; False: close it."""
        if len(self._draining) >= MAX_DRAINING or not self.alive:
            return False
        try:
            sock.setblocking(False)
            sock.shutdown(socket.SHUT_WR)
            self.poller.register(sock, selectors.EVENT_READ, self._on_drainable)
        except (OSError, ValueError, KeyError):
            return False
        self._draining[sock] = (time.monotonic() + DRAIN_SECONDS, [MAX_DRAINED_BYTES])
        return True

    def _on_drainable(self, sock: socket.socket) -> None:
        left = self._draining[sock][1]
        try:
            for _ in range(_PIECES_AT_ONCE):  # others wait for the loop
                piece = sock.recv(_PIECE_BYTES)
                left[0] -= len(piece)
                if not piece or left[0] < 0:
                    break
            else:
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._drained(sock)

    def _drained(self, sock: socket.socket) -> None:
        del self._draining[sock]
        self.poller.unregister(sock)
        util.close(sock)

    # -- refusals ----------------------------------------------------------------------------

    def _refuse(self, conn: Connection, code: str, detail: str) -> None:
        send_problem(conn.sock, code, detail)
        self._end(conn, graceful=True)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Answers what gunicorn itself refuses as the application answers its refusals."""
        if not isinstance(exc, ParseException):
            _logger.error("a request failed in the server", exc_info=exc)
            send_problem(client, "internal-error", "an error in this node; its log says more")
            return
        code = "bad-request"
        if isinstance(exc, LimitRequestLine):
            code = "address-too-long"
        elif isinstance(exc, LimitRequestHeaders):
            code = "header-too-large"
        send_problem(client, code, str(exc) or "this is not HTTP as it should be")


def send_problem(sock: socket.socket, code: str, detail: str) -> None:
    """Sends a whole answer, as far as the client takes it without being waited for."""
    status = status_of(code)
    printable = "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in detail
    )
    body = encode_problem(code, printable, {}, status)
    fields = HEADERS | {
        "Content-Type": PROBLEM_TYPE,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    try:
        sock.setblocking(False)
        sock.send("\r\n".join([*lines, "", ""]).encode("ascii") + body)
    except OSError:
        pass  # it went away, or never reads


def _oversize(header: bytearray) -> tuple[str, str]:
    if header.find(b"\r\n") < 0:
        return "address-too-long", f"the request line is over {MAX_HEADER_BYTES} bytes"
    return "header-too-large", f"the header is over {MAX_HEADER_BYTES} bytes"
