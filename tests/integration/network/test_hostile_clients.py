"""Clients that send wrong bytes to a node's public sockets: it answers, scores, and lives."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest
import zmq
import zmq.asyncio

from cairn.consensus.errors import RuleError
from cairn.network.keys import generate_curve_keys
from cairn.network.records import decode_record
from tests.integration.network.hostile import HostilePeer
from tests.integration.network.nodes import Node, all_connected, until
from tests.support.builders import make_params

PARAMS = make_params()
GET_NODES = {"type": "get_nodes"}


def score_of(node: Node, peer: HostilePeer) -> int:
    return next(
        (view.score for view in node.network.status() if view.curve_key == peer.keys.public), 0
    )


def is_ban_stored(node: Node, peer: HostilePeer) -> bool:
    row = node.store.rows.get(peer.keys.public)
    return row is not None and row.banned_until > time.time() + 86_000


def scene(play: Callable[[Node, HostilePeer], Awaitable[None]], **settings: object) -> None:
    """Plays with one node and one hostile peer; afterwards the node must still serve others."""

    async def scenario() -> None:
        async with Node(PARAMS, 0, **settings) as node, HostilePeer(PARAMS) as peer:
            await play(node, peer)
            if settings.get("admission") != "allowlist":
                async with Node(PARAMS, 5) as honest:
                    honest.meet(node)
                    await all_connected(node, honest)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff" * 100,
        b"\x93\x01",
        msgspec.msgpack.encode([1, GET_NODES])[:-3],
        msgspec.msgpack.encode([1, GET_NODES, 2]),
        msgspec.msgpack.encode([-1, GET_NODES]),
        msgspec.msgpack.encode([1.0, GET_NODES]),
        msgspec.msgpack.encode([1, {"type": "get_everything"}]),
        msgspec.msgpack.encode([1, {**GET_NODES, "more": 1}]),
        msgspec.msgpack.encode([1, {"type": "get_headers", "locator": []}]),
        msgspec.msgpack.encode([1, {"type": "get_headers", "locator": [b"short"]}]),
        msgspec.msgpack.encode([1, {"type": "get_headers", "locator": [bytes(32)] * 129}]),
        msgspec.msgpack.encode([1, {"type": "get_blocks", "hashes": [bytes(32)] * 501}]),
        msgspec.msgpack.encode([1, {"type": "get_transactions", "ids": []}]),
        b"\x91" * 50_000,
        b"\x81\xa4type" * 5_000,
    ],
    ids=[
        "empty",
        "no-msgpack",
        "cut-off",
        "truncated",
        "extra-element",
        "negative-id",
        "float-id",
        "unknown-kind",
        "unknown-field",
        "empty-locator",
        "short-hash",
        "long-locator",
        "many-hashes",
        "no-ids",
        "nested-arrays",
        "nested-maps",
    ],
)
def test_malformed_request_is_refused_and_scored(frame: bytes) -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        socket = peer.dealer(node)
        welcome = await peer.ask(socket, peer.hello())
        assert welcome["type"] == "welcome"
        await socket.send(frame)
        number, refusal = msgspec.msgpack.decode(await socket.recv())
        assert (number, refusal["rule"]) == (0, "message-malformed")
        assert score_of(node, peer) == 20
        assert (await peer.ask(socket, GET_NODES))["type"] == "nodes"

    scene(play)


def test_request_of_several_frames_is_refused() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        socket = peer.dealer(node)
        await socket.send_multipart([b"a", b"b", b"c"])
        _, refusal = msgspec.msgpack.decode(await socket.recv())
        assert refusal["rule"] == "message-malformed"

    scene(play)


def test_oversized_frame_ends_the_connection() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        socket = peer.dealer(node)
        events = peer.watch(socket)
        await peer.ask(socket, GET_NODES)
        await socket.send(bytes(200_000))
        async with asyncio.timeout(10):
            await events.recv_multipart()

    scene(play)


def test_five_malformed_requests_ban_and_cut_off() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        dealer, subscriber = peer.dealer(node), peer.subscriber(node)
        events = [peer.watch(socket) for socket in (dealer, subscriber)]
        await peer.ask(dealer, peer.hello())
        async with asyncio.timeout(10):
            await subscriber.recv_multipart()
            for _ in range(5):
                await dealer.send(b"\xff")
            for monitor in events:
                await monitor.recv_multipart()
        assert ("hostile", "banned") in node.changes
        view = next(each for each in node.network.status() if each.curve_key == peer.keys.public)
        assert (view.state, view.connected) == ("banned", False)
        await until(lambda: is_ban_stored(node, peer))
        with pytest.raises(RuleError, match="peer-banned"):
            node.network.handle_join(peer.record())
        again = peer.dealer(node)
        await again.send(msgspec.msgpack.encode([1, GET_NODES]))
        assert not await again.poll(500)
        await node.network.set_ban(peer.keys.public, False)
        assert (await peer.ask(peer.dealer(node), GET_NODES))["type"] == "nodes"

    scene(play)


def test_allowlist_lets_listed_keys_in_and_no_others() -> None:
    listed = generate_curve_keys()

    async def play(node: Node, peer: HostilePeer) -> None:
        stranger = peer.dealer(node)
        await stranger.send(msgspec.msgpack.encode([1, GET_NODES]))
        assert not await stranger.poll(500)
        with pytest.raises(RuleError, match="peer-not-admitted"):
            node.network.handle_join(peer.record())
        peer.keys = listed
        assert (await peer.ask(peer.dealer(node), GET_NODES))["type"] == "nodes"
        node.network.handle_join(peer.record())

    scene(play, admission="allowlist", allowed_keys=(listed.public,))


def test_hello_of_another_network_is_refused_without_points() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        reply = await peer.ask(peer.dealer(node), peer.hello(network_id=bytes(32)))
        assert reply["rule"] == "network-mismatch"
        assert node.network.status() == []

    scene(play)


def test_hello_with_anothers_record_is_refused() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        foreign = peer.record(curve_key=generate_curve_keys().public)
        reply = await peer.ask(peer.dealer(node), peer.hello(record=foreign))
        assert reply["rule"] == "node-record-invalid"
        assert node.network.status() == []

    scene(play)


def test_owner_of_a_curve_key_displaces_who_claimed_it() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        async with HostilePeer(PARAMS, 91) as thief:
            node.network.handle_join(thief.record(curve_key=peer.keys.public))
            assert node.network.status()[0].curve_key == peer.keys.public
            node.network.handle_join(peer.record())  # a mere claim keeps nobody out
            assert decode_record(peer.record()).name == node.network.status()[0].name
            await peer.ask(peer.dealer(node), peer.hello())
            await until(lambda: node.network.status()[0].connected)
            claim = thief.record(curve_key=peer.keys.public, timestamp=int(time.time()) + 60)
            with pytest.raises(RuleError, match="another account's"):
                node.network.handle_join(claim)

    scene(play)


def test_flood_of_requests_is_told_to_wait() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        socket = peer.dealer(node)
        kinds = set()
        for number in range(1_000):
            await socket.send(msgspec.msgpack.encode([number, GET_NODES]))
        while "busy" not in kinds:
            async with asyncio.timeout(10):
                kinds.add(msgspec.msgpack.decode(await socket.recv())[1]["type"])

    scene(play)


def test_flood_of_subscriptions_bans() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        node.network.handle_join(peer.record())
        socket = peer.subscriber(node)
        for number in range(100):
            socket.subscribe(number.to_bytes(4, "big"))
        await until(lambda: ("hostile", "banned") in node.changes)

    scene(play)


def test_plain_sockets_without_curve_get_nothing() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        socket: zmq.asyncio.Socket = peer.context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(decode_record(node.network.record).request)
        await socket.send(msgspec.msgpack.encode([1, GET_NODES]))
        assert not await socket.poll(500)

    scene(play)
