"""Stored bytes that are damaged are named so, whatever is wrong with them."""

import pytest

from cairn.consensus.merkle import merkle_path, path_in_tree
from cairn.storage.errors import DamagedRowError
from cairn.storage.rows import read_tree
from tests.support.builders import ChainBuilder, make_key


def test_the_tree_of_a_stored_block_gives_every_path() -> None:
    chain = ChainBuilder()
    block = chain.mine([chain.send(make_key(n), make_key(9).address, 1) for n in range(6)])
    tree = read_tree(block.hash, block.raw)
    leaves = block.leaves()
    for index in range(len(leaves)):
        assert path_in_tree(tree, index) == merkle_path(leaves, index)
    with pytest.raises(IndexError):
        path_in_tree(tree, len(leaves))


def test_a_damaged_block_has_no_tree() -> None:
    chain = ChainBuilder()
    block = chain.mine([chain.send(make_key(n), make_key(9).address, 1) for n in range(2)])
    for place in range(0, len(block.raw), 7):
        damaged = bytearray(block.raw)
        damaged[place] ^= 0x81
        with pytest.raises(DamagedRowError, match=block.hash.hex()):
            read_tree(block.hash, bytes(damaged))
    for length in range(0, len(block.raw), 11):
        with pytest.raises(DamagedRowError, match=block.hash.hex()):
            read_tree(block.hash, block.raw[:length])
