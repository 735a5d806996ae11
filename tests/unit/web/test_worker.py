"""The worker's bounds that a test cannot reach over loopback."""

import selectors
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from gunicorn.config import Config

from cairn.web.worker import MAX_CONNECTIONS_PER_ADDRESS, Worker


class Listener:
    """A listener whose clients come from where the test says."""

    def __init__(self) -> None:
        self.clients: list[socket.socket] = []
        self.address: Any = ("203.0.113.7", 5)

    def accept(self) -> tuple[socket.socket, Any]:
        client, ours = socket.socketpair()
        self.clients.append(client)
        return ours, self.address

    def getsockname(self) -> tuple[str, int]:
        return ("203.0.113.1", 80)


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    for client in made.clients:
        client.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    config = Config()
    config.set("worker_class", "cairn.web.worker.Worker")
    made = Worker(0, 0, [], None, 1, config, None)
    made.poller = selectors.DefaultSelector()
    yield made
    made.poller.close()


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


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 5), ("::1", 5, 0, 0), ("::ffff:127.0.0.1", 5, 0, 0), ""]
)
def test_local_programs_are_not_counted(worker: Worker, listener: Listener, address: Any):
    listener.address = address
    assert not any(connect(worker, listener, MAX_CONNECTIONS_PER_ADDRESS + 5))
