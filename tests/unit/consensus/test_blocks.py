"""A block's bytes and body: what decodes, and what its header commits to."""

import struct

import pytest

from cairn.consensus.block import Coinbase, decode_block, leaves_of
from cairn.consensus.errors import Rule
from cairn.consensus.validation import check_block_sanity
from tests.support.builders import (
    NOBODY,
    ChainBuilder,
    altered_block,
    coinbase_bytes,
    header_bytes,
    make_key,
    make_params,
    make_transaction,
)
from tests.support.refusals import refused

PARAMS = make_params()
NETWORK = PARAMS.network_id()
LIMIT = PARAMS.max_block_bytes
SENDER = make_key(0)
RECIPIENT = make_key(1).address

CHAIN = ChainBuilder(PARAMS)
BLOCK = CHAIN.mine(
    [make_transaction(SENDER, PARAMS, number, RECIPIENT, 10, 1) for number in range(3)],
    extra=b"miner's note",
)


def test_accepts_a_block_and_finds_its_parts() -> None:
    block = decode_block(BLOCK.raw, NETWORK, LIMIT)
    check_block_sanity(block, PARAMS)
    assert block == BLOCK
    assert [transaction.sequence for transaction in block.transactions] == [0, 1, 2]
    assert block.coinbase.extra == b"miner's note"
    assert block.leaves()[0] == coinbase_bytes(block.coinbase)


@pytest.mark.parametrize("data", [b"", b"x", b"n" * 300, b"m" * 1_024])
def test_leaves_cut_out_of_the_bytes_are_the_decoded_ones(data: bytes) -> None:
    chain = ChainBuilder(PARAMS)
    sent = [
        make_transaction(SENDER, PARAMS, number, RECIPIENT, 10, 1, data=data * (number % 2))
        for number in range(5)
    ]
    for block in (chain.mine(extra=b"a note"), chain.mine(sent)):
        assert leaves_of(block.raw) == block.leaves()


def test_refuses_every_truncation() -> None:
    for length in range(len(BLOCK.raw)):
        with refused(Rule.ENCODING_TRUNCATED):
            decode_block(BLOCK.raw[:length], NETWORK, LIMIT)


def test_refuses_trailing_bytes() -> None:
    length = len(BLOCK.raw)
    with refused(Rule.ENCODING_TRAILING_BYTES, expected=length, length=length + 1):
        decode_block(BLOCK.raw + b"\x00", NETWORK, LIMIT)


def test_refuses_a_block_above_the_size_limit() -> None:
    length = len(BLOCK.raw)
    decode_block(BLOCK.raw, NETWORK, length)
    with refused(Rule.BLOCK_TOO_LARGE, length=length, limit=length - 1):
        decode_block(BLOCK.raw, NETWORK, length - 1)
    check_block_sanity(BLOCK, make_params(max_block_bytes=length))
    with refused(Rule.BLOCK_TOO_LARGE, length=length, limit=length - 1):
        check_block_sanity(BLOCK, make_params(max_block_bytes=length - 1))


@pytest.mark.parametrize("count", [4, 2**31, 2**32 - 1])
def test_refuses_a_count_of_transactions_that_cannot_fit(count: int) -> None:
    body = b"".join(transaction.raw for transaction in BLOCK.transactions)
    front = header_bytes(BLOCK.header) + coinbase_bytes(BLOCK.coinbase)
    with refused(Rule.ENCODING_TRUNCATED, needed=152 * count, length=len(body)):
        decode_block(front + struct.pack(">I", count) + body, NETWORK, LIMIT)


def test_allows_64_bytes_of_coinbase_extra_and_refuses_65() -> None:
    front, no_transactions = header_bytes(BLOCK.header), bytes(4)
    longest = coinbase_bytes(Coinbase(NOBODY, 0, bytes(64)))
    block = decode_block(front + longest + no_transactions, NETWORK, LIMIT)
    assert len(block.coinbase.extra) == 64
    longer = coinbase_bytes(Coinbase(NOBODY, 0, bytes(65)))
    with refused(Rule.COINBASE_EXTRA_TOO_LARGE, length=65, limit=64):
        decode_block(front + longer + no_transactions, NETWORK, LIMIT)


def test_refuses_a_bad_transaction_inside() -> None:
    start = len(BLOCK.raw) - len(BLOCK.transactions[-1].raw)
    raw = BLOCK.raw[:start] + b"\x09" + BLOCK.raw[start + 1 :]
    with refused(Rule.TRANSACTION_VERSION, version=9):
        decode_block(raw, NETWORK, LIMIT)


def test_refuses_a_body_that_the_header_does_not_commit_to() -> None:
    root = BLOCK.header.merkle_root
    bodies = [
        altered_block(BLOCK, PARAMS, transactions=BLOCK.transactions[:-1], merkle_root=root),
        altered_block(BLOCK, PARAMS, transactions=BLOCK.transactions[::-1], merkle_root=root),
        altered_block(BLOCK, PARAMS, coinbase=Coinbase(RECIPIENT, 0), merkle_root=root),
        altered_block(BLOCK, PARAMS, merkle_root=bytes(32)),
    ]
    for block in bodies:
        with refused(Rule.MERKLE_ROOT_MISMATCH):
            check_block_sanity(block, PARAMS)


def test_refuses_a_changed_signature_though_the_id_stays() -> None:
    """The leaves are full bytes, so a block commits to its transactions' signatures."""
    raw = BLOCK.raw[:-1] + bytes([BLOCK.raw[-1] ^ 1])
    changed = decode_block(raw, NETWORK, LIMIT)
    assert changed.transactions[-1].id == BLOCK.transactions[-1].id
    with refused(Rule.MERKLE_ROOT_MISMATCH):
        check_block_sanity(changed, PARAMS)


@pytest.mark.parametrize(
    ("rule", "amount", "fee", "data"),
    [
        (Rule.TRANSACTION_EMPTY, 0, 1, b""),
        (Rule.AMOUNT_OVERFLOW, 2**64 - 1, 1, b""),
        (Rule.TRANSACTION_DATA_TOO_LARGE, 1, 1, bytes(1025)),
    ],
)
def test_refuses_a_block_with_an_unsound_transaction(
    rule: Rule, amount: int, fee: int, data: bytes
) -> None:
    unsound = make_transaction(SENDER, PARAMS, 3, RECIPIENT, amount, fee, data)
    block = altered_block(BLOCK, PARAMS, transactions=[*BLOCK.transactions, unsound])
    with refused(rule):
        check_block_sanity(block, PARAMS)
