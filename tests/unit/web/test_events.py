"""Server-sent events: names, data, bounds, and clients that read too slowly."""

import json
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cairn.ipc.messages import MineRequested, PeerChanged, TipChanged, TransactionsAdded
from cairn.web.events import MAX_STREAMS_PER_ADDRESS, QUEUED_EVENTS, EventHub, EventStream
from cairn.web.node import EXTENSION
from cairn.web.problems import ApiProblem
from cairn.web.security import CountedAddresses
from tests.support.builders import make_key
from tests.support.polling import wait_until
from tests.support.web import WebTestNode

TIP = TipChanged(bytes(32), 7, 2, 1_700_000_000, 0, 6)


@pytest.fixture
def hub(node: WebTestNode) -> Iterator[EventHub]:
    """Of two clients at most."""
    made = EventHub(node.config.event_socket, 2)
    yield made
    made.stop()


def sent(stream: EventStream) -> list[tuple[str, dict]]:
    """Names and data of what waits for a client."""
    events = []
    while not stream.frames.empty():
        frame = stream.frames.get_nowait()
        assert frame is not None
        assert frame.endswith(b"\n\n")
        lines = dict(line.split(b": ", 1) for line in frame.strip().split(b"\n"))
        assert set(lines) == {b"id", b"event", b"data"}
        events.append((lines[b"event"].decode(), json.loads(lines[b"data"])))
    return events


def test_each_event_has_its_name_and_data(hub: EventHub):
    stream = hub.open()
    hub.publish(TIP)
    hub.publish(TransactionsAdded([b"\1" * 32] * 150, 150))
    hub.publish(PeerChanged("key", "name", "connected"))
    hub.publish(MineRequested(1))
    events = sent(stream)
    names = [name for name, _ in events]
    assert names == ["new-block", "new-transaction", "peer"]
    assert events[0][1] == {
        "hash": "00" * 32,
        "height": 7,
        "transactions": 2,
        "timestamp": 1_700_000_000,
    }
    assert len(events[1][1]["ids"]) == 100
    assert events[1][1]["count"] == 150
    assert events[2][1] == {"curve_key": "key", "name": "name", "state": "connected"}


def test_reorganisation_is_told_before_its_block(hub: EventHub):
    stream = hub.open()
    hub.publish(TipChanged(bytes(32), 9, 0, 1_700_000_000, 3, 5))
    (first, data), (second, _) = sent(stream)
    assert (first, second) == ("reorg", "new-block")
    assert (data["disconnected"], data["fork_height"], data["height"]) == (3, 5, 9)


def test_clients_over_the_limit_are_refused_until_one_leaves(hub: EventHub):
    first, _ = hub.open(), hub.open()
    with pytest.raises(ApiProblem, match="too-many-streams"):
        hub.open()
    hub.close(first)
    hub.open()


def test_an_address_has_a_share_of_the_streams(node: WebTestNode):
    hub = EventHub(node.config.event_socket, 100)
    try:
        taken = [hub.open("203.0.113.7") for _ in range(MAX_STREAMS_PER_ADDRESS)]
        with pytest.raises(ApiProblem, match="of this address"):
            hub.open("203.0.113.7")
        hub.open("203.0.113.8")
        for _ in range(MAX_STREAMS_PER_ADDRESS + 1):
            hub.open("127.0.0.1")
        hub.close(taken[0])
        hub.open("203.0.113.7")
    finally:
        hub.stop()


@pytest.mark.parametrize("named", ["203.0.113.7", "203.0.113.0/24", "*"])
def test_clients_of_a_proxy_are_not_one_crowd(node: WebTestNode, named: str):
    hub = EventHub(node.config.event_socket, 100)
    hub.addresses = CountedAddresses([named])
    try:
        for _ in range(MAX_STREAMS_PER_ADDRESS + 1):
            hub.open("203.0.113.7")
            hub.open("")  # over a unix socket
    finally:
        hub.stop()


def test_slow_client_is_dropped_and_others_are_served(hub: EventHub):
    slow, quick = hub.open(), hub.open()
    received = 0
    for _ in range(QUEUED_EVENTS + 5):
        hub.publish(TIP)
        received += len(sent(quick))
    assert received == QUEUED_EVENTS + 5
    assert slow.dropped
    assert hub.open_streams == 2  # its thread may still hang on a connection nobody reads
    assert len(list(hub.frames(slow))) == 1
    assert hub.open_streams == 1


def test_stopping_ends_the_streams(hub: EventHub):
    frames = hub.frames(hub.open())
    assert next(frames).startswith(b"retry:")
    ended = threading.Thread(target=lambda: list(frames))
    ended.start()
    hub.stopping = True
    ended.join(5)
    assert not ended.is_alive()
    assert hub.open_streams == 0


def test_client_that_never_reads_leaves_nothing_behind(app: Flask, client: FlaskClient):
    hub = app.extensions[EXTENSION].hub
    for _ in range(hub.max_streams + 5):
        assert client.head("/api/v1/events", buffered=True).status_code == 200
        assert hub.open_streams == 0


def test_client_hears_of_transactions_and_blocks(
    app: Flask, client: FlaskClient, node: WebTestNode
):
    reply = client.get("/api/v1/events")
    assert reply.status_code == 200
    assert reply.mimetype == "text/event-stream"
    assert reply.headers["Cache-Control"] == "no-store"
    heard: list[bytes] = []
    frames = reply.iter_encoded()
    heard.append(next(frames))
    reader = threading.Thread(target=lambda: heard.extend(frames), daemon=True)
    reader.start()

    def hears(name: bytes) -> bool:
        return any(b"event: " + name in frame for frame in heard)

    def act() -> bool:
        node.submit([node.transaction(make_key(3), make_key(4))])
        node.mine()
        return hears(b"new-block") and hears(b"new-transaction")

    wait_until(act, 10, "the client hears of it")
    hub = app.extensions[EXTENSION].hub
    hub.stopping = True
    reader.join(5)
    hub.stopping = False
    reply.close()
    assert hub.open_streams == 0
