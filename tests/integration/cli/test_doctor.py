"""The doctor on real databases: it finds each kind of damage, names it, and mends it.

A node's chain is built through `Blockchain`, then one thing is spoiled with plain SQL.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection, create_engine, select, text, update

from cairn.chain.blockchain import Blockchain, BlockFate
from cairn.chain.pool import Pool, PoolPolicy
from cairn.chain.signatures import SignatureChecker
from cairn.chain.store import BlockEntry, BlockStatus, PoolRow
from cairn.cli.app import cairn
from cairn.consensus.block import Block
from cairn.consensus.crypto import encode_address
from cairn.consensus.params import NetworkParams
from cairn.consensus.proof_of_work import work_of
from cairn.storage.audit_store import SqlRepairStore
from cairn.storage.chain_store import SqlChainStore
from cairn.storage.engine import open_engine
from cairn.storage.migrate import migrate
from cairn.storage.tables import accounts, blocks, meta, pool, transactions
from cairn.storage.writer_lock import sole_writer
from tests.support.builders import (
    COIN,
    ChainBuilder,
    altered_block,
    genesis_text,
    make_key,
    make_transaction,
    mine_block,
)

NOW = 1_700_010_000
LENGTH = 14


@dataclass
class Node:
    """A stopped node's files: configuration and database, and the chain it holds."""

    config: Path
    url: str
    chain: ChainBuilder
    fork: Block
    """A stale rival of the block at height 9."""
    runner: CliRunner = field(default_factory=CliRunner)

    @property
    def params(self) -> NetworkParams:
        return self.chain.params

    def doctor(self, *arguments: str) -> tuple[int, dict]:
        """Exit code and report of `cairn doctor --json`."""
        command = ["doctor", "--config", str(self.config), "--json", *arguments]
        result = self.runner.invoke(cairn, command, catch_exceptions=False)
        return result.exit_code, json.loads(result.stdout)

    def change(self, action: Callable[[Connection], object]) -> None:
        """Changes the database behind the node's back."""
        engine = open_engine(self.url)
        with engine.begin() as connection:
            action(connection)
        engine.dispose()

    def expect_mended(self) -> None:
        """Repairs, and checks that nothing is left to say."""
        code, report = self.doctor("--repair")
        assert (code, report["findings"]) == (0, [])
        code, report = self.doctor()
        assert (code, report["findings"]) == (0, [])


def accept(url: str, params: NetworkParams, blocks_: list[Block], waiting: list) -> None:
    engine = open_engine(url)
    store = SqlChainStore(engine)
    store.check_network(params.network_id())
    checker = SignatureChecker(params.network_id())
    chain = Blockchain(store, params, Pool(PoolPolicy(), params.max_block_bytes), checker)
    chain.reload(NOW)
    for block in blocks_:
        result = chain.accept_block(block, NOW)
        assert result.fate in (BlockFate.ACCEPTED, BlockFate.STORED), result.problem
    with store.transaction():
        store.change_pool([PoolRow(item.id, item.raw, NOW) for item in waiting], ())
    checker.close()
    engine.dispose()


@cache
def built_chain() -> tuple[ChainBuilder, Block]:
    """The chain of every test, and a stale block on its height 8. Tests work on forks of it."""
    chain = ChainBuilder()
    stale: Block | None = None
    for height in range(1, LENGTH + 1):
        sender = make_key(height % 3)
        payments = [chain.send(sender, make_key(20 + height).address, height * COIN)]
        if height == 9:
            stale = chain.fork(8).mine(extra=b"stale")
        chain.mine(payments, recipient=make_key(7).address)
    assert stale is not None
    return chain, stale


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Node:
    chain, stale = built_chain()
    params = chain.params
    genesis = tmp_path / "genesis.toml"
    genesis.write_text(genesis_text(params))
    config = tmp_path / "cairn.toml"
    config.write_text(
        f'[node]\nnetwork = "{genesis}"\ndata_directory = "{tmp_path}"\n'
        f'run_directory = "{tmp_path}"\n[database]\nurl = "{database_url}"\n'
    )
    migrate(database_url)
    waiting = [chain.send(make_key(4), make_key(5).address, COIN)]
    accept(database_url, params, [*chain.blocks[:9], stale, *chain.blocks[9:]], waiting)
    return Node(config, database_url, chain, stale)


def kinds(report: dict) -> dict[str, int]:
    return report["counts"]


def test_finds_nothing_wrong_with_a_sound_node(node: Node) -> None:
    code, report = node.doctor()
    assert code == 0
    assert report["clean"] is True
    assert report["height"] == LENGTH
    assert report["tip"] == node.chain.blocks[-1].hash.hex()
    assert report["blocks"] == LENGTH + 2  # genesis and the stale one, too
    assert report["transactions"] == LENGTH
    assert report["accounts"] == len(node.chain.accounts)
    assert report["waiting"] == 1
    assert report["counts"] == {}


def test_repair_of_a_sound_node_changes_nothing(node: Node) -> None:
    def everything(connection: Connection) -> None:
        for table in (blocks, transactions, accounts, pool):
            key = list(table.primary_key.columns)
            rows.append(connection.execute(select(table).order_by(*key)).all())

    rows: list = []
    node.change(everything)
    node.expect_mended()
    node.change(everything)
    assert rows[:4] == rows[4:]


def test_finds_and_mends_a_changed_balance(node: Node) -> None:
    victim = make_key(7).address
    node.change(
        lambda connection: connection.execute(
            update(accounts).where(accounts.c.address == victim).values(balance=123)
        )
    )
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"account-different": 1}
    (finding,) = report["findings"]
    assert finding["where"] == encode_address(node.params.address_prefix, victim)
    assert finding["stored"].startswith("balance 123,")
    right = node.chain.accounts[victim]
    expected = f"balance {right.balance}, next sequence {right.next_sequence}"
    assert finding["expected"] == expected
    node.expect_mended()


def test_finds_and_mends_a_missing_and_an_invented_account(node: Node) -> None:
    gone, new = make_key(8).address, make_key(99).address
    node.change(
        lambda connection: (
            connection.execute(accounts.delete().where(accounts.c.address == gone)),
            connection.execute(accounts.insert().values(address=new, balance=5, next_sequence=1)),
        )
    )
    _, report = node.doctor()
    assert kinds(report) == {"account-missing": 1, "account-extra": 1}
    node.expect_mended()


def test_finds_and_mends_a_deleted_transaction_row(node: Node) -> None:
    node.change(
        lambda connection: connection.execute(
            transactions.delete().where(transactions.c.height == 5)
        )
    )
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"index-missing": 1}
    assert node.chain.blocks[4].transactions[0].id.hex() in report["findings"][0]["where"]
    node.expect_mended()


def test_finds_and_mends_a_changed_and_an_invented_transaction_row(node: Node) -> None:
    def spoil(connection: Connection) -> None:
        connection.execute(update(transactions).where(transactions.c.height == 5).values(amount=1))
        row = connection.execute(select(transactions).where(transactions.c.height == 6)).one()
        invented = {**row._mapping, "height": LENGTH + 7, "id": b"\x07" * 32}
        connection.execute(transactions.insert().values(**invented))

    node.change(spoil)
    _, report = node.doctor()
    assert kinds(report) == {"index-different": 1, "index-extra": 1}
    node.expect_mended()


@pytest.mark.parametrize("height", [0, 1, 6, LENGTH])
@pytest.mark.parametrize("status", [0, 2, 7])
def test_finds_and_mends_a_flipped_status(node: Node, height: int, status: int) -> None:
    chain = [node.params.genesis_block(), *node.chain.blocks]
    block_hash = chain[height].hash
    node.change(
        lambda connection: connection.execute(
            update(blocks).where(blocks.c.hash == block_hash).values(status=status)
        )
    )
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"block-status": 1}
    assert report["height"] == LENGTH
    node.expect_mended()


def test_finds_and_mends_a_stale_block_marked_active(node: Node) -> None:
    node.change(
        lambda connection: connection.execute(
            update(blocks).where(blocks.c.hash == node.fork.hash).values(status=1)
        )
    )
    _, report = node.doctor()
    assert kinds(report) == {"chain-tip": 1}
    node.expect_mended()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("chain_work", b"\x01" * 32),
        ("chain_transactions", 1),
        ("fees", 5),
        ("size_bytes", 5),
        ("transaction_count", 9),
        ("coinbase_amount", 9),
        ("coinbase_recipient", b"\x01" * 20),
        ("header", b"\x01" * 96),
        ("previous_hash", b"\x01" * 32),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_finds_and_mends_a_column_that_contradicts_the_bytes(
    node: Node, column: str, value: object
) -> None:
    block_hash = node.chain.blocks[3].hash
    node.change(
        lambda connection: connection.execute(
            update(blocks).where(blocks.c.hash == block_hash).values({column: value})
        )
    )
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"block-column": 1}
    assert column in report["findings"][0]["where"]
    node.expect_mended()


def test_finds_and_mends_a_wrong_height_column(node: Node) -> None:
    block_hash = node.chain.blocks[3].hash
    node.change(
        lambda connection: connection.execute(
            update(blocks).where(blocks.c.hash == block_hash).values(height=4_000_000)
        )
    )
    code, report = node.doctor()
    assert code == 1
    assert report["state_compared"] is False
    node.expect_mended()
    assert node.doctor()[1]["height"] == LENGTH


@pytest.mark.parametrize("offset", [4, 50, 100, 130, -1])
def test_finds_corrupted_block_bytes_and_keeps_what_stands_below(node: Node, offset: int) -> None:
    block = node.chain.blocks[9]
    raw = bytearray(block.raw)
    raw[offset] ^= 0x20
    node.change(
        lambda connection: connection.execute(
            update(blocks).where(blocks.c.hash == block.hash).values(raw=bytes(raw))
        )
    )
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"block-bytes": 1, "block-unreachable": LENGTH - 10}
    assert report["height"] == 9
    assert report["state_compared"] is False
    code, report = node.doctor("--repair")
    assert code == 0
    assert report["repaired"]["blocks_deleted"] == LENGTH - 9
    assert report["height"] == 9
    # The node goes on where it can, and takes the lost blocks from its peers.
    accept(node.url, node.params, node.chain.blocks[9:], [])
    code, report = node.doctor()
    assert (code, report["height"]) == (0, LENGTH)


def test_finds_a_lost_block_body_and_a_lost_row(node: Node) -> None:
    first, second = node.chain.blocks[11].hash, node.chain.blocks[12].hash
    node.change(
        lambda connection: (
            connection.execute(update(blocks).where(blocks.c.hash == first).values(raw=b"")),
            connection.execute(blocks.delete().where(blocks.c.hash == second)),
        )
    )
    _, report = node.doctor()
    assert kinds(report) == {"block-bytes": 1, "block-unreachable": 1}
    node.expect_mended()
    assert node.doctor()[1]["height"] == 11


def test_finds_an_active_block_that_breaks_a_rule(node: Node) -> None:
    """A forged signature needs new work and new hashes, so the block is a new one."""
    chain = node.chain.fork(LENGTH)
    good = make_transaction(make_key(1), node.params, 999, make_key(2).address, COIN, 1_000)
    bad = mine_block(node.params, chain.parent, [good])
    store_engine = open_engine(node.url)
    store = SqlChainStore(store_engine)
    tip = store.tip()
    assert tip is not None
    entry = BlockEntry(
        bad.hash, bad.header, tip.chain_work + work_of(bad.header.bits), BlockStatus.STORED
    )
    with store.transaction():
        store.insert_block(entry, bad, NOW)
        store.connect_block(bad, {})
    store_engine.dispose()
    _, report = node.doctor()
    assert kinds(report)["block-rule"] == 1
    assert "sequence-mismatch" in report["findings"][0]["stored"]
    node.expect_mended()
    assert node.doctor()[1]["height"] == LENGTH


def test_finds_a_forged_signature_unless_told_to_be_fast(node: Node) -> None:
    chain = node.chain.fork(LENGTH)
    block = chain.mine([chain.send(make_key(1), make_key(2).address, COIN)])
    signed = block.transactions[0]
    forged = replace(signed, raw=signed.raw[:-1] + bytes([signed.raw[-1] ^ 1]))
    bad = altered_block(block, node.params, transactions=[forged])
    engine = open_engine(node.url)
    store = SqlChainStore(engine)
    tip = store.tip()
    assert tip is not None
    work = tip.chain_work + work_of(bad.header.bits)
    with store.transaction():
        store.insert_block(BlockEntry(bad.hash, bad.header, work, BlockStatus.STORED), bad, NOW)
        store.connect_block(bad, chain.accounts)
    engine.dispose()
    assert node.doctor("--fast")[0] == 0
    code, report = node.doctor()
    assert code == 1
    assert "signature-invalid" in report["findings"][0]["stored"]
    node.expect_mended()


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount", 7), ("fee_rate", 7), ("sender", b"\x09" * 20)],
    ids=["amount", "fee_rate", "sender"],
)
def test_finds_and_mends_a_damaged_pool_row(node: Node, column: str, value: object) -> None:
    node.change(lambda connection: connection.execute(update(pool).values({column: value})))
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"pool": 1}
    node.expect_mended()
    assert node.doctor()[1]["waiting"] == 1


def test_finds_and_drops_pool_rows_that_can_never_be_mined(node: Node) -> None:
    mined = node.chain.blocks[2].transactions[0]
    stale = make_transaction(make_key(1), node.params, 0, make_key(3).address, 5, 1_000)
    dear = make_transaction(make_key(5), node.params, 0, make_key(3).address, 5_000 * COIN, 1_000)
    accept(node.url, node.params, [], [mined, stale, dear])
    rows = [(mined.id, mined.raw), (stale.id, stale.raw), (dear.id, dear.raw)]

    def add(connection: Connection) -> None:
        for id_, raw in rows:
            values = {"id": id_, "raw": raw, "sender": b"", "recipient": b"", "sequence": 0}
            values |= {"amount": 0, "fee": 0, "fee_rate": 0, "size_bytes": 0, "received_at": NOW}
            values |= {"sender": bytes(20), "recipient": bytes(20)}
            connection.execute(pool.delete().where(pool.c.id == id_))
            connection.execute(pool.insert().values(**values))
        connection.execute(
            pool.insert().values(**{**values, "id": b"\x01" * 32, "raw": b"no transaction"})
        )

    node.change(add)
    code, report = node.doctor()
    assert code == 1
    assert set(kinds(report)) == {"pool"}
    code, report = node.doctor("--repair")
    assert code == 0
    assert report["repaired"]["pool_deleted"] == 4
    assert node.doctor()[1]["waiting"] == 1


def test_lists_a_bounded_number_and_counts_all(node: Node) -> None:
    node.change(lambda connection: connection.execute(update(accounts).values(balance=1)))
    _, report = node.doctor("--limit", "3")
    assert len(report["findings"]) == 3
    assert report["counts"]["account-different"] == len(node.chain.accounts)


def test_refuses_to_repair_a_database_of_another_network(node: Node) -> None:
    node.change(lambda connection: connection.execute(update(meta).values(value=b"\x01" * 32)))
    code, report = node.doctor()
    assert code == 1
    assert kinds(report) == {"network": 1}
    code, report = node.doctor("--repair")
    assert code == 78
    assert report["error"]["code"] == "network-mismatch"


def test_refuses_to_repair_while_the_listener_runs(node: Node, tmp_path: Path) -> None:
    with sole_writer(node.url):
        assert node.doctor()[0] == 0  # looking is allowed
        code, report = node.doctor("--repair")
    assert code == 1
    assert report["error"]["code"] == "listener-running"
    assert "systemctl stop" in report["error"]["fix"]
    node.expect_mended()  # the lock's file is left behind, and means nothing


def test_repair_that_fails_changes_nothing(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step of a repair breaks: what was wrong before is wrong still, and no more."""
    node.change(lambda connection: connection.execute(update(accounts).values(balance=1)))
    before = node.doctor()[1]

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SqlRepairStore, "replace_accounts", fail)
        code, report = node.doctor("--repair")
    assert code == 1
    assert report["error"]["detail"] == "No space left on device"
    after = node.doctor()[1]
    assert after["counts"] == before["counts"]
    assert after["findings"] == before["findings"]


def test_people_see_what_differs_and_the_fix(node: Node) -> None:
    node.change(
        lambda connection: connection.execute(
            update(accounts).where(accounts.c.address == make_key(7).address).values(balance=123)
        )
    )
    result = node.runner.invoke(cairn, ["doctor", "--config", str(node.config)])
    assert result.exit_code == 1
    assert "account-different: 1" in result.stdout
    assert "balance 123" in result.stdout
    assert "cairn doctor --repair" in result.stderr
    result = node.runner.invoke(cairn, ["doctor", "--repair", "--config", str(node.config)])
    assert result.exit_code == 0
    assert "state and blocks agree" in result.stdout


def test_names_the_command_for_a_database_without_tables(tmp_path: Path) -> None:
    config = tmp_path / "cairn.toml"
    config.write_text(f'[node]\ndata_directory = "{tmp_path}"\n')
    result = CliRunner().invoke(cairn, ["doctor", "--config", str(config), "--json"])
    assert result.exit_code == 78
    assert "cairn db migrate" in json.loads(result.stdout)["error"]["detail"]
    result = CliRunner().invoke(cairn, ["db", "check", "--config", str(config)])
    assert result.exit_code == 1
    assert "cairn db migrate" in result.stderr
    result = CliRunner().invoke(cairn, ["db", "migrate", "--config", str(config), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["applied"]
    for _ in range(2):
        result = CliRunner().invoke(cairn, ["db", "check", "--config", str(config)])
        assert result.exit_code == 0
    engine = create_engine(f"sqlite:///{tmp_path / 'cairn.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM blocks")).scalar() == 0
    engine.dispose()
    result = CliRunner().invoke(cairn, ["doctor", "--config", str(config), "--json"])
    assert (result.exit_code, json.loads(result.stdout)["height"]) == (0, -1)
