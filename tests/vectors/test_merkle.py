"""The merkle tree against RFC 6962's recursive definition, written out once more here."""

from collections.abc import Sequence
from hashlib import sha256

import pytest

from cairn.consensus.merkle import leaf_hash, merkle_path, merkle_root, node_hash, verify_path


def _hash(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return _hash(b"\x00" + leaves[0])
    middle = _split(len(leaves))
    return _hash(b"\x01" + _root(leaves[:middle]) + _root(leaves[middle:]))


def _path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        return [*_path(index, leaves[:middle]), _root(leaves[middle:])]
    return [*_path(index - middle, leaves[middle:]), _root(leaves[:middle])]


@pytest.mark.parametrize("count", [*range(1, 70), 127, 128, 129, 255, 256, 257, 1000])
def test_root_is_rfc_6962s(count: int) -> None:
    leaves = [b"leaf %d" % number for number in range(count)]
    assert merkle_root(leaves) == _root(leaves)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 100])
def test_every_path_is_rfc_6962s_and_leads_to_the_root(count: int) -> None:
    leaves = [b"leaf %d" % number for number in range(count)]
    root = _root(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle_path(leaves, index)
        assert path == _path(index, leaves)
        assert verify_path(leaf, index, count, path, root)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_path_holds_for_no_other_leaf_index_or_length(count: int) -> None:
    leaves = [b"leaf %d" % number for number in range(count)]
    root = merkle_root(leaves)
    for index, leaf in enumerate(leaves):
        path = merkle_path(leaves, index)
        assert not verify_path(b"another", index, count, path, root)
        assert not verify_path(leaf, index, count, [*path, root], root)
        assert not verify_path(leaf, index, count, path, bytes(32))
        assert not path or not verify_path(leaf, index, count, path[:-1], root)
        for other in {-1, *range(count + 1)} - {index}:
            assert not verify_path(leaf, other, count, path, root)


def test_a_duplicated_last_leaf_changes_the_root() -> None:
    """CVE-2012-2459: two lists of leaves must never share a root."""
    for count in range(1, 40):
        leaves = [b"leaf %d" % number for number in range(count)]
        assert merkle_root(leaves) != merkle_root([*leaves, leaves[-1]])
        for tail in range(1, count):
            assert merkle_root(leaves) != merkle_root([*leaves, *leaves[-tail:]])


def test_an_inner_node_cannot_pose_as_a_leaf() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert merkle_root([left + right]) != merkle_root([b"a", b"b"])


def test_has_no_root_without_leaves_and_no_path_outside_the_tree() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle_root([])
    for index in (-1, 3):
        with pytest.raises(IndexError, match="of a tree with 3"):
            merkle_path([b"a", b"b", b"c"], index)
