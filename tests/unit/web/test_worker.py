"""The worker's bounds that a test cannot reach over loopback, and what it needs of gunicorn."""

import importlib
import inspect
import selectors
import socket
from collections.abc import Iterator
from typing import Any

import gunicorn
import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from cairn.web.worker import MAX_CONNECTIONS_PER_ADDRESS, Worker


class Listener:
    """A listener whose clients come from where the test says."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.accepted: list[socket.socket] = []
        self.address: Any = ("203.0.113.7", 5)

    def accept(self) -> tuple[socket.socket, Any]:
        client, ours = socket.socketpair()
        self.clients.append(client)
        self.accepted.append(ours)
        return ours, self.address

    def getsockname(self) -> tuple[str, int]:
        return ("203.0.113.1", 80)


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    for line in made.clients + made.accepted:
        line.close()


@pytest.fixture
def proxies() -> str:
    """gunicorn's `forwarded_allow_ips`."""
    return "127.0.0.1,::1"


@pytest.fixture
def worker(proxies: str) -> Iterator[Worker]:
    config = Config()
    config.set("worker_class", "cairn.web.worker.Worker")
    config.set("forwarded_allow_ips", proxies)
    made = Worker(0, 0, [], None, 1, config, None)
    made.poller = selectors.DefaultSelector()
    yield made
    made.poller.close()
    made.tmp.close()


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def connect(worker: Worker, listener: Listener, count: int) -> list[bool]:
    """Which of that many new connections were refused."""
    for _ in range(count):
        worker.accept(listener)  # type: ignore[arg-type]
    return [is_closed(client) for client in listener.clients[-count:]]


def test_an_address_has_a_share_of_the_connections(worker: Worker, listener: Listener):
    refused = connect(worker, listener, MAX_CONNECTIONS_PER_ADDRESS + 2)
    assert refused == [False] * MAX_CONNECTIONS_PER_ADDRESS + [True] * 2
    assert worker.nr_conns == MAX_CONNECTIONS_PER_ADDRESS
    listener.address = ("203.0.113.8", 5)
    assert connect(worker, listener, 1) == [False]


def test_a_connection_that_ends_makes_room(worker: Worker, listener: Listener):
    connect(worker, listener, MAX_CONNECTIONS_PER_ADDRESS)
    listener.clients[0].shutdown(socket.SHUT_WR)
    worker.wait_for_and_dispatch_events(0)
    assert connect(worker, listener, 2) == [False, True]


def test_addresses_of_one_ipv6_customer_share(worker: Worker, listener: Listener):
    listener.address = ("2001:db8::1", 5, 0, 0)
    assert not any(connect(worker, listener, MAX_CONNECTIONS_PER_ADDRESS))
    listener.address = ("2001:db8::ffff:1", 5, 0, 0)
    assert connect(worker, listener, 1) == [True]
    listener.address = ("2001:db8:0:1::1", 5, 0, 0)
    assert connect(worker, listener, 1) == [False]


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 5), ("::1", 5, 0, 0), ("::ffff:127.0.0.1", 5, 0, 0), ""]
)
def test_local_programs_are_not_counted(worker: Worker, listener: Listener, address: Any):
    listener.address = address
    assert not any(connect(worker, listener, MAX_CONNECTIONS_PER_ADDRESS + 5))


@pytest.mark.parametrize("proxies", ["203.0.113.7", "198.51.100.1,203.0.113.0/24", "*"])
def test_proxies_are_not_counted(worker: Worker, listener: Listener):
    assert not any(connect(worker, listener, MAX_CONNECTIONS_PER_ADDRESS + 5))


NEEDED = {
    "gunicorn.workers.gthread:ThreadWorker": {
        "accept": "listener",
        "enqueue_req": "conn",
        "finish_request": "conn fs",
        "handle": "conn",
        "handle_error": "req client addr exc",
        "murder_keepalived": "force",
        "murder_pending": "",
        "on_client_socket_readable": "conn client",
        "set_accept_enabled": "enabled",
        "wait_for_and_dispatch_events": "timeout",
    },
    "gunicorn.workers.gthread:TConn": {
        "__init__": "cfg sock client server",
        "close": "graceful",
        "init": "",
    },
    "gunicorn.http.unreader:SocketUnreader": {
        "__init__": "sock max_chunk",
        "chunk": "size_hint",
        "take_buffered": "",
        "unread": "data",
    },
    "gunicorn.http.parser:RequestParser": {"finish_body": "deadline max_bytes"},
}
"""What our worker overrides or calls, with its parameters after `self`."""


@pytest.mark.parametrize("path", NEEDED)
def test_gunicorn_is_built_as_our_worker_needs_it(path: str):
    module, _, name = path.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    parts = {part: _parameters(getattr(found, part, None)) for part in NEEDED[path]}
    assert parts == NEEDED[path], f"{path} is not as cairn.web.worker needs it: {NOT_THAT_GUNICORN}"


NOT_THAT_GUNICORN = (
    f"gunicorn {gunicorn.__version__} is not the one that cairn.web.worker was written for. "
    "Look through its workers/gthread.py, mend the worker, and only then widen pyproject.toml."
)


def _parameters(part: Any) -> str | None:
    return " ".join(list(inspect.signature(part).parameters)[1:]) if part else None


def test_gunicorn_calls_what_our_worker_overrides(worker: Worker):
    for caller, called in [
        ("run", "murder_pending()"),
        ("set_accept_enabled", "self.accept)"),
        ("finish_request", "self.enqueue_req(conn)"),
        ("finish_request", "conn.close(graceful=True)"),
        ("enqueue_req", "self.handle, conn"),
        ("handle", "conn.init()"),
        ("handle", "self.handle_error("),
    ]:
        assert called in inspect.getsource(getattr(ThreadWorker, caller)), (
            f"{caller} no longer does {called}: {NOT_THAT_GUNICORN}"
        )
    for name in ("poller", "nr_conns", "tpool", "keepalived_conns"):
        assert name in vars(worker), f"{name}: {NOT_THAT_GUNICORN}"
