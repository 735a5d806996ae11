"""Peers that claim, serve and broadcast what no honest node would: each fault has an author."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import cycle
from typing import Any

import msgspec
import pytest

from cairn.network.sync import STALLED_SECONDS
from tests.integration.network.hostile import Body, HostilePeer
from tests.integration.network.nodes import Node, until
from tests.support.builders import (
    COIN,
    NOBODY,
    ChainBuilder,
    altered_block,
    block_bytes,
    build_block,
    make_key,
    make_params,
    make_transaction,
    mine_header,
)

PARAMS = make_params()


def scene(play: Callable[[Node, HostilePeer], Awaitable[None]], **settings: Any) -> None:
    """One node that is connected to one hostile peer."""

    async def scenario() -> None:
        async with Node(PARAMS, 0, **settings) as node, HostilePeer(PARAMS) as peer:
            await play(node, peer)

    asyncio.run(scenario())


async def connect(node: Node, peer: HostilePeer) -> None:
    node.network.handle_join(peer.record())
    await until(lambda: state_of(node, peer) == "connected")


def state_of(node: Node, peer: HostilePeer) -> str:
    views = node.network.status()
    return next((view.state for view in views if view.curve_key == peer.keys.public), "")


def score_of(node: Node, peer: HostilePeer) -> int:
    views = node.network.status()
    return next((view.score for view in views if view.curve_key == peer.keys.public), 0)


async def publish_until(peer: HostilePeer, done: Callable[[], bool], *frames: bytes) -> None:
    """Broadcasts again and again: the first ones are lost before the node subscribes."""
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        await peer.publish(*frames)
        await asyncio.sleep(0.02)


# -- broadcasts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        (b"tx",),
        (b"tx", b"\xff"),
        (b"tx", b"", b""),
        (b"txt", msgspec.msgpack.encode({"type": "transactions_broadcast"})),
        (b"chain", msgspec.msgpack.encode({"type": "tip_broadcast", "sequence": 1})),
        (
            b"tx",
            msgspec.msgpack.encode(
                {"type": "transactions_broadcast", "sequence": 1, "transactions": [b""] * 501}
            ),
        ),
    ],
    ids=["one-frame", "no-msgpack", "three-frames", "topic", "fields-missing", "too-many"],
)
def test_malformed_broadcasts_ban(frames: tuple[bytes, ...]) -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        await connect(node, peer)
        await publish_until(peer, lambda: state_of(node, peer) == "banned", *frames)

    scene(play)


def test_transaction_with_a_bad_signature_is_scored_and_not_kept() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        await connect(node, peer)
        sound = make_transaction(make_key(1), PARAMS, 0, NOBODY, 5, 1_000)
        forged = sound.raw[:-64] + make_key(2).sign(b"something else")
        frame = transactions(forged)
        await publish_until(peer, lambda: score_of(node, peer) == 50, b"tx", frame)
        assert not node.ledger.pool

    scene(play)


def test_transaction_against_policy_costs_nothing() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        await connect(node, peer)
        too_much = make_transaction(make_key(1), PARAMS, 0, NOBODY, 10_000 * COIN, 1_000)
        sound = make_transaction(make_key(1), PARAMS, 0, NOBODY, 5, 1_000)
        frame = transactions(too_much.raw, sound.raw)
        await publish_until(peer, lambda: sound.id in node.ledger.pool, b"tx", frame)
        assert score_of(node, peer) == 0
        assert list(node.ledger.pool) == [sound.id]

    scene(play)


def transactions(*raws: bytes) -> bytes:
    return msgspec.msgpack.encode(
        {"type": "transactions_broadcast", "sequence": 1, "transactions": list(raws)}
    )


def test_gap_in_the_numbering_pulls_the_pool() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        lost = make_transaction(make_key(1), PARAMS, 0, NOBODY, 5, 1_000)

        def answer(body: Body) -> object:
            if body["type"] != "get_transactions" or not pool:
                return None
            if body["ids"] is None:
                return {"type": "transaction_ids", "ids": list(pool)}
            return {"type": "transactions", "transactions": [pool[each] for each in body["ids"]]}

        pool: dict[bytes, bytes] = {}
        peer.answer = answer
        await connect(node, peer)
        await until(lambda: "get_transactions" in peer.kinds_asked())  # at the first meeting
        assert not node.ledger.pool
        pool[lost.id] = lost.raw
        deadline = time.monotonic() + 20
        while lost.id not in node.ledger.pool:
            assert time.monotonic() < deadline
            await peer.announce(transactions_sequence=7)
            await asyncio.sleep(0.02)

    scene(play)


# -- claims and headers --------------------------------------------------------------------------


def test_headers_without_work_ban_before_any_body_is_asked_for() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(20):
            chain.mine()
        idle = mine_header(chain.blocks[10].header, met=False)
        blocks = list(chain.blocks)
        blocks[10] = build_block(idle, blocks[10].coinbase, ())
        headers = [block.raw[:96] for block in blocks]
        peer.chain += chain.blocks
        peer.answer = lambda body: (
            {"type": "headers", "headers": headers} if body["type"] == "get_headers" else None
        )
        node.network.handle_join(peer.record())
        await until(lambda: state_of(node, peer) == "banned")
        assert "get_headers" in peer.kinds_asked()
        assert "get_blocks" not in peer.kinds_asked()
        assert node.ledger.height == 0

    scene(play)


def test_claimed_work_without_headers_leads_to_nothing() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(3):
            chain.mine()
        node.ledger.extend(chain.blocks)
        peer.chain += chain.fork(1).blocks
        peer.claimed_work = 2**200
        await connect(node, peer)
        await until(lambda: "get_headers" in peer.kinds_asked())
        await until(lambda: node.network.is_synced)
        assert "get_blocks" not in peer.kinds_asked()
        assert node.ledger.height == 3
        assert score_of(node, peer) == 0

    scene(play)


def test_words_about_work_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A liar that never shows its headers: the node counts as synced, and follows the honest."""
    monkeypatch.setattr("cairn.network.sync.START_SECONDS", 0.0)

    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(5):
            chain.mine()
        async with Node(PARAMS, 0) as node, Node(PARAMS, 1) as honest, HostilePeer(PARAMS) as liar:
            liar.chain += chain.fork(2).blocks
            liar.claimed_work = 2**255
            liar.answer = lambda body: (
                HostilePeer.SILENCE if body["type"] == "get_headers" else None
            )
            await connect(node, liar)
            await until(lambda: "get_headers" in liar.kinds_asked())
            assert node.network.is_synced
            assert node.network.best_peer_height == 0
            honest.meet(node)
            honest.ledger.extend(chain.blocks)
            honest.network.broadcast_tip(honest.ledger.tip())
            await until(lambda: node.ledger.height == 5)
            await until(lambda: node.network.best_peer_height == 5)
            # The fetch ends a moment after its last block, long before it would count as stalled.
            await until(lambda: node.network.is_synced, STALLED_SECONDS / 2)

    asyncio.run(scenario())


def test_liars_that_repeat_our_tip_starve_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four liars claim endless work, show nothing, and say our own tip in between."""
    monkeypatch.setattr("cairn.network.sync.RETRY_SECONDS", 0.5)

    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(6):
            chain.mine()
        async with AsyncExitStack() as stack:
            node = await stack.enter_async_context(Node(PARAMS, 0))
            honest = await stack.enter_async_context(Node(PARAMS, 1))
            liars = [
                await stack.enter_async_context(HostilePeer(PARAMS, 90 + number))
                for number in range(4)
            ]
            for liar in liars:
                liar.chain += chain.fork(2).blocks
                liar.answer = lambda body: (
                    HostilePeer.SILENCE if body["type"] == "get_headers" else None
                )
                await connect(node, liar)
            stack.callback(asyncio.create_task(alternate(node, liars)).cancel)
            for liar in liars:
                await until(lambda liar=liar: "get_headers" in liar.kinds_asked())
            honest.ledger.extend(chain.blocks)
            honest.meet(node)
            await until(lambda: node.ledger.height == 6)
            assert all(score_of(node, liar) == 0 for liar in liars)

    asyncio.run(scenario())


async def alternate(node: Node, liars: list[HostilePeer]) -> None:
    """Announces the node's own tip and, at once after it, endless work."""
    endless = b"\x7f" + bytes(31)
    while True:
        for liar in liars:
            tip = node.ledger.tip()
            await liar.announce(header=tip.header, chain_work=tip.chain_work.to_bytes(32, "big"))
            await liar.announce(chain_work=endless)
        await asyncio.sleep(0.02)


def test_work_that_headers_never_show_is_scored_from_the_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cairn.network.sync.DISBELIEF_SECONDS", 0.05)

    async def play(node: Node, peer: HostilePeer) -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(3):
            chain.mine()
        node.ledger.extend(chain.blocks)
        peer.chain += chain.fork(1).blocks
        peer.claimed_work = 2**200
        node.network.handle_join(peer.record())
        await until(lambda: state_of(node, peer) == "banned", 40)
        asked = [body for body in peer.asked if body["type"] == "get_headers"]
        assert len(asked) == 6  # 0, then 20 points each
        assert node.network.best_peer_height == 0
        assert node.ledger.height == 3

    scene(play)


def test_claim_of_more_work_behind_our_own_tip_is_known_to_be_wrong() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        peer.claimed_work = 2**200
        await connect(node, peer)
        assert node.network.is_synced
        assert "get_headers" not in peer.kinds_asked()

    scene(play)


def test_height_that_no_header_showed_is_not_believed() -> None:
    """A single header that meets the easiest target may name any height."""

    async def play(node: Node, peer: HostilePeer) -> None:
        tall = mine_header(replace(ChainBuilder(PARAMS).mine().header, height=4_000_000_000))
        peer.answer = lambda body: (
            {**peer.hello(type="welcome", header=tall.encode()), "transactions_sequence": 0}
            if body["type"] == "hello"
            else None
        )
        await connect(node, peer)
        assert score_of(node, peer) == 0
        assert node.network.best_peer_height == 0
        assert node.network.is_synced

    scene(play)


def test_tip_that_is_no_block_bans() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        await connect(node, peer)
        idle = mine_header(ChainBuilder(PARAMS).mine().header, met=False)
        frame = {
            "type": "tip_broadcast",
            "sequence": 1,
            "transactions_sequence": 0,
            "header": idle.encode(),
            "chain_work": bytes(31) + b"\x09",
        }
        raw = msgspec.msgpack.encode(frame)
        await publish_until(peer, lambda: state_of(node, peer) == "banned", b"chain", raw)

    scene(play)


def test_peer_of_another_network_is_left_alone_without_points() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        record = peer.record()
        peer.answer = lambda body: {
            **peer.hello(type="welcome", network_id=bytes(32)),
            "transactions_sequence": 0,
        }
        node.network.handle_join(record)
        await until(lambda: peer.asked)
        asked = len(peer.asked)
        started = time.monotonic()
        await until(lambda: time.monotonic() - started > 1.0)
        assert len(peer.asked) == asked
        assert score_of(node, peer) == 0
        assert state_of(node, peer) != "connected"

    scene(play)


def test_node_that_refuses_our_network_is_left_alone() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        peer.answer = lambda body: {"type": "refusal", "rule": "network-mismatch", "detail": "no"}
        node.network.handle_join(peer.record())
        await until(lambda: peer.asked)
        started = time.monotonic()
        await until(lambda: time.monotonic() - started > 1.0)
        assert len(peer.asked) == 1

    scene(play)


# -- blocks --------------------------------------------------------------------------------------


def test_announced_block_that_creates_money_bans() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        await connect(node, peer)
        sound = ChainBuilder(PARAMS).mine()
        greedy = altered_block(
            sound, PARAMS, coinbase=type(sound.coinbase)(NOBODY, PARAMS.subsidy(1) + 1)
        )
        peer.chain.append(greedy)
        deadline = time.monotonic() + 20
        while state_of(node, peer) != "banned":
            assert time.monotonic() < deadline
            await peer.announce()
            await asyncio.sleep(0.02)
        assert node.ledger.height == 0

    scene(play)


def test_bad_body_of_a_good_header_is_fetched_from_another() -> None:
    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(40):
            chain.mine()
        async with Node(PARAMS, 0) as node, Node(PARAMS, 1) as honest, HostilePeer(PARAMS) as peer:
            honest.ledger.extend(chain.blocks)
            peer.chain += chain.blocks
            peer.answer = lambda body: tampered(body, peer)
            node.network.handle_join(peer.record())
            await until(lambda: state_of(node, peer) == "banned")
            assert node.ledger.height < 40
            honest.meet(node)
            await until(lambda: node.ledger.height == 40)

    asyncio.run(scenario())


def tampered(body: Body, peer: HostilePeer) -> object:
    """Headers as they are, and bodies with another coinbase."""
    if body["type"] != "get_blocks":
        return None
    wanted = {block.hash: block for block in peer.chain}
    blocks = [wanted[each] for each in body["hashes"]]
    thief = type(blocks[0].coinbase)(make_key(90).address, 1)
    return {"type": "blocks", "blocks": [block_bytes(each.header, thief, ()) for each in blocks]}


def test_silent_peer_delays_a_sync_and_is_not_scored() -> None:
    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(300):
            chain.mine()
        async with Node(PARAMS, 0) as node, Node(PARAMS, 1) as honest, HostilePeer(PARAMS) as peer:
            peer.chain += chain.blocks
            peer.answer = lambda body: HostilePeer.SILENCE if body["type"] == "get_blocks" else None
            await connect(node, peer)
            await until(lambda: "get_blocks" in peer.kinds_asked())
            honest.ledger.extend(chain.blocks)
            honest.meet(node)
            await until(lambda: node.ledger.height == 300, 30)
            assert score_of(node, peer) == 0

    asyncio.run(scenario())


def test_stalled_bodies_are_asked_of_others() -> None:
    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(300):
            chain.mine()
        async with Node(PARAMS, 0) as node, Node(PARAMS, 1) as honest, HostilePeer(PARAMS) as peer:
            honest.ledger.extend(chain.blocks[:-1])
            peer.chain += chain.blocks
            peer.answer = lambda body: (
                HostilePeer.SILENCE
                if body["type"] == "get_blocks" and len(body["hashes"]) > 1
                else None
            )
            honest.meet(node)
            node.network.handle_join(peer.record())
            await until(lambda: node.ledger.height == 300, 40)

    asyncio.run(scenario())


def test_blocks_nobody_asked_for_ban() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(5):
            chain.mine()
        peer.chain += chain.blocks
        other = ChainBuilder(PARAMS).mine(extra=b"other").raw
        peer.answer = lambda body: (
            {"type": "blocks", "blocks": [other]} if body["type"] == "get_blocks" else None
        )
        node.network.handle_join(peer.record())
        await until(lambda: state_of(node, peer) == "banned")
        assert node.ledger.height == 0

    scene(play)


def test_malformed_replies_ban_in_time() -> None:
    async def play(node: Node, peer: HostilePeer) -> None:
        replies = cycle([b"", b"\xff" * 9, b"\x92\x01", msgspec.msgpack.encode([1, {}])])
        peer.answer = lambda body: next(replies)
        node.network.handle_join(peer.record())
        await until(lambda: state_of(node, peer) == "banned", 60)

    scene(play, request_timeout_seconds=0.1)
