"""Bitcoin's published compact targets, and the work of its easiest block."""

import pytest

from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.proof_of_work import bits_to_target, target_to_bits, work_of

_CANONICAL = {
    # Bitcoin's genesis and limit; the worked example of its developer reference; regtest
    0x1D00FFFF: 0x00000000FFFF0000000000000000000000000000000000000000000000000000,
    0x1B0404CB: 0x00000000000404CB000000000000000000000000000000000000000000000000,
    0x207FFFFF: 0x7FFFFF0000000000000000000000000000000000000000000000000000000000,
    # from Bitcoin Core's arith_uint256 tests
    0x02008000: 0x80,
    0x03123456: 0x123456,
    0x04123456: 0x12345600,
    0x05009234: 0x92340000,
    0x20123456: 0x1234560000000000000000000000000000000000000000000000000000000000,
    # the ends of the range
    0x01010000: 1,
    0x017F0000: 0x7F,
    0x2100FFFF: 0xFFFF << 240,
}
_INVALID = {
    "zero": [0, 0x01003456, 0x02000056, 0x03000000, 0x04000000, 0x00123456],
    "negative": [
        *(0x00923456, 0x01803456, 0x02800056, 0x03800000, 0x04800000, 0x01FEDCBA, 0x04923456),
        -1,
        2**32,
    ],
    "above 2^256": [0x21010000, 0x22000100, 0x23000001, 0xFF123456],
    "not the shortest form of its target": [
        *(0x01123456, 0x02123456, 0x04000001, 0x1D00007F, 0x1E0000FF, 0x220000FF, 0x02007F00),
    ],
}


@pytest.mark.parametrize(("bits", "target"), _CANONICAL.items(), ids=hex)
def test_known_bits_and_target_give_each_other(bits: int, target: int) -> None:
    assert bits_to_target(bits) == target
    assert target_to_bits(target) == bits


@pytest.mark.parametrize(
    ("reason", "bits"), [(reason, bits) for reason, many in _INVALID.items() for bits in many]
)
def test_refuses_bits_that_are(reason: str, bits: int) -> None:
    with pytest.raises(RuleError) as refusal:
        bits_to_target(bits)
    assert refusal.value.rule is Rule.BITS_INVALID
    assert reason in refusal.value.detail
    assert refusal.value.numbers == {"bits": bits}


@pytest.mark.parametrize(
    ("target", "bits"),
    [(0x1234567, 0x04012345), (2**256 - 1, 0x2100FFFF), (0x7FFFFF_FF, 0x047FFFFF)],
)
def test_rounds_a_target_down_to_what_bits_can_say(target: int, bits: int) -> None:
    assert target_to_bits(target) == bits


@pytest.mark.parametrize("target", [0, -1, 2**256])
def test_has_no_bits_for_a_target_out_of_range(target: int) -> None:
    with pytest.raises(ValueError, match="between 1 and"):
        target_to_bits(target)


def test_work_is_the_expected_number_of_hashes() -> None:
    assert work_of(0x1D00FFFF) == 0x100010001  # the chain work of Bitcoin's genesis block
    assert work_of(0x207FFFFF) == 2
    assert work_of(0x01010000) == 2**255
