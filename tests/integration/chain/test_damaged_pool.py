"""Rows of the pool that a disk, or another hand, has changed: they cost themselves and no block."""

from collections.abc import Iterable

import pytest
from sqlalchemy import insert, update

from cairn.chain.audit import audit
from cairn.chain.blockchain import Blockchain, BlockFate
from cairn.chain.repair import repair
from cairn.chain.store import PoolRow
from cairn.chain.template import build_template
from cairn.consensus.transaction import Transaction
from cairn.storage.audit_store import open_audit_store, open_repair_store
from cairn.storage.tables import pool
from tests.support.builders import (
    ChainBuilder,
    make_key,
    make_params,
    make_transaction,
    mine_header,
)
from tests.support.chain import NOW, ChainNode, sqlite_node

PARAMS = make_params()
ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(3)
NOBODY = bytes(20)


class Stopped(Exception):
    """What ends a long job between two steps."""


def put_row(node: ChainNode, transaction: Transaction, **changed: object) -> bytes:
    """Writes a row past all checks; its id."""
    values: dict[str, object] = {
        "id": transaction.id,
        "sender": transaction.sender,
        "recipient": transaction.recipient,
        "sequence": transaction.sequence,
        "amount": transaction.amount,
        "fee": transaction.fee,
        "fee_rate": (transaction.fee << 20) // len(transaction.raw),
        "size_bytes": len(transaction.raw),
        "received_at": NOW,
        "raw": transaction.raw,
    }
    values.update(changed)
    with node.engine.begin() as connection:
        connection.execute(insert(pool).values(**values))
    return bytes(values["id"])  # type: ignore[call-overload]


def bad_rows(node: ChainNode) -> Iterable[bytes]:
    """One row of each kind that must not stay."""
    other = make_params(target_interval_seconds=7)
    empty = make_transaction(CAROL, PARAMS, 0, NOBODY, 0, 1_000)
    foreign = make_transaction(CAROL, other, 0, NOBODY, 1, 1_000)
    far = make_transaction(CAROL, PARAMS, 5_000, NOBODY, 1, 1_000)
    good = make_transaction(CAROL, PARAMS, 1, NOBODY, 1, 1_000)
    spoilt = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    yield put_row(node, empty)
    yield put_row(node, foreign)
    yield put_row(node, far)
    yield put_row(node, good, raw=spoilt)
    yield put_row(node, make_transaction(CAROL, PARAMS, 2, NOBODY, 1, 1_000), raw=b"rot")
    yield put_row(node, make_transaction(ALICE, PARAMS, 0, NOBODY, 2, 1_000), received_at=NOW + 1)


def mine(node: ChainNode, seconds: int) -> None:
    template = build_template(node.chain, NOBODY, NOW + seconds)
    block = template.solved(mine_header(template.header).nonce)
    assert node.offer(block).fate is BlockFate.ACCEPTED


def test_reading_again_drops_every_bad_row_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with sqlite_node(PARAMS) as node:
        kept = [make_transaction(key, PARAMS, 0, NOBODY, 1, 1_000) for key in (ALICE, BOB)]
        node.take(*kept)
        bad = set(bad_rows(node))
        stray = make_transaction(CAROL, PARAMS, 3, NOBODY, 1, 1_000)
        bad.add(put_row(node, stray, id=bytes(32)))
        node.restart()
        assert node.pool_ids() == {each.id for each in kept} == set(node.pool_rows())
        assert caplog.text.count("damaged and dropped") == 1
        mine(node, 1)
        assert len(node.pool) == 0
        node.check()


def test_a_template_leaves_out_what_its_block_would_be_refused_for() -> None:
    with sqlite_node(PARAMS) as node:
        first, second = (make_transaction(ALICE, PARAMS, at, NOBODY, 1, 900) for at in (0, 1))
        sound = make_transaction(BOB, PARAMS, 0, NOBODY, 1, 500)
        node.take(first, second, sound)
        unsigned = make_transaction(CAROL, make_params(target_interval_seconds=7), 0, NOBODY, 1, 9)
        put_row(node, unsigned)
        rows = [(each, NOW) for each in (first, second, sound, unsigned)]
        senders = {each.sender for each, _ in rows}
        node.pool.restore(rows, node.chain.accounts_of(senders))  # past the checks
        assert unsigned.id in node.pool
        mine(node, 1)
        assert {each.id for each in node.active_blocks()[0].transactions} == {
            each.id for each in (first, second, sound)
        }
        assert len(node.pool) == 0
        assert node.pool_rows() == {}
        node.check()


def test_the_doctor_finds_and_repairs_every_bad_row() -> None:
    with sqlite_node(PARAMS) as node:
        node.store.check_network(PARAMS.network_id())
        kept = make_transaction(ALICE, PARAMS, 0, NOBODY, 1, 1_000)
        node.take(kept)
        bad = set(bad_rows(node))
        with open_audit_store(node.url) as store:
            report = audit(store, PARAMS)
        named = " ".join(finding.where for finding in report.findings.listed)
        # Of two at one place either may stay: who came first is not for the doctor to know.
        assert sum(each.hex() in named for each in (*bad, kept.id)) == len(bad)
        with open_repair_store(node.url) as store:
            assert repair(store, PARAMS).pool_deleted == len(bad)
        with open_audit_store(node.url) as store:
            assert audit(store, PARAMS).is_clean
        node.restart()
        assert len(node.pool) == 1
        node.check()


def test_the_doctor_mends_an_id_that_is_not_that_of_the_bytes() -> None:
    with sqlite_node(PARAMS) as node:
        node.store.check_network(PARAMS.network_id())
        sent = make_transaction(ALICE, PARAMS, 0, NOBODY, 1, 1_000)
        node.take(sent)
        with node.engine.begin() as connection:
            connection.execute(update(pool).values(id=bytes(32)))
        with open_audit_store(node.url) as store:
            assert not audit(store, PARAMS).is_clean
        with open_repair_store(node.url) as store:
            repair(store, PARAMS)
        assert set(node.pool_rows()) == {sent.id}


def test_a_long_restore_tells_its_steps_and_can_be_stopped_between_them() -> None:
    """A pool that takes minutes to check must not look like a hung start, nor hold up a stop."""
    keys = [make_key(number) for number in range(100, 1_200)]
    with sqlite_node(PARAMS) as node:
        rows = [
            PoolRow(each.id, each.raw, NOW)
            for each in (make_transaction(key, PARAMS, 0, NOBODY, 1, 1_000) for key in keys)
        ]
        with node.store.transaction():
            node.store.change_pool(rows, ())
        steps: list[str] = []
        chain = Blockchain(node.store, PARAMS, node.pool, node.signatures, progress=steps.append)

        def stop(done: str) -> None:
            raise Stopped(done)

        stopping = Blockchain(node.store, PARAMS, node.pool, node.signatures, progress=stop)
        with pytest.raises(Stopped):
            stopping.reload(NOW)
        assert len(node.store.load_pool()) == len(rows)
        chain.reload(NOW)
    assert steps[:2] == [
        "checking waiting transactions: 500/1,100",
        "checking waiting transactions: 1,000/1,100",
    ]
    assert steps[2:] == [
        "reading accounts of waiting transactions: 500/1,100",
        "reading accounts of waiting transactions: 1,000/1,100",
    ]


def test_a_long_reorganisation_tells_its_steps_and_can_be_stopped_between_them() -> None:
    with sqlite_node(PARAMS) as node:
        ours, theirs = ChainBuilder(PARAMS), ChainBuilder(PARAMS)
        node.offer(*(ours.mine() for _ in range(2)))
        node.leave_aside(*(theirs.mine(extra=b"t") for _ in range(3)))
        steps: list[str] = []

        def stop_late(done: str) -> None:
            if done.startswith("following another branch: 4/"):
                raise Stopped(done)

        chain = Blockchain(node.store, PARAMS, node.pool, node.signatures, progress=stop_late)
        with pytest.raises(Stopped):
            chain.reload(NOW)
        node.check()
        assert node.chain.tip.hash == ours.blocks[-1].hash
        chain = Blockchain(node.store, PARAMS, node.pool, node.signatures, progress=steps.append)
        chain.reload(NOW)
        assert chain.tip.hash == theirs.blocks[-1].hash
    assert steps == [f"following another branch: {done}/5 blocks" for done in range(1, 5)]
