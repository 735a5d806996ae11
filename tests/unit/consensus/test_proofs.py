"""Proofs of transactions: what holds offline, and every part that may be wrong."""

from dataclasses import replace

import pytest

from cairn.consensus.errors import Rule
from cairn.consensus.proof import build_proof, verify_proof
from cairn.consensus.validation import MAX_FUTURE_SECONDS
from tests.support.builders import (
    ChainBuilder,
    altered_block,
    make_key,
    make_params,
    make_transaction,
    mine_block,
    mine_header,
)
from tests.support.chain import MUCH_LATER
from tests.support.refusals import refused

PARAMS = make_params()
SENDER = make_key(0)


def _chain() -> ChainBuilder:
    chain = ChainBuilder(PARAMS)
    chain.mine()
    chain.mine([make_transaction(SENDER, PARAMS, n, make_key(1).address, 5, 1) for n in range(4)])
    chain.mine()
    return chain


CHAIN = _chain()
BLOCK = CHAIN.blocks[1]
HEADERS = [block.header for block in CHAIN.blocks]


@pytest.mark.parametrize("position", range(4))
def test_accepts_the_proof_of_each_transaction(position: int) -> None:
    result = verify_proof(build_proof(BLOCK, position), HEADERS, PARAMS, MUCH_LATER)
    assert result.transaction_id == BLOCK.transactions[position].id
    assert result.block_hash == BLOCK.hash
    assert result.timestamp == BLOCK.header.timestamp
    assert (result.confirmations, result.work) == (2, 4)


def test_needs_no_header_past_the_proofs_own() -> None:
    assert verify_proof(build_proof(BLOCK, 0), HEADERS[:2], PARAMS, MUCH_LATER).confirmations == 1


def test_refuses_headers_that_do_not_reach_the_block() -> None:
    with refused(Rule.PROOF_INVALID):
        verify_proof(build_proof(BLOCK, 0), HEADERS[:1], PARAMS, MUCH_LATER)
    with refused(Rule.PROOF_INVALID):
        verify_proof(build_proof(BLOCK, 0), [], PARAMS, MUCH_LATER)


@pytest.mark.parametrize("height", [0, -1, 3])
def test_refuses_a_height_that_reaches_the_block_from_the_end(height: int) -> None:
    with refused(Rule.PROOF_INVALID):
        verify_proof(replace(build_proof(BLOCK, 0), height=height), HEADERS[:2], PARAMS, MUCH_LATER)


def test_refuses_a_transaction_that_is_not_in_the_block() -> None:
    other = make_transaction(SENDER, PARAMS, 9, make_key(1).address, 5, 1)
    with refused(Rule.PROOF_INVALID):
        verify_proof(
            replace(build_proof(BLOCK, 0), transaction=other.raw), HEADERS, PARAMS, MUCH_LATER
        )


def test_refuses_a_wrong_place_or_path() -> None:
    proof = build_proof(BLOCK, 0)
    wrong = [
        replace(proof, leaf_index=2),
        replace(proof, leaf_index=99),
        replace(proof, leaf_count=1),
        replace(proof, leaf_count=0),
        replace(proof, height=1),
        replace(proof, height=-1),
        replace(proof, path=proof.path[:-1]),
        replace(proof, path=(*proof.path, bytes(32))),
        replace(proof, path=(bytes(32), *proof.path[1:])),
        replace(proof, path=()),
    ]
    for altered in wrong:
        with refused(Rule.PROOF_INVALID):
            verify_proof(altered, HEADERS, PARAMS, MUCH_LATER)


def test_refuses_the_coinbase_as_a_transaction() -> None:
    proof = build_proof(BLOCK, 0)
    leaves = BLOCK.leaves()
    posing = replace(proof, transaction=leaves[0], leaf_index=0)
    with refused(Rule.PROOF_INVALID) as refusal:
        verify_proof(posing, HEADERS, PARAMS, MUCH_LATER)
    assert "coinbase" in refusal.value.detail


def test_refuses_an_inner_node_as_a_transaction() -> None:
    proof = build_proof(BLOCK, 1)
    posing = replace(proof, transaction=proof.path[0] * 2, path=proof.path[1:], leaf_count=3)
    with refused(Rule.PROOF_INVALID):
        verify_proof(posing, HEADERS, PARAMS, MUCH_LATER)


def test_refuses_a_block_whose_transaction_is_not_signed() -> None:
    """A miner can put anything under a root: the signature is checked as well."""
    raw = bytearray(BLOCK.transactions[0].raw)
    raw[-1] ^= 1
    chain = CHAIN.fork(1)
    from_miner = altered_block(
        BLOCK, PARAMS, transactions=[replace(BLOCK.transactions[0], raw=bytes(raw))]
    )
    headers = [chain.blocks[0].header, from_miner.header]
    with refused(Rule.SIGNATURE_INVALID):
        verify_proof(build_proof(from_miner, 0), headers, PARAMS, MUCH_LATER)


def test_refuses_headers_of_another_network() -> None:
    with refused(Rule.PARENT_UNKNOWN):
        verify_proof(build_proof(BLOCK, 0), HEADERS, make_params(name="othernet"), MUCH_LATER)


def test_refuses_headers_without_work_or_out_of_line() -> None:
    proof = build_proof(BLOCK, 0)
    with refused(Rule.PROOF_OF_WORK):
        verify_proof(proof, [*HEADERS[:2], mine_header(HEADERS[2], met=False)], PARAMS, MUCH_LATER)
    with refused(Rule.PARENT_UNKNOWN):
        verify_proof(proof, HEADERS[1:], PARAMS, MUCH_LATER)


def test_refuses_blocks_dated_past_what_any_node_takes_now() -> None:
    proof, last = build_proof(BLOCK, 0), max(header.timestamp for header in HEADERS)
    earliest = last - MAX_FUTURE_SECONDS
    assert verify_proof(proof, HEADERS, PARAMS, earliest).confirmations == 2
    with refused(Rule.TIMESTAMP_TOO_NEW):
        verify_proof(proof, HEADERS, PARAMS, earliest - 1)


def test_refuses_a_transaction_that_breaks_the_rules_of_one_alone() -> None:
    chain = ChainBuilder(PARAMS)
    empty = make_transaction(SENDER, PARAMS, 0, make_key(1).address, 0, 1)
    block = mine_block(PARAMS, chain.parent, [empty])
    with refused(Rule.TRANSACTION_EMPTY):
        verify_proof(build_proof(block, 0), [block.header], PARAMS, MUCH_LATER)
