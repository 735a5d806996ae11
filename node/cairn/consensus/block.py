"""Blocks: a 96-byte header that is hashed, a coinbase that pays the miner, transactions."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cairn.consensus.encoding import ADDRESS_BYTES, Reader, sha256d
from cairn.consensus.errors import Rule, RuleError
from cairn.consensus.merkle import merkle_root
from cairn.consensus.transaction import (
    MINIMUM_TRANSACTION_BYTES,
    Transaction,
    decode_transaction_at,
    transaction_end,
)

BLOCK_VERSION = 1
HEADER_BYTES = 96
MAX_COINBASE_EXTRA_BYTES = 64

_HEADER = struct.Struct(">II32s32sQIIQ")
_RESERVED = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What proof of work commits to. The nonce is last: the first 64 bytes hash once."""

    height: int
    """Blocks since genesis, which is 0 (u32)."""
    previous_hash: bytes
    """The parent's hash, 32 bytes; zeros for genesis."""
    merkle_root: bytes
    """Over the coinbase's bytes, then each transaction's (32 bytes)."""
    timestamp: int
    """Seconds since the epoch (u64)."""
    bits: int
    """The target in compact form (u32)."""
    nonce: int
    """Whatever makes the hash meet the target (u64)."""
    version: int = BLOCK_VERSION

    def encode(self) -> bytes:
        """The 96 bytes that are hashed."""
        return _HEADER.pack(
            self.version,
            self.height,
            self.previous_hash,
            self.merkle_root,
            self.timestamp,
            self.bits,
            _RESERVED,
            self.nonce,
        )

    def hash(self) -> bytes:
        """The block's hash: SHA-256d of the header, 32 bytes."""
        return sha256d(self.encode())


@dataclass(frozen=True, slots=True)
class Coinbase:
    """What the miner takes: at most the subsidy and the fees. Leaf 0 of the merkle tree."""

    recipient: bytes
    """Address, 20 bytes."""
    amount: int
    """Base units (u64); claiming less destroys the rest."""
    extra: bytes = b""
    """Free bytes, at most 64."""

    def encode(self) -> bytes:
        """Recipient 20, amount 8, extra length 1, extra."""
        length = len(self.extra).to_bytes(1, "big")
        return self.recipient + self.amount.to_bytes(8, "big") + length + self.extra


@dataclass(frozen=True, slots=True)
class Block:
    """A whole block, with its hash and canonical bytes. Decoded is not yet valid."""

    header: Header
    coinbase: Coinbase
    transactions: tuple[Transaction, ...]
    hash: bytes
    raw: bytes

    def leaves(self) -> list[bytes]:
        """The merkle leaves: the coinbase's bytes, then each transaction's."""
        return block_leaves(self.coinbase, self.transactions)


def block_leaves(coinbase: Coinbase, transactions: Sequence[Transaction]) -> list[bytes]:
    """The merkle leaves of a block with this coinbase and these transactions."""
    return [coinbase.encode(), *(transaction.raw for transaction in transactions)]


def build_block(header: Header, coinbase: Coinbase, transactions: Sequence[Transaction]) -> Block:
    """The block of these parts. Its bytes are made here; nothing is checked."""
    parts = [header.encode(), coinbase.encode(), len(transactions).to_bytes(4, "big")]
    raw = b"".join([*parts, *(transaction.raw for transaction in transactions)])
    return Block(header, coinbase, tuple(transactions), header.hash(), raw)


def build_header(
    parent_hash: bytes,
    height: int,
    timestamp: int,
    bits: int,
    coinbase: Coinbase,
    transactions: Sequence[Transaction],
    nonce: int = 0,
) -> Header:
    """The header over this body, ready for a nonce search."""
    root = merkle_root(block_leaves(coinbase, transactions))
    return Header(height, parent_hash, root, timestamp, bits, nonce)


def decode_header(raw: bytes) -> Header:
    """The header that 96 bytes are. Raises RuleError (length, version, reserved)."""
    reader = Reader(raw, "header")
    fields = _HEADER.unpack(reader.take(HEADER_BYTES))
    reader.finish()
    version, height, previous_hash, root, timestamp, bits, reserved, nonce = fields
    if version != BLOCK_VERSION:
        raise RuleError(
            Rule.HEADER_VERSION,
            f"block version {version}, this protocol has {BLOCK_VERSION}",
            version=version,
        )
    if reserved != _RESERVED:
        raise RuleError(
            Rule.HEADER_RESERVED, f"reserved field is {reserved}, must be 0", reserved=reserved
        )
    return Header(height, previous_hash, root, timestamp, bits, nonce, version)


def decode_block(raw: bytes, network_id: bytes, max_block_bytes: int) -> Block:
    """The block that `raw` is, no byte more. Raises RuleError naming what is wrong."""
    if len(raw) > max_block_bytes:
        raise RuleError(
            Rule.BLOCK_TOO_LARGE,
            f"block is {len(raw)} bytes, at most {max_block_bytes}",
            length=len(raw),
            limit=max_block_bytes,
        )
    header = decode_header(raw[:HEADER_BYTES])
    reader = Reader(raw, "block", HEADER_BYTES)
    coinbase = _take_coinbase(reader)
    transactions = _take_transactions(reader, network_id)
    reader.finish()
    return Block(header, coinbase, transactions, header.hash(), raw)


def leaves_of(raw: bytes) -> list[bytes]:
    """The leaves of the block whose bytes `decode_block` takes, as `Block.leaves`: cut out by
    their lengths alone, which costs a tenth of decoding them."""
    reader = Reader(raw, "block", HEADER_BYTES)
    _take_coinbase(reader)
    leaves = [raw[HEADER_BYTES : reader.offset]]
    for _ in range(reader.unsigned(4)):
        end = transaction_end(raw, reader.offset)
        leaves.append(raw[reader.offset : end])
        reader.offset = end
    return leaves


def _take_coinbase(reader: Reader) -> Coinbase:
    recipient = reader.take(ADDRESS_BYTES)
    amount = reader.unsigned(8)
    length = reader.unsigned(1)
    if length > MAX_COINBASE_EXTRA_BYTES:
        raise RuleError(
            Rule.COINBASE_EXTRA_TOO_LARGE,
            f"coinbase extra is {length} bytes, at most {MAX_COINBASE_EXTRA_BYTES}",
            length=length,
            limit=MAX_COINBASE_EXTRA_BYTES,
        )
    return Coinbase(recipient, amount, reader.take(length))


def _take_transactions(reader: Reader, network_id: bytes) -> tuple[Transaction, ...]:
    count = reader.unsigned(4)
    left = len(reader.data) - reader.offset
    if count * MINIMUM_TRANSACTION_BYTES > left:  # refuse before the first allocation
        raise RuleError(
            Rule.ENCODING_TRUNCATED,
            f"{count} transactions need {count * MINIMUM_TRANSACTION_BYTES} bytes, {left} are left",
            needed=count * MINIMUM_TRANSACTION_BYTES,
            length=left,
        )
    transactions = []
    for _ in range(count):
        transaction, reader.offset = decode_transaction_at(reader.data, reader.offset, network_id)
        transactions.append(transaction)
    return tuple(transactions)
