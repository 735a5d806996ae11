"""The ledger as peers see it: what they ask is bounded, and answered from the active chain."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

from cairn.chain.blockchain import BlockFate
from cairn.chain.store import BlockEntry
from cairn.consensus.block import Block, Coinbase
from cairn.consensus.errors import Rule
from cairn.services.listener.ledger_port import ListenerPort
from cairn.services.listener.writer import LedgerWriter
from cairn.storage.chain_store import SqlChainStore
from tests.support.builders import (
    NOBODY,
    ChainBuilder,
    altered_block,
    make_key,
    make_params,
    make_transaction,
)
from tests.support.chain import NOW, ChainNode, sqlite_node

ALICE, BOB = make_key(1), make_key(2)
PARAMS = make_params()


@asynccontextmanager
async def opened(node: ChainNode) -> AsyncIterator[ListenerPort]:
    writer = LedgerWriter(
        node.chain, node.admitter, lambda: NOW + 1_000, lambda _: None, lambda _: None
    )
    await writer.start()
    port = ListenerPort(node.chain, node.store, writer)
    try:
        async with asyncio.timeout(20):
            yield port
    finally:
        port.close()
        await writer.close()


def run(scenario: Callable[[ListenerPort, ChainNode], Coroutine[Any, Any, None]]) -> None:
    async def work() -> None:
        with sqlite_node(PARAMS) as node:
            async with opened(node) as port:
                await scenario(port, node)

    asyncio.run(work())


def test_a_locator_is_dense_at_the_tip_and_ends_with_genesis() -> None:
    async def scenario(port: ListenerPort, node: ChainNode) -> None:
        assert await port.locator() == [PARAMS.network_id()]
        builder = ChainBuilder(PARAMS)
        heights = {PARAMS.network_id(): 0}
        for height in range(1, 41):
            block = builder.mine()
            heights[block.hash] = height
            await port.accept_block(block.raw)
            found = [heights[each] for each in await port.locator()]
            assert found == sorted(set(found), reverse=True)
            assert found[:10] == list(range(height, max(-1, height - 10), -1))
            assert found[-1] == 0
        assert found == [*range(40, 30, -1), 30, 28, 24, 16, 0]

    run(scenario)


def test_headers_follow_the_first_hash_of_the_locator_that_is_active() -> None:
    async def scenario(port: ListenerPort, node: ChainNode) -> None:
        builder = ChainBuilder(PARAMS)
        branch = builder.fork(0)
        blocks = [builder.mine() for _ in range(5)]
        stale = branch.mine(extra=b"stale")
        for block in (*blocks, stale):
            await port.accept_block(block.raw)
        headers = [block.header.encode() for block in blocks]
        genesis = PARAMS.network_id()
        assert await port.headers_after([genesis], 100) == headers
        assert await port.headers_after([genesis], 2) == headers[:2]
        assert await port.headers_after([blocks[2].hash, genesis], 100) == headers[3:]
        assert await port.headers_after([stale.hash, blocks[0].hash], 100) == headers[1:]
        assert await port.headers_after([blocks[-1].hash], 100) == []
        assert await port.headers_after([bytes(32)], 100) == []
        assert await port.headers_after([], 100) == []

    run(scenario)


def test_gives_the_context_of_sound_blocks_alone() -> None:
    async def scenario(port: ListenerPort, node: ChainNode) -> None:
        builder = ChainBuilder(PARAMS)
        good = builder.mine()
        bad = altered_block(builder.mine(), PARAMS, coinbase=Coinbase(NOBODY, 2**62))
        assert (await port.accept_block(good.raw)).fate is BlockFate.ACCEPTED
        assert (await port.accept_block(bad.raw)).fate is BlockFate.INVALID
        assert await port.context_of(good.hash) == (builder.parents[1], port.tip().chain_work)
        assert await port.context_of(bad.hash) is None
        assert await port.context_of(bytes(32)) is None

    run(scenario)


class MovingStore(SqlChainStore):
    """A store whose writer reorganises the chain just before the active entries are read."""

    def __init__(self, node: ChainNode, branch: list[Block]) -> None:
        super().__init__(node.engine)
        self._node = node
        self._branch = branch

    def active_entries(self, first_height: int, count: int) -> list[BlockEntry]:
        branch, self._branch = self._branch, []
        for block in branch:
            self._node.offer(block)
        return super().active_entries(first_height, count)


def test_a_reorganisation_in_between_mixes_no_branches() -> None:
    """The parent's context and the headers after a block are those of one chain or of none."""

    async def scenario(_: ListenerPort, node: ChainNode) -> None:
        ours = ChainBuilder(PARAMS)
        for _height in range(12):
            ours.mine()
        node.offer(*ours.blocks)
        old_tip, forked = ours.blocks[-1].hash, ours.blocks[9].hash
        first, second = ours.fork(10), ours.fork(8)
        for _height in range(4):
            first.mine(timestamp=first.parent.timestamp + 200, extra=b"first")
        for _height in range(8):
            second.mine(timestamp=second.parent.timestamp + 9, extra=b"second")
        port = ListenerPort(node.chain, MovingStore(node, first.blocks), cast(Any, None))
        try:
            assert await port.context_of(old_tip) is None
            found = await port.context_of(old_tip)  # on a side branch now, and at rest
            assert found is not None
            assert found[0] == ours.parents[12]
        finally:
            port.close()
        port = ListenerPort(node.chain, MovingStore(node, second.blocks), cast(Any, None))
        try:
            headers = await port.headers_after([forked, PARAMS.network_id()], 100)
            assert headers == [block.header.encode() for block in second.blocks]
        finally:
            port.close()

    run(scenario)


def test_serves_blocks_in_order_within_the_bytes_allowed() -> None:
    async def scenario(port: ListenerPort, node: ChainNode) -> None:
        builder = ChainBuilder(PARAMS)
        blocks = [builder.mine() for _ in range(3)]
        for block in blocks:
            await port.accept_block(block.raw)
        size = len(blocks[0].raw)
        hashes = [blocks[2].hash, bytes(32), blocks[0].hash]
        wanted = [blocks[2].raw, blocks[0].raw]
        assert await port.blocks(hashes, 2 * size) == wanted
        assert await port.blocks(hashes, 2 * size - 1) == wanted[:1]
        assert await port.blocks(hashes, size - 1) == []
        assert await port.missing_blocks([bytes(32), blocks[0].hash, b"\1" * 32]) == [
            bytes(32),
            b"\1" * 32,
        ]

    run(scenario)


def test_tells_which_transactions_wait_and_which_are_new() -> None:
    async def scenario(port: ListenerPort, node: ChainNode) -> None:
        builder = ChainBuilder(PARAMS)
        mined = builder.send(ALICE, BOB.address, 1)
        waiting = [
            make_transaction(BOB, PARAMS, sequence, ALICE.address, 1, 1_000) for sequence in (0, 1)
        ]
        problems = await port.accept_transactions([waiting[0].raw, b"", waiting[1].raw])
        assert [each.rule if each else None for each in problems] == [
            None,
            Rule.ENCODING_TRUNCATED,
            None,
        ]
        await port.accept_block(builder.mine([mined]).raw)
        ids = [each.id for each in waiting]
        assert await port.pool_ids(10) == ids
        assert await port.pool_ids(1) == ids[:1]
        raws = [waiting[1].raw, waiting[0].raw]
        asked = [ids[1], mined.id, ids[0]]
        assert await port.transactions(asked, 1_000) == raws
        assert await port.transactions(asked, len(raws[0])) == raws[:1]
        assert await port.unknown_transactions([*asked, bytes(32)]) == [bytes(32)]
        assert await port.unknown_transactions([]) == []

    run(scenario)
