"""The doctor on chains with many branches: it follows whatever the node itself follows.

Random trees of blocks go through `Blockchain`; then everything derived is thrown away, and
what a repair makes of the bytes alone must be what the node had.
"""

import random
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, select, update

from cairn.chain.audit import AuditOptions, AuditReport, audit
from cairn.chain.blockchain import Blockchain, BlockFate
from cairn.chain.pool import Pool, PoolPolicy
from cairn.chain.repair import repair
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import BlockEntry, BlockStatus
from cairn.consensus.block import Block
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.storage.audit_store import open_audit_store, open_repair_store
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.tables import accounts, blocks, transactions
from tests.support.builders import COIN, ChainBuilder, make_key, make_params, mine_block

NOW = 1_700_010_000


class Database:
    """An SQLite file and the `Blockchain` over it."""

    def __init__(self, folder: Path, params: NetworkParams, max_reorg_blocks: int = 100) -> None:
        self.url = f"sqlite:///{folder / 'cairn.db'}"
        self.params = params
        self.options = AuditOptions(max_reorg_blocks=max_reorg_blocks, listed_per_kind=5)
        migrate(self.url)
        self.engine: Engine = open_engine(self.url)
        self.store = store = SqlChainStore(self.engine)
        store.check_network(params.network_id())
        self.signatures = SignatureChecker(params.network_id())
        pool = Pool(PoolPolicy(), params.max_block_bytes)
        self.chain = Blockchain(store, params, pool, self.signatures, max_reorg_blocks)
        self.chain.reload(NOW)
        self.received = 0

    def accept(self, block: Block) -> BlockFate:
        """Offers a block, a second after the one before."""
        self.received += 1
        return self.chain.accept_block(block, NOW + self.received).fate

    def leave_aside(self, block: Block, chain_work: int) -> None:
        """Stores a block whatever policy says of its branch."""
        entry = BlockEntry(block.hash, block.header, chain_work, BlockStatus.STORED)
        with self.store.transaction():
            self.store.insert_block(entry, block, NOW)

    def audit(self) -> AuditReport:
        """What the doctor finds."""
        with open_audit_store(self.url) as store:
            return audit(store, self.params, self.options)

    def repair(self) -> None:
        """What the doctor mends."""
        with open_repair_store(self.url) as store:
            repair(store, self.params, self.options)

    def state(self) -> tuple[list[object], ...]:
        """Statuses, accounts and index."""
        queries = (
            select(blocks.c.hash, blocks.c.status).order_by(blocks.c.hash),
            select(accounts).order_by(accounts.c.address),
            select(transactions).order_by(transactions.c.height, transactions.c.position),
        )
        with self.engine.connect() as connection:
            return tuple(list(map(tuple, connection.execute(query))) for query in queries)

    def forget_everything_derived(self, dice: random.Random) -> None:
        """Shuffles statuses, empties accounts and index."""
        with self.engine.begin() as connection:
            for (block_hash,) in connection.execute(select(blocks.c.hash)).all():
                status = dice.choice((0, 1, 2))
                connection.execute(
                    update(blocks).where(blocks.c.hash == block_hash).values(status=status)
                )
            connection.execute(delete(accounts))
            connection.execute(delete(transactions))

    def close(self) -> None:
        """Ends threads and connections."""
        self.signatures.close()
        self.engine.dispose()


def grow(tree: list[ChainBuilder], dice: random.Random, tag: int) -> Block:
    """One more block on a random branch, or a new branch a few blocks below its tip."""
    branch = dice.choice(tree[-4:])
    height = len(branch.blocks)
    if height and dice.random() < 0.35:
        branch = branch.fork(max(0, height - dice.randint(1, 6)))
        tree.append(branch)
    payments = []
    for sender in dice.sample(range(5), dice.randint(0, 3)):
        to = make_key(dice.randint(0, 12)).address
        payments.append(branch.send(make_key(sender), to, dice.randint(1, 5) * COIN))
    miner = make_key(dice.randint(0, 12)).address
    return branch.mine(payments, recipient=miner, extra=tag.to_bytes(4, "big"))


@pytest.mark.parametrize("seed", range(8))
def test_a_repair_finds_the_state_again_whatever_the_branches(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    params = make_params()
    database = Database(tmp_path, params)
    tree = [ChainBuilder(params)]
    for tag in range(60):
        fate = database.accept(grow(tree, dice, tag))
        assert fate in (BlockFate.ACCEPTED, BlockFate.STORED)
    tip = database.chain.tip
    report = database.audit()
    assert report.findings.listed == []
    assert (report.tip, report.height) == (tip.hash, tip.height)
    before = database.state()
    database.forget_everything_derived(dice)
    assert not database.audit().is_clean
    database.repair()
    assert database.audit().findings.listed == []
    assert database.state() == before
    database.close()


def test_an_invalid_branch_stays_invalid_and_is_no_fault(tmp_path: Path) -> None:
    """A block that spends twice, and one on top of it: refused, stored as invalid, ignored."""
    chain = ChainBuilder()
    database = Database(tmp_path, chain.params)
    for _ in range(3):
        assert database.accept(chain.mine()) is BlockFate.ACCEPTED
    payment = chain.send(make_key(1), make_key(2).address, COIN)
    bad = mine_block(chain.params, chain.parent, [payment, payment])
    assert database.accept(bad) is BlockFate.INVALID
    assert database.accept(chain.mine([payment])) is BlockFate.ACCEPTED
    assert database.audit().findings.listed == []
    before = database.state()
    dice = random.Random(1)
    database.forget_everything_derived(dice)
    database.repair()
    assert database.state() == before
    database.close()


def test_a_heavier_branch_that_policy_refuses_is_told_and_is_no_fault(tmp_path: Path) -> None:
    main = ChainBuilder()
    database = Database(tmp_path, main.params, max_reorg_blocks=3)
    rival, work = main.fork(0), work_of(main.params.genesis_block().header.bits)
    for _ in range(6):
        main.mine([main.send(make_key(1), make_key(2).address, COIN)])
        assert database.accept(main.blocks[-1]) is BlockFate.ACCEPTED
    for _ in range(8):
        payment = rival.send(make_key(3), make_key(4).address, COIN)
        block = rival.mine([payment], extra=b"rival")
        work += work_of(block.header.bits)
        database.leave_aside(block, work)  # as under a policy that would have followed it
    report = database.audit()
    assert report.findings.listed == []
    assert report.tip == main.blocks[-1].hash
    assert report.refused_branch == rival.blocks[-1].hash
    before = database.state()
    database.repair()
    assert database.state() == before
    database.close()


def test_a_heavier_branch_that_was_not_followed_is_found_and_followed(tmp_path: Path) -> None:
    """As after a crash between two versions of the rules: the node would follow it at start."""
    main = ChainBuilder()
    database = Database(tmp_path, main.params)
    rival = main.fork(0)
    for _ in range(6):
        database.accept(main.mine())
    lost = [rival.mine([rival.send(make_key(3), make_key(4).address, COIN)]) for _ in range(8)]
    for block in lost:
        database.accept(block)
    assert database.chain.tip.hash == lost[-1].hash
    hashes = {False: [b.hash for b in lost], True: [b.hash for b in main.blocks]}
    with database.engine.begin() as connection:
        for active, names in hashes.items():
            connection.execute(
                update(blocks).where(blocks.c.hash.in_(names)).values(status=int(active))
            )
    report = database.audit()
    assert report.findings.counts["block-status"] == 8
    assert report.findings.counts["chain-tip"] == 6
    assert report.tip == lost[-1].hash
    database.repair()
    assert database.audit().is_clean
    database.close()
