"""For any tree, target and delay: paths prove, targets round-trip, the schedule is monotone."""

from hypothesis import given
from hypothesis import strategies as st

from cairn.consensus.errors import RuleError
from cairn.consensus.merkle import merkle_path, merkle_root, verify_path
from cairn.consensus.proof_of_work import asert_bits, bits_to_target, target_to_bits, work_of
from tests.support.builders import tree_root

LIMIT_BITS = 0x1D00FFFF

trees = st.lists(st.binary(max_size=40), min_size=1, max_size=40)
targets = st.integers(1, 256).flatmap(lambda size: st.integers(1, 2**size - 1))
anchors = targets.map(lambda target: target_to_bits(min(target, bits_to_target(LIMIT_BITS))))
times = st.integers(0, 2**33)
heights = st.integers(0, 2**32)
spans = st.integers(1, 10**6)


@given(trees, st.data())
def test_every_path_verifies_and_any_flipped_bit_fails(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    root, path = merkle_root(leaves), merkle_path(leaves, index)
    assert root == tree_root(leaves)
    assert verify_path(leaves[index], index, len(leaves), path, root)
    joined = leaves[index] + b"".join(path) + root
    bit = data.draw(st.integers(0, len(joined) * 8 - 1))
    flipped = (int.from_bytes(joined, "big") ^ 1 << bit).to_bytes(len(joined), "big")
    leaf, rest = flipped[: len(leaves[index])], flipped[len(leaves[index]) :]
    nodes = [rest[start : start + 32] for start in range(0, len(rest), 32)]
    assert not verify_path(leaf, index, len(leaves), nodes[:-1], nodes[-1])


@given(trees, trees)
def test_different_leaves_have_different_roots(one: list[bytes], other: list[bytes]) -> None:
    assert (merkle_root(one) == merkle_root(other)) == (one == other)


@given(st.binary(max_size=70), st.integers(), st.integers(), st.lists(st.binary(max_size=40)))
def test_any_path_is_judged_without_an_exception(
    leaf: bytes, index: int, count: int, path: list[bytes]
) -> None:
    assert verify_path(leaf, index, count, path, bytes(32)) is False


@given(targets)
def test_target_to_bits_rounds_down_by_less_than_a_part_in_2_to_15(target: int) -> None:
    bits = target_to_bits(target)
    found = bits_to_target(bits)
    assert found <= target
    assert (target - found) * 2**15 < target
    assert target_to_bits(found) == bits


@given(st.integers(-10, 2**32 + 10))
def test_any_bits_have_a_target_that_gives_them_back_or_break_a_rule(bits: int) -> None:
    try:
        target = bits_to_target(bits)
    except RuleError:
        return
    assert 1 <= target < 2**256
    assert target_to_bits(target) == bits
    assert work_of(bits) == 2**256 // (target + 1) >= 1


@given(anchors, times, times, heights, spans, spans)
def test_a_later_parent_never_makes_the_target_harder(
    anchor: int, time: int, later: int, height: int, interval: int, half_life: int
) -> None:
    def target_after(parent_time: int) -> int:
        return bits_to_target(
            asert_bits(anchor, 0, 0, height, parent_time, interval, half_life, LIMIT_BITS)
        )

    early, late = sorted((time, later))
    assert 1 <= target_after(early) <= target_after(late) <= bits_to_target(LIMIT_BITS)


@given(anchors, times, heights, heights, spans, spans)
def test_a_higher_parent_at_the_same_time_never_makes_the_target_easier(
    anchor: int, time: int, height: int, higher: int, interval: int, half_life: int
) -> None:
    low, high = (
        bits_to_target(asert_bits(anchor, 0, 0, at, time, interval, half_life, LIMIT_BITS))
        for at in sorted((height, higher))
    )
    assert high <= low


@given(anchors, heights, spans, spans)
def test_a_chain_on_schedule_keeps_its_target(
    anchor: int, height: int, interval: int, half_life: int
) -> None:
    time = interval * (height + 1)
    assert asert_bits(anchor, 0, 0, height, time, interval, half_life, LIMIT_BITS) == anchor


@given(anchors, st.integers(-(2**64), 2**64), st.integers(0, 2**64), st.integers(1, 2**40))
def test_the_schedule_never_raises(anchor: int, time: int, height: int, half_life: int) -> None:
    bits = asert_bits(anchor, 0, 0, height, time, 1, half_life, LIMIT_BITS)
    assert 1 <= bits_to_target(bits) <= bits_to_target(LIMIT_BITS)
