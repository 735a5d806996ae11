"""Many transactions offered at once: each gets its own answer, and what is taken is durable."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from cairn.chain import signatures
from cairn.chain.pool import PoolPolicy
from cairn.consensus.transaction import Transaction, decode_transaction
from tests.support.builders import ChainBuilder, make_key, make_params, make_transaction
from tests.support.chain import NOW, ChainNode, problems_of

ALICE, BOB, CAROL = make_key(1), make_key(2), make_key(3)
POOR = make_key(99)
MakeNode = Callable[..., ChainNode]


@contextmanager
def counted_statements(node: ChainNode) -> Iterator[list[str]]:
    """First words of the statements that the node's engine runs meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement.split(None, 1)[0].upper())

    def note_commit(_connection: object) -> None:
        seen.append("COMMIT")

    event.listen(node.engine, "before_cursor_execute", note)
    event.listen(node.engine, "commit", note_commit)
    yield seen
    event.remove(node.engine, "before_cursor_execute", note)
    event.remove(node.engine, "commit", note_commit)


def sent(node: ChainNode, sequence: int, fee: int = 1_000, amount: int = 1) -> Transaction:
    return make_transaction(ALICE, node.params, sequence, BOB.address, amount, fee)


def test_answers_in_order_each_with_its_rule(node: ChainNode) -> None:
    good, next_one = sent(node, 0), sent(node, 1)
    forged = make_transaction(BOB, node.params, 0, CAROL.address, 1, 1_000)
    forged_raw = forged.raw[:-1] + bytes([forged.raw[-1] ^ 1])
    foreign = make_transaction(CAROL, make_params({}), 0, BOB.address, 1, 1_000)
    offered = [
        b"",
        good.raw,
        good.raw + b"\0",
        forged_raw,
        foreign.raw,
        make_transaction(POOR, node.params, 0, BOB.address, 1, 1_000).raw,
        make_transaction(CAROL, node.params, 0, BOB.address, 0, 1_000).raw,
        make_transaction(CAROL, node.params, 0, BOB.address, 2**64 - 1, 1).raw,
        make_transaction(CAROL, node.params, 0, BOB.address, 1, 9, timestamp=1).raw,
        next_one.raw,
        good.raw,
        make_transaction(CAROL, node.params, 100, BOB.address, 1, 1_000).raw,
        make_transaction(CAROL, node.params, 0, BOB.address, 1, 1_000, data=bytes(1_025)).raw,
    ]
    admissions = node.admitter.admit(offered, NOW)
    assert problems_of(admissions) == [
        "encoding-truncated",
        None,
        "encoding-trailing-bytes",
        "signature-invalid",
        "signature-invalid",
        "balance-insufficient",
        "transaction-empty",
        "amount-overflow",
        "pool-timestamp",
        None,
        "pool-duplicate",
        "pool-gap-too-wide",
        "transaction-data-too-large",
    ]
    assert admissions[0].transaction is None
    assert admissions[1].transaction == good
    assert node.pool_ids() == {good.id, next_one.id}
    node.check()


def test_takes_a_batch_in_one_database_transaction(node: ChainNode) -> None:
    batch = [sent(node, sequence) for sequence in range(60)]
    with counted_statements(node) as seen:
        node.take(*batch)
    assert seen.count("COMMIT") == 1
    assert seen.count("INSERT") == 1
    node.check()
    with counted_statements(node) as seen:
        problems = problems_of(node.admit(*batch))
    assert problems == ["pool-duplicate"] * 60
    assert seen == []  # what is known to wait costs the database nothing


def test_a_batch_of_nothing_good_writes_nothing(node: ChainNode) -> None:
    with counted_statements(node) as seen:
        assert problems_of(node.admitter.admit([b"x"] * 10, NOW)) == ["encoding-truncated"] * 10
        assert node.admitter.admit([], NOW) == []
    assert seen == []


def test_later_ones_of_a_batch_may_follow_earlier_ones_out_of_order(node: ChainNode) -> None:
    node.take(sent(node, 2), sent(node, 0), sent(node, 1))
    assert node.pool.ready_count() == 3
    node.check()


def test_what_gave_way_within_its_batch_is_not_said_to_wait(make_node: MakeNode) -> None:
    node = make_node(policy=PoolPolicy(max_bytes=2 * 152, min_fee_per_byte=0))
    first, better = sent(node, 0, fee=100), sent(node, 0, fee=110, amount=2)
    cheap = make_transaction(BOB, node.params, 0, CAROL.address, 1, 10)
    dear = make_transaction(CAROL, node.params, 0, BOB.address, 1, 500)
    problems = problems_of(node.admit(first, cheap, better, dear))
    assert problems == ["pool-replacement-fee-too-low", "pool-full", None, None]
    assert node.pool_ids() == {better.id, dear.id}
    node.check()


def test_tells_mined_ones_from_conflicts(node: ChainNode) -> None:
    builder = ChainBuilder(node.params)
    mined = builder.send(ALICE, BOB.address, 1)
    node.offer(builder.mine([mined]))
    rival = make_transaction(ALICE, node.params, 0, CAROL.address, 1, 1_000)
    admissions = node.admit(mined, rival, sent(node, 1))
    assert problems_of(admissions) == ["pool-already-mined", "sequence-mismatch", None]
    conflict = admissions[1].problem
    assert conflict is not None
    assert conflict.numbers == {"sequence": 0, "expected": 1}


def test_knows_the_balance_after_every_block(node: ChainNode) -> None:
    """Accounts are remembered between blocks, and must move with them, reorganised or not."""
    builder = ChainBuilder(node.params)
    branch = builder.fork(0)
    spend = make_transaction(POOR, node.params, 0, BOB.address, 900, 100)
    assert problems_of(node.admit(spend)) == ["balance-insufficient"]
    node.offer(builder.mine([builder.send(ALICE, POOR.address, 1_000)]))
    node.take(spend)
    node.offer(branch.mine(extra=b"b"), branch.mine(extra=b"b"))
    assert spend.id not in node.pool_ids()
    assert problems_of(node.admit(spend)) == ["balance-insufficient"]
    node.check()


def test_expires_with_its_rows(node: ChainNode) -> None:
    node.take(sent(node, 0))
    assert node.admitter.expire(NOW + 86_399) == 0
    assert node.admitter.expire(NOW + 86_400) == 1
    assert node.pool_rows() == {}
    node.check()


def test_waits_on_after_a_restart(node: ChainNode) -> None:
    held, ready = sent(node, 3), sent(node, 0)
    node.admit(held, now=NOW)
    node.admit(ready, now=NOW + 7)
    node.restart()
    assert node.pool_ids() == {held.id, ready.id}
    assert node.pool.oldest_received_at([ready]) == NOW + 7
    node.check()
    assert problems_of(node.admit(ready)) == ["pool-duplicate"]


def test_a_block_checks_no_signature_that_the_pool_has_checked(
    node: ChainNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bytes] = []
    check = signatures.check_signature

    def counting(transaction: Transaction, network_id: bytes) -> None:
        checked.append(transaction.id)
        check(transaction, network_id)

    monkeypatch.setattr(signatures, "check_signature", counting)
    builder = ChainBuilder(node.params)
    waiting = [sent(node, sequence) for sequence in range(5)]
    stranger = make_transaction(BOB, node.params, 0, ALICE.address, 1, 1)
    node.take(*waiting)
    assert sorted(checked) == sorted(each.id for each in waiting)
    checked.clear()
    node.offer(builder.mine([*waiting, stranger]))
    assert checked == [stranger.id]


def test_checks_no_signature_of_what_the_account_rules_out(
    node: ChainNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusing costs less than sending: a signature is the dearest check, so the last."""

    def forbidden(_transaction: Transaction, _network_id: bytes) -> None:
        raise AssertionError("a signature was checked in vain")

    mined = sent(node, 0)
    node.take(mined)
    node.offer(ChainBuilder(node.params).mine([mined]))
    monkeypatch.setattr(signatures, "check_signature", forbidden)
    spent = make_transaction(ALICE, node.params, 0, CAROL.address, 7, 1_000)
    poor = make_transaction(POOR, node.params, 0, BOB.address, 1, 1_000)
    far = sent(node, 81)
    assert problems_of(node.admit(mined, spent, poor, far)) == [
        "pool-already-mined",
        "sequence-mismatch",
        "balance-insufficient",
        "pool-gap-too-wide",
    ]


def test_a_known_id_with_another_signature_is_checked_again(node: ChainNode) -> None:
    good = sent(node, 0)
    node.take(good)
    raw = good.raw[:-64] + bytes(63) + b"\1"
    other = decode_transaction(raw, node.params.network_id())
    assert other.id == good.id
    faults = node.signatures.faults([good, other, good])
    assert [fault is None for fault in faults] == [True, False, True]


def test_finds_the_bad_one_among_many(node: ChainNode) -> None:
    many = [sent(node, sequence) for sequence in range(200)]
    bad = decode_transaction(many[130].raw[:-1] + b"\0", node.params.network_id())
    faults = node.signatures.faults([*many[:130], bad, *many[131:]])
    assert [position for position, fault in enumerate(faults) if fault] == [130]
