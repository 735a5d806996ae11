"""The writer: one job after the other, whatever the database, callers and other jobs do."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import pytest
from sqlalchemy import event

from cairn.chain.admission import Admission
from cairn.chain.blockchain import BlockFate, ChainChange
from cairn.chain.store import ForeignTipError
from cairn.consensus.errors import Rule
from cairn.consensus.transaction import Transaction
from cairn.services.listener import writer as writer_module
from cairn.services.listener.writer import LedgerWriter, WriterBusyError
from cairn.storage.errors import StorageUnavailable
from cairn.storage.migrate import migrate
from tests.support.builders import ChainBuilder, make_key, make_transaction
from tests.support.chain import NOW, ChainNode, sqlite_node
from tests.support.mariadb import PrivateMariaDB

ALICE, BOB = make_key(1), make_key(2)
PATIENCE_SECONDS = 20.0
_numbers = count(1)


class Told:
    """What a writer told others."""

    def __init__(self) -> None:
        self.changes: list[ChainChange] = []
        self.admitted: list[list[Transaction]] = []

    def moved(self, change: ChainChange) -> None:
        self.changes.append(change)

    def took(self, transactions: Sequence[Transaction]) -> None:
        self.admitted.append(list(transactions))


@asynccontextmanager
async def writing(
    node: ChainNode, told: Told, on_admitted: Callable[[Sequence[Transaction]], None] | None = None
) -> AsyncIterator[LedgerWriter]:
    """A started writer over the node's chain."""
    writer = LedgerWriter(
        node.chain, node.admitter, lambda: NOW + 1_000, told.moved, on_admitted or told.took
    )
    await writer.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def busy(writer: LedgerWriter) -> AsyncIterator[None]:
    """The writer's thread does something else meanwhile."""
    begun, end = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        end.wait(PATIENCE_SECONDS)

    job = asyncio.create_task(writer.run(wait))
    await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
    try:
        yield
    finally:
        end.set()
        await job


async def settle() -> None:
    """Lets everything that is ready to run on the loop run."""
    for _ in range(5):
        await asyncio.sleep(0)


def commits_of(node: ChainNode) -> list[int]:
    """Grows by one with each commit on the node's engine."""
    seen: list[int] = []
    event.listen(node.engine, "commit", lambda _connection: seen.append(1))
    return seen


def sent(node: ChainNode, sequence: int, key: int = 1) -> Transaction:
    return make_transaction(make_key(key), node.params, sequence, BOB.address, 1, 1_000)


def problems(admissions: Sequence[Admission]) -> list[Rule | None]:
    return [each.problem.rule if each.problem else None for each in admissions]


# -- admissions --------------------------------------------------------------------------------


def test_all_that_waits_shares_one_database_transaction() -> None:
    async def scenario(node: ChainNode) -> None:
        told, commits = Told(), commits_of(node)
        async with writing(node, told) as writer:
            commits.clear()
            batch = [sent(node, sequence) for sequence in range(40)]
            async with busy(writer):
                waiting = [asyncio.create_task(writer.admit([each.raw])) for each in batch]
                await settle()
            answers = await asyncio.gather(*waiting)
            assert [problems(each) for each in answers] == [[None]] * 40
            assert [each[0].transaction for each in answers] == batch
            assert len(commits) == 1
            await settle()
            assert told.admitted == [batch]
            assert (writer.pool_transactions, writer.pool_bytes) == (40, 40 * 152)

    with sqlite_node() as node:
        asyncio.run(scenario(node))
        node.check()


def test_answers_each_caller_for_its_own_transactions() -> None:
    async def scenario(node: ChainNode) -> None:
        told = Told()
        async with writing(node, told) as writer:
            good, other = sent(node, 0), sent(node, 0, key=3)
            offers = [[good.raw], [b"rubbish", good.raw], [], [other.raw]]
            async with busy(writer):
                waiting = [asyncio.create_task(writer.admit(offer)) for offer in offers]
                await settle()
            answers = [problems(each) for each in await asyncio.gather(*waiting)]
            assert answers == [[None], [Rule.ENCODING_TRUNCATED, Rule.POOL_DUPLICATE], [], [None]]
            await settle()
            assert told.admitted == [[good, other]]

    with sqlite_node() as node:
        asyncio.run(scenario(node))


def test_a_database_transaction_takes_2000_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    async def scenario(node: ChainNode) -> None:
        async with writing(node, Told()) as writer:
            async with busy(writer):
                waiting = [
                    asyncio.create_task(writer.admit([b"x"] * size))
                    for size in (500, 1_500, 1, 2_500, 3)
                ]
                await settle()
            answers = await asyncio.gather(*waiting)
            assert [len(each) for each in answers] == [500, 1_500, 1, 2_500, 3]

    with sqlite_node() as node:
        admit = node.admitter.admit

        def counting(offered: Sequence[bytes], now: int) -> list[Admission]:
            sizes.append(len(offered))
            return admit(offered, now)

        monkeypatch.setattr(node.admitter, "admit", counting)
        asyncio.run(scenario(node))
    assert sizes == [2_000, 1, 2_500, 3]


def test_queues_20000_at_most_and_takes_more_when_those_are_done() -> None:
    async def scenario(node: ChainNode) -> None:
        async with writing(node, Told()) as writer:
            async with busy(writer):
                first = asyncio.create_task(writer.admit([b"x"]))
                await settle()  # its batch is on its way to the thread
                full = asyncio.create_task(
                    writer.admit([b"x"] * writer_module.MAX_QUEUED_TRANSACTIONS)
                )
                await settle()
                with pytest.raises(WriterBusyError, match=r"20000 transactions wait .* 20000"):
                    await writer.admit([b"x"])
            await asyncio.gather(first, full)
            assert len(await writer.admit([b"x"])) == 1

    with sqlite_node() as node:
        asyncio.run(scenario(node))


def test_a_caller_that_gave_up_takes_nothing_from_the_others() -> None:
    async def scenario(node: ChainNode) -> None:
        async with writing(node, Told()) as writer:
            async with busy(writer):
                gone = asyncio.create_task(writer.admit([sent(node, 0).raw]))
                stays = asyncio.create_task(writer.admit([sent(node, 1).raw]))
                await settle()
                gone.cancel()
                await settle()
            assert problems(await stays) == [None]
            assert len(node.pool) == 2

    with sqlite_node() as node:
        asyncio.run(scenario(node))


def test_an_announcement_that_fails_keeps_nobody_waiting() -> None:
    def fail(_transactions: Sequence[Transaction]) -> None:
        raise ZeroDivisionError

    async def scenario(node: ChainNode) -> None:
        faults: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: faults.append(context["exception"]))
        async with writing(node, Told(), on_admitted=fail) as writer:
            async with busy(writer):
                waiting = [
                    asyncio.create_task(writer.admit([sent(node, sequence).raw] * 1_500))
                    for sequence in range(3)
                ]
                await settle()
            for answer in await asyncio.gather(*waiting):
                assert problems(answer)[0] is None
            await settle()
        assert [type(fault) for fault in faults] == [ZeroDivisionError] * 3

    with sqlite_node() as node:
        asyncio.run(scenario(node))


# -- blocks ------------------------------------------------------------------------------------


def test_tells_of_blocks_once_they_are_durable() -> None:
    async def scenario(node: ChainNode) -> None:
        told, builder = Told(), ChainBuilder(node.params)
        async with writing(node, told) as writer:
            genesis = writer.tip
            assert (genesis.height, genesis.hash) == (0, node.params.network_id())
            blocks = [builder.mine() for _ in range(3)]
            assert (await writer.accept(blocks[0].raw)).fate is BlockFate.ACCEPTED
            assert (await writer.accept_block(blocks[2])).fate is BlockFate.ORPHAN
            assert (await writer.accept_block(blocks[1])).fate is BlockFate.ACCEPTED
            assert [each.connected for each in told.changes] == [(block,) for block in blocks]
            assert (writer.tip.height, writer.tip.hash) == (3, blocks[2].hash)
            assert writer.tip.header == blocks[2].header.encode()

    with sqlite_node() as node:
        asyncio.run(scenario(node))


@pytest.mark.parametrize("raw", [b"", b"\0" * 96, b"\xff" * 500, bytes(2_000_000)])
def test_bytes_that_are_no_block_are_invalid(raw: bytes) -> None:
    async def scenario(node: ChainNode) -> None:
        async with writing(node, Told()) as writer:
            result = await writer.accept(raw)
            assert result.fate is BlockFate.INVALID
            assert result.problem is not None

    with sqlite_node() as node:
        asyncio.run(scenario(node))


def test_tells_of_a_block_though_whoever_sent_it_went_away() -> None:
    async def scenario(node: ChainNode) -> None:
        told, block = Told(), ChainBuilder(node.params).mine()
        async with writing(node, told) as writer:
            async with busy(writer):
                sender = asyncio.create_task(writer.accept(block.raw))
                await settle()
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)
            await writer.ping()
            await settle()
            assert [each.connected for each in told.changes] == [(block,)]
            assert writer.tip.hash == block.hash

    with sqlite_node() as node:
        asyncio.run(scenario(node))


# -- failures ----------------------------------------------------------------------------------


def test_reads_everything_again_after_a_job_that_broke() -> None:
    """Whatever a broken job left in memory, nothing is decided on it."""

    async def scenario(node: ChainNode) -> None:
        async with writing(node, Told()) as writer:
            kept = sent(node, 0)
            await writer.admit([kept.raw])

            def break_off() -> None:
                node.pool.expire(NOW + 10**6)
                assert len(node.pool) == 0
                raise KeyError("a mistake")

            with pytest.raises(KeyError):
                await writer.run(break_off)
            assert writer.database_problem is None
            assert problems(await writer.admit([kept.raw])) == [Rule.POOL_DUPLICATE]
            assert writer.pool_transactions == 1

    with sqlite_node() as node:
        asyncio.run(scenario(node))
        node.check()


def test_a_failed_commit_admits_nobody_and_reports_the_database() -> None:
    async def scenario(node: ChainNode) -> None:
        told = Told()
        async with writing(node, told) as writer:
            node.failing.fail(4)  # accounts, transaction, change, commit
            with pytest.raises(StorageUnavailable):
                await writer.admit([sent(node, 0).raw])
            assert writer.database_problem is not None
            assert told.admitted == []
            await writer.ping()
            assert writer.database_problem is None
            assert writer.pool_transactions == 0
            assert problems(await writer.admit([sent(node, 0).raw])) == [None]

    with sqlite_node() as node:
        asyncio.run(scenario(node))
        node.check()


def test_tells_of_transactions_whose_commit_only_looked_lost() -> None:
    async def scenario(node: ChainNode) -> None:
        told, waits, lost = Told(), sent(node, 0), sent(node, 0, key=3)
        async with writing(node, told) as writer:
            node.failing.lose_commit(at=1)
            with pytest.raises(StorageUnavailable):
                await writer.admit([b"rubbish", waits.raw])
            await writer.ping()
            await settle()
            assert told.admitted == [[waits]]
            node.failing.fail(at=1)
            with pytest.raises(StorageUnavailable):
                await writer.admit([lost.raw])
            await writer.ping()
            await settle()
            assert told.admitted == [[waits]]

    with sqlite_node() as node:
        asyncio.run(scenario(node))
        assert len(node.pool) == 1
        node.check()


def test_tells_of_a_block_whose_commit_only_looked_lost() -> None:
    async def scenario(node: ChainNode) -> None:
        told, builder = Told(), ChainBuilder(node.params)
        branch = builder.fork(0)
        async with writing(node, told) as writer:
            await writer.accept_block(builder.mine())
            rival = [branch.mine(extra=b"r") for _ in range(2)]
            await writer.accept_block(rival[0])
            told.changes.clear()
            node.failing.lose_commit(1)
            with pytest.raises(StorageUnavailable):
                await writer.accept_block(rival[1])
            assert told.changes == []
            await writer.ping()
            (change,) = told.changes
            assert change.fork.height == 0
            assert change.disconnected == tuple(builder.blocks)
            assert change.connected == tuple(rival)
            assert writer.tip.hash == rival[1].hash
            assert (await writer.accept_block(rival[1])).fate is BlockFate.DUPLICATE
            assert len(told.changes) == 1

    with sqlite_node() as node:
        asyncio.run(scenario(node))
        node.check()


def test_tells_of_blocks_before_an_orphan_that_the_database_lost() -> None:
    async def scenario(node: ChainNode) -> None:
        told, builder = Told(), ChainBuilder(node.params)
        blocks = [builder.mine() for _ in range(2)]
        async with writing(node, told) as writer:
            await writer.accept_block(blocks[1])
            node.failing.lose_commit(2)
            with pytest.raises(StorageUnavailable):
                await writer.accept_block(blocks[0])
            await writer.ping()
            (change,) = told.changes
            assert change.connected == tuple(blocks)

    with sqlite_node() as node:
        asyncio.run(scenario(node))


def test_recovers_when_another_process_moved_the_tip() -> None:
    async def scenario(node: ChainNode) -> None:
        told, builder = Told(), ChainBuilder(node.params)
        other = ChainNode(node.url, node.params)
        async with writing(node, told) as writer:
            await writer.admit([sent(node, 0).raw])
            block = builder.mine([sent(node, 0)])
            other.offer(block)
            with pytest.raises(ForeignTipError, match="another process"):
                await writer.ping()
            await writer.ping()
            assert writer.tip.hash == block.hash
            assert writer.pool_transactions == 0
            assert [each.connected for each in told.changes] == [(block,)]
        other.close()

    with sqlite_node() as node:
        asyncio.run(scenario(node))
        node.check()


def test_survives_a_database_server_that_is_killed(mariadb: PrivateMariaDB) -> None:
    async def scenario(node: ChainNode) -> None:
        told, builder = Told(), ChainBuilder(node.params)
        async with writing(node, told) as writer:
            sequences = count()
            for _ in range(2):
                acknowledged = [sent(node, next(sequences)) for _ in range(3)]
                assert (
                    problems(await writer.admit([each.raw for each in acknowledged])) == [None] * 3
                )
                mariadb.kill()
                for _ in range(2):
                    with pytest.raises(StorageUnavailable):
                        await writer.admit([sent(node, 9).raw])
                with pytest.raises(StorageUnavailable):
                    await writer.accept_block(builder.fork(0).mine())
                with pytest.raises(StorageUnavailable):
                    await writer.ping()
                assert writer.database_problem is not None
                mariadb.start()
                await writer.ping()
                assert writer.database_problem is None
                assert {each.id for each in acknowledged} <= node.pool_ids()
            block = builder.mine(node.pool.select(10**6))
            assert (await writer.accept_block(block)).fate is BlockFate.ACCEPTED
            assert writer.pool_transactions == 0

    mariadb.start()
    name = f"cairn_writer_{next(_numbers)}"
    url = mariadb.create_database(name)
    migrate(url)
    node = ChainNode(url)
    try:
        asyncio.run(scenario(node))
        node.check()
    finally:
        node.close()
        mariadb.start()
        mariadb.drop_database(name)


def test_waits_at_start_for_a_database_that_does_not_answer(
    mariadb: PrivateMariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_SECONDS", (0.01,))

    async def scenario(node: ChainNode) -> None:
        writer = LedgerWriter(node.chain, node.admitter, lambda: NOW, print, print)
        mariadb.kill()
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(StorageUnavailable):
                await writer.start(retry=False)
            starting = asyncio.create_task(writer.start())
            with pytest.raises(StorageUnavailable):  # in turn after the first attempt
                await writer.ping()
            assert writer.database_problem is not None
            mariadb.start()
            await starting
        assert writer.tip.height == 0
        await writer.close()

    mariadb.start()
    name = f"cairn_writer_{next(_numbers)}"
    url = mariadb.create_database(name)
    migrate(url)
    node = ChainNode(url)
    try:
        asyncio.run(scenario(node))
    finally:
        node.close()
        mariadb.start()
        mariadb.drop_database(name)


# -- the end -----------------------------------------------------------------------------------


def test_closing_lets_the_job_under_way_end() -> None:
    async def scenario(node: ChainNode) -> None:
        writer = LedgerWriter(node.chain, node.admitter, lambda: NOW, print, print)
        await writer.start()
        begun, end = threading.Event(), threading.Event()

        def slow() -> int:
            begun.set()
            end.wait(PATIENCE_SECONDS)
            return 7

        job = asyncio.create_task(writer.run(slow))
        await asyncio.to_thread(begun.wait, PATIENCE_SECONDS)
        closing = asyncio.create_task(writer.close())
        await settle()
        assert not closing.done()
        end.set()
        await closing
        assert await job == 7
        with pytest.raises(RuntimeError):
            await writer.ping()

    with sqlite_node() as node:
        asyncio.run(scenario(node))
