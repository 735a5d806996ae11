"""The merkle tree of a block, shaped as in RFC 6962, hashed with SHA-256d.

A leaf is hashed with prefix 0x00 and a node with 0x01, and a tree of n leaves splits at the
largest power of two below n. So no leaf can pose as a node, and no odd leaf is duplicated:
two different lists never share a root (CVE-2012-2459).
"""

from collections.abc import Iterator, Sequence

from cairn.consensus.encoding import sha256d


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root (32 bytes) over the full bytes of at least one leaf. Raises ValueError on none."""
    if not leaves:
        raise ValueError("a merkle tree needs at least one leaf")
    return _fold([leaf_hash(leaf) for leaf in leaves])


def merkle_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Sibling hashes from leaf `index` up to the root, nearest first (RFC 6962, 2.1.1)."""
    return path_in_tree(merkle_tree(leaves), index)


def merkle_tree(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All hashes over the full bytes of the leaves: a list a level, the leaves' own first."""
    levels = [[leaf_hash(leaf) for leaf in leaves]]
    while len(levels[-1]) > 1:
        levels.append(_next_level(levels[-1]))
    return levels


def path_in_tree(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """As `merkle_path`, in a tree that `merkle_tree` made."""
    if not 0 <= index < len(levels[0]):
        raise IndexError(f"leaf {index} of a tree with {len(levels[0])}")
    path = []
    for level in levels[:-1]:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        index //= 2
    return path


def verify_path(leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` (full bytes) stands at `index` of a tree of `count` leaves under `root`.

    Never raises: an index outside the tree or a path too short or too long is False.
    """
    if not 0 <= index < count:
        return False
    sides = list(sibling_sides(index, count))
    if len(sides) != len(path):
        return False
    node = leaf_hash(leaf)
    for is_left, sibling in zip(sides, path, strict=True):
        node = node_hash(sibling, node) if is_left else node_hash(node, sibling)
    return node == root


def sibling_sides(index: int, count: int) -> Iterator[bool]:
    """For each hash of the path of leaf `index` of `count`, nearest first: is it the left one?"""
    last = count - 1
    while last > 0:
        if index % 2 == 1 or index < last:
            yield index % 2 == 1
        index //= 2
        last //= 2


def leaf_hash(leaf: bytes) -> bytes:
    """Hash (32 bytes) of a leaf's full bytes."""
    return sha256d(b"\x00" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash (32 bytes) of two child hashes, in order."""
    return sha256d(b"\x01" + left + right)


def _fold(level: list[bytes]) -> bytes:
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


def _next_level(level: list[bytes]) -> list[bytes]:
    # Pairing from the left and carrying an odd last node up unhashed gives the same tree as
    # splitting at the largest power of two below n, level by level and without recursion.
    pairs = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return pairs + level[len(pairs) * 2 :]
