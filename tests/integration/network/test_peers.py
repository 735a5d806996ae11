"""Honest nodes on loopback: they meet, gossip, pass on and catch up."""

import asyncio
import time

import pytest

from cairn.consensus.errors import RuleError
from cairn.network.keys import generate_curve_keys
from cairn.network.records import decode_record
from tests.integration.network.hostile import HostilePeer
from tests.integration.network.nodes import MemoryNodeStore, Node, all_connected, until
from tests.support.builders import NOBODY, ChainBuilder, make_key, make_params, make_transaction

PARAMS = make_params()


def test_nodes_find_each_other_through_one_alpha() -> None:
    async def scenario() -> None:
        async with Node(PARAMS, 0) as alpha, Node(PARAMS, 1) as first, Node(PARAMS, 2) as second:
            first.meet(alpha)
            second.meet(alpha)
            await all_connected(alpha, first, second)
            assert ("node-2", "connected") in first.changes
            await until(lambda: first.network.status()[0].lag_milliseconds > 0)

    asyncio.run(scenario())


def test_transaction_reaches_every_pool_without_looping() -> None:
    async def scenario() -> None:
        async with Node(PARAMS, 0) as a, Node(PARAMS, 1) as b, Node(PARAMS, 2) as c:
            b.meet(a)
            c.meet(a, b)
            await all_connected(a, b, c)
            transaction = make_transaction(make_key(1), PARAMS, 0, NOBODY, 5, 1_000)
            a.ledger.admit(transaction)
            await until(lambda: transaction.id in b.ledger.pool and transaction.id in c.ledger.pool)
            assert all(view.score == 0 for view in a.network.status())

    asyncio.run(scenario())


def test_pool_of_a_node_met_later_is_pulled() -> None:
    async def scenario() -> None:
        async with Node(PARAMS, 0) as a, Node(PARAMS, 1) as b:
            waiting = [
                make_transaction(make_key(1), PARAMS, number, NOBODY, 5, 1_000, bytes(900))
                for number in range(1_200)
            ]
            for transaction in waiting:
                a.ledger.admit(transaction)
            b.meet(a)
            await until(lambda: len(b.ledger.pool) == len(waiting))

    asyncio.run(scenario())


def test_announced_block_is_fetched_at_once() -> None:
    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        async with Node(PARAMS, 0) as a, Node(PARAMS, 1) as b:
            b.meet(a)
            await all_connected(a, b)
            for height in range(1, 4):
                a.ledger.mine_in(chain.mine())
                await until(lambda height=height: b.ledger.height == height)
            assert b.ledger.offered == [block.hash for block in chain.blocks]
            await until(lambda: a.network.best_peer_height == 3)
            assert b.network.is_synced

    asyncio.run(scenario())


def test_empty_node_fetches_a_long_chain_from_several_peers() -> None:
    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        for _ in range(4_500):  # three batches of headers
            chain.mine()
        async with Node(PARAMS, 0) as a, Node(PARAMS, 1) as b, Node(PARAMS, 2) as empty:
            a.ledger.extend(chain.blocks)
            b.ledger.extend(chain.blocks)
            b.meet(a)
            await all_connected(a, b)
            empty.meet(a, b)
            await until(lambda: empty.ledger.height == 4_500, 60)
            assert empty.ledger.offered == [block.hash for block in chain.blocks]
            assert a.ledger.served
            assert b.ledger.served
            await until(lambda: empty.network.is_synced)

    asyncio.run(scenario())


def test_shorter_branch_loses_when_groups_meet() -> None:
    async def scenario() -> None:
        common = ChainBuilder(PARAMS)
        for _ in range(5):
            common.mine()
        left, right = common.fork(5), common.fork(5)
        for _ in range(30):
            left.mine(extra=b"left")
        for _ in range(31):
            right.mine(extra=b"right")
        async with Node(PARAMS, 0) as a, Node(PARAMS, 1) as b:
            a.ledger.extend(left.blocks)
            b.ledger.extend(right.blocks)
            b.meet(a)
            await until(lambda: a.ledger.tip().hash == right.blocks[-1].hash)
            assert b.ledger.tip().hash == right.blocks[-1].hash
            assert not b.ledger.offered

    asyncio.run(scenario())


def test_restarted_node_connects_by_what_it_stored() -> None:
    async def scenario() -> None:
        store, curve = MemoryNodeStore(), generate_curve_keys()
        async with Node(PARAMS, 0) as a:
            async with Node(PARAMS, 1, store, curve) as b:
                b.meet(a)
                await all_connected(a, b)
            assert store.rows[a.curve.public].state in ("connected", "disconnected")
            assert store.rows[a.curve.public].last_seen > 0
            await until(lambda: not a.is_connected_to(b))
            assert ("node-1", "disconnected") in a.changes
            async with Node(PARAMS, 1, store, curve) as b:
                await until(lambda: b.is_connected_to(a))
                await until(lambda: a.is_connected_to(b))  # by the hello of the newcomer

    asyncio.run(scenario())


def test_blocked_endpoints_part_two_groups_until_unblocked() -> None:
    async def scenario() -> None:
        curve = generate_curve_keys()
        async with Node(PARAMS, 0) as a:
            store = MemoryNodeStore()
            endpoint = decode_record(a.network.record).request
            async with Node(PARAMS, 1, store, curve, blocked_endpoints=(endpoint,)) as b:
                with pytest.raises(RuleError, match="blocked endpoint"):
                    b.network.handle_join(a.network.record)
                a.network.handle_join(b.network.record)
                started = time.monotonic()
                await until(lambda: time.monotonic() - started > 1.5)
                assert not a.is_connected_to(b)
                assert not b.is_connected_to(a)
            async with Node(PARAMS, 1, store, curve) as b:
                await all_connected(a, b)

    asyncio.run(scenario())


def test_nodes_speak_over_ipv6() -> None:
    async def scenario() -> None:
        six = {"publish": "tcp://[::1]:*", "request": "tcp://[::1]:*"}
        async with Node(PARAMS, 0, **six) as a, Node(PARAMS, 1, **six) as b:
            b.meet(a)
            await all_connected(a, b)

    asyncio.run(scenario())


def test_most_peers_tips_tell_how_far_our_clock_is_behind() -> None:
    async def scenario() -> None:
        chain = ChainBuilder(PARAMS)
        chain.mine(timestamp=int(time.time()) + 500)
        async with Node(PARAMS, 0) as node, HostilePeer(PARAMS) as ahead, Node(PARAMS, 1) as other:
            assert node.network.seconds_ahead == 0
            ahead.chain += chain.blocks
            node.network.handle_join(ahead.record())
            await until(lambda: node.network.seconds_ahead > 400)
            assert node.ledger.height == 0
            other.meet(node)
            await until(lambda: node.network.seconds_ahead == 0)  # one of two is not most
            assert [view.score for view in node.network.status()] == [0, 0]

    asyncio.run(scenario())
