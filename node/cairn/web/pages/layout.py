"""A transaction's bytes, field by field, as the protocol lays them out."""

from dataclasses import dataclass

from cairn.consensus.transaction import Transaction
from cairn.web.node import WebNode
from cairn.web.pages.formats import as_text, utc
from cairn.web.views import coins

_MAX_SHOWN_BYTES = 256
"""Of a field's bytes; data may be 64 KiB."""
_MAX_SHOWN_TEXT = 120


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the layout."""

    name: str
    kind: str
    """Names its colour."""
    offset: int
    """Of its first byte."""
    length: int
    """Bytes."""
    hex: str
    """Its first bytes."""
    cut: int
    """Bytes that are not in `hex`."""
    meaning: str


def decode_fields(transaction: Transaction, node: WebNode) -> list[Field]:
    """All fields in order; together they are `transaction.raw`."""
    symbol = node.params.symbol
    data = transaction.data
    layout = (
        ("version", 1, "the protocol's version"),
        ("public key", 33, f"of the sender, {node.encode_address(transaction.sender)}"),
        ("sequence", 8, f"transaction {transaction.sequence:,} of its sender, counted from 0"),
        ("recipient", 20, node.encode_address(transaction.recipient)),
        ("amount", 8, f"{coins(transaction.amount)} {symbol}"),
        ("fee", 8, f"{coins(transaction.fee)} {symbol}, to the miner"),
        ("timestamp", 8, f"{utc(transaction.timestamp)}, as the sender claims"),
        ("data length", 2, f"{len(data):,} bytes follow" if data else "no data follows"),
        ("data", len(data), _describe(data)),
        ("signature", 64, "ECDSA over P-256, r then s, of all bytes before it"),
    )
    fields = []
    offset = 0
    for name, length, meaning in layout:
        if not length:
            continue
        shown = transaction.raw[offset : offset + min(length, _MAX_SHOWN_BYTES)]
        kind = name.replace(" ", "-")
        cut = length - len(shown)
        fields.append(Field(name, kind, offset, length, shown.hex(), cut, meaning))
        offset += length
    return fields


def _describe(data: bytes) -> str:
    text = as_text(data.hex())
    if text is None:
        return "bytes that are no text"
    cut = text[:_MAX_SHOWN_TEXT].replace("\n", " ")
    return f"text: {cut}{'…' if len(text) > _MAX_SHOWN_TEXT else ''}"
