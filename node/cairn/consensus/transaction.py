"""A transfer of value and data from one account to another: its fields, bytes and id."""

import struct
from dataclasses import dataclass

from cairn.consensus.crypto import address_of
from cairn.consensus.encoding import SIGNATURE_BYTES, Reader, sha256d
from cairn.consensus.errors import Rule, RuleError

TRANSACTION_VERSION = 1
MINIMUM_TRANSACTION_BYTES = 152
"""A transaction without data: 88 bytes before the data, 64 of signature after it."""

_TAG = b"cairn:tx:v1"
_FIXED = struct.Struct(">B33sQ20sQQQH")
_DATA_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """What a sender is about to sign."""

    public_key: bytes
    """The sender's, 33 bytes compressed."""
    sequence: int
    """This sender's n-th transaction, from 0, without gaps (u64)."""
    recipient: bytes
    """Address, 20 bytes."""
    amount: int
    """Base units (u64); may be 0 when data is present."""
    fee: int
    """Base units (u64), to the miner."""
    timestamp: int
    """Seconds since the epoch (u64), the sender's claim; only the pool judges it."""
    data: bytes = b""
    """Opaque bytes, at most the network's `max_data_bytes`."""

    def encode(self) -> bytes:
        """All bytes before the signature."""
        fixed = _FIXED.pack(
            TRANSACTION_VERSION,
            self.public_key,
            self.sequence,
            self.recipient,
            self.amount,
            self.fee,
            self.timestamp,
            len(self.data),
        )
        return fixed + self.data

    def signing_message(self, network_id: bytes) -> bytes:
        """The bytes to sign: tag, network id (32 bytes), all bytes before the signature."""
        return _TAG + network_id + self.encode()


@dataclass(frozen=True, slots=True)
class Transaction:
    """A signed transaction on one network, with what its bytes say about it.

    Made by `decode_transaction` or `attach_signature` alone, so the derived fields always
    belong to `raw`. That it is decoded says nothing of its validity.
    """

    public_key: bytes
    sequence: int
    recipient: bytes
    amount: int
    fee: int
    timestamp: int
    data: bytes
    signature: bytes
    id: bytes
    """SHA-256d of the signing message (32 bytes): the same whatever the signature's bytes."""
    sender: bytes
    """Address of the public key, 20 bytes."""
    raw: bytes
    """The canonical bytes, signature included."""

    def signing_message(self, network_id: bytes) -> bytes:
        """The bytes the sender signed: tag, network id, all bytes before the signature."""
        return _TAG + network_id + self.raw[:-SIGNATURE_BYTES]

    @property
    def cost(self) -> int:
        """What the sender's balance must hold: amount + fee, base units."""
        return self.amount + self.fee


def attach_signature(
    unsigned: UnsignedTransaction, signature: bytes, network_id: bytes
) -> Transaction:
    """The transaction of these fields and this 64-byte signature."""
    return decode_transaction(unsigned.encode() + signature, network_id)


def decode_transaction(raw: bytes, network_id: bytes) -> Transaction:
    """The transaction that `raw` is, no byte more. Raises RuleError naming what is wrong."""
    transaction, end = decode_transaction_at(raw, 0, network_id)
    if end != len(raw):
        raise RuleError(
            Rule.ENCODING_TRAILING_BYTES,
            f"transaction is {end} bytes, got {len(raw)}",
            expected=end,
            length=len(raw),
        )
    return transaction


def transaction_end(buffer: bytes, start: int) -> int:
    """Where the transaction that `decode_transaction_at` takes at `start` ends."""
    (length,) = _DATA_LENGTH.unpack_from(buffer, start + _FIXED.size - _DATA_LENGTH.size)
    return start + _FIXED.size + int(length) + SIGNATURE_BYTES


def decode_transaction_at(buffer: bytes, start: int, network_id: bytes) -> tuple[Transaction, int]:
    """The transaction at `start` in `buffer`, and where the next one begins."""
    reader = Reader(buffer, "transaction", start)
    fields = _FIXED.unpack(reader.take(_FIXED.size))
    version, public_key, sequence, recipient, amount, fee, timestamp, data_length = fields
    if version != TRANSACTION_VERSION:
        raise RuleError(
            Rule.TRANSACTION_VERSION,
            f"transaction version {version}, this protocol has {TRANSACTION_VERSION}",
            version=version,
        )
    data = reader.take(data_length)
    message = _TAG + network_id + buffer[start : reader.offset]
    signature = reader.take(SIGNATURE_BYTES)
    transaction = Transaction(
        public_key=public_key,
        sequence=sequence,
        recipient=recipient,
        amount=amount,
        fee=fee,
        timestamp=timestamp,
        data=data,
        signature=signature,
        id=sha256d(message),
        sender=address_of(public_key),
        raw=buffer[start : reader.offset],
    )
    return transaction, reader.offset
