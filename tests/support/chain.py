"""A blockchain on a real database, with what tests ask of it: offer, admit, restart, compare."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select

from cairn.chain.admission import Admission, Admitter
from cairn.chain.blockchain import Blockchain, BlockResult
from cairn.chain.pool import Pool, PoolPolicy
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import BlockEntry, BlockStatus, PoolRow
from cairn.consensus.block import Block, decode_block
from cairn.consensus.ledger import (
    EMPTY_ACCOUNT,
    Account,
    apply_block,
    apply_transaction,
    genesis_accounts,
)
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.tables import accounts, blocks
from tests.support.builders import ChainBuilder, make_params, transaction_body
from tests.support.failing_store import FailingStore

NOW = 1_700_000_000
"""When tests take place: the timestamp that transactions of `builders` carry."""
MUCH_LATER = NOW + 1_000_000
"""A clock that no block of a test is ahead of."""
NO_POLICY = PoolPolicy(min_fee_per_byte=0)


def bare_transaction(
    sender: int,
    sequence: int,
    fee: int = 1_000,
    amount: int = 1,
    data: bytes = b"",
    timestamp: int = NOW,
) -> Transaction:
    """A transaction nobody signed, for what judges no signatures. `sender` names an account."""
    public_key = b"\x02" + sha256(sender.to_bytes(8, "big")).digest()
    body = transaction_body(public_key, sequence, bytes(20), amount, fee, timestamp, data)
    return decode_transaction(body + bytes(64), bytes(32))


def bare_address(sender: int) -> bytes:
    """The account that `bare_transaction` names so."""
    return bare_transaction(sender, 0).sender


class ChainNode:
    """What the writer's thread holds: chain, pool and admitter over one database."""

    def __init__(
        self,
        url: str,
        params: NetworkParams | None = None,
        policy: PoolPolicy = NO_POLICY,
        max_reorg_blocks: int = 100,
        settle_seconds: int = 0,
    ) -> None:
        self.params = params or make_params()
        self.policy = policy
        self.url = url
        self.engine = open_engine(url)
        self.failing = FailingStore(SqlChainStore(self.engine))
        """What chain and admitter use; does as it is told."""
        self.store = SqlChainStore(self.engine)
        """For the test's own look."""
        self.signatures = SignatureChecker(self.params.network_id())
        self.max_reorg_blocks = max_reorg_blocks
        self.settle_seconds = settle_seconds
        self.restart()

    def restart(self, max_reorg_blocks: int | None = None) -> None:
        """Forgets everything in memory, as a crash does, and reads the database."""
        self.max_reorg_blocks = max_reorg_blocks or self.max_reorg_blocks
        self.pool = Pool(self.policy, self.params.max_block_bytes)
        self.chain = Blockchain(
            self.failing,
            self.params,
            self.pool,
            self.signatures,
            self.max_reorg_blocks,
            self.settle_seconds,
        )
        self.admitter = Admitter(self.failing, self.chain, self.signatures)
        self.chain.reload(NOW)

    def close(self) -> None:
        """Ends threads and connections."""
        self.signatures.close()
        self.engine.dispose()

    def offer(self, *offered: Block, now: int = MUCH_LATER) -> BlockResult:
        """Offers blocks in order; the result of the last."""
        for block in offered:
            result = self.chain.accept_block(block, now)
        return result

    def leave_aside(self, *branch: Block) -> None:
        """Stores blocks whatever policy says of their branch, as if it had said otherwise then."""
        with self.store.transaction():
            for block in branch:
                parent = self.store.entry(block.header.previous_hash)
                assert parent is not None
                work = parent.chain_work + work_of(block.header.bits)
                entry = BlockEntry(block.hash, block.header, work, BlockStatus.STORED)
                self.store.insert_block(entry, block, MUCH_LATER)

    def refuses(self, branch: ChainBuilder, fork_height: int, now: int = MUCH_LATER) -> bool:
        """Whether policy refuses a branch whose headers a peer shows."""
        headers = [self.params.genesis_block().header, *(each.header for each in branch.blocks)]
        work = sum(work_of(header.bits) for header in headers)
        return self.chain.refuses(fork_height, branch.blocks[-1].hash, work, now)

    def admit(self, *transactions: Transaction, now: int = NOW) -> list[Admission]:
        """Offers transactions as one batch."""
        return self.admitter.admit([transaction.raw for transaction in transactions], now)

    def take(self, *transactions: Transaction) -> None:
        """Admits transactions that must all be taken."""
        problems = [admission.problem for admission in self.admit(*transactions)]
        assert problems == [None] * len(transactions), problems

    # -- what is there --------------------------------------------------------------------------

    def pool_ids(self) -> set[bytes]:
        """What waits, by memory."""
        return set(self.pool.ids(1_000_000))

    def pool_rows(self) -> dict[bytes, PoolRow]:
        """What waits, by the database."""
        return {row.id: row for row in self.store.load_pool()}

    def accounts(self) -> dict[bytes, Account]:
        """The whole accounts table."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(accounts))
            return {row.address: Account(row.balance, row.next_sequence) for row in rows}

    def statuses(self) -> dict[bytes, BlockStatus]:
        """The status of every stored block."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(blocks.c.hash, blocks.c.status))
            return {row.hash: BlockStatus(row.status) for row in rows}

    def active_blocks(self) -> list[Block]:
        """The active chain from height 1, decoded from what is stored."""
        found = []
        for entry in self.store.active_entries(1, 1_000_000):
            raw = self.store.load_block_bytes(entry.hash)
            assert raw is not None
            found.append(decode_block(raw, self.params.network_id(), self.params.max_block_bytes))
        return found

    def check(self) -> None:
        """Memory, tables and blocks say the same, and what waits can be mined."""
        active = self.active_blocks()
        state = replayed_accounts(self.params, active)
        stored = self.accounts()
        assert stored == {name: each for name, each in state.items() if each != EMPTY_ACCOUNT}
        claimed = sum(block.coinbase.amount for block in active)
        fees = sum(each.fee for block in active for each in block.transactions)
        allocated = sum(amount for _, amount in self.params.allocations)
        assert sum(each.balance for each in stored.values()) == allocated + claimed - fees
        tip = self.store.tip()
        assert tip == self.chain.tip
        assert [block.header.height for block in active] == list(range(1, tip.height + 1))
        mined = {each.id for block in active for each in block.transactions}
        assert self.store.mined_ids(mined | self.pool_ids()) == mined
        check_pool(self.pool, state, self.policy, self.pool_rows())
        assert self.chain.accounts_of(state) == state


def replayed_accounts(params: NetworkParams, active: Iterable[Block]) -> dict[bytes, Account]:
    """The accounts that follow from genesis and these blocks."""
    state = genesis_accounts(params)
    for block in active:
        state.update(apply_block(state, block, params))
    return state


def check_pool(
    pool: Pool,
    state: dict[bytes, Account],
    policy: PoolPolicy,
    rows: dict[bytes, PoolRow] | None = None,
) -> None:
    """What must always hold of a pool over these accounts, and of the rows it is stored as."""
    waiting = [pool.get(each) for each in pool.ids(1_000_000)]
    assert len(waiting) == len(pool)
    assert pool.total_bytes == sum(len(each.raw) for each in waiting if each is not None)
    assert pool.total_bytes <= policy.max_bytes
    ready = {each.id for each in pool.select(2**40)}
    held = [each for each in waiting if each is not None and each.id not in ready]
    assert pool.held_bytes == sum(len(each.raw) for each in held) <= policy.max_bytes // 20
    if rows is not None:
        assert set(rows) == {each.id for each in waiting if each is not None}
    places = {(each.sender, each.sequence) for each in waiting if each is not None}
    assert len(places) == len(waiting)
    selected = pool.select(2**40)
    after = dict(state)
    for transaction in selected:
        apply_transaction(after, transaction)  # raises when it cannot be mined as it stands
    assert len(selected) == pool.ready_count()
    for transaction in waiting:
        assert transaction is not None
        account = after.get(transaction.sender, EMPTY_ACCOUNT)
        if transaction not in selected:  # held: something is missing before it
            assert transaction.sequence > account.next_sequence


@cache
def _migrated_folder() -> "tempfile.TemporaryDirectory[str]":
    """Holds `cairn.db`, migrated and empty; removed with the process."""
    folder = tempfile.TemporaryDirectory(prefix="cairn-test-")
    migrate(f"sqlite:///{folder.name}/cairn.db")
    return folder


@contextmanager
def sqlite_node(
    params: NetworkParams | None = None,
    policy: PoolPolicy = NO_POLICY,
    max_reorg_blocks: int = 100,
) -> Iterator[ChainNode]:
    """A node on an SQLite database of its own; quick enough for one per example."""
    with tempfile.TemporaryDirectory(prefix="cairn-test-") as folder:
        path = Path(folder) / "cairn.db"
        shutil.copy(Path(_migrated_folder().name) / "cairn.db", path)
        node = ChainNode(f"sqlite:///{path}", params, policy, max_reorg_blocks)
        try:
            yield node
        finally:
            node.close()


def problems_of(admissions: Sequence[Admission]) -> list[str | None]:
    """The rule that refused each, or None."""
    return [each.problem.rule.value if each.problem else None for each in admissions]
