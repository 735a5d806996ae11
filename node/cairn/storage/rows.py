"""Stored bytes as what they mean. A row that cannot be read is damage, never a broken rule."""

import struct

from cairn.chain.store import BlockStatus
from cairn.consensus.block import (
    HEADER_BYTES,
    Block,
    Header,
    decode_block,
    decode_header,
    leaves_of,
)
from cairn.consensus.errors import RuleError
from cairn.consensus.merkle import merkle_tree
from cairn.consensus.transaction import Transaction, decode_transaction
from cairn.storage.errors import DamagedRowError


def read_header(block_hash: bytes, header: bytes) -> Header:
    """The header of the block with this hash. Raises DamagedRowError unless it is that one's."""
    try:
        found = decode_header(header)
    except RuleError as error:
        raise DamagedRowError(
            f"the stored header of block {block_hash.hex()} is damaged ({error})"
        ) from None
    if found.hash() != block_hash:
        raise DamagedRowError(f"the stored header of block {block_hash.hex()} is another's")
    return found


def read_status(block_hash: bytes, status: int) -> BlockStatus:
    """The status of a stored block. Raises DamagedRowError."""
    try:
        return BlockStatus(status)
    except ValueError:
        raise DamagedRowError(
            f"the stored status of block {block_hash.hex()} is damaged ({status})"
        ) from None


def read_block(block_hash: bytes, raw: bytes, network_id: bytes) -> Block:
    """A stored block. Raises DamagedRowError."""
    try:
        return decode_block(raw, network_id, len(raw))
    except RuleError as error:
        raise DamagedRowError(f"stored block {block_hash.hex()} is damaged ({error})") from None


def read_tree(block_hash: bytes, raw: bytes) -> list[list[bytes]]:
    """The merkle tree of a stored block, as `merkle_tree` makes it. Raises DamagedRowError."""
    header = read_header(block_hash, raw[:HEADER_BYTES])
    try:
        tree = merkle_tree(leaves_of(raw))
    except (RuleError, struct.error) as error:
        raise DamagedRowError(f"stored block {block_hash.hex()} is damaged ({error})") from None
    if tree[-1] != [header.merkle_root]:
        raise DamagedRowError(f"stored block {block_hash.hex()} is damaged: its root is another's")
    return tree


def read_transaction(transaction_id: bytes, raw: bytes, network_id: bytes) -> Transaction:
    """A stored transaction. Raises DamagedRowError."""
    try:
        return decode_transaction(raw, network_id)
    except RuleError as error:
        raise DamagedRowError(
            f"stored transaction {transaction_id.hex()} is damaged ({error})"
        ) from None
