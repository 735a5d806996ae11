"""Stored bytes as what they mean. A row that cannot be read is damage, never a broken rule."""

from cairn.chain.store import BlockStatus
from cairn.consensus.block import Header, decode_header
from cairn.consensus.errors import RuleError
from cairn.storage.errors import DamagedRowError


def read_header(block_hash: bytes, header: bytes) -> Header:
    """The header of a stored block. Raises DamagedRowError."""
    try:
        return decode_header(header)
    except RuleError as error:
        raise DamagedRowError(
            f"the stored header of block {block_hash.hex()} is damaged ({error})"
        ) from None


def read_status(block_hash: bytes, status: int) -> BlockStatus:
    """The status of a stored block. Raises DamagedRowError."""
    try:
        return BlockStatus(status)
    except ValueError:
        raise DamagedRowError(
            f"the stored status of block {block_hash.hex()} is damaged ({status})"
        ) from None
