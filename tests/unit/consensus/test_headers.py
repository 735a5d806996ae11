"""A header by itself and against its parent: links, height, schedule, work and time."""

import pytest

from cairn.consensus.block import Header, decode_header
from cairn.consensus.errors import Rule
from cairn.consensus.proof_of_work import bits_to_target, check_proof_of_work
from cairn.consensus.validation import (
    MAX_FUTURE_SECONDS,
    ParentContext,
    check_header,
    check_header_chain,
    next_bits,
)
from tests.support.builders import ChainBuilder, header_bytes, make_params, mine_block, mine_header
from tests.support.refusals import refused

PARAMS = make_params()
NOW = 2_000_000_000


def chain_of(count: int) -> ChainBuilder:
    chain = ChainBuilder(PARAMS)
    for _ in range(count):
        chain.mine()
    return chain


def check(header: Header, parent: ParentContext, now: int = NOW) -> None:
    check_header(header, header.hash(), parent, PARAMS, now)


def child_of(parent: ParentContext, **fields: int | bytes) -> Header:
    """A mined header on `parent`, right in all but the given fields."""
    values = {
        "height": parent.height + 1,
        "previous_hash": parent.hash,
        "merkle_root": bytes(32),
        "timestamp": parent.timestamp + 1,
        "bits": next_bits(parent, PARAMS),
        "nonce": 0,
    }
    return mine_header(Header(**{**values, **fields}))


def test_accepts_a_mined_child() -> None:
    parent = chain_of(3).parent
    check(child_of(parent), parent)


def test_a_chain_of_headers_gives_the_context_after_the_last() -> None:
    chain = chain_of(15)
    headers = [block.header for block in chain.blocks]
    assert check_header_chain(headers, chain.parents[0], PARAMS, NOW) == chain.parent
    assert len(chain.parent.recent_timestamps) == 11


def test_refuses_a_header_whose_parent_is_another_block() -> None:
    chain = chain_of(3)
    with refused(Rule.PARENT_UNKNOWN):
        check(child_of(chain.parent, previous_hash=chain.parents[1].hash), chain.parent)
    with refused(Rule.PARENT_UNKNOWN):
        headers = [chain.blocks[0].header, chain.blocks[2].header]
        check_header_chain(headers, chain.parents[0], PARAMS, NOW)


@pytest.mark.parametrize("height", [0, 3, 5, 2**32 - 1])
def test_refuses_a_height_that_is_not_the_parents_and_one(height: int) -> None:
    parent = chain_of(3).parent
    with refused(Rule.HEIGHT_MISMATCH, height=height, parent_height=3):
        check(child_of(parent, height=height), parent)


def test_refuses_bits_that_the_schedule_does_not_ask() -> None:
    parent = chain_of(3).parent
    expected = next_bits(parent, PARAMS)
    with refused(Rule.BITS_MISMATCH, bits=0x207FFFFE, expected=expected):
        check(child_of(parent, bits=0x207FFFFE), parent)


def test_the_schedule_hardens_when_blocks_come_early() -> None:
    params = make_params(target_interval_seconds=600, half_life_seconds=600)
    chain = ChainBuilder(params)
    for second in range(1, 5):
        chain.mine(timestamp=params.genesis_time + second)
    targets = [bits_to_target(block.header.bits) for block in chain.blocks]
    assert targets == sorted(targets, reverse=True)
    assert targets[-1] * 6 < targets[0]


def test_refuses_a_hash_above_the_target() -> None:
    parent = chain_of(3).parent
    header = mine_header(child_of(parent), met=False)
    with refused(Rule.PROOF_OF_WORK, bits=header.bits):
        check(header, parent)


def test_a_hash_equal_to_the_target_is_enough_and_one_above_is_not() -> None:
    target = bits_to_target(0x1D00FFFF)
    check_proof_of_work(target.to_bytes(32, "big"), 0x1D00FFFF)
    with refused(Rule.PROOF_OF_WORK, bits=0x1D00FFFF):
        check_proof_of_work((target + 1).to_bytes(32, "big"), 0x1D00FFFF)


def test_rejects_block_no_later_than_median_time() -> None:
    chain = ChainBuilder(PARAMS)
    for second in (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120):
        chain.mine(timestamp=PARAMS.genesis_time + second)
    median = PARAMS.genesis_time + 70
    assert chain.parent.median_time == median
    check(child_of(chain.parent, timestamp=median + 1), chain.parent)
    with refused(Rule.TIMESTAMP_TOO_OLD, timestamp=median, median=median):
        check(child_of(chain.parent, timestamp=median), chain.parent)


def test_the_median_of_few_blocks_is_the_upper_middle() -> None:
    assert ParentContext(bytes(32), 0, 5, (5,)).median_time == 5
    assert ParentContext(bytes(32), 1, 3, (5, 3)).median_time == 5
    assert ParentContext(bytes(32), 2, 4, (5, 3, 4)).median_time == 4


def test_accepts_two_minutes_of_future_and_refuses_a_second_more() -> None:
    parent = chain_of(1).parent
    header = child_of(parent)
    limit = header.timestamp - MAX_FUTURE_SECONDS
    check(header, parent, now=limit)
    with refused(Rule.TIMESTAMP_TOO_NEW, timestamp=header.timestamp, now=limit - 1):
        check(header, parent, now=limit - 1)


def test_says_too_new_only_of_a_header_that_is_sound_otherwise() -> None:
    parent = chain_of(1).parent
    header = mine_header(child_of(parent, timestamp=NOW * 2), met=False)
    with refused(Rule.PROOF_OF_WORK):
        check(header, parent)


def test_refuses_another_version_and_a_reserved_field_in_use() -> None:
    header = mine_block(PARAMS, chain_of(0).parent).header
    assert decode_header(header_bytes(header)) == header
    raw = header_bytes(header)
    with refused(Rule.HEADER_VERSION, version=2):
        decode_header(b"\x00\x00\x00\x02" + raw[4:])
    with refused(Rule.HEADER_RESERVED, reserved=7):
        decode_header(header_bytes(header, reserved=7))


@pytest.mark.parametrize("length", [0, 95, 97, 192])
def test_refuses_a_header_of_another_length(length: int) -> None:
    raw = header_bytes(mine_block(PARAMS, chain_of(0).parent).header) * 2
    short = Rule.ENCODING_TRUNCATED if length < 96 else Rule.ENCODING_TRAILING_BYTES
    with refused(short, length=length):
        decode_header(raw[:length])
