"""Events over real sockets."""

import os
from collections.abc import Iterator

import msgspec
import pytest
import zmq

from cairn.ipc.events import EventSubscriber
from cairn.ipc.messages import (
    Done,
    Event,
    MineRequested,
    PeerChanged,
    Reply,
    Request,
    TipChanged,
    TransactionsAdded,
)
from tests.support.ipc import ServerThread

TIP = TipChanged(bytes(32), 7, 3, 1_700_000_000, 0, 6)
ADDED = TransactionsAdded([bytes(32)], 1)
PEER = PeerChanged("k" * 40, "node-1", "connected")
MINE = MineRequested(2)


async def handle(request: Request) -> Reply:
    return Done()


@pytest.fixture
def server() -> Iterator[ServerThread]:
    thread = ServerThread(handle)
    yield thread
    thread.remove()


def publish_until_heard(server: ServerThread, subscriber: EventSubscriber, event: Event) -> Event:
    """A subscription takes a moment; what came before it is lost by design."""
    for _ in range(400):
        server.publish(event)
        heard = subscriber.next(0.05)
        if heard is not None:
            while subscriber.next(0.1) is not None:
                pass
            return heard
    raise AssertionError("no event came")


def test_subscriber_gets_every_kind_of_event_in_order(server: ServerThread) -> None:
    with EventSubscriber(server.event_socket) as subscriber:
        assert publish_until_heard(server, subscriber, MINE) == MINE
        for event in (TIP, ADDED, PEER, MINE):
            server.publish(event)
        assert [subscriber.next(10) for _ in range(4)] == [TIP, ADDED, PEER, MINE]
        assert subscriber.next(0) is None


def test_subscriber_gets_only_what_it_asked_for(server: ServerThread) -> None:
    with EventSubscriber(server.event_socket, (TipChanged,)) as subscriber:
        assert publish_until_heard(server, subscriber, TIP) == TIP
        server.publish(PEER)
        server.publish(TIP)
        assert subscriber.next(10) == TIP


def test_subscriber_finds_a_server_that_restarts(server: ServerThread) -> None:
    with EventSubscriber(server.event_socket) as subscriber:
        publish_until_heard(server, subscriber, TIP)
        server.stop()
        server.start()
        assert publish_until_heard(server, subscriber, PEER) == PEER


def test_iteration_gives_events(server: ServerThread) -> None:
    with EventSubscriber(server.event_socket) as subscriber:
        publish_until_heard(server, subscriber, TIP)
        server.publish(PEER)
        assert next(iter(subscriber)) == PEER


def test_waiting_ends_when_another_descriptor_can_be_read(server: ServerThread) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    with EventSubscriber(server.event_socket) as subscriber:
        assert subscriber.next(60, [reader]) is None
    os.close(reader)
    os.close(writer)


def test_unsendable_event_does_not_end_the_server(server: ServerThread) -> None:
    with EventSubscriber(server.event_socket) as subscriber:
        server.publish(MineRequested(2**70))
        assert publish_until_heard(server, subscriber, TIP) == TIP


def test_subscriber_drops_what_is_not_an_event(server: ServerThread) -> None:
    endpoint = f"ipc://{server.directory / 'other.sock'}"
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        publisher.bind(endpoint)
        with EventSubscriber(endpoint) as subscriber:
            assert publisher.poll(10_000)
            publisher.recv()  # the subscription
            for frames in ([b"x"], [b"x", b"\xc1"], [b"x", b"\xff" * 9], [b"a", b"b", b"c"], [b""]):
                publisher.send_multipart(frames)
            bad_text = b"\x81\xa4type\xa4\xff\xff\xff\xff"
            publisher.send_multipart([b"x", bad_text])
            publisher.send_multipart([b"PeerChanged", msgspec.msgpack.encode(PEER)])
            assert subscriber.next(10) == PEER
